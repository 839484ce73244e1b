//! `QualifyLead`: what a lead becomes.
//!
//! Texts that the new rows have under the same name are taken over. Source: Microsoft Learn,
//! "`QualifyLead` action".

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::bulk::NAMESPACE;
use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::odata::parameters::Parameters;
use crate::odata::payload::Assignments;
use crate::refusal::Refusal;
use crate::render::{Shown, View, push_text};
use crate::request::{Annotations, Response};
use crate::schema::ColumnKind;
use crate::table::value::{Cells, Value};
use crate::write;
use crate::write::state;

/// Behind the address of a lead.
pub(crate) const NAME: &str = "Microsoft.Dynamics.CRM.QualifyLead";

const OPERATION: &str = "QualifyLead";
const CREATES: [&str; 3] = ["CreateAccount", "CreateContact", "CreateOpportunity"];
/// Parameters that the service has beside these.
const OTHERS: [&str; 3] = [
    "OpportunityCurrencyId",
    "OpportunityCustomerId",
    "SourceCampaignId",
];
const QUALIFIED: i32 = 1;

/// Closes the lead and creates what is asked for.
pub(crate) fn qualify(
    engine: &mut Engine,
    context: &Context<'_>,
    id: Uuid,
    body: &[u8],
) -> Result<Response, Refusal> {
    let known = [&CREATES[..], &OTHERS, &["Status"]].concat();
    let parameters = Parameters::read(OPERATION, body, &known)?;
    for other in OTHERS {
        if parameters.get::<&RawValue>(other).is_ok() {
            return Err(Refusal::not_served(&format!("'{other}' of {OPERATION}")));
        }
    }
    let [account, contact, opportunity] = CREATES.map(|name| parameters.get::<bool>(name));
    let status: i32 = parameters.get("Status")?;
    let leads = table(context, "lead")?;
    if !state::is_open(engine, leads, id) {
        let message = "The object cannot be updated because it is inactive.";
        return Err(Refusal::new(400, "0x80040230", message));
    }
    let reason = state::reason_of(leads, id, QUALIFIED, Some(status))?;
    let cells = engine.row(leads, id).map(|row| row.cells.clone());
    let mut qualified = Qualified {
        context,
        leads,
        lead: id,
        cells: cells.unwrap_or_default(),
        made: Vec::new(),
    };
    let account = if account? {
        Some(qualified.create(engine, "account", &[("companyname", "name")], &[])?)
    } else {
        None
    };
    let contact = if contact? {
        let above = account.map(|account| ("parentcustomerid", account));
        Some(qualified.create(engine, "contact", &[], above.as_slice())?)
    } else {
        None
    };
    if opportunity? {
        let customer = account.or(contact).map(|customer| ("customerid", customer));
        let topic = [("subject", "name")];
        qualified.create(engine, "opportunity", &topic, customer.as_slice())?;
    }
    write::set_state(engine, context, leads, id, (QUALIFIED, reason))?;
    Ok(qualified.shown(engine))
}

fn table<'m>(context: &Context<'m>, name: &str) -> Result<&'m Layout, Refusal> {
    let layout = context.model.of_name(name);
    layout.ok_or_else(|| Refusal::not_served(&format!("{OPERATION} without the table '{name}'")))
}

/// A table and a row of it.
type Place<'m> = (&'m Layout, Uuid);

/// A lead, and what it has become.
struct Qualified<'a> {
    context: &'a Context<'a>,
    leads: &'a Layout,
    lead: Uuid,
    cells: Cells,
    made: Vec<Place<'a>>,
}

impl<'a> Qualified<'a> {
    /// Creates a row with what the lead says; `renamed` texts have another name there.
    fn create(
        &mut self,
        engine: &mut Engine,
        table_name: &str,
        renamed: &[(&str, &str)],
        above: &[(&str, Place<'_>)],
    ) -> Result<Place<'a>, Refusal> {
        let layout = table(self.context, table_name)?;
        let mut assignments = Assignments::default();
        for (column, value) in self.cells.iter() {
            let name = self.leads.column_name(column);
            let same = renamed.iter().find(|(from, _)| *from == name);
            let name = same.map_or(name, |(_, to)| to);
            let Some(target) = layout.number_of(name) else {
                continue;
            };
            if let (Some(from), Some(to)) = (self.leads.column(column), layout.column(target))
                && to.creatable
                && holds(&from.kind, &to.kind)
            {
                let value = Some(value.into_owned());
                assignments.values.push((target, value));
            }
        }
        let origin = ("originatingleadid", (self.leads, self.lead));
        for (name, (target, id)) in above.iter().chain([&origin]) {
            if let Some(column) = layout.number_of(name) {
                let table = target.number;
                let reference = Value::Reference { table, id: *id };
                assignments.values.push((column, Some(reference)));
            }
        }
        let done = write::create(engine, self.context, layout, assignments)?;
        self.made.push((layout, done.id()));
        Ok((layout, done.id()))
    }

    fn shown(&self, engine: &Engine) -> Response {
        let base = self.context.base();
        let mut body = String::from("{\"@odata.context\":");
        push_text(
            &mut body,
            &format!("{base}/$metadata#Collection({NAMESPACE}crmbaseentity)"),
        );
        body.push_str(",\"value\":[");
        for (number, (layout, id)) in self.made.iter().enumerate() {
            body.push_str(if number == 0 { "{" } else { ",{" });
            body.push_str("\"@odata.type\":");
            let kind = format!("#{NAMESPACE}{}", layout.def.logical_name);
            push_text(&mut body, &kind);
            body.push(',');
            let view = View {
                engine,
                layout,
                shown: &Shown::All,
                annotations: &Annotations::default(),
            };
            if let Some(row) = engine.row(layout, *id) {
                view.members(*id, row, &mut body);
            }
            body.push('}');
        }
        body.push_str("]}");
        Response::json(200, body)
    }
}

/// Whether every text of one column fits into another.
fn holds(from: &ColumnKind, to: &ColumnKind) -> bool {
    match (from, to) {
        (ColumnKind::Text { max_length: from }, ColumnKind::Text { max_length: to })
        | (ColumnKind::Memo { max_length: from }, ColumnKind::Memo { max_length: to }) => {
            from <= to
        }
        _ => false,
    }
}
