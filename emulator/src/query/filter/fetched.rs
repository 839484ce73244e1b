//! Conditions as `FetchXML` writes them, as the filters that they mean.
//!
//! Most operators are query functions under another name. Source: Microsoft Learn,
//! "`FetchXml` reference", "Operators".

use super::functions::{Arguments, compared, not};
use super::{Filter, Ground, Operand, Operator, Parser};
use crate::model::Layout;
use crate::query::filter::pattern::Pattern;
use crate::query::filter::words::Words;
use crate::refusal::Refusal;
use crate::schema::ColumnKind;
use crate::table::value::Column;

/// The condition of an operator on a column.
pub(crate) fn fetched(
    ground: Ground<'_>,
    layout: &Layout,
    column: Column,
    operator: &str,
    values: &[String],
) -> Result<Filter, Refusal> {
    let reader = Parser {
        ground,
        layout,
        variable: None,
        // What refusals quote.
        words: Words::of(operator),
        depth: 0,
    };
    let kind = layout.column(column).map(|def| &def.kind);
    let values = values.iter().map(|value| plain(kind, value));
    let arguments = Arguments {
        column,
        values: values.collect(),
    };
    if matches!(operator, "null" | "not-null") {
        let operator = match operator {
            "null" => Operator::Equal,
            _ => Operator::NotEqual,
        };
        return Ok(Filter::Compare {
            column,
            operator,
            operand: Operand::Null,
        });
    }
    if let Some(comparison) = comparison(operator) {
        let value = reader.value(column, only(&arguments, operator)?)?;
        return Ok(compared(column, comparison, value));
    }
    if let Some((positive, before, after)) = pattern(operator) {
        let wanted = format!("{before}{}{after}", only(&arguments, operator)?);
        let pattern = Pattern::new(ground.engine.collation, &wanted);
        let filter = Filter::Like { column, pattern };
        return Ok(if positive == operator {
            filter
        } else {
            not(filter)
        });
    }
    let filter = reader.dataverse(&function(operator), &arguments)?;
    filter.ok_or_else(|| Refusal::not_served(&format!("the operator '{operator}'")))
}

/// What a literal of an expression would be.
fn plain(kind: Option<&ColumnKind>, value: &str) -> String {
    match (kind, value) {
        (Some(ColumnKind::Boolean { .. }), "1") => "true".to_owned(),
        (Some(ColumnKind::Boolean { .. }), "0") => "false".to_owned(),
        (Some(ColumnKind::Guid | ColumnKind::Lookup { .. }), _) => {
            let bare = value
                .strip_prefix('{')
                .and_then(|value| value.strip_suffix('}'));
            bare.unwrap_or(value).to_owned()
        }
        _ => value.to_owned(),
    }
}

fn only<'a>(arguments: &'a Arguments, operator: &str) -> Result<&'a str, Refusal> {
    if let [value] = arguments.values.as_slice() {
        return Ok(value);
    }
    let message = format!("The condition operator '{operator}' requires one value.");
    Err(Refusal::new(400, "0x80040203", message))
}

fn comparison(operator: &str) -> Option<Operator> {
    Some(match operator {
        "eq" => Operator::Equal,
        "ne" | "neq" => Operator::NotEqual,
        "gt" => Operator::Greater,
        "ge" => Operator::GreaterOrEqual,
        "lt" => Operator::Less,
        "le" => Operator::LessOrEqual,
        _ => return None,
    })
}

/// The operator without its negation, and what stands around its text.
fn pattern(operator: &str) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match operator {
        "like" | "not-like" => ("like", "", ""),
        "begins-with" | "not-begin-with" => ("begins-with", "", "%"),
        "ends-with" | "not-end-with" => ("ends-with", "%", ""),
        _ => return None,
    })
}

/// `last-x-days` is `LastXDays`.
fn function(operator: &str) -> String {
    match operator {
        "not-contain-values" => return "DoesNotContainValues".to_owned(),
        "eq-userid" => return "EqualUserId".to_owned(),
        "ne-userid" => return "NotEqualUserId".to_owned(),
        "eq-businessid" => return "EqualBusinessId".to_owned(),
        "ne-businessid" => return "NotEqualBusinessId".to_owned(),
        "eq-userteams" => return "EqualUserTeams".to_owned(),
        "eq-useroruserteams" => return "EqualUserOrUserTeams".to_owned(),
        "eq-useroruserhierarchy" => return "EqualUserOrUserHierarchy".to_owned(),
        "eq-useroruserhierarchyandteams" => return "EqualUserOrUserHierarchyAndTeams".to_owned(),
        "eq-userlanguage" => return "EqualUserLanguage".to_owned(),
        "eq-or-above" => return "AboveOrEqual".to_owned(),
        "eq-or-under" => return "UnderOrEqual".to_owned(),
        "last-seven-days" => return "Last7Days".to_owned(),
        "next-seven-days" => return "Next7Days".to_owned(),
        _ => {}
    }
    let operator = operator.replace("olderthan-", "older-than-");
    let words = operator.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters).collect::<String>()
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_functions_under_another_name() {
        for (operator, name) in [
            ("last-x-days", "LastXDays"),
            ("olderthan-x-months", "OlderThanXMonths"),
            ("on-or-after", "OnOrAfter"),
            ("contain-values", "ContainValues"),
            ("not-in", "NotIn"),
            ("today", "Today"),
        ] {
            assert_eq!(function(operator), name);
        }
    }
}
