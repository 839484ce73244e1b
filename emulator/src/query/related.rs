//! Rows beside a row: what lookups point to, and the rows of a collection.
//!
//! Only reads; how rows are tied to each other is left to `property`. Source: Microsoft Learn,
//! "Retrieve a table row using the Web API", "Retrieve using a collection-valued navigation
//! property", and "Join tables using OData".

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::json;
use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::{Collection, Layout};
use crate::query::filter::Filter;
use crate::query::scan::Scan;
use crate::query::{self, Asked, Listing};
use crate::refusal::Refusal;
use crate::render::{push_principal, value_of};
use crate::request::{Preferences, Response};
use crate::roles::Access;
use crate::table::Row;
use crate::table::value::{Column, Value};

/// The lookup and the table of a navigation property of one row, which the caller may read.
pub(crate) fn target<'m>(
    context: &Context<'m>,
    layout: &Layout,
    name: &str,
) -> Result<(Column, &'m Layout), Refusal> {
    let unknown = || Refusal::unknown_column(&layout.def.logical_name, name);
    let [(lookup, table)] = *layout.navigation(name).ok_or_else(unknown)? else {
        let message = format!(
            "'{name}' leads to a Microsoft.Dynamics.CRM.principal, which has no property but \
             'ownerid'."
        );
        return Err(Refusal::new(400, "0x80060888", message));
    };
    let target = context.model.layout(table).ok_or_else(unknown)?;
    context.require(target, Access::Read)?;
    Ok((lookup, target))
}

/// A principal has one property, and nothing can be asked of it but that.
pub(crate) fn unfit_for_principal(option: &str) -> Refusal {
    let message = format!(
        "The query option '{option}' does not fit the type 'Microsoft.Dynamics.CRM.principal', \
         which has no property but 'ownerid'."
    );
    Refusal::new(400, "0x80060888", message)
}

/// The rows of a collection that a filter means, by the row to which they belong.
pub(crate) fn groups<'a>(
    engine: &'a Engine,
    collection: Collection,
    rows: impl Iterator<Item = (Uuid, &'a Row)>,
) -> HashMap<Uuid, Vec<(Uuid, &'a Row)>> {
    let mut groups: HashMap<Uuid, Vec<(Uuid, &Row)>> = HashMap::new();
    match collection {
        Collection::Many { column, .. } => {
            let layout = engine.model.layout(collection.table());
            for (id, row) in rows {
                let held = layout.and_then(|layout| value_of(layout, id, row, column));
                if let Some(Value::Reference { id: owner, .. }) = held {
                    groups.entry(owner).or_default().push((id, row));
                }
            }
        }
        Collection::Across {
            pairs, here, there, ..
        } => {
            let mut owners: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
            let layout = engine.model.layout(pairs);
            let held = layout.and_then(|layout| engine.rows(layout)).into_iter();
            for (_, pair) in held.flat_map(|held| held.after(None)) {
                if let (Some(owner), Some(other)) = (id_in(pair, here), id_in(pair, there)) {
                    owners.entry(other).or_default().push(owner);
                }
            }
            for (id, row) in rows {
                for owner in owners.get(&id).into_iter().flatten() {
                    groups.entry(*owner).or_default().push((id, row));
                }
            }
        }
    }
    groups
}

fn id_in(pair: &Row, column: Column) -> Option<Uuid> {
    match pair.cells.get(column)? {
        Value::Guid(id) | Value::Reference { id, .. } => Some(id),
        _ => None,
    }
}

/// The rows that have a row of the collection for which the filter holds.
pub(crate) fn owners(
    engine: &Engine,
    collection: Collection,
    filter: Option<&Filter>,
) -> BTreeSet<Uuid> {
    let Some(layout) = engine.model.layout(collection.table()) else {
        return BTreeSet::new();
    };
    let scan = Scan {
        engine,
        layout,
        filter,
    };
    groups(engine, collection, scan.rows(None))
        .into_keys()
        .collect()
}

/// A row and the path of a navigation property behind it.
pub(crate) struct Related<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) layout: &'a Layout,
    pub(crate) id: Uuid,
    /// `primarycontactid`, or `contact_customer_accounts/$count`
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) preferences: &'a Preferences,
}

impl Related<'_> {
    /// Reads what the path leads to; `None` if it is not a navigation property.
    pub(crate) fn read(&self, engine: &Engine) -> Result<Option<Response>, Refusal> {
        let (name, rest) = self.path.split_once('/').unwrap_or((self.path, ""));
        if let Some([(lookup, _), _, ..]) = self.layout.navigation(name) {
            return self.owner(engine, *lookup, rest).map(Some);
        }
        if self.layout.navigation(name).is_some() {
            let (lookup, target) = target(self.context, self.layout, name)?;
            return self.one(engine, lookup, target, rest).map(Some);
        }
        let Some(collection) = self.layout.collection(name) else {
            return Ok(None);
        };
        let target = self.context.model.layout(collection.table());
        let target = target.ok_or_else(|| Refusal::no_segment(name))?;
        self.context.require(target, Access::Read)?;
        self.many(engine, collection, target, rest).map(Some)
    }

    /// Whoever owns the row, a user or a team.
    fn owner(&self, engine: &Engine, lookup: Column, rest: &str) -> Result<Response, Refusal> {
        let row = engine.row(self.layout, self.id);
        let held = row.and_then(|row| row.cells.get(lookup));
        let Some(Value::Reference { table, id }) = held else {
            return Ok(Response::odata(204));
        };
        let target = self.context.model.layout(table);
        let target = target.ok_or_else(|| Refusal::no_segment(self.path))?;
        self.context.require(target, Access::Read)?;
        if !rest.is_empty() {
            return self.one(engine, lookup, target, rest);
        }
        if !matches!(self.query, "" | "$select=ownerid" | "%24select=ownerid") {
            return Err(unfit_for_principal(self.query));
        }
        let base = self.context.base();
        let mut body = format!("{{\"@odata.context\":\"{base}/$metadata#principals/$entity\",");
        if let Some(row) = engine.row(target, id) {
            push_principal(target, id, row, &mut body);
        }
        body.push('}');
        Ok(Response::json(200, body))
    }

    fn one(
        &self,
        engine: &Engine,
        lookup: Column,
        target: &Layout,
        rest: &str,
    ) -> Result<Response, Refusal> {
        let row = engine.row(self.layout, self.id);
        let id = match row.and_then(|row| value_of(self.layout, self.id, row, lookup)) {
            Some(Value::Reference { table, id }) if table == target.number => id,
            _ => return Ok(Response::odata(204)),
        };
        if rest == "$ref" {
            let base = self.context.base();
            let body = json!({
                "@odata.context": format!("{base}/$metadata#$ref"),
                "@odata.id": format!("{base}/{}({id})", target.def.entity_set),
            });
            return Ok(Response::json(200, body.to_string()));
        }
        if !rest.is_empty() {
            return Err(Refusal::not_served(&format!("'{}' of a row", self.path)));
        }
        let asked = Asked::parse(engine, self.context, target, self.query)?;
        let listing = self.listing(engine, target);
        let body = query::entity(&listing, &asked, self.preferences, id);
        Ok(Response::json(200, body))
    }

    fn many(
        &self,
        engine: &Engine,
        collection: Collection,
        target: &Layout,
        rest: &str,
    ) -> Result<Response, Refusal> {
        let mut asked = Asked::parse(engine, self.context, target, self.query)?;
        let members = self.members(engine, collection);
        asked.filter = Some(match asked.filter.take() {
            Some(filter) => Filter::All(vec![members, filter]),
            None => members,
        });
        let listing = self.listing(engine, target);
        match rest {
            "" => {
                let body = query::list(&listing, &asked, self.preferences)?;
                Ok(Response::json(200, body))
            }
            "$count" => Ok(query::counted(engine, target, asked.filter.as_ref())),
            "$ref" => {
                let body = query::references(&listing, &asked, self.preferences)?;
                Ok(Response::json(200, body))
            }
            _ => Err(Refusal::not_served(&format!("'{}' of a row", self.path))),
        }
    }

    /// The rows that belong to this one.
    fn members(&self, engine: &Engine, collection: Collection) -> Filter {
        let table = collection.table();
        let Some(layout) = engine.model.layout(table) else {
            return Filter::Any(Vec::new());
        };
        let all = Scan {
            engine,
            layout,
            filter: None,
        };
        let mut groups = groups(engine, collection, all.rows(None));
        let found: HashSet<Uuid> = groups
            .remove(&self.id)
            .into_iter()
            .flatten()
            .map(|(id, _)| id)
            .collect();
        Filter::Ids(found.into_iter().collect())
    }

    fn listing<'e>(&'e self, engine: &'e Engine, layout: &'e Layout) -> Listing<'e> {
        let set = &self.layout.def.entity_set;
        Listing {
            engine,
            schema: Some(self.context.schema),
            layout,
            base: self.context.base(),
            path: format!("{set}({})/{}", self.id, self.path),
        }
    }
}
