//! The options of a query, read from the part of a URL after the question mark.

use super::apply::Pipeline;
use super::changes::{self, Tracked};
use super::cookie::Cookie;
use super::expand::{self, Expand};
use super::order::{self, Order};
use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::query::filter::{self, Aliases, Filter, Ground};
use crate::refusal::Refusal;
use crate::render::Shown;
use crate::request::{Preferences, decoded};
use crate::table::value::Column;

/// The options of a query.
pub(crate) struct Asked {
    pub(crate) shown: Shown,
    pub(crate) filter: Option<Filter>,
    pub(crate) expands: Vec<Expand>,
    pub(super) order: Vec<Order>,
    pub(super) top: Option<usize>,
    pub(super) wants_count: bool,
    pub(super) cookie: Option<Cookie>,
    /// The token behind which the changes are asked for.
    pub(super) delta: Option<String>,
    pub(super) tracked: Option<Tracked>,
    pub(super) apply: Option<Pipeline>,
    /// The options as they came, without the page.
    pub(super) raw: String,
}

/// Names and values, decoded.
pub(super) type Pairs = Vec<(String, String)>;

impl Asked {
    /// Reads the part of a URL after the question mark.
    pub(crate) fn parse(
        engine: &Engine,
        context: &Context<'_>,
        layout: &Layout,
        query: &str,
    ) -> Result<Self, Refusal> {
        let mut raw = String::new();
        let mut options = Pairs::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let name = decoded(name).ok_or_else(Refusal::query_syntax)?;
            let value = value.replace('+', " ");
            let value = decoded(&value).ok_or_else(Refusal::query_syntax)?;
            if name != "$skiptoken" && name != "$deltatoken" {
                if !raw.is_empty() {
                    raw.push('&');
                }
                raw.push_str(piece);
            }
            options.push((name.into_owned(), value.into_owned()));
        }
        let is_alias = |(name, _): &&(String, String)| name.starts_with('@');
        let aliases: Aliases = options.iter().filter(is_alias).cloned().collect();
        let ground = Ground {
            engine,
            context,
            aliases: &aliases,
        };
        let asked = Self::of(ground, layout, &options, raw)?;
        expand::check_number(&asked.expands)?;
        Ok(asked)
    }

    /// The query of changes that it is, if the client asks for them.
    pub(crate) fn tracked(
        mut self,
        engine: &Engine,
        context: &Context<'_>,
        layout: &Layout,
        preferences: &Preferences,
    ) -> Result<Self, Refusal> {
        changes::track(engine, context, layout, &mut self, preferences)?;
        Ok(self)
    }

    /// Reads options that are told apart already.
    pub(super) fn of(
        ground: Ground<'_>,
        layout: &Layout,
        options: &Pairs,
        raw: String,
    ) -> Result<Self, Refusal> {
        let mut asked = Self {
            shown: Shown::All,
            filter: None,
            expands: Vec::new(),
            order: Vec::new(),
            top: None,
            wants_count: false,
            cookie: None,
            delta: None,
            tracked: None,
            apply: None,
            raw,
        };
        check(options)?;
        for (name, value) in options {
            match name.as_str() {
                "$filter" => asked.filter = Some(filter::parse(ground, layout, value)?),
                "$expand" => asked.expands = expand::parse(ground, layout, value)?,
                "$orderby" => asked.order = order::parse(ground, layout, value)?,
                "$apply" => asked.apply = Some(Pipeline::parse(ground, layout, value)?),
                _ => asked.take(layout, name, value)?,
            }
        }
        Ok(asked)
    }

    fn take(&mut self, layout: &Layout, name: &str, value: &str) -> Result<(), Refusal> {
        let refused = |message: String| Err(Refusal::new(400, "0x80060888", message));
        match name {
            "$select" => self.shown = selected(layout, value)?,
            "$top" => self.top = Some(top(value)?),
            "$count" => self.wants_count = truth(value)?,
            "$skiptoken" => {
                let Some(cookie) = Cookie::read(value) else {
                    return refused("The paging cookie is not one of this service.".to_owned());
                };
                self.cookie = Some(cookie);
            }
            "$deltatoken" => self.delta = Some(value.to_owned()),
            "$skip" => return refused("Skip Clause is not supported in CRM".to_owned()),
            "fetchXml" | "sql" => {
                return Err(Refusal::not_served(name));
            }
            _ if name.starts_with('$') => {
                return refused(format!("The query parameter '{name}' is not supported."));
            }
            // `tag`, aliases and what others add say nothing to the query.
            _ => {}
        }
        Ok(())
    }

    /// `contacts(firstname,lastname)`, as contexts name it.
    pub(crate) fn shape(&self, layout: &Layout) -> String {
        format!("{}{}", layout.def.entity_set, self.columns(layout))
    }

    /// `(firstname,lastname)`; empty if nothing was chosen.
    pub(super) fn columns(&self, layout: &Layout) -> String {
        let mut names: Vec<String> = match &self.shown {
            Shown::All => Vec::new(),
            Shown::Only(columns) => columns.iter().map(|c| layout.property(*c)).collect(),
        };
        names.extend(self.expands.iter().map(Expand::shape));
        if names.is_empty() {
            return String::new();
        }
        format!("({})", names.join(","))
    }
}

/// Every option of OData says something, and says it once.
///
/// These refusals, and those of `$top`, are as the parser of `albanian-xrm/dataverse-odata` has them.
fn check(options: &Pairs) -> Result<(), Refusal> {
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in options.iter().filter(|(name, _)| name.starts_with('$')) {
        if seen.contains(&name.as_str()) {
            return Err(malformed(format!(
                "Query option '{name}' was specified more than once, but it must be specified at \
                 most once."
            )));
        }
        if value.trim().is_empty() {
            return Err(malformed(format!(
                "The value for OData query '{name}' cannot be empty."
            )));
        }
        seen.push(name);
    }
    Ok(())
}

fn top(value: &str) -> Result<usize, Refusal> {
    match value.trim().parse() {
        Ok(0) => Err(malformed("Invalid value for $top query option.".to_owned())),
        Ok(top) => Ok(top),
        Err(_) => Err(malformed(format!(
            "Invalid value '{value}' for $top query option found. The $top query option requires a \
             non-negative integer value."
        ))),
    }
}

fn truth(value: &str) -> Result<bool, Refusal> {
    value.trim().parse().map_err(|_| {
        malformed(format!(
            "Invalid value '{value}' for $count query option found."
        ))
    })
}

fn malformed(message: String) -> Refusal {
    Refusal::new(400, "0x0", message)
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
