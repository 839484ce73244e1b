//! `FetchXML` and SQL in the URL: their rows, joined, ordered and in pages.
//!
//! Inner and outer joins, conditions, orders and aggregates are served; conditions on other
//! entities, grouping by parts of dates and the other kinds of links are not. Source: Microsoft
//! Learn, "Query data using `FetchXml`" and "Page results using `FetchXml`".

mod plan;
mod rows;
mod saved;
mod sql;
mod totals;
mod xml;

use std::collections::HashSet;
use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::query::filter::{Aliases, Ground};
use crate::refusal::Refusal;
use crate::render::{Shown, View, push_text};
use crate::request::{Annotations, Preferences, decoded};
use plan::{Entity, Kind, MOST, Plan};
use rows::{Joined, cell};
pub(crate) use saved::saved;

const COOKIE: &str = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie";
const MORE: &str = "Microsoft.Dynamics.CRM.morerecords";
const TOTAL: &str = "Microsoft.Dynamics.CRM.totalrecordcount";
const EXCEEDED: &str = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded";
const VERSION: &str = "Microsoft.Dynamics.CRM.globalmetadataversion";
const ATTRIBUTE: &str = "OData.Community.Display.V1.AttributeName";

/// What an option of a query holds, decoded.
pub(crate) fn written(query: &str, option: &str) -> Option<Result<String, Refusal>> {
    let mut pieces = query.split('&').filter_map(|piece| piece.split_once('='));
    let (_, value) = pieces.find(|(name, _)| *name == option)?;
    let value = value.replace('+', " ");
    let text = decoded(&value).map(std::borrow::Cow::into_owned);
    Some(text.ok_or_else(Refusal::query_syntax))
}

/// What a query without parameter aliases is read on, and its table for as long as the model is there.
fn ground<'a, 'm>(
    engine: &'a Engine,
    context: &'a Context<'m>,
    layout: &Layout,
) -> Result<(Ground<'a>, &'m Layout), Refusal> {
    const NO_ALIASES: &Aliases = &Aliases::new();
    let layout = context.model.layout(layout.number);
    let ground = Ground {
        engine,
        context,
        aliases: NO_ALIASES,
    };
    Ok((ground, layout.ok_or_else(Refusal::query_syntax)?))
}

/// The rows of a document as JSON.
pub(crate) fn list(
    engine: &Engine,
    context: &Context<'_>,
    layout: &Layout,
    text: &str,
    preferences: &Preferences,
) -> Result<String, Refusal> {
    let (ground, layout) = ground(engine, context, layout)?;
    let plan = Plan::read(ground, context, layout, text)?;
    let page = Page::find(engine, &plan, &preferences.annotations)?;
    Ok(page.written(&context.base(), &plan, &preferences.annotations))
}

/// The rows of a `SELECT` as JSON. Of the options of `OData` it takes none but the next page.
pub(crate) fn select(
    engine: &Engine,
    context: &Context<'_>,
    layout: &Layout,
    query: &str,
    preferences: &Preferences,
) -> Result<String, Refusal> {
    let text = written(query, "sql").unwrap_or_else(|| Err(Refusal::query_syntax()))?;
    for piece in query.split('&') {
        let (name, _) = piece.split_once('=').unwrap_or((piece, ""));
        if name.starts_with('$') && name != "$skiptoken" {
            let message = format!("The query parameter '{name}' is not supported with sql.");
            return Err(Refusal::new(400, "0x80060888", message));
        }
    }
    let page = written(query, "$skiptoken").transpose()?;
    let page = page.map_or(Ok(1), |cookie| page_of(&cookie))?;
    let size = preferences.page_size.unwrap_or(MOST).clamp(1, MOST);
    let (ground, layout) = ground(engine, context, layout)?;
    let plan = sql::plan(ground, context, layout, &text, (size, page))?;
    let annotations = &preferences.annotations;
    let page = Page::find(engine, &plan, annotations)?;
    let mut body = String::from("{\"@odata.context\":");
    let base = context.base();
    push_text(&mut body, &format!("{base}/$metadata#{}", shape(&plan)));
    let version = context.schema.fingerprint().to_string();
    for (term, json) in [
        (TOTAL, "-1"),
        (EXCEEDED, "false"),
        (VERSION, &format!("\"{version}\"")),
    ] {
        if annotations.includes(term) {
            push_annotation(&mut body, term, json);
        }
    }
    page.push_objects(&mut body);
    if page.has_more(&plan) {
        let cookie = cookie(&plan, page.ids);
        let cookie = utf8_percent_encode(&cookie, NON_ALPHANUMERIC);
        let set = &layout.def.entity_set;
        let text = utf8_percent_encode(&text, NON_ALPHANUMERIC);
        let next = format!("{base}/{set}?sql={text}&$skiptoken={cookie}");
        body.push_str(",\"@odata.nextLink\":");
        push_text(&mut body, &next);
    }
    body.push('}');
    Ok(body)
}

/// The page of which a cookie tells.
fn page_of(cookie: &str) -> Result<usize, Refusal> {
    let rest = cookie.strip_prefix("<cookie pagenumber=\"");
    let number = rest.and_then(|rest| rest.split_once('"')?.0.parse().ok());
    let number = number.filter(|page| (1..1_000_000_000).contains(page));
    number.ok_or_else(|| {
        let message = "The paging cookie is not one of this service.";
        Refusal::new(400, "0x80060888", message)
    })
}

/// The objects of a page, without braces.
struct Page {
    objects: Vec<String>,
    /// Of all pages.
    total: usize,
    /// The ids of its first and its last row.
    ids: Option<(Uuid, Uuid)>,
}

impl Page {
    fn find(engine: &Engine, plan: &Plan<'_>, annotations: &Annotations) -> Result<Self, Refusal> {
        let mut found = rows::joined(engine, plan)?;
        rows::sort(engine, plan, &mut found);
        let most = plan.limit.unwrap_or(usize::MAX);
        let before = plan.size.saturating_mul(plan.page - 1);
        let all: Vec<String> = match plan.kind {
            Kind::Rows => {
                found.drain(..plan.skip.min(found.len()));
                found.truncate(most);
                let page = found.get(before..).unwrap_or_default();
                let page = page.get(..plan.size).unwrap_or(page);
                let objects = page
                    .iter()
                    .map(|row| object(engine, plan, row, annotations));
                return Ok(Self {
                    objects: objects.collect(),
                    total: found.len(),
                    ids: ends(page),
                });
            }
            Kind::Totals => totals::totals(engine, plan, &found, annotations)?,
            Kind::Distinct => {
                let mut seen = HashSet::new();
                let objects = found
                    .iter()
                    .map(|row| object(engine, plan, row, annotations));
                objects
                    .filter(|object| seen.insert(object.clone()))
                    .collect()
            }
        };
        let all: Vec<String> = all.into_iter().skip(plan.skip).take(most).collect();
        let total = all.len();
        Ok(Self {
            objects: all.into_iter().skip(before).take(plan.size).collect(),
            total,
            ids: None,
        })
    }

    fn written(&self, base: &str, plan: &Plan<'_>, annotations: &Annotations) -> String {
        let has_more = self.has_more(plan);
        let mut body = String::from("{\"@odata.context\":");
        push_text(&mut body, &format!("{base}/$metadata#{}", shape(plan)));
        if plan.wants_total && annotations.includes(TOTAL) {
            push_annotation(&mut body, TOTAL, &self.total.min(5000).to_string());
        }
        if annotations.includes(MORE) {
            push_annotation(&mut body, MORE, &has_more.to_string());
        }
        if annotations.includes(COOKIE) && has_more {
            let mut text = String::new();
            push_text(&mut text, &cookie(plan, self.ids));
            push_annotation(&mut body, COOKIE, &text);
        }
        self.push_objects(&mut body);
        body.push('}');
        body
    }

    fn has_more(&self, plan: &Plan<'_>) -> bool {
        let before = plan.size.saturating_mul(plan.page - 1);
        self.total > before.saturating_add(self.objects.len()) && !plan.has_top
    }

    fn push_objects(&self, body: &mut String) {
        body.push_str(",\"value\":[");
        for (number, object) in self.objects.iter().enumerate() {
            body.push_str(if number == 0 { "{" } else { ",{" });
            body.push_str(object);
            body.push('}');
        }
        body.push(']');
    }
}

fn push_annotation(body: &mut String, term: &str, json: &str) {
    let written = write!(body, ",\"@{term}\":{json}");
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// The ids of the first and the last row of a page.
fn ends(page: &[Joined<'_>]) -> Option<(Uuid, Uuid)> {
    let id = |rows: Option<&Joined<'_>>| rows?.first()?.map(|(id, _)| id);
    Some((id(page.first())?, id(page.last())?))
}

/// `<cookie pagenumber="2" pagingcookie="…" istracking="False" />`; inside it is encoded twice.
fn cookie(plan: &Plan<'_>, ids: Option<(Uuid, Uuid)>) -> String {
    let page = plan.page;
    let id = plan
        .entities
        .first()
        .map_or("", |entity| &entity.layout.def.primary_id);
    let ids = ids.map_or_else(String::new, |(first, last)| {
        format!("<{id} last=\"{{{last}}}\" first=\"{{{first}}}\" />")
    });
    let inner = format!("<cookie page=\"{page}\">{ids}</cookie>");
    let once = utf8_percent_encode(&inner, NON_ALPHANUMERIC).to_string();
    let twice = utf8_percent_encode(&once, NON_ALPHANUMERIC);
    let next = page + 1;
    format!("<cookie pagenumber=\"{next}\" pagingcookie=\"{twice}\" istracking=\"False\" />")
}

/// `contacts(firstname,contactid)`
fn shape(plan: &Plan<'_>) -> String {
    let Some(Entity {
        layout,
        attributes,
        shows_all,
        ..
    }) = plan.entities.first()
    else {
        return String::new();
    };
    let set = &layout.def.entity_set;
    if *shows_all {
        return set.clone();
    }
    let names = attributes.iter().map(|attribute| match &attribute.alias {
        Some(alias) => alias.clone(),
        None => layout.property(attribute.column),
    });
    let mut names: Vec<String> = names.collect();
    let id = &layout.def.primary_id;
    if plan.kind == Kind::Rows && !names.contains(id) {
        names.push(id.clone());
    }
    format!("{set}({})", names.join(","))
}

/// A joined row without braces: its own columns, then those of linked rows under their alias.
fn object(
    engine: &Engine,
    plan: &Plan<'_>,
    joined: &Joined<'_>,
    annotations: &Annotations,
) -> String {
    let mut text = String::new();
    for (place, entity) in plan.entities.iter().enumerate() {
        let unnamed = entity
            .attributes
            .iter()
            .filter(|a| place == 0 && a.alias.is_none());
        let shown = if entity.shows_all && place == 0 {
            Shown::All
        } else {
            Shown::Only(unnamed.map(|attribute| attribute.column).collect())
        };
        let view = View {
            engine,
            layout: entity.layout,
            shown: &shown,
            annotations,
        };
        let Some(Some((id, row))) = joined.get(place) else {
            continue;
        };
        // What is distinct belongs to no single row.
        let is_summary = plan.kind == Kind::Distinct && !entity.shows_all;
        if place == 0 && !is_summary {
            view.members(*id, row, &mut text);
        }
        let all = entity
            .layout
            .numbered_columns()
            .map(|(column, _)| (column, None));
        let all = all.filter(|_| entity.shows_all && place > 0);
        let chosen = entity
            .attributes
            .iter()
            .map(|a| (a.column, a.alias.as_deref()));
        let chosen = chosen.filter(|(_, alias)| place > 0 || alias.is_some() || is_summary);
        for (column, alias) in all.chain(chosen) {
            // What is null is left out, as these properties are not those of the table.
            let Some(value) = cell(plan, joined, place, column) else {
                continue;
            };
            let name = match alias {
                Some(alias) => alias.to_owned(),
                None if place == 0 => entity.layout.property(column),
                None => format!("{}.{}", entity.alias, entity.layout.column_name(column)),
            };
            if !text.is_empty() {
                text.push(',');
            }
            if alias.is_some() && annotations.includes(ATTRIBUTE) {
                push_text(&mut text, &format!("{name}@{ATTRIBUTE}"));
                text.push(':');
                push_text(&mut text, entity.layout.column_name(column));
                text.push(',');
            }
            view.member_of(&name, column, Some(&value), &mut text);
        }
    }
    text
}
