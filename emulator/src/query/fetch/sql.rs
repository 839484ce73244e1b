//! SQL in the URL: one `SELECT`, as a plan of the same kind as a `FetchXML` document is.
//!
//! Named columns, inner and left joins, conditions of a column and a literal, groups and totals,
//! orders, `DISTINCT`, `TOP`, `OFFSET`. Null is SQL's: nothing equals it or differs from it. The
//! rest is refused. Source: Microsoft Learn, "Use SQL to query data by using the Dataverse Web
//! API"; Microsoft's client for Python, "query.sql", for `TOP` and `OFFSET`.

mod conditions;
mod reader;
mod statement;
mod tokens;

use super::plan::{Across, Attribute, By, Entity, Join, Kind, Order, Plan, Role, column};
use crate::context::Context;
use crate::model::Layout;
use crate::query::filter::{self, Filter, Ground};
use crate::refusal::Refusal;
use crate::roles::Access;
use crate::table::value::Column;
use conditions::Condition;
use reader::Name;
use statement::{Chosen, Direction, Joining, Side, Statement, Table, What};

/// Conditions and joins of a query.
const MOST_PARTS: usize = 500;

fn refused(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "0x80060888", message)
}

/// What a statement asks for, in pages of this size.
pub(super) fn plan<'m>(
    ground: Ground<'_>,
    context: &Context<'m>,
    layout: &'m Layout,
    text: &str,
    (size, page): (usize, usize),
) -> Result<Plan<'m>, Refusal> {
    let statement = Statement::read(text)?;
    if statement.table.name != layout.def.logical_name {
        let set = &layout.def.entity_set;
        return Err(refused(format!(
            "The table of the statement is not that of the entity set '{set}'."
        )));
    }
    let is_total = |chosen: &Chosen| !matches!(chosen.what, What::Column(_));
    let kind = if !statement.groups.is_empty() || statement.columns.iter().any(is_total) {
        Kind::Totals
    } else if statement.is_distinct {
        Kind::Distinct
    } else {
        Kind::Rows
    };
    if kind == Kind::Totals && statement.is_distinct {
        return Err(refused("DISTINCT isn't supported with GROUP BY."));
    }
    let mut query = Query {
        ground,
        parts: 0,
        plan: Plan {
            entities: Vec::new(),
            orders: Vec::new(),
            kind,
            wants_total: false,
            has_top: false,
            size,
            page,
            across: Across::All(Vec::new()),
            skip: statement.skip,
            limit: statement.limit,
        },
    };
    query.entity(context, layout, &statement.table, None)?;
    for joining in &statement.joins {
        query.join(context, joining)?;
    }
    for chosen in &statement.columns {
        query.choose(chosen, &statement.groups)?;
    }
    query.check_groups(&statement.groups)?;
    for (name, direction) in &statement.orders {
        let by = query.order(name)?;
        query.plan.orders.push(Order {
            by,
            is_descending: *direction == Direction::Descending,
        });
    }
    let condition = query.condition(&statement.condition)?;
    query.narrow(condition);
    Ok(query.plan)
}

struct Query<'g, 'm> {
    ground: Ground<'g>,
    parts: usize,
    plan: Plan<'m>,
}

impl<'m> Query<'_, 'm> {
    fn entity(
        &mut self,
        context: &Context<'m>,
        layout: &'m Layout,
        table: &Table,
        join: Option<Join>,
    ) -> Result<(), Refusal> {
        context.require(layout, Access::Read)?;
        let alias = table.alias.as_ref().unwrap_or(&table.name).clone();
        if self
            .plan
            .entities
            .iter()
            .any(|entity| entity.alias == alias)
        {
            return Err(refused(format!("The table '{alias}' is named twice.")));
        }
        if self.plan.entities.len() > MOST_PARTS {
            return Err(refused("The query has too many joins."));
        }
        self.plan.entities.push(Entity {
            layout,
            alias,
            attributes: Vec::new(),
            shows_all: false,
            filter: Filter::All(Vec::new()),
            join,
        });
        Ok(())
    }

    fn join(&mut self, context: &Context<'m>, joining: &Joining) -> Result<(), Refusal> {
        let name = &joining.table.name;
        let layout = context.model.of_name(name).ok_or_else(|| {
            let message = format!("The entity with a name = '{name}' was not found.");
            Refusal::new(404, "0x80041102", message)
        })?;
        let place = self.plan.entities.len();
        let parent_unknown = Join {
            parent: 0,
            from: Column(0),
            to: Column(0),
            is_outer: joining.side == Side::Left,
        };
        self.entity(context, layout, &joining.table, Some(parent_unknown))?;
        let [left, right] = &joining.on;
        let (mut here, mut there) = (self.find(left)?, self.find(right)?);
        if here.0 != place {
            std::mem::swap(&mut here, &mut there);
        }
        if here.0 != place || there.0 == place {
            let message = "A join compares a column of its table with one of a table before it.";
            return Err(refused(message));
        }
        let mut entities = self.plan.entities.iter();
        if entities.any(|entity| entity.layout.def.is_elastic()) {
            return Err(Refusal::unlinked());
        }
        if let Some(entity) = self.plan.entities.get_mut(place) {
            entity.join = Some(Join {
                parent: there.0,
                from: here.1,
                to: there.1,
                is_outer: joining.side == Side::Left,
            });
        }
        Ok(())
    }

    /// The table and the column that a name means.
    fn find(&self, name: &Name) -> Result<(usize, Column), Refusal> {
        let entities = self.plan.entities.iter().enumerate();
        if let Some(alias) = &name.table {
            let mut entities = entities;
            let found = entities.find(|(_, entity)| entity.alias == *alias);
            let (place, entity) =
                found.ok_or_else(|| refused(format!("There is no table '{alias}'.")))?;
            return Ok((place, column(entity.layout, &name.column)?));
        }
        let mut found = entities.filter_map(|(place, entity)| {
            let column = entity.layout.number_of(&name.column)?;
            Some((place, column))
        });
        match (found.next(), found.next()) {
            (Some(found), None) => Ok(found),
            (Some(_), Some(_)) => {
                let name = &name.column;
                Err(refused(format!("Ambiguous column name '{name}'.")))
            }
            (None, _) => {
                let base = self.plan.entities.first();
                let base = base.ok_or_else(Refusal::query_syntax)?;
                Ok((0, column(base.layout, &name.column)?))
            }
        }
    }

    fn choose(&mut self, chosen: &Chosen, groups: &[Name]) -> Result<(), Refusal> {
        let unnamed = || refused("An aggregate needs an alias.");
        let (place, column, role, alias) = match &chosen.what {
            What::Rows => {
                let alias = chosen.alias.clone().ok_or_else(unnamed)?;
                (0, Column(0), Role::Count, Some(alias))
            }
            What::Total(function, name) => {
                let (place, column) = self.find(name)?;
                let role = match function.as_str() {
                    "SUM" => Role::Sum,
                    "AVG" => Role::Average,
                    "MIN" => Role::Least,
                    "MAX" => Role::Greatest,
                    _ => Role::CountColumn,
                };
                (
                    place,
                    column,
                    role,
                    Some(chosen.alias.clone().ok_or_else(unnamed)?),
                )
            }
            What::Column(name) => {
                let (place, column) = self.find(name)?;
                let is_total = self.plan.kind == Kind::Totals;
                if is_total && !self.among(groups, (place, column))? {
                    let name = &name.column;
                    return Err(refused(format!(
                        "Column '{name}' is neither in an aggregate nor in the GROUP BY clause."
                    )));
                }
                let role = if is_total { Role::Grouped } else { Role::Shown };
                let is_own = place == 0 && !is_total;
                let plain = (!is_own).then(|| name.column.clone());
                (place, column, role, chosen.alias.clone().or(plain))
            }
        };
        self.attribute(
            place,
            Attribute {
                column,
                alias,
                role,
            },
        )
    }

    /// Members of an object have names of their own.
    fn attribute(&mut self, place: usize, attribute: Attribute) -> Result<(), Refusal> {
        let label = |place: usize, attribute: &Attribute| {
            let entity = self.plan.entities.get(place)?;
            let property = || entity.layout.property(attribute.column);
            Some(attribute.alias.clone().unwrap_or_else(property))
        };
        let wanted = label(place, &attribute);
        let mut taken = self
            .plan
            .entities
            .iter()
            .enumerate()
            .flat_map(|(place, entity)| {
                let attributes = entity.attributes.iter();
                attributes.map(move |attribute| (place, attribute))
            });
        if taken.any(|(place, attribute)| label(place, attribute) == wanted) {
            let name = wanted.unwrap_or_default();
            return Err(refused(format!(
                "The column '{name}' is there twice; give one of them an alias."
            )));
        }
        if let Some(entity) = self.plan.entities.get_mut(place) {
            entity.attributes.push(attribute);
        }
        Ok(())
    }

    fn among(&self, groups: &[Name], wanted: (usize, Column)) -> Result<bool, Refusal> {
        for group in groups {
            if self.find(group)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Groups are told apart by what is shown of them.
    fn check_groups(&self, groups: &[Name]) -> Result<(), Refusal> {
        for group in groups {
            let (place, column) = self.find(group)?;
            let attributes = self
                .plan
                .entities
                .get(place)
                .map(|entity| &entity.attributes);
            let is_shown = attributes.is_some_and(|attributes| {
                attributes
                    .iter()
                    .any(|a| a.column == column && a.role == Role::Grouped)
            });
            if !is_shown {
                let name = &group.column;
                return Err(refused(format!(
                    "Column '{name}' of the GROUP BY clause isn't selected."
                )));
            }
        }
        Ok(())
    }

    /// By an alias of the statement, or else by a column.
    fn order(&self, name: &Name) -> Result<By, Refusal> {
        let attributes = || {
            let entities = self.plan.entities.iter().enumerate();
            entities.flat_map(|(place, entity)| entity.attributes.iter().map(move |a| (place, a)))
        };
        let is_named = |attribute: &Attribute| {
            let alias = attribute.alias.as_ref();
            name.table.is_none() && alias.is_some_and(|a| a.eq_ignore_ascii_case(&name.column))
        };
        let named = attributes().find(|(_, attribute)| is_named(attribute));
        if self.plan.kind != Kind::Totals {
            let named = named.map(|(place, attribute)| (place, attribute.column));
            let (place, column) = named.map_or_else(|| self.find(name), Ok)?;
            return Ok(By::Column(place, column));
        }
        let alias = if let Some((_, attribute)) = named {
            attribute.alias.clone()
        } else {
            let wanted = self.find(name)?;
            let mut shown = attributes().filter(|(_, a)| a.role == Role::Grouped);
            let found = shown.find(|(place, a)| (*place, a.column) == wanted);
            found.and_then(|(_, attribute)| attribute.alias.clone())
        };
        let name = &name.column;
        let wrong = || refused(format!("ORDER BY '{name}' is neither a group nor a total."));
        alias.map(By::Alias).ok_or_else(wrong)
    }

    fn condition(&mut self, condition: &Condition) -> Result<Across, Refusal> {
        let mut all = |parts: &[Condition]| -> Result<Vec<Across>, Refusal> {
            parts.iter().map(|part| self.condition(part)).collect()
        };
        Ok(match condition {
            Condition::All(parts) => Across::All(all(parts)?),
            Condition::Any(parts) => Across::Any(all(parts)?),
            Condition::Compare(name, operator, values) => {
                self.parts += 1;
                if self.parts > MOST_PARTS {
                    return Err(refused("The query has too many conditions."));
                }
                let (place, column) = self.find(name)?;
                let base = self.plan.entities.get(place);
                let layout = base.ok_or_else(Refusal::query_syntax)?.layout;
                let fetched = |operator: &str, values: &[String]| {
                    filter::fetched(self.ground, layout, column, operator, values)
                };
                let mut filter = fetched(operator, values)?;
                if matches!(*operator, "ne" | "not-in" | "not-like") {
                    filter = Filter::All(vec![fetched("not-null", &[])?, filter]);
                }
                Across::On(place, filter)
            }
        })
    }

    /// What must hold of a table that is there in every row narrows it before it is joined.
    fn narrow(&mut self, condition: Across) {
        let parts = match condition.alone() {
            Across::All(parts) => parts,
            other => vec![other],
        };
        let mut rest = Vec::new();
        for part in parts.into_iter().map(Across::alone) {
            match part {
                Across::On(place, filter) => {
                    let entity = self.plan.entities.get_mut(place);
                    let entity = entity.filter(|e| e.join.is_none_or(|join| !join.is_outer));
                    match entity {
                        Some(Entity {
                            filter: Filter::All(parts),
                            ..
                        }) => parts.push(filter),
                        _ => rest.push(Across::On(place, filter)),
                    }
                }
                other => rest.push(other),
            }
        }
        self.plan.across = Across::All(rest);
    }
}
