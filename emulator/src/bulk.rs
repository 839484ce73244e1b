//! `CreateMultiple`, `UpdateMultiple`, `UpsertMultiple` and `DeleteMultiple`: many rows of one
//! table in one request.
//!
//! Standard tables take all rows or none; elastic ones take row by row. Every row is read before
//! the first one is written, so none can refer to another of its request. Source: Microsoft Learn,
//! "Use bulk operation messages", "Bulk operations with elastic tables"; the refused key columns
//! are as integrators report.

pub(crate) mod messages;

use std::collections::HashSet;

use serde_json::json;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::odata::address::RowKey;
use crate::odata::parameters::Parameters;
use crate::odata::payload::{self, Assignments, Kind, Members, Purpose};
use crate::options::RepeatedTargets;
use crate::refusal::Refusal;
use crate::request::{Annotations, Condition, Response};
use crate::schema::TableDef;
use crate::table::value::Value;
use crate::write::bind;
use crate::write::removal;
use crate::write::{self, Done};

/// Before the name of a bound action.
pub(crate) const NAMESPACE: &str = "Microsoft.Dynamics.CRM.";

/// One of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    Create,
    Update,
    Upsert,
    Delete,
}

impl Message {
    pub(crate) const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Upsert, Self::Delete];

    /// The one that a path segment names; case matters.
    pub(crate) fn of(segment: &str) -> Option<Self> {
        let name = segment.strip_prefix(NAMESPACE)?;
        Self::ALL.into_iter().find(|message| message.name() == name)
    }

    /// `CreateMultiple`
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateMultiple",
            Self::Update => "UpdateMultiple",
            Self::Upsert => "UpsertMultiple",
            Self::Delete => "DeleteMultiple",
        }
    }

    /// Whether a table takes it.
    pub(crate) fn serves(self, table: &TableDef) -> bool {
        table.bulk && (self != Self::Delete || table.is_elastic())
    }
}

/// A bulk message on its way.
pub(crate) struct Bulk<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) layout: &'a Layout,
    pub(crate) message: Message,
}

/// One row of the request.
struct Target {
    key: Option<RowKey>,
    assignments: Assignments,
}

/// A row of an elastic table that failed.
struct Failed {
    index: usize,
    id: Uuid,
    refusal: Refusal,
}

impl Bulk<'_> {
    /// Serves the whole request.
    pub(crate) fn serve(
        &self,
        engine: &mut Engine,
        body: &[u8],
        annotations: &Annotations,
    ) -> Result<Response, Refusal> {
        self.check_support()?;
        let bodies = self.bodies(body)?;
        if self.layout.def.is_elastic() {
            return self.row_by_row(engine, &bodies, annotations);
        }
        let targets = bodies.iter().map(|body| self.target(engine, body));
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        let mut written = Written::new(targets.len(), self.context.repeated_targets);
        for target in targets {
            written.take(self.write(engine, target)?)?;
        }
        Ok(self.done(&written))
    }

    fn check_support(&self) -> Result<(), Refusal> {
        let (table, name) = (&self.layout.def, self.message.name());
        if self.message.serves(table) {
            return Ok(());
        }
        if self.message == Message::Delete {
            return Err(Refusal::new(
                501,
                "",
                format!("{name} has not yet been implemented."),
            ));
        }
        let table = &table.logical_name;
        let message = format!("{name} is not enabled on the entity {table}");
        Err(Refusal::new(400, "0x80100008", message))
    }

    /// The objects in `Targets`.
    fn bodies<'b>(&self, body: &'b [u8]) -> Result<Vec<&'b RawValue>, Refusal> {
        let name = self.message.name();
        let targets: Vec<&RawValue> = Parameters::read(name, body, &["Targets"])?.get("Targets")?;
        if targets.is_empty() {
            let inner = format!("'{name}' needs at least one row in 'Targets'.");
            return Err(Refusal::odata_payload(name, &inner));
        }
        Ok(targets)
    }

    fn target(&self, engine: &Engine, body: &RawValue) -> Result<Target, Refusal> {
        let (context, layout) = (self.context, self.layout);
        let body = body.get().as_bytes();
        let assignments = payload::assignments(engine, context, layout, body, Purpose::Target)?;
        if assignments.kind == Kind::Unsaid {
            let inner = format!(
                "A target has no '@odata.type'; it must be '#{NAMESPACE}{}'.",
                layout.def.logical_name
            );
            return Err(Refusal::odata_payload(&layout.def.entity_set, &inner));
        }
        let key = match &assignments.address {
            Some(text) => Some(self.addressed(text)?),
            None => assignments.id.map(|id| self.key_of(id, &assignments)),
        };
        Ok(Target { key, assignments })
    }

    /// The row of `@odata.id`.
    fn addressed(&self, text: &str) -> Result<RowKey, Refusal> {
        let (layout, key) = bind::key_of(self.context, text)?;
        let set = &self.layout.def.entity_set;
        if layout.number != self.layout.number {
            let inner = format!("'{text}' is not a row of '{set}'.");
            return Err(Refusal::odata_payload(set, &inner));
        }
        if self.message == Message::Create {
            let inner = "A row that is created cannot have '@odata.id'.";
            return Err(Refusal::odata_payload(set, inner));
        }
        Ok(key)
    }

    /// The row that the primary id in the body means, on elastic tables with its partition.
    fn key_of(&self, id: Uuid, assignments: &Assignments) -> RowKey {
        let special = &self.layout.special;
        let mut values = assignments.values.iter();
        let partition = values.find(|(column, _)| Some(*column) == special.partition);
        match (special.id, partition) {
            (Some(column), Some((partition, Some(value)))) => RowKey::Alternate {
                number: 0,
                values: vec![(column, Value::Guid(id)), (*partition, value.clone())],
            },
            _ => RowKey::Id(id),
        }
    }

    fn write(&self, engine: &mut Engine, target: Target) -> Result<Done, Refusal> {
        let (context, layout) = (self.context, self.layout);
        let Target { key, assignments } = target;
        match (self.message, key) {
            (Message::Create, _) | (Message::Upsert, None) => {
                write::create(engine, context, layout, assignments).map_err(twice)
            }
            (Message::Update | Message::Delete, None) => Err(self.nameless()),
            (Message::Update, Some(key)) => {
                self.find(engine, &key)?;
                let exists = Condition::Exists;
                write::upsert(engine, context, layout, key, exists, assignments)
            }
            (Message::Upsert, Some(key)) => {
                if assignments.address.is_some() && write::find(engine, layout, &key).is_none() {
                    check_key_is_not_repeated(&key, &assignments)?;
                }
                write::upsert(engine, context, layout, key, Condition::None, assignments)
            }
            (Message::Delete, Some(key)) => {
                let id = self.find(engine, &key)?;
                removal::remove(engine, context, layout, id)?;
                Ok(Done::Updated(id))
            }
        }
    }

    fn nameless(&self) -> Refusal {
        let id = &self.layout.def.primary_id;
        let message = format!("Invalid argument. A target has neither '{id}' nor '@odata.id'.");
        Refusal::new(400, "0x80040203", message)
    }

    fn find(&self, engine: &Engine, key: &RowKey) -> Result<Uuid, Refusal> {
        let found = write::find(engine, self.layout, key);
        found.ok_or_else(|| match key.id(self.layout) {
            Some(id) => {
                let table = &self.layout.def.schema_name;
                let message = format!("{table} With Ids = {id} Do Not Exist");
                Refusal::new(404, "0x80040217", message)
            }
            None => write::absent(self.layout, key),
        })
    }

    fn done(&self, written: &Written) -> Response {
        if self.message != Message::Create {
            return Response::odata(204);
        }
        let base = self.context.base();
        let body = json!({
            "@odata.context": format!("{base}/$metadata#{NAMESPACE}CreateMultipleResponse"),
            "Ids": written.ids,
        });
        Response::json(200, body.to_string())
    }

    /// Elastic tables: what can be written is written.
    fn row_by_row(
        &self,
        engine: &mut Engine,
        bodies: &[&RawValue],
        annotations: &Annotations,
    ) -> Result<Response, Refusal> {
        let mut targets = Vec::with_capacity(bodies.len());
        for body in bodies {
            let target = self.target(engine, body);
            match target {
                Err(refusal) if is_of_the_payload(&refusal) => return Err(refusal),
                target => targets.push(target),
            }
        }
        let mut written = Written::new(targets.len(), self.context.repeated_targets);
        let mut failed: Vec<Failed> = Vec::new();
        for ((index, body), target) in (0..).zip(bodies).zip(targets) {
            let id = match &target {
                Ok(target) => target.key.as_ref().and_then(|key| key.id(self.layout)),
                Err(_) => None,
            };
            let mark = engine.mark();
            let done = target.and_then(|target| self.write(engine, target));
            if let Err(refusal) = done.and_then(|done| written.take(done)) {
                engine.roll_back_to(mark);
                let id = id.or_else(|| self.id_in(body)).unwrap_or_default();
                failed.push(Failed { index, id, refusal });
            }
        }
        Ok(partly(&failed, annotations).unwrap_or_else(|| self.done(&written)))
    }

    /// The primary id in a body, whatever else is wrong with it.
    fn id_in(&self, body: &RawValue) -> Option<Uuid> {
        let set = &self.layout.def.entity_set;
        let members = Members::read(set, body.get().as_bytes()).ok()?.0;
        let mut members = members.into_iter();
        let (_, id) = members.find(|(name, _)| *name == self.layout.def.primary_id)?;
        serde_json::from_str(id.get()).ok()
    }
}

/// The ids of a request's rows, in its order.
struct Written {
    ids: Vec<Uuid>,
    seen: HashSet<Uuid>,
    repeated: RepeatedTargets,
}

impl Written {
    fn new(rows: usize, repeated: RepeatedTargets) -> Self {
        Self {
            ids: Vec::with_capacity(rows),
            seen: HashSet::with_capacity(rows),
            repeated,
        }
    }

    /// No row stands twice in a request, by whatever key, unless the last one counts.
    fn take(&mut self, done: Done) -> Result<(), Refusal> {
        if !self.seen.insert(done.id()) && self.repeated == RepeatedTargets::Refuse {
            let message = format!("Invalid argument. The row {} stands twice.", done.id());
            return Err(Refusal::new(400, "0x80040203", message));
        }
        self.ids.push(done.id());
        Ok(())
    }
}

/// Bulk messages say it in the words of the database.
fn twice(refusal: Refusal) -> Refusal {
    if refusal.code == "0x80040237" {
        return Refusal::duplicate_insert();
    }
    refusal
}

/// Key columns of a row that is created stand in its address alone.
fn check_key_is_not_repeated(key: &RowKey, assignments: &Assignments) -> Result<(), Refusal> {
    let RowKey::Alternate { values, .. } = key else {
        return Ok(());
    };
    let written = &assignments.values;
    let is_repeated = |(column, _): &(_, _)| written.iter().any(|(other, _)| other == column);
    if values.iter().any(is_repeated) {
        let message = "An unexpected error occurred.";
        return Err(Refusal::new(400, "0x80040216", message));
    }
    Ok(())
}

/// What the body's reader refuses is refused before there are rows.
fn is_of_the_payload(refusal: &Refusal) -> bool {
    matches!(refusal.code, "0x80048d19" | "0x80060888" | "0x0")
}

/// The answer when rows failed: the first one's refusal, and all of them when asked for.
fn partly(failed: &[Failed], annotations: &Annotations) -> Option<Response> {
    let mut refusal = failed.first()?.refusal.clone();
    let rows = failed.iter().map(
        |row| json!({"RequestIndex": row.index, "Id": row.id, "StatusCode": row.refusal.status}),
    );
    let rows: serde_json::Value = rows.collect();
    refusal
        .details
        .push(("Plugin.BulkApiErrorDetails", rows.to_string()));
    Some(Response::refused(&refusal, annotations))
}
