//! Queries that are kept as rows, run by their id: `accounts?savedQuery=…`, `?userQuery=…`.
//!
//! The options of the request beside them choose a page and nothing else. Source: Microsoft Learn,
//! "Retrieve and execute predefined queries".

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{MOST, Page, Plan, cookie, page_of, written};
use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::odata::address::guid;
use crate::query::filter::{Aliases, Ground};
use crate::refusal::Refusal;
use crate::render::push_text;
use crate::request::Preferences;
use crate::roles::Access;
use crate::table::value::Value;

/// The options, and the tables whose rows they name.
const KEPT: [(&str, &str); 2] = [("savedQuery", "savedquery"), ("userQuery", "userquery")];

/// The rows that a kept query finds, as JSON; `None` if the request names none.
pub(crate) fn saved(
    engine: &Engine,
    context: &Context<'_>,
    layout: &Layout,
    query: &str,
    preferences: &Preferences,
) -> Result<Option<String>, Refusal> {
    let named = |(option, table)| Some((option, table, written(query, option)?));
    let Some((option, table, id)) = KEPT.into_iter().find_map(named) else {
        return Ok(None);
    };
    let id = id?;
    let text = kept(engine, context, table, &id)?;
    let ground = Ground {
        engine,
        context,
        aliases: &Aliases::new(),
    };
    let layout = context.model.layout(layout.number);
    let layout = layout.ok_or_else(Refusal::query_syntax)?;
    let mut plan = Plan::read(ground, context, layout, &text)?;
    if !plan.has_top {
        let page = written(query, "$skiptoken").transpose()?;
        plan.page = page.map_or(Ok(plan.page), |cookie| page_of(&cookie))?;
        if let Some(size) = preferences.page_size {
            plan.size = size.clamp(1, MOST);
        }
    }
    let page = Page::find(engine, &plan, &preferences.annotations)?;
    let base = context.base();
    let mut body = page.written(&base, &plan, &preferences.annotations);
    if page.has_more(&plan) {
        let cookie = cookie(&plan, page.ids);
        let cookie = utf8_percent_encode(&cookie, NON_ALPHANUMERIC);
        let set = &layout.def.entity_set;
        let next = format!("{base}/{set}?{option}={id}&$skiptoken={cookie}");
        body.pop();
        body.push_str(",\"@odata.nextLink\":");
        push_text(&mut body, &next);
        body.push('}');
    }
    Ok(Some(body))
}

/// The document that a row keeps.
fn kept(engine: &Engine, context: &Context<'_>, table: &str, id: &str) -> Result<String, Refusal> {
    let id = guid(id).ok_or_else(Refusal::query_syntax)?;
    let kept = context.model.of_name(table);
    let kept = kept.ok_or_else(|| Refusal::no_segment(table))?;
    context.require(kept, Access::Read)?;
    let row = engine.row(kept, id);
    let row = row.ok_or_else(|| Refusal::no_such_row(table, id))?;
    let column = kept.number_of("fetchxml");
    match column.and_then(|column| row.cells.get(column)) {
        Some(Value::Text(text)) => Ok(text.into_owned()),
        _ => Err(Refusal::new(
            400,
            "0x80040203",
            "The query has no fetchxml.",
        )),
    }
}
