//! JSON bodies of rows: which properties there are, and what they mean for the table.
//!
//! Numbers are read from their own digits, with no detour through a float. Defaults, computed
//! columns and the rules of states are left to the write itself.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::context::Context;
use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::model::collection::Collection;
use crate::refusal::Refusal;
use crate::table::value::{Column, TableNumber, Value};
use crate::write::bind::row_of;
use crate::write::check;

/// What a body says about a row.
#[derive(Default)]
pub(crate) struct Assignments {
    /// The primary id, if the body has it.
    pub(crate) id: Option<Uuid>,
    pub(crate) values: Written,
    /// `@odata.id`, by which a target of a bulk message names its row.
    pub(crate) address: Option<String>,
    /// Whether it says which table it is of, rightly.
    pub(crate) kind: Kind,
    /// Rows that come with it.
    pub(crate) nested: Vec<Nested>,
}

/// Whether a body has `@odata.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    #[default]
    Unsaid,
    Said,
}

/// Rows that a body holds under a navigation property.
pub(crate) enum Nested {
    /// The row to which a lookup will point.
    Above {
        column: Column,
        table: TableNumber,
        row: Assignments,
    },
    /// Rows that will belong to the row, by a collection.
    Below {
        collection: Collection,
        rows: Vec<Below>,
    },
}

/// A row that will belong to another.
pub(crate) enum Below {
    /// It comes to be.
    New(Assignments),
    /// It is there.
    Known(Uuid),
}

/// Where `$<Content-ID>` leads: the entity set and id of rows that a change set wrote.
pub(crate) type References = HashMap<String, (String, Uuid)>;

/// What a body is read for; it decides what objects under a navigation property would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Create,
    Upsert,
    /// One row of a bulk message.
    Target,
}

/// The members of an object in the order in which they stand.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads a whole object.
    pub(crate) fn read(set: &str, body: &'a [u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(body)
            .map_err(|error| Refusal::odata_payload(set, &format!("Invalid JSON. {error}")))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Rows in rows stand only so deep. What the service takes is not documented.
const DEEPEST: usize = 8;

/// Reads a body against a table.
pub(crate) fn assignments(
    engine: &Engine,
    context: &Context<'_>,
    layout: &Layout,
    body: &[u8],
    purpose: Purpose,
) -> Result<Assignments, Refusal> {
    let reader = Reader {
        engine,
        context,
        layout,
        purpose,
        depth: 0,
        found: Assignments::default(),
    };
    reader.read(body)
}

struct Reader<'a> {
    engine: &'a Engine,
    context: &'a Context<'a>,
    layout: &'a Layout,
    purpose: Purpose,
    /// How many rows it stands in.
    depth: usize,
    found: Assignments,
}

impl Reader<'_> {
    fn read(mut self, body: &[u8]) -> Result<Assignments, Refusal> {
        let set = &self.layout.def.entity_set;
        let members = Members::read(set, body)?.0;
        self.found.values = Written::with_capacity(members.len());
        let mut seen: Vec<&str> = Vec::with_capacity(members.len());
        for (name, value) in &members {
            if seen.contains(&&**name) {
                return Err(Refusal::odata_payload(
                    set,
                    &format!(
                        "Multiple properties with the name '{name}' were detected in a resource \
                         or a complex value."
                    ),
                ));
            }
            seen.push(name);
            self.member(name, value)?;
        }
        Ok(self.found)
    }

    fn member(&mut self, name: &str, value: &RawValue) -> Result<(), Refusal> {
        if let Some((property, annotation)) = name.split_once('@') {
            return match (property, annotation) {
                ("", "odata.type") => self.check_type(value),
                ("", "odata.id") if self.purpose == Purpose::Target => self.address(value),
                (_, "odata.bind") => self.bind(property, value.get()),
                _ => Ok(()),
            };
        }
        let layout = self.layout;
        let Some(column) = layout.number_of(name) else {
            return self.navigation(name, value.get());
        };
        if layout.is_lookup(column) {
            return self.navigation(name, value.get());
        }
        let Some(def) = layout.column(column) else {
            return Err(Refusal::unknown_property(&layout.def.logical_name, name));
        };
        let value = check::read(layout, def, value.get(), self.context.empty_text)?;
        if Some(column) == layout.special.id {
            if let Some(Value::Guid(id)) = value {
                self.found.id = Some(id);
            }
            return Ok(());
        }
        self.assign(column, value);
        Ok(())
    }

    /// The last word on a column counts: a lookup has several navigation properties.
    fn assign(&mut self, column: Column, value: Option<Value<'static>>) {
        let values = &mut self.found.values;
        match values.iter_mut().find(|(known, _)| *known == column) {
            Some((_, old)) if value.is_some() => *old = value,
            Some(_) => {}
            None => values.push((column, value)),
        }
    }

    fn address(&mut self, value: &RawValue) -> Result<(), Refusal> {
        let text: Result<String, _> = serde_json::from_str(value.get());
        self.found.address = Some(text.map_err(|_| Refusal::query_syntax())?);
        Ok(())
    }

    fn check_type(&mut self, value: &RawValue) -> Result<(), Refusal> {
        let table = &self.layout.def.logical_name;
        let expected = format!("Microsoft.Dynamics.CRM.{table}");
        let given: Option<String> = serde_json::from_str(value.get()).ok();
        let given = given.unwrap_or_default();
        if given.trim_start_matches('#') == expected {
            self.found.kind = Kind::Said;
            return Ok(());
        }
        Err(Refusal::odata_payload(
            &self.layout.def.entity_set,
            &format!(
                "A resource with type '{given}' was found, but it is not assignable to the \
                 expected type '{expected}'."
            ),
        ))
    }

    /// A member that is no plain column: null clears a lookup, everything else is a mistake.
    fn navigation(&mut self, name: &str, json: &str) -> Result<(), Refusal> {
        let layout = self.layout;
        let table = &layout.def.logical_name;
        let lookup = layout.number_of(name).or_else(|| {
            let inner = name.strip_prefix('_')?.strip_suffix("_value")?;
            layout.number_of(inner)
        });
        let Some(targets) = layout.navigation(name) else {
            return match (layout.collection(name), lookup) {
                (Some(collection), _) => self.below(name, collection, json),
                (None, Some(_)) => Err(Refusal::reference_as_value()),
                (None, None) => Err(Refusal::unknown_property(table, name)),
            };
        };
        let Some((column, _)) = targets.first() else {
            return Err(Refusal::unknown_property(table, name));
        };
        if json == "null" {
            self.assign(*column, None);
            return Ok(());
        }
        if !json.starts_with(['{', '[']) {
            return Err(Refusal::reference_as_value());
        }
        self.check_deep()?;
        self.above(name, targets, json)
    }

    /// Rows in rows belong to a create alone.
    fn check_deep(&self) -> Result<(), Refusal> {
        let message = match self.purpose {
            Purpose::Upsert => "Deep update of navigation properties is not allowed.",
            Purpose::Target => {
                "Deep insert of navigation properties is not allowed in a bulk message."
            }
            Purpose::Create if self.depth == DEEPEST => {
                "The depth limit of navigation properties in a deep insert is exceeded."
            }
            Purpose::Create => return Ok(()),
        };
        Err(Refusal::new(400, "0x80060888", message))
    }

    /// A row in this one; `json` is an object.
    fn inner(&self, table: TableNumber, json: &str) -> Result<Assignments, Refusal> {
        let layout = self.context.model.layout(table);
        let layout = layout.ok_or_else(Refusal::query_syntax)?;
        if !layout.def.holds_parties() {
            layout.check_writable("Create")?;
        }
        let reader = Reader {
            layout,
            depth: self.depth + 1,
            found: Assignments::default(),
            ..*self
        };
        reader.read(json.as_bytes())
    }

    fn above(
        &mut self,
        name: &str,
        targets: &[(Column, TableNumber)],
        json: &str,
    ) -> Result<(), Refusal> {
        let set = &self.layout.def.entity_set;
        // A property that leads to rows of several tables does not tell of which the new one is.
        let [(column, table)] = *targets else {
            let inner = format!("The type of the row under '{name}' cannot be told.");
            return Err(Refusal::odata_payload(set, &inner));
        };
        let row = self.inner(table, json)?;
        self.found.nested.push(Nested::Above { column, table, row });
        Ok(())
    }

    fn below(&mut self, name: &str, collection: Collection, json: &str) -> Result<(), Refusal> {
        self.check_deep()?;
        let bodies = self.list::<&RawValue>(name, json)?;
        let rows = bodies.iter().map(|body| {
            let row = self.inner(collection.table(), body.get())?;
            Ok(Below::New(row))
        });
        let rows = rows.collect::<Result<_, Refusal>>()?;
        let nested = Nested::Below { collection, rows };
        self.found.nested.push(nested);
        Ok(())
    }

    fn list<'j, T: Deserialize<'j>>(&self, name: &str, json: &'j str) -> Result<Vec<T>, Refusal> {
        serde_json::from_str(json).map_err(|_| {
            let inner = format!("The value of '{name}' must be a list, as the property is.");
            Refusal::odata_payload(&self.layout.def.entity_set, &inner)
        })
    }

    fn bind_all(&mut self, name: &str, collection: Collection, json: &str) -> Result<(), Refusal> {
        self.check_deep()?;
        let texts: Vec<String> = self.list(name, json)?;
        let rows = texts.iter().map(|text| {
            let (table, id) = row_of(self.engine, self.context, text)?;
            if table != collection.table() {
                let inner = format!("'{text}' is not of the type that '{name}' holds.");
                return Err(Refusal::odata_payload(&self.layout.def.entity_set, &inner));
            }
            Ok(Below::Known(id))
        });
        let rows = rows.collect::<Result<_, Refusal>>()?;
        let nested = Nested::Below { collection, rows };
        self.found.nested.push(nested);
        Ok(())
    }

    fn bind(&mut self, property: &str, json: &str) -> Result<(), Refusal> {
        let layout = self.layout;
        let set = &layout.def.entity_set;
        let Some(targets) = layout.navigation(property) else {
            return match layout.collection(property) {
                Some(collection) => self.bind_all(property, collection, json),
                None => Err(Refusal::undeclared(set, property)),
            };
        };
        if json == "null" {
            if let Some((column, _)) = targets.first() {
                self.assign(*column, None);
            }
            return Ok(());
        }
        let text: String = serde_json::from_str(json).map_err(|_| {
            let inner = format!("The value of '{property}@odata.bind' must be a string.");
            Refusal::odata_payload(set, &inner)
        })?;
        let (table, id) = row_of(self.engine, self.context, &text)?;
        let found = targets.iter().find(|(_, target)| *target == table);
        let Some((column, table)) = found.copied() else {
            let inner = format!("'{text}' is not of a type that '{property}' can refer to.");
            return Err(Refusal::odata_payload(set, &inner));
        };
        self.assign(column, Some(Value::Reference { table, id }));
        Ok(())
    }
}
