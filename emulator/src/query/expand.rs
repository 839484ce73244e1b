//! `$expand`: rows beside each row, of one or of many, with options of their own.
//!
//! Source: Microsoft Learn, "Join tables using OData".

use std::collections::HashMap;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use uuid::Uuid;

use super::asked::{Asked, Pairs};
use super::cookie::Cookie;
use super::{MOST, sort};
use crate::context::Context;
use crate::engine::Engine;
use crate::model::{Collection, Layout};
use crate::query::filter::Ground;
use crate::query::related;
use crate::query::scan::Scan;
use crate::refusal::Refusal;
use crate::render::{View, push_principal, push_text, value_of};
use crate::request::Annotations;
use crate::roles::Access;
use crate::table::Row;
use crate::table::value::{Column, TableNumber, Value};

/// A query may expand so often, on all levels together.
const MOST_EXPANDS: usize = 15;
/// And only so deep.
const DEEPEST: usize = 8;

/// A navigation property that is shown with the row.
pub(crate) struct Expand {
    property: String,
    target: Target,
    /// Of the rows behind it.
    asked: Asked,
    /// `(fullname)`
    columns: String,
}

#[derive(Clone, Copy)]
enum Target {
    One(Column, TableNumber),
    /// A user or a team; the table is that of users.
    Owner(Column, TableNumber),
    Many(Collection),
}

impl Target {
    fn table(self) -> TableNumber {
        match self {
            Self::One(_, table) | Self::Owner(_, table) => table,
            Self::Many(collection) => collection.table(),
        }
    }
}

impl Expand {
    /// `primarycontactid(fullname)`, as contexts name it.
    pub(super) fn shape(&self) -> String {
        let columns = if self.columns.is_empty() {
            "()"
        } else {
            &self.columns
        };
        format!("{}{columns}", self.property)
    }

    fn count(&self) -> usize {
        1 + self.asked.expands.iter().map(Self::count).sum::<usize>()
    }

    fn depth(&self) -> usize {
        1 + self
            .asked
            .expands
            .iter()
            .map(Self::depth)
            .max()
            .unwrap_or(0)
    }
}

/// Refuses what joins too much.
pub(super) fn check_number(expands: &[Expand]) -> Result<(), Refusal> {
    let count: usize = expands.iter().map(Expand::count).sum();
    let depth = expands.iter().map(Expand::depth).max().unwrap_or(0);
    if count <= MOST_EXPANDS && depth <= DEEPEST {
        return Ok(());
    }
    let message = format!("The query expands more than {MOST_EXPANDS} navigation properties.");
    Err(Refusal::new(400, "0x80060888", message))
}

/// Reads `primarycontactid($select=fullname;$expand=…),contact_customer_accounts`.
pub(super) fn parse(
    ground: Ground<'_>,
    layout: &Layout,
    text: &str,
) -> Result<Vec<Expand>, Refusal> {
    let pieces = split(text, ',')?;
    if pieces.len() > MOST_EXPANDS || text.matches("$expand").count() > MOST_EXPANDS {
        let message = format!("The query expands more than {MOST_EXPANDS} navigation properties.");
        return Err(Refusal::new(400, "0x80060888", message));
    }
    let pieces = pieces.into_iter().map(str::trim);
    pieces.map(|piece| one(ground, layout, piece)).collect()
}

fn one(ground: Ground<'_>, layout: &Layout, piece: &str) -> Result<Expand, Refusal> {
    let (name, options) = match piece.split_once('(') {
        None => (piece, ""),
        Some((name, rest)) => {
            let options = rest.trim_end().strip_suffix(')');
            (name.trim(), options.ok_or_else(Refusal::query_syntax)?)
        }
    };
    let (target, there) = found(ground.context, layout, name)?;
    let mut pairs = Pairs::new();
    let mut raw = String::new();
    for option in split(options, ';')?.into_iter().map(str::trim) {
        if option.is_empty() {
            continue;
        }
        let (option, value) = option.split_once('=').ok_or_else(Refusal::query_syntax)?;
        check_option(target, option)?;
        if matches!(target, Target::Owner(..)) && value.trim() != "ownerid" {
            return Err(related::unfit_for_principal(value));
        }
        if !raw.is_empty() {
            raw.push('&');
        }
        raw.push_str(option);
        raw.push('=');
        raw.extend(utf8_percent_encode(value, RESERVED));
        if !matches!(target, Target::Owner(..)) {
            pairs.push((option.to_owned(), value.to_owned()));
        }
    }
    let asked = Asked::of(ground, there, &pairs, raw)?;
    Ok(Expand {
        property: name.to_owned(),
        target,
        columns: asked.columns(there),
        asked,
    })
}

/// What would end a value in a URL, or be read as something else.
const RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'?');

fn found<'m>(
    context: &Context<'m>,
    layout: &Layout,
    name: &str,
) -> Result<(Target, &'m Layout), Refusal> {
    if let Some(collection) = layout.collection(name)
        && let Some(there) = context.model.layout(collection.table())
    {
        context.require(there, Access::Read)?;
        return Ok((Target::Many(collection), there));
    }
    if let Some(targets @ [(lookup, users), _, ..]) = layout.navigation(name) {
        for (_, table) in targets {
            let there = context.model.layout(*table);
            there.map_or(Ok(()), |there| context.require(there, Access::Read))?;
        }
        let there = context.model.layout(*users);
        let there = there.ok_or_else(|| Refusal::no_segment(name))?;
        return Ok((Target::Owner(*lookup, *users), there));
    }
    let (lookup, there) = related::target(context, layout, name)?;
    Ok((Target::One(lookup, there.number), there))
}

/// Rows that are one have no order and no number.
fn check_option(target: Target, name: &str) -> Result<(), Refusal> {
    let fits = match target {
        Target::One(..) => matches!(name, "$select" | "$expand"),
        Target::Owner(..) => name == "$select",
        Target::Many(_) => {
            matches!(
                name,
                "$select" | "$expand" | "$filter" | "$orderby" | "$top"
            )
        }
    };
    if fits {
        return Ok(());
    }
    let message = format!("The query option '{name}' is not supported in this $expand.");
    Err(Refusal::new(400, "0x80060888", message))
}

/// The pieces between separators that stand neither in quotes nor in parentheses.
fn split(text: &str, separator: char) -> Result<Vec<&str>, Refusal> {
    let mut pieces = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    let mut quote = None;
    for (place, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.checked_sub(1).ok_or_else(Refusal::query_syntax)?,
            (None, _) if character == separator && depth == 0 => {
                pieces.push(text.get(start..place).unwrap_or_default());
                start = place + character.len_utf8();
            }
            (None, _) => {}
        }
    }
    if depth > 0 || quote.is_some() {
        return Err(Refusal::query_syntax());
    }
    pieces.push(text.get(start..).unwrap_or_default());
    Ok(pieces)
}

/// An expanded property with the rows behind it, for all rows of an answer.
pub(super) struct Fetched<'a> {
    engine: &'a Engine,
    expand: &'a Expand,
    /// Of the row beside which it is shown.
    above: &'a Layout,
    layout: &'a Layout,
    groups: HashMap<Uuid, Vec<(Uuid, &'a Row)>>,
    nested: Vec<Fetched<'a>>,
}

/// How an answer is written.
#[derive(Clone, Copy)]
pub(super) struct Style<'a> {
    pub(super) base: &'a str,
    pub(super) annotations: &'a Annotations,
    /// Rows of a collection that are shown at once.
    pub(super) page_size: usize,
}

/// Finds the rows behind the expanded properties.
pub(super) fn fetch<'a>(
    engine: &'a Engine,
    above: &'a Layout,
    expands: &'a [Expand],
) -> Vec<Fetched<'a>> {
    let fetched = expands.iter().filter_map(|expand| {
        let layout = engine.model.layout(expand.target.table())?;
        let groups = match expand.target {
            Target::One(..) | Target::Owner(..) => HashMap::new(),
            Target::Many(collection) => {
                let scan = Scan {
                    engine,
                    layout,
                    filter: expand.asked.filter.as_ref(),
                };
                let mut rows: Vec<_> = scan.rows(None).collect();
                sort(scan, &expand.asked.order, &mut rows);
                related::groups(engine, collection, rows.into_iter())
            }
        };
        Some(Fetched {
            engine,
            expand,
            above,
            layout,
            groups,
            nested: fetch(engine, layout, &expand.asked.expands),
        })
    });
    fetched.collect()
}

impl Fetched<'_> {
    /// The member of a row of the table above, with a comma before it.
    pub(super) fn member(
        &self,
        set: &str,
        id: Uuid,
        row: &Row,
        style: Style<'_>,
        out: &mut String,
    ) {
        out.push(',');
        push_text(out, &self.expand.property);
        out.push(':');
        match self.expand.target {
            Target::Owner(lookup, _) => match row.cells.get(lookup) {
                Some(Value::Reference { table, id }) => self.owner(table, id, out),
                _ => out.push_str("null"),
            },
            Target::One(lookup, table) => match value_of(self.above, id, row, lookup) {
                Some(Value::Reference { table: t, id }) if t == table => {
                    match self.engine.row(self.layout, id) {
                        Some(row) => self.object(id, row, style, out),
                        None => out.push_str("null"),
                    }
                }
                _ => out.push_str("null"),
            },
            Target::Many(_) => self.list(set, id, style, out),
        }
    }

    fn owner(&self, table: TableNumber, id: Uuid, out: &mut String) {
        let layout = self.engine.model.layout(table);
        let found = layout.and_then(|layout| Some((layout, self.engine.row(layout, id)?)));
        let Some((layout, row)) = found else {
            out.push_str("null");
            return;
        };
        out.push('{');
        push_principal(layout, id, row, out);
        out.push('}');
    }

    fn list(&self, set: &str, owner: Uuid, style: Style<'_>, out: &mut String) {
        let rows = self.groups.get(&owner).map_or(&[][..], Vec::as_slice);
        let shown = self.expand.asked.top.unwrap_or(MOST).min(style.page_size);
        out.push('[');
        for (number, (id, row)) in rows.iter().take(shown).enumerate() {
            if number > 0 {
                out.push(',');
            }
            self.object(*id, row, style, out);
        }
        out.push(']');
        let is_cut = self.expand.asked.top.is_none_or(|top| top > shown) && rows.len() > shown;
        if let Some((last, _)) = rows.get(shown.wrapping_sub(1)).filter(|_| is_cut) {
            let property = &self.expand.property;
            let raw = &self.expand.asked.raw;
            let mark = if raw.is_empty() { "" } else { "&" };
            let cookie = Cookie::after(None, shown, *last).written();
            let base = style.base;
            let link = format!("{base}/{set}({owner})/{property}?{raw}{mark}$skiptoken={cookie}");
            out.push(',');
            push_text(out, &format!("{property}@odata.nextLink"));
            out.push(':');
            push_text(out, &link);
        }
    }

    fn object(&self, id: Uuid, row: &Row, style: Style<'_>, out: &mut String) {
        let view = View {
            engine: self.engine,
            layout: self.layout,
            shown: &self.expand.asked.shown,
            annotations: style.annotations,
        };
        out.push('{');
        view.members(id, row, out);
        for nested in &self.nested {
            nested.member(&self.layout.def.entity_set, id, row, style, out);
        }
        out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_quotes_and_parentheses_do_not_split() {
        let text = "a($select=x,y;$filter=n eq 'a,b)'),b";
        assert_eq!(
            split(text, ',').unwrap(),
            ["a($select=x,y;$filter=n eq 'a,b)')", "b"]
        );
        for text in ["a(", "a)", "a('"] {
            assert!(split(text, ',').is_err(), "{text}");
        }
    }
}
