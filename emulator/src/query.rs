//! Queries of many rows: order, pages, counts, and what is shown beside a row.
//!
//! Source: Microsoft Learn, "Query data using the Web API", "Page results using OData".

mod apply;
mod asked;
mod changes;
mod cookie;
mod expand;
pub(crate) mod fetch;
pub(crate) mod filter;
mod order;
pub(crate) mod related;
pub(crate) mod scan;

use uuid::Uuid;

use crate::engine::Engine;
use crate::model::Layout;
use crate::query::filter::Filter;
use crate::query::scan::Scan;
use crate::refusal::Refusal;
use crate::render::{View, push_text};
use crate::request::{Preferences, Response};
use crate::schema::Schema;
use crate::table::Row;
pub(crate) use apply::Method;
pub(crate) use asked::Asked;
use cookie::Cookie;
use expand::Style;
use order::sort;

/// Rows of a page, and the greatest number that a count tells.
const MOST: usize = 5000;

/// Changes with the definitions.
const METADATA_VERSION: &str = "Microsoft.Dynamics.CRM.globalmetadataversion";

/// What is listed, and where it stands.
pub(crate) struct Listing<'a> {
    pub(crate) engine: &'a Engine,
    /// Whose version reads tell; the answers of writes do not.
    pub(crate) schema: Option<&'a Schema>,
    pub(crate) layout: &'a Layout,
    /// `http://127.0.0.1:5000/api/data/v9.2`
    pub(crate) base: String,
    /// Below the base; next links lead there.
    pub(crate) path: String,
}

/// How many rows a filter means, as far as the service counts.
fn count(engine: &Engine, layout: &Layout, filter: Option<&Filter>) -> usize {
    let scan = Scan {
        engine,
        layout,
        filter,
    };
    match filter {
        None => engine
            .rows(layout)
            .map_or(0, crate::table::Rows::len)
            .min(MOST),
        Some(_) => scan.rows(None).take(MOST).count(),
    }
}

/// The answer of `/$count` behind a delta token: rows that changed, and rows that went.
pub(crate) fn counted_changes(engine: &Engine, layout: &Layout, asked: &Asked) -> Response {
    let tracked = asked.tracked.as_ref();
    let gone = tracked.map_or(0, |tracked| tracked.gone(engine, layout).len());
    told(count(engine, layout, asked.filter.as_ref()) + gone)
}

/// The answer of `/$count`.
pub(crate) fn counted(engine: &Engine, layout: &Layout, filter: Option<&Filter>) -> Response {
    told(count(engine, layout, filter))
}

fn told(count: usize) -> Response {
    // The digits come behind a byte-order mark.
    let mut response = Response::odata(200).header("Content-Type", "text/plain".to_owned());
    response.body = format!("\u{feff}{count}").into();
    response
}

/// One row as JSON, with its context.
pub(crate) fn entity(
    listing: &Listing<'_>,
    asked: &Asked,
    preferences: &Preferences,
    id: Uuid,
) -> String {
    let (engine, layout) = (listing.engine, listing.layout);
    let context = format!("{}/$metadata#{}/$entity", listing.base, asked.shape(layout));
    let mut body = String::with_capacity(512);
    listing.head(&mut body, &context, preferences);
    body.push(',');
    let view = View {
        engine,
        layout,
        shown: &asked.shown,
        annotations: &preferences.annotations,
    };
    if let Some(row) = engine.row(layout, id) {
        view.members(id, row, &mut body);
        let style = listing.style(preferences, MOST);
        for fetched in &expand::fetch(engine, layout, &asked.expands) {
            fetched.member(&layout.def.entity_set, id, row, style, &mut body);
        }
    }
    body.push('}');
    body
}

/// A page of rows as JSON.
pub(crate) fn list(
    listing: &Listing<'_>,
    asked: &Asked,
    preferences: &Preferences,
) -> Result<String, Refusal> {
    let Listing { engine, layout, .. } = listing;
    if let Some(pipeline) = &asked.apply {
        return pipeline.answer(listing, asked, preferences);
    }
    let size = page_size(asked, preferences)?;
    let page = page(listing.scan(asked), asked, size);
    let mut context = format!("{}/$metadata#{}", listing.base, asked.shape(layout));
    if asked.delta.is_some() {
        context.push_str("/$delta");
    }
    let mut body = listing.opened(&context, asked, preferences, page.rows.len() * 256);
    let view = View {
        engine,
        layout,
        shown: &asked.shown,
        annotations: &preferences.annotations,
    };
    let expands = expand::fetch(engine, layout, &asked.expands);
    let most = preferences.page_size.unwrap_or(MOST).min(MOST);
    let style = listing.style(preferences, most);
    for (number, (id, row)) in page.rows.iter().enumerate() {
        body.push_str(if number == 0 { "{" } else { ",{" });
        view.members(*id, row, &mut body);
        for fetched in &expands {
            fetched.member(&layout.def.entity_set, *id, row, style, &mut body);
        }
        body.push('}');
    }
    if page.next.is_none() {
        listing.gone(&mut body, asked);
    }
    listing.close(&mut body, page.next, asked, preferences);
    Ok(body)
}

/// A page of the addresses of rows.
pub(crate) fn references(
    listing: &Listing<'_>,
    asked: &Asked,
    preferences: &Preferences,
) -> Result<String, Refusal> {
    let size = page_size(asked, preferences)?;
    let page = page(listing.scan(asked), asked, size);
    let context = format!("{}/$metadata#Collection($ref)", listing.base);
    let mut body = listing.opened(&context, asked, preferences, page.rows.len() * 128);
    for (number, (id, _)) in page.rows.iter().enumerate() {
        body.push_str(if number == 0 {
            "{\"@odata.id\":"
        } else {
            ",{\"@odata.id\":"
        });
        let set = &listing.layout.def.entity_set;
        push_text(&mut body, &format!("{}/{set}({id})", listing.base));
        body.push('}');
    }
    listing.close(&mut body, page.next, asked, preferences);
    Ok(body)
}

impl<'a> Listing<'a> {
    fn scan(&self, asked: &'a Asked) -> Scan<'a> {
        Scan {
            engine: self.engine,
            layout: self.layout,
            filter: asked.filter.as_ref(),
        }
    }

    fn style<'s>(&'s self, preferences: &'s Preferences, page_size: usize) -> Style<'s> {
        Style {
            base: &self.base,
            annotations: &preferences.annotations,
            page_size,
        }
    }

    /// The brace, the context and what clients ask to be told about the definitions.
    fn head(&self, body: &mut String, context: &str, preferences: &Preferences) {
        body.push_str("{\"@odata.context\":");
        push_text(body, context);
        let is_asked = preferences.annotations.includes(METADATA_VERSION);
        if let Some(schema) = self.schema.filter(|_| is_asked) {
            body.push(',');
            push_text(body, &format!("@{METADATA_VERSION}"));
            body.push(':');
            push_text(body, &schema.fingerprint().to_string());
        }
    }

    /// Everything before the first row.
    fn opened(
        &self,
        context: &str,
        asked: &Asked,
        preferences: &Preferences,
        capacity: usize,
    ) -> String {
        let mut body = String::with_capacity(capacity);
        self.head(&mut body, context, preferences);
        if asked.wants_count {
            let count = count(self.engine, self.layout, asked.filter.as_ref());
            push_count(&mut body, count, preferences);
        }
        body.push_str(",\"value\":[");
        body
    }

    /// The rows that went since the client looked last.
    fn gone(&self, body: &mut String, asked: &Asked) {
        let Some(tracked) = &asked.tracked else {
            return;
        };
        let set = &self.layout.def.entity_set;
        let context = format!("{}/$metadata#{set}/$deletedEntity", self.base);
        for id in tracked.gone(self.engine, self.layout) {
            let is_first = body.ends_with('[');
            body.push_str(if is_first { "{" } else { ",{" });
            body.push_str("\"@odata.context\":");
            push_text(body, &context);
            body.push_str(",\"id\":");
            push_text(body, &id.to_string());
            body.push_str(",\"reason\":\"deleted\"}");
        }
    }

    /// Everything behind the last row.
    fn close(
        &self,
        body: &mut String,
        next: Option<Cookie>,
        asked: &Asked,
        preferences: &Preferences,
    ) {
        body.push(']');
        // `$top` ends the query, unless the page size is asked for as well.
        let ends = asked.top.is_some() && preferences.page_size.is_none();
        if let Some(cookie) = next.filter(|_| !ends) {
            let Self { base, path, .. } = self;
            let mark = if asked.raw.is_empty() { "" } else { "&" };
            let raw = &asked.raw;
            let delta = asked.delta.as_deref().map(|token| {
                let token = token.replace('!', "%21");
                format!("$deltatoken={token}&")
            });
            let delta = delta.unwrap_or_default();
            let tracked = asked.tracked.as_ref();
            let cookie = tracked.map_or(cookie, |tracked| tracked.following(cookie));
            let token = cookie.written();
            body.push_str(",\"@odata.nextLink\":");
            push_text(
                body,
                &format!("{base}/{path}?{raw}{mark}{delta}$skiptoken={token}"),
            );
        } else if let Some(tracked) = &asked.tracked {
            let Self { base, path, .. } = self;
            let mark = if asked.raw.is_empty() { "" } else { "&" };
            let (raw, token) = (&asked.raw, &tracked.token);
            body.push_str(",\"@odata.deltaLink\":");
            push_text(
                body,
                &format!("{base}/{path}?{raw}{mark}$deltatoken={token}"),
            );
        }
        body.push('}');
    }
}

fn page_size(asked: &Asked, preferences: &Preferences) -> Result<usize, Refusal> {
    match (preferences.page_size, asked.top) {
        (Some(0), _) => {
            let message = "The page size must be at least 1.";
            Err(Refusal::new(400, "0x80060888", message))
        }
        (Some(size), _) => Ok(size.min(MOST)),
        (None, top) => Ok(top.unwrap_or(MOST).min(MOST)),
    }
}

fn push_count(body: &mut String, count: usize, preferences: &Preferences) {
    let mut member = |name: &str, value: &str| {
        body.push(',');
        push_text(body, name);
        body.push(':');
        body.push_str(value);
    };
    member("@odata.count", &count.to_string());
    let is_exceeded = count >= MOST;
    for (term, value) in [
        ("Microsoft.Dynamics.CRM.totalrecordcount", count.to_string()),
        (
            "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded",
            is_exceeded.to_string(),
        ),
    ] {
        if preferences.annotations.includes(term) {
            member(&format!("@{term}"), &value);
        }
    }
}

struct Page<'a> {
    rows: Vec<(Uuid, &'a Row)>,
    next: Option<Cookie>,
}

fn page<'a>(scan: Scan<'a>, asked: &Asked, size: usize) -> Page<'a> {
    let cookie = asked.cookie.map(|cookie| cookie.placed(size));
    let mut rows: Vec<(Uuid, &Row)> = if asked.order.is_empty() {
        let last = cookie.and_then(|cookie| cookie.last);
        let passed = cookie.map_or(0, |cookie| cookie.passed);
        let skipped = if last.is_some() { 0 } else { passed };
        scan.rows(last).skip(skipped).take(size + 1).collect()
    } else {
        let mut all: Vec<_> = scan.rows(None).collect();
        sort(scan, &asked.order, &mut all);
        let from = cookie.map_or(0, |cookie| {
            let last = all.iter().position(|(id, _)| Some(*id) == cookie.last);
            last.map_or(cookie.passed, |last| last + 1)
        });
        all.into_iter().skip(from).take(size + 1).collect()
    };
    let has_more = rows.len() > size;
    rows.truncate(size);
    let last = rows.last().filter(|_| has_more);
    let next = last.map(|(last, _)| Cookie::after(cookie, rows.len(), *last));
    Page { rows, next }
}
