//! What a `FetchXML` document asks for, checked against the model.
//!
//! Source: Microsoft Learn, "Query data using `FetchXml`" and "`FetchXml` reference".

use super::xml::Element;
use crate::context::Context;
use crate::model::Layout;
use crate::query::filter::{self, Filter, Ground};
use crate::refusal::Refusal;
use crate::roles::Access;
use crate::table::value::Column;

/// Conditions and joins of a query.
const MOST_PARTS: usize = 500;
/// Rows of a page.
pub(super) const MOST: usize = 5000;

pub(super) struct Plan<'m> {
    /// The table itself, then those that are linked, each behind its parent.
    pub(super) entities: Vec<Entity<'m>>,
    pub(super) orders: Vec<Order>,
    pub(super) kind: Kind,
    pub(super) wants_total: bool,
    pub(super) has_top: bool,
    /// Rows of a page.
    pub(super) size: usize,
    /// From 1.
    pub(super) page: usize,
    /// What must hold of joined rows.
    pub(super) across: Across,
    /// Rows at the beginning that are left out of all pages.
    pub(super) skip: usize,
    /// Rows of all pages.
    pub(super) limit: Option<usize>,
}

/// A condition on the rows of several entities.
pub(super) enum Across {
    All(Vec<Across>),
    Any(Vec<Across>),
    On(usize, Filter),
}

impl Across {
    /// Without what holds but one part.
    pub(super) fn alone(self) -> Self {
        match self {
            Self::All(mut parts) | Self::Any(mut parts) if parts.len() == 1 => match parts.pop() {
                Some(part) => part.alone(),
                None => Self::All(parts),
            },
            other => other,
        }
    }
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rows,
    /// Rows that look the same once.
    Distinct,
    Totals,
}

pub(super) struct Entity<'m> {
    pub(super) layout: &'m Layout,
    pub(super) alias: String,
    pub(super) attributes: Vec<Attribute>,
    pub(super) shows_all: bool,
    pub(super) filter: Filter,
    pub(super) join: Option<Join>,
}

/// How rows of a linked table are found.
#[derive(Clone, Copy)]
pub(super) struct Join {
    pub(super) parent: usize,
    /// In the linked table.
    pub(super) from: Column,
    /// In its parent.
    pub(super) to: Column,
    pub(super) is_outer: bool,
}

pub(super) struct Attribute {
    pub(super) column: Column,
    pub(super) alias: Option<String>,
    pub(super) role: Role,
}

/// What an attribute is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Shown,
    Grouped,
    Count,
    CountColumn,
    CountDistinct,
    Sum,
    Average,
    Least,
    Greatest,
}

pub(super) struct Order {
    /// A column of an entity, or the alias of an aggregate.
    pub(super) by: By,
    pub(super) is_descending: bool,
}

pub(super) enum By {
    Column(usize, Column),
    Alias(String),
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "0x80040203", message)
}

impl<'m> Plan<'m> {
    pub(super) fn read(
        ground: Ground<'_>,
        context: &Context<'m>,
        layout: &'m Layout,
        text: &str,
    ) -> Result<Self, Refusal> {
        let fetch = Element::read(text).filter(|fetch| fetch.name == "fetch");
        let fetch = fetch.ok_or_else(|| invalid("Invalid XML."))?;
        let number = |name: &str| match fetch.get(name) {
            None => Ok(None),
            Some(text) => {
                let number = text.parse().ok().filter(|n: &usize| *n < 1_000_000_000);
                let wrong = || invalid(format!("The attribute '{name}' is not a valid number."));
                number.map(Some).ok_or_else(wrong)
            }
        };
        let (top, count, page) = (number("top")?, number("count")?, number("page")?);
        if top.is_some() && (count.is_some() || page.is_some_and(|page| page > 1)) {
            return Err(invalid("The top attribute can't be used with paging."));
        }
        let mut entities = fetch.all("entity");
        let (Some(entity), None) = (entities.next(), entities.next()) else {
            return Err(invalid("A fetch has exactly one entity."));
        };
        if entity.get("name") != Some(&layout.def.logical_name) {
            let set = &layout.def.entity_set;
            return Err(invalid(format!(
                "The entity of the fetchXml is not that of the entity set '{set}'."
            )));
        }
        let mut plan = Self {
            entities: Vec::new(),
            orders: Vec::new(),
            kind: match (fetch.is("aggregate"), fetch.is("distinct")) {
                (true, _) => Kind::Totals,
                (false, true) => Kind::Distinct,
                (false, false) => Kind::Rows,
            },
            wants_total: fetch.is("returntotalrecordcount"),
            has_top: top.is_some(),
            size: top
                .or(count)
                .filter(|size| *size > 0)
                .unwrap_or(MOST)
                .min(MOST),
            page: page.unwrap_or(1).max(1),
            across: Across::All(Vec::new()),
            skip: 0,
            limit: None,
        };
        plan.entity(ground, context, layout, entity, None)?;
        Ok(plan)
    }

    fn entity(
        &mut self,
        ground: Ground<'_>,
        context: &Context<'m>,
        layout: &'m Layout,
        element: &Element,
        join: Option<Join>,
    ) -> Result<(), Refusal> {
        context.require(layout, Access::Read)?;
        let place = self.entities.len();
        if place > MOST_PARTS {
            return Err(invalid("The query has too many joins."));
        }
        let name = &layout.def.logical_name;
        let alias = element
            .get("alias")
            .map_or_else(|| format!("{name}{place}"), str::to_owned);
        let attributes = element.all("attribute");
        let attributes: Vec<_> = attributes
            .map(|attribute| self.attribute(layout, attribute))
            .collect::<Result<_, _>>()?;
        let filters = element.all("filter");
        let filters = filters.map(|filter| condition(ground, layout, filter));
        let shows_all = element.all("all-attributes").next().is_some();
        self.entities.push(Entity {
            layout,
            alias,
            shows_all: shows_all || (place == 0 && attributes.is_empty()),
            attributes,
            filter: Filter::All(filters.collect::<Result<_, _>>()?),
            join,
        });
        for order in element.all("order") {
            let by = match (order.get("alias"), order.get("attribute")) {
                (Some(alias), _) => By::Alias(alias.to_owned()),
                (None, Some(name)) => By::Column(place, column(layout, name)?),
                (None, None) => return Err(invalid("An order has no attribute.")),
            };
            self.orders.push(Order {
                by,
                is_descending: order.is("descending"),
            });
        }
        for link in element.all("link-entity") {
            self.link(ground, context, layout, link, place)?;
        }
        Ok(())
    }

    fn link(
        &mut self,
        ground: Ground<'_>,
        context: &Context<'m>,
        above: &Layout,
        link: &Element,
        parent: usize,
    ) -> Result<(), Refusal> {
        let name = link.get("name").unwrap_or_default();
        let layout = context.model.of_name(name).ok_or_else(|| {
            let message = format!("The entity with a name = '{name}' was not found.");
            Refusal::new(404, "0x80041102", message)
        })?;
        if layout.def.is_elastic() || above.def.is_elastic() {
            return Err(Refusal::unlinked());
        }
        let is_outer = match link.get("link-type") {
            None | Some("inner") => false,
            Some("outer") => true,
            Some(other) => return Err(Refusal::not_served(&format!("the link type '{other}'"))),
        };
        let (Some(from), Some(to)) = (link.get("from"), link.get("to")) else {
            return Err(invalid("A link-entity has the attributes from and to."));
        };
        let join = Join {
            parent,
            from: column(layout, from)?,
            to: column(above, to)?,
            is_outer,
        };
        self.entity(ground, context, layout, link, Some(join))
    }

    fn attribute(&self, layout: &Layout, element: &Element) -> Result<Attribute, Refusal> {
        if element.get("dategrouping").is_some() {
            return Err(Refusal::not_served("dategrouping"));
        }
        let role = match element.get("aggregate") {
            None if element.is("groupby") => Role::Grouped,
            None => Role::Shown,
            Some("count") => Role::Count,
            Some("countcolumn") if element.is("distinct") => Role::CountDistinct,
            Some("countcolumn") => Role::CountColumn,
            Some("sum") => Role::Sum,
            Some("avg") => Role::Average,
            Some("min") => Role::Least,
            Some("max") => Role::Greatest,
            Some(other) => return Err(invalid(format!("There is no aggregate '{other}'."))),
        };
        let alias = element.get("alias").map(str::to_owned);
        let is_total = self.kind == Kind::Totals;
        if is_total != (role != Role::Shown) || (is_total && alias.is_none()) {
            return Err(invalid(
                "An attribute of an aggregate query has an alias, and is an aggregate or grouped.",
            ));
        }
        Ok(Attribute {
            column: column(layout, element.get("name").unwrap_or_default())?,
            alias,
            role,
        })
    }
}

pub(super) fn column(layout: &Layout, name: &str) -> Result<Column, Refusal> {
    layout.number_of(name).ok_or_else(|| {
        let table = &layout.def.logical_name;
        let message = format!(
            "'{table}' entity doesn't contain attribute with Name = '{name}' and NameMapping = \
             'Logical'."
        );
        Refusal::new(400, "0x80041103", message)
    })
}

fn condition(ground: Ground<'_>, layout: &Layout, element: &Element) -> Result<Filter, Refusal> {
    if element.name == "filter" {
        let parts = element.children.iter();
        let parts = parts.map(|part| condition(ground, layout, part));
        let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
        if parts.len() > MOST_PARTS {
            return Err(invalid("The query has too many conditions."));
        }
        return match element.get("type") {
            None | Some("and") => Ok(Filter::All(parts)),
            Some("or") if parts.is_empty() => Ok(Filter::All(parts)),
            Some("or") => Ok(Filter::Any(parts)),
            Some(other) => Err(invalid(format!("There is no filter type '{other}'."))),
        };
    }
    if element.name != "condition" || element.get("entityname").is_some() {
        let what = format!("'{}' of another entity in a filter", element.name);
        return Err(Refusal::not_served(&what));
    }
    let column = column(layout, element.get("attribute").unwrap_or_default())?;
    let alone = element.get("value").map(str::to_owned);
    let listed = element.all("value").map(|value| value.text.clone());
    let values: Vec<String> = alone.into_iter().chain(listed).collect();
    let operator = element.get("operator").unwrap_or_default();
    filter::fetched(ground, layout, column, operator, &values)
}
