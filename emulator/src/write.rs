//! Creates, updates and upserts of one row: the algorithm, defaults and computed columns.
//!
//! Source: Microsoft Learn, "Use Upsert to Create or Update a record", "Server-side processing of
//! upsert requests"; for states "Define custom state model transitions" and what integrators
//! report of `statecode` on create.

pub(crate) mod association;
pub(crate) mod bind;
pub(crate) mod check;
pub(crate) mod deep;
pub(crate) mod draft;
pub(crate) mod parties;
pub(crate) mod removal;
pub(crate) mod state;

use uuid::Uuid;

use crate::context::Context;
use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::odata::address::RowKey;
use crate::odata::payload::Assignments;
use crate::options::ReadOnly;
use crate::refusal::Refusal;
use crate::render;
use crate::request::Condition;
use crate::schema::ColumnDef;
use crate::table::Row;
use crate::table::value::{Cells, Column, Value};
use crate::write::draft::Draft;

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Created(Uuid),
    Updated(Uuid),
}

impl Done {
    pub(crate) fn id(self) -> Uuid {
        match self {
            Self::Created(id) | Self::Updated(id) => id,
        }
    }
}

/// `POST` to a set.
pub(crate) fn create(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    assignments: Assignments,
) -> Result<Done, Refusal> {
    let id = assignments.id.unwrap_or_else(|| context.new_id(engine));
    insert(engine, context, layout, id, assignments.values)
}

/// `PATCH` of a row, by id or by alternate key.
pub(crate) fn upsert(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    key: RowKey,
    condition: Condition,
    mut assignments: Assignments,
) -> Result<Done, Refusal> {
    if matches!(condition, Condition::NotVersion(_)) {
        return Err(Refusal::unfit_condition());
    }
    check_body_id(layout, &key, &assignments)?;
    let found = find(engine, layout, &key);
    let must_exist = matches!(condition, Condition::Exists | Condition::Version(_));
    let Some(id) = found else {
        if must_exist {
            return Err(absent(layout, &key));
        }
        let id = key.id(layout).unwrap_or_else(|| context.new_id(engine));
        add_key(engine, context, layout, key, &mut assignments)?;
        return insert(engine, context, layout, id, assignments.values);
    };
    if condition == Condition::Absent {
        return Err(Refusal::duplicate_record());
    }
    check_version(engine, layout, id, condition)?;
    if layout.special.partition.is_some() && condition == Condition::None {
        add_key(engine, context, layout, key, &mut assignments)?;
        return replace(engine, context, layout, id, assignments.values);
    }
    if let RowKey::Alternate { values, .. } = &key {
        let is_key = |column: &Column| values.iter().any(|(known, _)| known == column);
        assignments.values.retain(|(column, _)| !is_key(column));
    }
    change(engine, context, layout, id, assignments.values)
}

/// A created row has the values of its key; a value in the body wins over the one in the URL.
fn add_key(
    engine: &Engine,
    context: &Context<'_>,
    layout: &Layout,
    key: RowKey,
    assignments: &mut Assignments,
) -> Result<(), Refusal> {
    let RowKey::Alternate { values, .. } = key else {
        return Ok(());
    };
    for (column, value) in values {
        let is_known = assignments.values.iter().any(|(known, _)| *known == column);
        if !is_known && Some(column) != layout.special.id {
            let value = key_value(engine, context, layout, column, value)?;
            assignments.values.push((column, Some(value)));
        }
    }
    Ok(())
}

/// A value of a URL's key as the column takes it: it has the same limits there as in a body.
fn key_value(
    engine: &Engine,
    context: &Context<'_>,
    layout: &Layout,
    column: Column,
    value: Value<'static>,
) -> Result<Value<'static>, Refusal> {
    if let Value::Reference { id, .. } = value {
        return referred(engine, layout, column, id);
    }
    let Some(def) = layout.column(column) else {
        return Ok(value);
    };
    let mut json = String::new();
    render::push_value(layout, column, Some(&value), &mut json);
    check::read(layout, def, &json, context.empty_text)?.ok_or_else(|| {
        let name = &def.logical_name;
        let message = format!("Invalid EntityKey Operation performed : '{name}' has no value");
        Refusal::new(400, "0x8006088f", message)
    })
}

/// The row of a key on a lookup; it must exist in one of the tables to which the lookup can point.
fn referred(
    engine: &Engine,
    layout: &Layout,
    column: Column,
    id: Uuid,
) -> Result<Value<'static>, Refusal> {
    let targets = layout.targets(column);
    let targets = || {
        targets
            .iter()
            .filter_map(|table| engine.model.layout(*table))
    };
    if let Some(target) = targets().find(|target| engine.row(target, id).is_some()) {
        let table = target.number;
        return Ok(Value::Reference { table, id });
    }
    let first = targets().next().map(|target| &*target.def.logical_name);
    Err(Refusal::no_such_row(first.unwrap_or_default(), id))
}

/// An upsert by alternate key must not choose the id as well: the documented algorithm would take
/// the id for the row's identity, and nobody has seen what the service does.
fn check_body_id(layout: &Layout, key: &RowKey, assignments: &Assignments) -> Result<(), Refusal> {
    let is_other = match (key, assignments.id) {
        (_, None) => false,
        (key, Some(other)) => key.id(layout) != Some(other),
    };
    if !is_other {
        return Ok(());
    }
    let column = &layout.def.primary_id;
    Err(Refusal::new(
        400,
        "0x80040203",
        format!("Invalid argument. '{column}' in the body is not the key in the URL."),
    ))
}

pub(crate) fn find(engine: &Engine, layout: &Layout, key: &RowKey) -> Option<Uuid> {
    match key {
        RowKey::Id(id) => {
            let row = engine.row(layout, *id)?;
            lives_alone(layout, *id, row).then_some(*id)
        }
        RowKey::Alternate { number, values } => {
            let values = values.iter().map(|(_, value)| value.clone());
            engine.find(layout, *number, values)
        }
    }
}

/// Whether the id is enough to find the row: an elastic row whose partition is not its own id is
/// found only with it.
fn lives_alone(layout: &Layout, id: Uuid, row: &Row) -> bool {
    let partition = layout
        .special
        .partition
        .and_then(|column| row.cells.get(column));
    match partition {
        Some(Value::Text(partition)) => partition == id.to_string(),
        _ => true,
    }
}

pub(crate) fn absent(layout: &Layout, key: &RowKey) -> Refusal {
    let table = &layout.def.logical_name;
    match key {
        RowKey::Id(id) => Refusal::no_such_row(table, *id),
        RowKey::Alternate { .. } => Refusal::no_row_with_key(table),
    }
}

pub(crate) fn check_version(
    engine: &Engine,
    layout: &Layout,
    id: Uuid,
    condition: Condition,
) -> Result<(), Refusal> {
    match (condition, engine.row(layout, id)) {
        (Condition::Version(wanted), Some(row)) if row.version != wanted => {
            Err(Refusal::version_mismatch())
        }
        _ => Ok(()),
    }
}

fn insert(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
    written: Written,
) -> Result<Done, Refusal> {
    let (draft, written) = fresh(engine, context, layout, id, written)?;
    engine.create(layout, id, Cells::pack(&draft.0), written)?;
    Ok(Done::Created(id))
}

/// An upsert of an elastic row leaves nothing of what stood there but its beginning.
fn replace(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
    written: Written,
) -> Result<Done, Refusal> {
    let (mut draft, written) = fresh(engine, context, layout, id, written)?;
    let special = &layout.special;
    let kept = [special.created_on, special.created_by, special.partition];
    let old = engine.row(layout, id).map(|row| row.cells.clone());
    for column in kept.into_iter().flatten() {
        let value = old.as_ref().and_then(|cells| cells.get(column));
        draft.set(column, value.map(Value::into_owned));
    }
    engine.update(layout, id, Cells::pack(&draft.0), written)?;
    Ok(Done::Updated(id))
}

/// A row as it is created, and what of it the client wrote.
fn fresh(
    engine: &Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
    written: Written,
) -> Result<(Draft, Written), Refusal> {
    // The row begins in its first state, whatever the body says.
    let state = layout.special.state;
    let written = writable(context, layout, written, Verb::Create)?;
    context.admit_create(layout, &written)?;
    let written: Written = written
        .into_iter()
        .filter(|(column, _)| Some(*column) != state)
        .collect();
    parties::check(engine, layout, id, &written)?;
    let mut draft = Draft(layout.defaults.clone());
    draft.take(&written);
    state::check_create(layout, id, &draft)?;
    draft.begin(engine, context, layout, id);
    draft.compute(engine, context, layout);
    check_needed(layout, &draft)?;
    Ok((draft, written))
}

/// Writes to a row that is there.
pub(crate) fn change(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
    written: Written,
) -> Result<Done, Refusal> {
    let Some(row) = engine.row(layout, id) else {
        return Err(absent(layout, &RowKey::Id(id)));
    };
    let mut draft = Draft(row.cells.unpacked());
    let written = writable(context, layout, written, Verb::Update)?;
    context.admit_update(layout, &written, |column| draft.get(column))?;
    state::check_update(layout, id, &draft, &written)?;
    parties::check(engine, layout, id, &written)?;
    draft.take(&written);
    state::follow(layout, &mut draft, &written);
    draft.compute(engine, context, layout);
    check_needed(layout, &draft)?;
    engine.update(layout, id, Cells::pack(&draft.0), written)?;
    Ok(Done::Updated(id))
}

/// Brings a row to a state, whatever its own rules say of that.
pub(crate) fn set_state(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
    (state, reason): (i32, Option<i32>),
) -> Result<(), Refusal> {
    let special = &layout.special;
    let values = [(special.state, Some(state)), (special.status, reason)];
    let written = values.into_iter().filter_map(|(column, number)| {
        let value = number.map(Value::Integer);
        column.map(|column| (column, value))
    });
    let written: Written = written.collect();
    let Some(row) = engine.row(layout, id) else {
        return Err(absent(layout, &RowKey::Id(id)));
    };
    let mut draft = Draft(row.cells.unpacked());
    context.admit_update(layout, &written, |column| draft.get(column))?;
    draft.take(&written);
    draft.compute(engine, context, layout);
    engine.update(layout, id, Cells::pack(&draft.0), written)
}

/// Which of a column's two switches counts.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Create,
    Update,
}

impl Verb {
    fn allows(self, def: &ColumnDef) -> bool {
        match self {
            Self::Create => def.creatable,
            Self::Update => def.updatable,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Create => "0x80041a01",
            Self::Update => "0x80041a02",
        }
    }
}

/// The columns that can be written; the others are passed over, or refused by the strict switch.
fn writable(
    context: &Context<'_>,
    layout: &Layout,
    written: Written,
    verb: Verb,
) -> Result<Written, Refusal> {
    let mut kept = Written::with_capacity(written.len());
    for (column, value) in written {
        let Some(def) = layout.column(column) else {
            continue;
        };
        if verb.allows(def) || Some(column) == layout.special.state {
            kept.push((column, value));
        } else if context.read_only == ReadOnly::Refuse {
            let name = &def.logical_name;
            let table = &layout.def.logical_name;
            return Err(Refusal::new(
                400,
                verb.code(),
                format!("The column '{name}' of '{table}' is not valid for {verb:?}."),
            ));
        }
    }
    Ok(kept)
}

fn check_needed(layout: &Layout, draft: &Draft) -> Result<(), Refusal> {
    let missing = |column: &&Column| draft.get(**column).is_none();
    let Some(column) = layout.needed.iter().find(missing) else {
        return Ok(());
    };
    let name = layout.column_name(*column);
    let table = &layout.def.logical_name;
    Err(Refusal::new(
        400,
        "0x80040203",
        format!("Invalid argument. The column '{name}' of '{table}' cannot be null."),
    ))
}
