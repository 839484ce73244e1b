//! The messages of the environment, and which table takes which: rows that clients look up before
//! they send a message in bulk.
//!
//! Made from the schema at each start, with the same ids every time. Source: Microsoft Learn, "Use
//! bulk operation messages", "Message availability".

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::bulk::Message;
use crate::engine::{Engine, Written};
use crate::model::{Layout, Model};
use crate::schema::TableDef;
use crate::table::Rows;
use crate::table::value::{Cells, Column, Value};

const READING: [&str; 2] = ["Retrieve", "RetrieveMultiple"];
const WRITING: [&str; 4] = ["Create", "Update", "Delete", "Upsert"];

/// Brings the rows to what the schema says; rows that are right stay as they are.
pub(crate) fn plant(engine: &mut Engine) {
    let model = Arc::clone(&engine.model);
    let (Some(messages), Some(filters)) = (
        model.of_name("sdkmessage"),
        model.of_name("sdkmessagefilter"),
    ) else {
        return;
    };
    put(engine, messages, message_rows(messages));
    put(engine, filters, filter_rows(&model, messages, filters));
}

type Planted = BTreeMap<Uuid, Cells>;

fn put(engine: &mut Engine, layout: &Layout, wanted: Planted) {
    let standing: Vec<Uuid> = engine
        .rows(layout)
        .into_iter()
        .flat_map(|rows: &Rows| rows.after(None).map(|(id, _)| id))
        .collect();
    for id in standing {
        if !wanted.contains_key(&id) {
            engine.delete(layout, id);
        }
    }
    for (id, cells) in wanted {
        match engine.row(layout, id) {
            Some(row) if row.cells == cells => {}
            // Neither table has an alternate key with which a row could collide.
            Some(_) => drop(engine.update(layout, id, cells, Written::new())),
            None => drop(engine.create(layout, id, cells, Written::new())),
        }
    }
}

fn id_of(message: &str, table: &str) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"dataverse messages");
    Uuid::new_v5(&namespace, format!("{message} {table}").as_bytes())
}

fn names() -> impl Iterator<Item = &'static str> {
    let bulk = Message::ALL.into_iter().map(Message::name);
    READING.into_iter().chain(WRITING).chain(bulk)
}

fn message_rows(messages: &Layout) -> Planted {
    let rows = names().map(|name| {
        let cells = packed(&[(messages.number_of("name"), text(name))]);
        (id_of(name, ""), cells)
    });
    rows.collect()
}

fn filter_rows(model: &Model, messages: &Layout, filters: &Layout) -> Planted {
    let mut rows = Planted::new();
    for table in model.layouts().map(|layout| &layout.def) {
        for name in names().filter(|name| takes(table, name)) {
            let message = Value::Reference {
                table: messages.number,
                id: id_of(name, ""),
            };
            let cells = packed(&[
                (
                    filters.number_of("primaryobjecttypecode"),
                    text(&table.logical_name),
                ),
                (filters.number_of("secondaryobjecttypecode"), text("none")),
                (filters.number_of("availability"), Value::Integer(0)),
                (filters.number_of("sdkmessageid"), message),
            ]);
            rows.insert(id_of(name, &table.logical_name), cells);
        }
    }
    rows
}

fn takes(table: &TableDef, name: &str) -> bool {
    if READING.contains(&name) {
        return true;
    }
    if WRITING.contains(&name) {
        return table.is_writable();
    }
    let mut bulk = Message::ALL.into_iter();
    bulk.any(|message| message.name() == name && message.serves(table))
}

fn text(text: &str) -> Value<'static> {
    Value::Text(text.to_owned().into())
}

fn packed(values: &[(Option<Column>, Value<'static>)]) -> Cells {
    let known = values
        .iter()
        .filter_map(|(column, value)| Some(((*column)?, value.clone())));
    let mut known: Vec<_> = known.collect();
    known.sort_by_key(|(column, _)| *column);
    Cells::pack(&known)
}
