//! `WinOpportunity`, `LoseOpportunity` and `CloseIncident`: states that only a message of their own
//! can set.
//!
//! Each leaves a closed activity behind that tells of it. Source: Microsoft Learn, "Use Web API
//! actions", "Unbound actions"; "Web service error codes" for what is refused.

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::odata::parameters::Parameters;
use crate::odata::payload::{self, Assignments, Purpose};
use crate::refusal::Refusal;
use crate::request::Response;
use crate::table::value::Value;
use crate::write;
use crate::write::deep;
use crate::write::state;

/// One of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    name: &'static str,
    /// The table and the state that its row gets.
    table: &'static str,
    state: i32,
    /// The parameter with the activity, its table, and the lookup to the row.
    activity: &'static str,
    activities: &'static str,
    lookup: &'static str,
}

const CLOSINGS: [Closing; 3] = [
    Closing {
        name: "WinOpportunity",
        table: "opportunity",
        state: 1,
        activity: "OpportunityClose",
        activities: "opportunityclose",
        lookup: "opportunityid",
    },
    Closing {
        name: "LoseOpportunity",
        table: "opportunity",
        state: 2,
        activity: "OpportunityClose",
        activities: "opportunityclose",
        lookup: "opportunityid",
    },
    Closing {
        name: "CloseIncident",
        table: "incident",
        state: 1,
        activity: "IncidentResolution",
        activities: "incidentresolution",
        lookup: "incidentid",
    },
];

/// By which the default reason of the state is chosen.
const DEFAULT: i32 = -1;

impl Closing {
    /// The one of this name; case matters.
    pub(crate) fn of(name: &str) -> Option<Self> {
        CLOSINGS.into_iter().find(|closing| closing.name == name)
    }

    fn table<'m>(&self, context: &Context<'m>, table: &str) -> Result<&'m Layout, Refusal> {
        let layout = context.model.of_name(table);
        layout.ok_or_else(|| Refusal::no_segment(self.name))
    }
}

/// Closes the row that the activity in the body names.
pub(crate) fn close(
    engine: &mut Engine,
    context: &Context<'_>,
    closing: Closing,
    body: &[u8],
) -> Result<Response, Refusal> {
    let layout = closing.table(context, closing.table)?;
    let activities = closing.table(context, closing.activities)?;
    let parameters = Parameters::read(closing.name, body, &["Status", closing.activity])?;
    let status: i32 = parameters.get("Status")?;
    let activity: &RawValue = parameters.get(closing.activity)?;
    let activity = activity.get().as_bytes();
    let activity = payload::assignments(engine, context, activities, activity, Purpose::Create)?;
    let id = row_of(closing, activities, &activity)?;
    check_open(engine, layout, id)?;
    if layout.def.logical_name == "incident" {
        check_dependents(engine, context, id)?;
    }
    let wanted = (status != DEFAULT).then_some(status);
    let reason = state::reason_of(layout, id, closing.state, wanted)?;
    deep::create(engine, context, activities, activity)?;
    write::set_state(engine, context, layout, id, (closing.state, reason))?;
    Ok(Response::odata(204))
}

fn row_of(closing: Closing, activities: &Layout, activity: &Assignments) -> Result<Uuid, Refusal> {
    let column = activities.number_of(closing.lookup);
    let mut values = activity.values.iter();
    if let Some((_, Some(Value::Reference { id, .. }))) =
        values.find(|(known, _)| Some(*known) == column)
    {
        return Ok(*id);
    }
    let (activity, lookup) = (closing.activity, closing.lookup);
    let message = format!("Invalid argument. '{activity}' names no row by '{lookup}'.");
    Err(Refusal::new(400, "0x80040203", message))
}

fn check_open(engine: &Engine, layout: &Layout, id: Uuid) -> Result<(), Refusal> {
    if state::is_open(engine, layout, id) {
        return Ok(());
    }
    Err(if layout.def.logical_name == "incident" {
        Refusal::new(400, "0x80044411", "Already Closed or Canceled")
    } else {
        let message = "The opportunity is already closed.";
        Refusal::new(400, "0x80040515", message)
    })
}

/// A case with open activities or open cases below it stays open.
fn check_dependents(engine: &Engine, context: &Context<'_>, id: Uuid) -> Result<(), Refusal> {
    for layout in context.model.layouts() {
        let is_case = layout.def.logical_name == "incident";
        if !is_case && !layout.def.is_activity() {
            continue;
        }
        let lookup = if is_case {
            "parentcaseid"
        } else {
            "regardingobjectid"
        };
        let lookup = layout.number_of(lookup);
        let mut rows = engine.referrers(id, layout.number);
        let is_in_the_way = |row: &Uuid| {
            let found = engine.row(layout, *row);
            let target = lookup.and_then(|lookup| found?.cells.get(lookup));
            let points = matches!(target, Some(Value::Reference { id: other, .. }) if other == id);
            points && state::is_open(engine, layout, *row)
        };
        if rows.any(|row| is_in_the_way(&row)) {
            let (code, what) = if is_case {
                ("0x8004f456", "child cases that are active")
            } else {
                ("0x8004440a", "open activities")
            };
            let message = format!("The case cannot be closed because it has {what}.");
            return Err(Refusal::new(400, code, message));
        }
    }
    Ok(())
}
