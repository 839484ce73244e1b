//! One property of a row, and one reference: `accounts(…)/name`, `accounts(…)/primarycontactid/$ref`.
//!
//! Source: Microsoft Learn, "Update and delete table rows using the Web API", "Update a single
//! property value", and "Associate and disassociate table rows using the Web API".

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::address::RowKey;
use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::payload::{self, Purpose};
use crate::refusal::Refusal;
use crate::render::{plain, push_text, push_value, value_of};
use crate::request::{Call, Condition, Response};
use crate::value::Column;
use crate::write;

/// A row and what was asked of it.
pub(crate) struct Property<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) layout: &'a Layout,
    pub(crate) id: Uuid,
    /// What stands behind the row's address.
    pub(crate) path: &'a str,
}

impl Property<'_> {
    /// Serves the request on the property.
    pub(crate) fn serve(&self, engine: &mut Engine, call: &Call<'_>) -> Result<Response, Refusal> {
        let (name, rest) = self.path.split_once('/').unwrap_or((self.path, ""));
        match (rest, call.method) {
            ("", "GET") => self.read(engine, name),
            ("$value", "GET") => self.read_bare(engine, name),
            ("", "PUT") => {
                self.column(name)?;
                let value = self.member(call.body, "value")?;
                self.write(engine, name, value.get())
            }
            ("", "DELETE") => {
                self.column(name)?;
                self.write(engine, name, "null")
            }
            ("$ref", "PUT") => {
                let value = self.member(call.body, "@odata.id")?;
                self.write(engine, &format!("{name}@odata.bind"), value.get())
            }
            ("$ref", "DELETE") => self.write(engine, &format!("{name}@odata.bind"), "null"),
            ("", _) => Err(Refusal::wrong_method(call.method)),
            _ => Err(Refusal::not_served(&format!("'{}' of a row", self.path))),
        }
    }

    fn column(&self, name: &str) -> Result<Column, Refusal> {
        let found = self.layout.readable(name);
        found.ok_or_else(|| Refusal::no_segment(name))
    }

    fn read(&self, engine: &Engine, name: &str) -> Result<Response, Refusal> {
        let column = self.column(name)?;
        let row = engine.row(self.layout, self.id);
        let value = row.and_then(|row| value_of(self.layout, self.id, row, column));
        let Some(value) = value else {
            return Ok(Response::odata(204));
        };
        let set = &self.layout.def.entity_set;
        let context = format!(
            "{}/$metadata#{set}({})/{name}",
            self.context.base(),
            self.id
        );
        let mut body = String::from("{\"@odata.context\":");
        push_text(&mut body, &context);
        body.push_str(",\"value\":");
        push_value(self.layout, column, Some(&value), &mut body);
        body.push('}');
        Ok(Response::json(200, body))
    }

    fn read_bare(&self, engine: &Engine, name: &str) -> Result<Response, Refusal> {
        let column = self.column(name)?;
        let row = engine.row(self.layout, self.id);
        let value = row.and_then(|row| value_of(self.layout, self.id, row, column));
        let Some(value) = value else {
            return Ok(Response::odata(204));
        };
        let mut response = Response::odata(200).header("Content-Type", "text/plain".to_owned());
        response.body = plain(&value).into();
        Ok(response)
    }

    fn member<'b>(&self, body: &'b [u8], name: &str) -> Result<&'b RawValue, Refusal> {
        let members: Option<BTreeMap<String, &RawValue>> = serde_json::from_slice(body).ok();
        let member = members.and_then(|mut members| members.remove(name));
        member.ok_or_else(|| {
            let inner = format!("The property '{name}' was not found in the payload.");
            Refusal::odata_payload(&self.layout.def.entity_set, &inner)
        })
    }

    /// Writes as an update of the whole row would.
    fn write(&self, engine: &mut Engine, name: &str, json: &str) -> Result<Response, Refusal> {
        let mut body = String::from("{");
        push_text(&mut body, name);
        body.push(':');
        body.push_str(json);
        body.push('}');
        let (context, layout) = (self.context, self.layout);
        let purpose = Purpose::Upsert;
        let assignments = payload::assignments(engine, context, layout, body.as_bytes(), purpose)?;
        let key = RowKey::Id(self.id);
        write::upsert(engine, context, layout, key, Condition::Exists, assignments)?;
        Ok(Response::odata(204))
    }
}
