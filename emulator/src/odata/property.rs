//! One property of a row, and one reference: `accounts(…)/name`, `accounts(…)/primarycontactid/$ref`.
//!
//! Source: Microsoft Learn, "Update and delete table rows using the Web API", "Update a single
//! property value", and "Associate and disassociate table rows using the Web API".

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::odata::address::{self, Address, Place, RowKey};
use crate::odata::files::FileColumn;
use crate::odata::payload::{self, Purpose};
use crate::refusal::Refusal;
use crate::render::{plain, push_text, push_value, value_of};
use crate::request::{Call, Condition, Response, decoded};
use crate::table::value::Column;
use crate::write;
use crate::write::association::Association;
use crate::write::bind;
use crate::write::deep;

/// A row and what was asked of it.
pub(crate) struct Property<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) layout: &'a Layout,
    pub(crate) id: Uuid,
    /// What stands behind the row's address.
    pub(crate) path: &'a str,
    /// Still encoded.
    pub(crate) query: &'a str,
}

impl Property<'_> {
    /// Serves the request on the property.
    pub(crate) fn serve(&self, engine: &mut Engine, call: &Call<'_>) -> Result<Response, Refusal> {
        let address = address::parse(self.path, Place::Bind)?;
        let name = address.segment.as_str();
        let rest = address.rest.as_deref().unwrap_or_default();
        if let Some(collection) = self.layout.collection(name) {
            let association = Association {
                context: self.context,
                layout: self.layout,
                id: self.id,
                collection,
            };
            return self.associate(engine, &association, &address, call);
        }
        if address.key.is_some() {
            return Err(Refusal::no_segment(name));
        }
        let mut files = self.layout.special.files.iter();
        let column = self.layout.number_of(name);
        if let Some((column, _)) = files.find(|(file, _)| Some(*file) == column) {
            let file = FileColumn {
                context: self.context,
                layout: self.layout,
                id: self.id,
                column: *column,
                query: self.query,
            };
            return file.serve(engine, call, rest);
        }
        match (rest, call.method) {
            ("", "GET") => self.read(engine, name),
            ("$value", "GET") => self.read_bare(engine, name),
            ("", "PUT") => {
                self.column(name)?;
                let value = self.member(call, "value")?;
                self.write(engine, call, (name, value.get()))
            }
            ("", "DELETE") => {
                self.column(name)?;
                self.write(engine, call, (name, "null"))
            }
            ("$ref", "PUT") => {
                let target = self.member(call, "@odata.id")?;
                self.check_string(target)?;
                self.write(engine, call, (&format!("{name}@odata.bind"), target.get()))
            }
            ("$ref", "DELETE") => self.write(engine, call, (&format!("{name}@odata.bind"), "null")),
            ("" | "$value", _) => Err(Refusal::wrong_method(call.method)),
            ("$ref", _) if self.layout.navigation(name).is_some() => {
                Err(Refusal::wrong_method(call.method))
            }
            _ => Err(Refusal::not_served(&format!("'{}' of a row", self.path))),
        }
    }

    /// A collection of the row: rows come in and go out by `$ref` alone.
    fn associate(
        &self,
        engine: &mut Engine,
        association: &Association<'_>,
        address: &Address,
        call: &Call<'_>,
    ) -> Result<Response, Refusal> {
        let rest = address.rest.as_deref().unwrap_or_default();
        match (&address.key, rest, call.method) {
            (None, "$ref", "POST") => {
                let target = self.member(call, "@odata.id")?;
                let other = self.referred(engine, association, &self.check_string(target)?)?;
                association.add(engine, other)?;
            }
            (None, "$ref", "DELETE") => {
                let target = self.id_option()?;
                let other = self.referred(engine, association, &target)?;
                association.remove(engine, other)?;
            }
            (Some(key), "$ref", "DELETE") => {
                let layout = association.other()?;
                let key = address::resolve(layout, key)?;
                let other = write::find(engine, layout, &key);
                let other = other.ok_or_else(|| write::absent(layout, &key))?;
                association.remove(engine, other)?;
            }
            (None, "", "PUT") if association.other()?.def.holds_parties() => {
                let value = self.member(call, "value")?;
                let bodies: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| {
                    let inner = "The value of 'value' must be a list.";
                    Refusal::odata_payload(&self.layout.def.entity_set, inner)
                })?;
                deep::replace_parties(engine, association, &bodies)?;
            }
            (_, _, "GET") => {
                return Err(Refusal::not_served(&format!("'{}' of a row", self.path)));
            }
            _ => return Err(Refusal::wrong_method(call.method)),
        }
        Ok(Response::odata(204))
    }

    /// The row that an absolute URL names, or what a change set wrote.
    fn referred(
        &self,
        engine: &Engine,
        association: &Association<'_>,
        text: &str,
    ) -> Result<Uuid, Refusal> {
        let set = &self.layout.def.entity_set;
        if !text.starts_with('$') && !text.contains("://") {
            let inner = format!(
                "A relative URI value '{text}' was specified in the payload, but no base URI for \
                 it was found."
            );
            return Err(Refusal::odata_payload(set, &inner));
        }
        let (table, id) = bind::row_of(engine, self.context, text)?;
        if table != association.collection.table() {
            let inner = format!("'{text}' is not of the type that the collection holds.");
            return Err(Refusal::odata_payload(set, &inner));
        }
        Ok(id)
    }

    /// `?$id=<absolute URL>`
    fn id_option(&self) -> Result<String, Refusal> {
        let mut pieces = self.query.split('&').filter_map(|it| it.split_once('='));
        let value = pieces.find(|(name, _)| matches!(*name, "$id" | "%24id"));
        let value = value.and_then(|(_, value)| decoded(value));
        let value = value.ok_or_else(Refusal::query_syntax)?;
        Ok(value.into_owned())
    }

    fn check_string(&self, json: &RawValue) -> Result<String, Refusal> {
        serde_json::from_str(json.get()).map_err(|_| {
            let inner = "The value of '@odata.id' must be a string.";
            Refusal::odata_payload(&self.layout.def.entity_set, inner)
        })
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

    fn member<'b>(&self, call: &'b Call<'_>, name: &str) -> Result<&'b RawValue, Refusal> {
        let members: Option<BTreeMap<String, &RawValue>> =
            serde_json::from_slice(call.json()?).ok();
        let member = members.and_then(|mut members| members.remove(name));
        member.ok_or_else(|| {
            let inner = format!("The property '{name}' was not found in the payload.");
            Refusal::odata_payload(&self.layout.def.entity_set, &inner)
        })
    }

    /// Writes as an update of the whole row would.
    fn write(
        &self,
        engine: &mut Engine,
        call: &Call<'_>,
        (name, json): (&str, &str),
    ) -> Result<Response, Refusal> {
        let condition = match call.headers.condition()? {
            Condition::None => Condition::Exists,
            Condition::Absent => return Err(Refusal::unfit_condition()),
            condition => condition,
        };
        let mut body = String::from("{");
        push_text(&mut body, name);
        body.push(':');
        body.push_str(json);
        body.push('}');
        let (context, layout) = (self.context, self.layout);
        let purpose = Purpose::Upsert;
        let assignments = payload::assignments(engine, context, layout, body.as_bytes(), purpose)?;
        let key = RowKey::Id(self.id);
        write::upsert(engine, context, layout, key, condition, assignments)?;
        Ok(Response::odata(204))
    }
}
