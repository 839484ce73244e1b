//! `BulkDelete`: a job that deletes the rows of queries.
//!
//! The service works such jobs off later; here they are done before the answer comes, and say so
//! when they are polled. Rows that cannot be deleted stay, and are counted. Source: Microsoft
//! Learn, "Delete data in bulk", "`BulkDelete` action", "`QueryExpression` class".

use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::bulk::NAMESPACE;
use crate::context::Context;
use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::odata::parameters::Parameters;
use crate::query::Asked;
use crate::query::scan::Scan;
use crate::refusal::Refusal;
use crate::request::Response;
use crate::roles::Access;
use crate::table::value::{Cells, Value};
use crate::write::draft::Draft;
use crate::write::removal;

/// The action.
pub(crate) const NAME: &str = "BulkDelete";

const PARAMETERS: [&str; 7] = [
    "QuerySet",
    "JobName",
    "SendEmailNotification",
    "ToRecipients",
    "CCRecipients",
    "RecurrencePattern",
    "StartDateTime",
];
/// `operationtype` of such a job.
const OPERATION_TYPE: i32 = 13;
const COMPLETED: i32 = 3;
const SUCCEEDED: i32 = 30;

#[derive(Deserialize)]
struct Query {
    #[serde(rename = "EntityName")]
    table: String,
    #[serde(rename = "Criteria", default)]
    criteria: Option<Criteria>,
}

#[derive(Deserialize)]
struct Criteria {
    #[serde(rename = "FilterOperator", default)]
    operator: Join,
    #[serde(rename = "Conditions", default)]
    conditions: Vec<Condition>,
    #[serde(rename = "Filters", default)]
    filters: Vec<Criteria>,
}

#[derive(Deserialize, Default, Clone, Copy)]
enum Join {
    #[default]
    And,
    Or,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "AttributeName")]
    column: String,
    #[serde(rename = "Operator")]
    operator: String,
    #[serde(rename = "Values", default)]
    values: Vec<Literal>,
}

#[derive(Deserialize)]
struct Literal {
    #[serde(rename = "Value")]
    value: Json,
    #[serde(rename = "Type")]
    kind: String,
}

/// Serves the action.
pub(crate) fn serve(
    engine: &mut Engine,
    context: &Context<'_>,
    body: &[u8],
) -> Result<Response, Refusal> {
    let parameters = Parameters::read(NAME, body, &PARAMETERS)?;
    let queries: Vec<Query> = parameters.get("QuerySet")?;
    let name: String = parameters.get("JobName")?;
    parameters.get::<bool>("SendEmailNotification")?;
    parameters.get::<Vec<Json>>("ToRecipients")?;
    parameters.get::<Vec<Json>>("CCRecipients")?;
    let start: String = parameters.get("StartDateTime")?;
    if crate::table::moment::date_time(&start).is_none() {
        let inner = format!("Cannot convert the literal '{start}' to 'Edm.DateTimeOffset'.");
        return Err(Refusal::odata_payload(NAME, &inner));
    }
    if !parameters.get::<String>("RecurrencePattern")?.is_empty() {
        return Err(Refusal::not_served("jobs that come again"));
    }
    let mut rows = Vec::new();
    for query in &queries {
        let layout = table(context, query)?;
        let found = matching(engine, context, layout, query)?;
        rows.extend(found.into_iter().map(|id| (layout, id)));
    }
    let first = queries.first().map(|query| query.table.as_str());
    let mut counts = Counts::default();
    for (layout, id) in rows {
        counts.delete(engine, context, layout, id);
    }
    let job = record(engine, context, &name, first.unwrap_or_default(), counts)?;
    let body = json!({
        "@odata.context":
            format!("{}/$metadata#{NAMESPACE}BulkDeleteResponse", context.base()),
        "JobId": job,
    });
    Ok(Response::json(200, body.to_string()))
}

fn table<'m>(context: &Context<'m>, query: &Query) -> Result<&'m Layout, Refusal> {
    let name = &query.table;
    let layout = context.model.of_name(name).ok_or_else(|| {
        let message = format!("The entity with a name = '{name}' was not found.");
        Refusal::new(404, "0x80041102", message)
    })?;
    layout.check_writable("Delete")?;
    context.require(layout, Access::Delete)?;
    Ok(layout)
}

/// How many rows went and stayed.
#[derive(Default, Clone, Copy)]
struct Counts {
    deleted: i32,
    failed: i32,
}

impl Counts {
    fn delete(&mut self, engine: &mut Engine, context: &Context<'_>, layout: &Layout, id: Uuid) {
        // An earlier query of the job may have met it, too.
        if engine.row(layout, id).is_none() {
            return;
        }
        let mark = engine.mark();
        if removal::remove(engine, context, layout, id).is_ok() {
            self.deleted = self.deleted.saturating_add(1);
        } else {
            engine.roll_back_to(mark);
            self.failed = self.failed.saturating_add(1);
        }
    }
}

/// The job and its operation, both done.
fn record(
    engine: &mut Engine,
    context: &Context<'_>,
    name: &str,
    table: &str,
    counts: Counts,
) -> Result<Uuid, Refusal> {
    let served = || Refusal::not_served("jobs without tables to record them");
    let jobs = context.model.of_name("asyncoperation").ok_or_else(served)?;
    let operations = context.model.of_name("bulkdeleteoperation");
    let operations = operations.ok_or_else(served)?;
    let now = Value::DateTime(context.now());
    let text = |text: &str| Value::Text(text.to_owned().into());
    let job = put(
        engine,
        context,
        jobs,
        &[
            ("name", text(name)),
            ("operationtype", Value::Integer(OPERATION_TYPE)),
            ("primaryentitytype", text(table)),
            ("startedon", now.clone()),
            ("completedon", now),
        ],
    )?;
    let reference = Value::Reference {
        table: jobs.number,
        id: job,
    };
    put(
        engine,
        context,
        operations,
        &[
            ("name", text(name)),
            ("successcount", Value::Integer(counts.deleted)),
            ("failurecount", Value::Integer(counts.failed)),
            ("asyncoperationid", reference),
        ],
    )?;
    Ok(job)
}

fn put(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    values: &[(&str, Value<'static>)],
) -> Result<Uuid, Refusal> {
    let id = context.new_id(engine);
    let mut draft = Draft(layout.defaults.clone());
    draft.begin(engine, context, layout, id);
    let states = [
        (layout.special.state, COMPLETED),
        (layout.special.status, SUCCEEDED),
    ];
    for (column, number) in states {
        if let Some(column) = column {
            draft.set(column, Some(Value::Integer(number)));
        }
    }
    for (name, value) in values {
        if let Some(column) = layout.number_of(name) {
            draft.set(column, Some(value.clone()));
        }
    }
    draft.compute(engine, context, layout);
    engine.create(layout, id, Cells::pack(&draft.0), Written::new())?;
    Ok(id)
}

fn matching(
    engine: &Engine,
    context: &Context<'_>,
    layout: &Layout,
    query: &Query,
) -> Result<Vec<Uuid>, Refusal> {
    let mut option = String::new();
    if let Some(criteria) = &query.criteria {
        let filter = criteria.written(layout)?;
        if !filter.is_empty() {
            let encoded =
                percent_encoding::utf8_percent_encode(&filter, percent_encoding::NON_ALPHANUMERIC);
            option = format!("$filter={encoded}");
        }
    }
    let asked = Asked::parse(engine, context, layout, &option)?;
    let scan = Scan {
        engine,
        layout,
        filter: asked.filter.as_ref(),
    };
    Ok(scan.rows(None).map(|(id, _)| id).collect())
}

impl Criteria {
    /// As a `$filter` has it; empty if nothing is asked for.
    fn written(&self, layout: &Layout) -> Result<String, Refusal> {
        let conditions = self.conditions.iter().map(|it| it.written(layout));
        let filters = self.filters.iter().map(|it| it.written(layout));
        let parts = conditions.chain(filters).collect::<Result<Vec<_>, _>>()?;
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(|part| format!("({part})"))
            .collect();
        let join = match self.operator {
            Join::And => " and ",
            Join::Or => " or ",
        };
        Ok(parts.join(join))
    }
}

impl Condition {
    fn written(&self, layout: &Layout) -> Result<String, Refusal> {
        let name = &self.column;
        let column = layout.number_of(name).ok_or_else(|| {
            let table = &layout.def.logical_name;
            let message =
                format!("'{table}' entity doesn't contain attribute with Name = '{name}'");
            Refusal::new(400, "0x80041103", message)
        })?;
        let property = if layout.is_lookup(column) {
            format!("_{name}_value")
        } else {
            name.clone()
        };
        let values = self.values.iter().map(Literal::written);
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let list = |joined: &str, operator: &str| {
            let parts = values
                .iter()
                .map(|it| format!("{property} {operator} {it}"));
            parts.collect::<Vec<_>>().join(joined)
        };
        match (self.operator.as_str(), values.as_slice()) {
            ("Null", []) => Ok(format!("{property} eq null")),
            ("NotNull", []) => Ok(format!("{property} ne null")),
            ("Equal", [value]) => Ok(format!("{property} eq {value}")),
            ("NotEqual", [value]) => Ok(format!("{property} ne {value}")),
            ("GreaterThan", [value]) => Ok(format!("{property} gt {value}")),
            ("GreaterEqual", [value]) => Ok(format!("{property} ge {value}")),
            ("LessThan", [value]) => Ok(format!("{property} lt {value}")),
            ("LessEqual", [value]) => Ok(format!("{property} le {value}")),
            ("BeginsWith", [value]) => Ok(format!("startswith({property},{value})")),
            ("EndsWith", [value]) => Ok(format!("endswith({property},{value})")),
            ("Contains", [value]) => Ok(format!("contains({property},{value})")),
            ("In", [_, ..]) => Ok(list(" or ", "eq")),
            ("NotIn", [_, ..]) => Ok(list(" and ", "ne")),
            (operator, values) => Err(Refusal::not_served(&format!(
                "the condition '{operator}' with {} values",
                values.len()
            ))),
        }
    }
}

impl Literal {
    fn written(&self) -> Result<String, Refusal> {
        let text = match &self.value {
            Json::String(text) => text.clone(),
            Json::Number(_) | Json::Bool(_) => self.value.to_string(),
            Json::Null | Json::Array(_) | Json::Object(_) => {
                let inner = "The value of a condition must be a text, a number or a boolean.";
                return Err(Refusal::odata_payload(NAME, inner));
            }
        };
        if self.kind == "System.String" {
            return Ok(format!("'{}'", text.replace('\'', "''")));
        }
        let is_bare = |c: char| c.is_ascii_alphanumeric() || "-+.:".contains(c);
        if text.is_empty() || !text.chars().all(is_bare) {
            let inner = format!("The literal '{text}' is not of the type '{}'.", self.kind);
            return Err(Refusal::odata_payload(NAME, &inner));
        }
        Ok(text)
    }
}
