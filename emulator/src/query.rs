//! Queries of many rows: the options of the URL, order, pages.
//!
//! Source: Microsoft Learn, "Query data using the Web API", "Page results using OData".

use std::cmp::Ordering;

use uuid::Uuid;

use crate::engine::Engine;
use crate::filter::{self, Aliases, Filter};
use crate::fold::Collation;
use crate::model::Layout;
use crate::refusal::Refusal;
use crate::render::{Shown, View, push_text, value_of};
use crate::request::{Preferences, decoded};
use crate::scan::{Scan, compare};
use crate::table::Row;
use crate::value::{Column, Value};

/// Rows of a page, and the greatest number that a count tells.
const MOST: usize = 5000;

/// The options of a query.
pub(crate) struct Asked {
    pub(crate) shown: Shown,
    pub(crate) filter: Option<Filter>,
    order: Vec<(Column, Direction)>,
    top: Option<usize>,
    wants_count: bool,
    cookie: Option<Cookie>,
    /// The options as they came, without the page.
    raw: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// Where the next page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cookie {
    page: usize,
    /// Rows on the pages before; counts only if the last row is gone.
    passed: usize,
    last: Uuid,
}

impl Asked {
    /// Reads the part of a URL after the question mark.
    pub(crate) fn parse(
        layout: &Layout,
        collation: Collation,
        query: &str,
    ) -> Result<Self, Refusal> {
        let mut asked = Self {
            shown: Shown::All,
            filter: None,
            order: Vec::new(),
            top: None,
            wants_count: false,
            cookie: None,
            raw: String::new(),
        };
        let mut options = Vec::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let name = decoded(name).ok_or_else(Refusal::query_syntax)?;
            let value = value.replace('+', " ");
            let value = decoded(&value).ok_or_else(Refusal::query_syntax)?;
            if name != "$skiptoken" {
                if !asked.raw.is_empty() {
                    asked.raw.push('&');
                }
                asked.raw.push_str(piece);
            }
            options.push((name.into_owned(), value.into_owned()));
        }
        let is_alias = |(name, _): &&(String, String)| name.starts_with('@');
        let aliases: Aliases = options.iter().filter(is_alias).cloned().collect();
        for (name, value) in &options {
            if name == "$filter" {
                let filter = filter::parse(layout, collation, value, &aliases)?;
                asked.filter = Some(filter);
            } else {
                asked.take(layout, name, value)?;
            }
        }
        Ok(asked)
    }

    fn take(&mut self, layout: &Layout, name: &str, value: &str) -> Result<(), Refusal> {
        match name {
            "$select" => self.shown = selected(layout, value)?,
            "$orderby" => self.order = ordered(layout, value)?,
            "$top" => {
                let top = value.parse().map_err(|_| {
                    let message = format!("Invalid value '{value}' for $top query option found.");
                    Refusal::new(400, "0x80060888", message)
                })?;
                self.top = Some(top);
            }
            "$count" => self.wants_count = value == "true",
            "$skiptoken" => {
                let cookie = Cookie::read(value).ok_or_else(|| {
                    let message = "The paging cookie is not one of this service.";
                    Refusal::new(400, "0x80060888", message)
                })?;
                self.cookie = Some(cookie);
            }
            "$skip" => {
                let message = "Skip Clause is not supported in CRM";
                return Err(Refusal::new(400, "0x80060888", message));
            }
            "$expand" | "$apply" | "fetchXml" | "savedQuery" | "userQuery" => {
                return Err(Refusal::not_served(name));
            }
            _ if name.starts_with('$') => {
                let message = format!("The query parameter '{name}' is not supported.");
                return Err(Refusal::new(400, "0x80060888", message));
            }
            // `tag`, aliases and what others add say nothing to the query.
            _ => {}
        }
        Ok(())
    }

    /// `contacts(firstname,lastname)`, as contexts name it.
    pub(crate) fn shape(&self, layout: &Layout) -> String {
        let set = &layout.def.entity_set;
        let Shown::Only(columns) = &self.shown else {
            return set.clone();
        };
        let names = columns.iter().map(|column| {
            let name = layout.column_name(*column);
            if layout.is_lookup(*column) {
                format!("_{name}_value")
            } else {
                name.to_owned()
            }
        });
        format!("{set}({})", names.collect::<Vec<_>>().join(","))
    }
}

fn selected(layout: &Layout, value: &str) -> Result<Shown, Refusal> {
    let mut columns = Vec::new();
    let mut add = |column: Column| {
        if !columns.contains(&column) {
            columns.push(column);
        }
    };
    for name in value.split(',').map(str::trim) {
        if name == "*" {
            return Ok(Shown::All);
        }
        let table = &layout.def.logical_name;
        let column = layout.readable(name);
        let column = column.ok_or_else(|| Refusal::unknown_column(table, name))?;
        add(column);
        // An amount brings its currency along, a part of an address the whole of it.
        if layout
            .special
            .money
            .iter()
            .any(|(money, _)| *money == column)
        {
            layout.special.currency.into_iter().for_each(&mut add);
        }
        if let Some((block, _)) = name.split_once('_')
            && name.starts_with("address")
        {
            let whole = layout.number_of(&format!("{block}_composite"));
            whole.into_iter().for_each(&mut add);
        }
    }
    Ok(Shown::Only(columns))
}

fn ordered(layout: &Layout, value: &str) -> Result<Vec<(Column, Direction)>, Refusal> {
    let mut order = Vec::new();
    for piece in value.split(',') {
        let mut words = piece.split_whitespace();
        let name = words.next().ok_or_else(Refusal::query_syntax)?;
        let table = &layout.def.logical_name;
        let column = layout.readable(name);
        let column = column.ok_or_else(|| Refusal::unknown_column(table, name))?;
        let direction = match (words.next(), words.next()) {
            (None | Some("asc"), None) => Direction::Ascending,
            (Some("desc"), None) => Direction::Descending,
            _ => return Err(Refusal::query_syntax()),
        };
        order.push((column, direction));
    }
    Ok(order)
}

/// How many rows a filter means, as far as the service counts.
pub(crate) fn count(engine: &Engine, layout: &Layout, filter: Option<&Filter>) -> usize {
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

/// A page of rows as JSON.
pub(crate) fn list(
    engine: &Engine,
    layout: &Layout,
    base: &str,
    asked: &Asked,
    preferences: &Preferences,
) -> Result<String, Refusal> {
    let size = match (preferences.page_size, asked.top) {
        (Some(0), _) => {
            let message = "The page size must be at least 1.";
            return Err(Refusal::new(400, "0x80060888", message));
        }
        (Some(size), _) => size.min(MOST),
        (None, top) => top.unwrap_or(MOST).min(MOST),
    };
    let scan = Scan {
        engine,
        layout,
        filter: asked.filter.as_ref(),
    };
    let page = page(scan, asked, size);
    // `$top` ends the query, unless the page size is asked for as well.
    let ends = asked.top.is_some() && preferences.page_size.is_none();
    let mut body = String::with_capacity(page.rows.len() * 256);
    body.push_str("{\"@odata.context\":");
    push_text(
        &mut body,
        &format!("{base}/$metadata#{}", asked.shape(layout)),
    );
    if asked.wants_count {
        push_count(
            &mut body,
            count(engine, layout, asked.filter.as_ref()),
            preferences,
        );
    }
    body.push_str(",\"value\":[");
    let view = View {
        engine,
        layout,
        shown: &asked.shown,
        annotations: &preferences.annotations,
    };
    for (number, (id, row)) in page.rows.iter().enumerate() {
        body.push_str(if number == 0 { "{" } else { ",{" });
        view.members(*id, row, &mut body);
        body.push('}');
    }
    body.push(']');
    if let Some(cookie) = page.next.filter(|_| !ends) {
        let set = &layout.def.entity_set;
        let mark = if asked.raw.is_empty() { "" } else { "&" };
        let link = format!(
            "{base}/{set}?{}{mark}$skiptoken={}",
            asked.raw,
            cookie.written()
        );
        body.push_str(",\"@odata.nextLink\":");
        push_text(&mut body, &link);
    }
    body.push('}');
    Ok(body)
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
    let mut rows: Vec<(Uuid, &Row)> = if asked.order.is_empty() {
        let last = asked.cookie.map(|cookie| cookie.last);
        scan.rows(last).take(size + 1).collect()
    } else {
        let mut all: Vec<_> = scan.rows(None).collect();
        sort(scan, &asked.order, &mut all);
        let from = asked.cookie.map_or(0, |cookie| {
            let last = all.iter().position(|(id, _)| *id == cookie.last);
            last.map_or(cookie.passed, |last| last + 1)
        });
        all.into_iter().skip(from).take(size + 1).collect()
    };
    let has_more = rows.len() > size;
    rows.truncate(size);
    let (page, passed) = asked.cookie.map_or((1, 0), |c| (c.page, c.passed));
    let next = rows.last().filter(|_| has_more).map(|(last, _)| Cookie {
        page: page + 1,
        passed: passed + rows.len(),
        last: *last,
    });
    Page { rows, next }
}

/// Nulls come first; equal rows stay in the order of their ids.
fn sort(scan: Scan<'_>, order: &[(Column, Direction)], rows: &mut [(Uuid, &Row)]) {
    let collation = scan.engine.collation;
    let value = |(id, row): &(Uuid, &Row), column: Column| -> Option<Value<'static>> {
        value_of(scan.layout, *id, row, column).map(Value::into_owned)
    };
    rows.sort_by(|left, right| {
        for (column, direction) in order {
            let ordering = match (value(left, *column), value(right, *column)) {
                (Some(left), Some(right)) => {
                    compare(collation, &left, &right).unwrap_or(Ordering::Equal)
                }
                (left, right) => left.is_some().cmp(&right.is_some()),
            };
            let ordering = match direction {
                Direction::Ascending => ordering,
                Direction::Descending => ordering.reverse(),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    });
}

impl Cookie {
    fn written(self) -> String {
        let Self { page, passed, last } = self;
        let text = format!(
            "<cookie pagenumber=\"{page}\" pagingcookie=\"{passed} {last}\" istracking=\"False\" />"
        );
        percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()
    }

    fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("<cookie pagenumber=\"")?;
        let (page, rest) = rest.split_once("\" pagingcookie=\"")?;
        let (inner, _) = rest.split_once("\" istracking=")?;
        let (passed, last) = inner.split_once(' ')?;
        Some(Self {
            page: page.parse().ok().filter(|page| *page < 1_000_000_000)?,
            passed: passed
                .parse()
                .ok()
                .filter(|passed| *passed < 1_000_000_000)?,
            last: Uuid::try_parse(last).ok()?,
        })
    }
}
