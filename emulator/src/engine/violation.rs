//! What is told of a row that an alternate key does not let be.

use crate::model::{Layout, Model};
use crate::refusal::{Refusal, xml_escaped};
use crate::render;
use crate::table::value::{Cells, Value};

/// Refuses what the key with this number does not allow.
pub(super) fn of_key(model: &Model, layout: &Layout, key: usize, cells: &Cells) -> Refusal {
    let Some(key) = layout.keys.get(key) else {
        return Refusal::duplicate_record();
    };
    let columns = key.columns.iter().filter_map(|column| {
        let def = layout.column(*column)?;
        Some((*column, def))
    });
    let mut names = Vec::new();
    let mut pairs = Vec::new();
    for (column, def) in columns {
        names.push(def.display_name.as_str());
        let value = cells.get(column).map(|value| render::plain(&value));
        pairs.push((def.logical_name.as_str(), value.unwrap_or_default()));
    }
    let dump = dump(model, layout, cells);
    Refusal::duplicate_key(&key.display_name, &names.join(", "), &pairs, dump)
}

/// The row that was to be written; who wrote it last stands first, as captured.
fn dump(model: &Model, layout: &Layout, cells: &Cells) -> String {
    let first = layout.special.modified_by;
    let mut values: Vec<_> = cells.iter().collect();
    values.sort_by_key(|(column, _)| Some(*column) != first);
    let values = values.into_iter().map(|(column, value)| {
        let name = layout.column_name(column);
        let value = match value {
            Value::Reference { table, id } => {
                let target = model.layout(table).map_or("", |it| &it.def.logical_name);
                format!("<Id>{id}</Id><LogicalName>{target}</LogicalName>")
            }
            other => xml_escaped(&render::plain(&other)),
        };
        format!("<Attribute><key>{name}</key><value>{value}</value></Attribute>")
    });
    let (values, table) = (values.collect::<String>(), &layout.def.logical_name);
    format!("<Entity><Attributes>{values}</Attributes><LogicalName>{table}</LogicalName></Entity>")
}
