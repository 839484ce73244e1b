//! From a column as written to its definition.

use rust_decimal::Decimal;

use super::phrase::{Phrase, Writes};
use super::written::{
    Labels, Pairs, WrittenColumn, WrittenDefault, WrittenDelete, WrittenFullTarget, WrittenTarget,
};
use super::{
    ColumnDef, ColumnKind, LookupFlavor, OnDelete, OptionDef, OptionSet, RelationshipDef, Schema,
    TableDef, is_custom,
};

/// The widest range of money: what 64 bits hold with four decimals.
const MOST_MONEY: i64 = 922_337_203_685_477;
/// The widest range of decimal columns.
const MOST_DECIMAL: i64 = 100_000_000_000;
/// The widest range of double columns.
const MOST_DOUBLE: f64 = 100_000_000_000.0;

/// A column with the relationships that it needs, if it is a lookup.
pub(super) struct NewColumn {
    pub(super) column: ColumnDef,
    pub(super) relationships: Vec<RelationshipDef>,
}

/// Reads a column of `table`; `schema` knows the global choices.
pub(super) fn read(
    schema: &Schema,
    table: &TableDef,
    schema_name: &str,
    mut written: WrittenColumn,
) -> Result<NewColumn, String> {
    if !is_name(schema_name) {
        return Err("a name is made of letters, digits and `_`, and begins with a letter".into());
    }
    let text = std::mem::take(&mut written.phrase);
    let phrase = Phrase::parse(&text)?;
    let logical_name = schema_name.to_lowercase();
    let relationships = match flavor(phrase.name) {
        Some(flavor) => relationships(table, schema_name, flavor, &phrase, written.to.take())?,
        None => Vec::new(),
    };
    let kind = kind(schema, table, &logical_name, &phrase, &mut written)?;
    refuse_leftovers(phrase.name, &written)?;
    let column = ColumnDef {
        display_name: written.label.unwrap_or_else(|| words(schema_name)),
        logical_name,
        schema_name: schema_name.to_owned(),
        kind,
        creatable: phrase.writes != Writes::Never && phrase.name != "file",
        updatable: phrase.writes == Writes::Always && phrase.name != "file",
        required: phrase.required,
    };
    Ok(NewColumn {
        column,
        relationships,
    })
}

/// Whether a name can be a schema name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A display name from a schema name: `Address1_PostalCode` is *Address 1: Postal Code*.
pub(super) fn words(schema_name: &str) -> String {
    let name = match schema_name.split_once('_') {
        Some((_prefix, name)) if is_custom(schema_name) => name,
        _ => schema_name,
    };
    let mut words = String::new();
    let mut before = '_';
    for c in name.chars() {
        if c == '_' {
            words.push_str(": ");
        } else {
            let begins = (c.is_ascii_uppercase() && before.is_ascii_lowercase())
                || (c.is_ascii_digit() && before.is_ascii_alphabetic());
            if begins {
                words.push(' ');
            }
            words.push(if before == '_' {
                c.to_ascii_uppercase()
            } else {
                c
            });
        }
        before = c;
    }
    for ending in [" Id", " Code"] {
        if let Some(short) = words.strip_suffix(ending) {
            return short.to_owned();
        }
    }
    words
}

fn kind(
    schema: &Schema,
    table: &TableDef,
    column: &str,
    phrase: &Phrase<'_>,
    written: &mut WrittenColumn,
) -> Result<ColumnKind, String> {
    if let Some(kind) = kind_with_limits(phrase)? {
        return Ok(kind);
    }
    let kind = match phrase.name {
        "customer" => ColumnKind::Lookup {
            flavor: LookupFlavor::Customer,
        },
        "owner" => ColumnKind::Lookup {
            flavor: LookupFlavor::Owner,
        },
        "bigint" => ColumnKind::BigInt,
        "yes/no" => yes_no(written)?,
        "date" => ColumnKind::Date,
        "datetime" => ColumnKind::DateTime,
        "datetime-independent" => ColumnKind::DateTimeIndependent,
        "guid" => ColumnKind::Guid,
        "choice" => ColumnKind::Picklist {
            options: option_set(schema, table, column, written)?,
        },
        "choices" if written.default.is_some() => {
            return Err("a choices column has no default".into());
        }
        "choices" => ColumnKind::MultiSelect {
            options: option_set(schema, table, column, written)?,
        },
        other => {
            return Err(format!(
                "`{other}` is not a type; there are text, memo, integer, bigint, decimal, double, \
                 money, yes/no, date, datetime, datetime-independent, guid, choice, choices, \
                 lookup, customer, owner and file"
            ));
        }
    };
    phrase.unlimited()?;
    Ok(kind)
}

fn kind_with_limits(phrase: &Phrase<'_>) -> Result<Option<ColumnKind>, String> {
    let around_zero = |most: i64| (Decimal::from(-most), Decimal::from(most));
    let kind = match phrase.name {
        "text" => ColumnKind::Text {
            max_length: phrase.length(100, 4000)?,
        },
        "memo" => ColumnKind::Memo {
            max_length: phrase.length(2000, 1_048_576)?,
        },
        "integer" => {
            let (min, max) = phrase.range((i32::MIN, i32::MAX))?;
            ColumnKind::Integer { min, max }
        }
        "decimal" => {
            let (min, max, precision) = phrase.scaled(around_zero(MOST_DECIMAL), 10)?;
            ColumnKind::Decimal {
                min,
                max,
                precision,
            }
        }
        "double" => {
            let (min, max, precision) = phrase.scaled((-MOST_DOUBLE, MOST_DOUBLE), 5)?;
            ColumnKind::Double {
                min,
                max,
                precision,
            }
        }
        "money" => {
            let (min, max, precision) = phrase.scaled(around_zero(MOST_MONEY), 4)?;
            ColumnKind::Money {
                min,
                max,
                precision,
            }
        }
        // What stands in its parentheses is a table.
        "lookup" => ColumnKind::Lookup {
            flavor: LookupFlavor::Lookup,
        },
        "file" => ColumnKind::File {
            max_kilobytes: phrase.length(32_768, 131_072)?,
        },
        _ => return Ok(None),
    };
    Ok(Some(kind))
}

fn yes_no(written: &mut WrittenColumn) -> Result<ColumnKind, String> {
    let default = match written.default.take() {
        None => false,
        Some(WrittenDefault::Flag(default)) => default,
        Some(WrittenDefault::Number(_)) => return Err("`default` must be true or false".into()),
    };
    Ok(ColumnKind::Boolean {
        true_label: written.true_label.take().unwrap_or_else(|| "Yes".into()),
        false_label: written.false_label.take().unwrap_or_else(|| "No".into()),
        default,
    })
}

fn option_set(
    schema: &Schema,
    table: &TableDef,
    column: &str,
    written: &mut WrittenColumn,
) -> Result<OptionSet, String> {
    let default = match written.default.take() {
        None => None,
        Some(WrittenDefault::Number(value)) => Some(value),
        Some(WrittenDefault::Flag(_)) => {
            return Err("`default` must be the number of an option".into());
        }
    };
    let (name, global, options) = match (written.global.take(), written.options.take()) {
        (None, Some(written)) => (
            format!("{}_{column}", table.logical_name),
            false,
            options(written, None)?,
        ),
        (Some(name), written) => {
            let known = global_choice(schema, table, &name);
            let options = match (written, known) {
                (Some(written), None) => options(written, None)?,
                (None, Some(known)) => known.options.clone(),
                (Some(_), Some(_)) => {
                    return Err(format!(
                        "the global choice `{name}` has its options already"
                    ));
                }
                (None, None) => return Err(format!("there is no global choice `{name}`")),
            };
            (name, true, options)
        }
        (None, None) => return Err("a choice needs `options` or `global`".into()),
    };
    Ok(OptionSet {
        name,
        global,
        options,
        default,
    })
}

/// Options in the order they were written; those of a status reason belong to a `state`.
pub(super) fn options(
    written: Pairs<Labels>,
    state: Option<i32>,
) -> Result<Vec<OptionDef>, String> {
    let option = |(value, Labels(labels)): (String, Labels)| match value.parse() {
        Ok(value) => Ok(OptionDef {
            value,
            labels,
            state,
        }),
        Err(_) => Err(format!("`{value}` is not the number of an option")),
    };
    written.0.into_iter().map(option).collect()
}

fn global_choice<'a>(schema: &'a Schema, table: &'a TableDef, name: &str) -> Option<&'a OptionSet> {
    schema
        .option_sets()
        .chain(table.option_sets())
        .find(|set| set.global && set.name == name)
}

fn flavor(type_name: &str) -> Option<LookupFlavor> {
    match type_name {
        "lookup" => Some(LookupFlavor::Lookup),
        "customer" => Some(LookupFlavor::Customer),
        "owner" => Some(LookupFlavor::Owner),
        _ => None,
    }
}

fn relationships(
    table: &TableDef,
    schema_name: &str,
    flavor: LookupFlavor,
    phrase: &Phrase<'_>,
    to: Option<Pairs<WrittenTarget>>,
) -> Result<Vec<RelationshipDef>, String> {
    let plain = |target: &str| {
        (
            target.to_owned(),
            WrittenTarget::Full(WrittenFullTarget::default()),
        )
    };
    let targets = match (phrase.limits, to, flavor) {
        (Some(target), None, LookupFlavor::Lookup) => vec![plain(target)],
        (None, Some(to), _) => to.0,
        (None, None, LookupFlavor::Customer) => vec![plain("account"), plain("contact")],
        (None, None, LookupFlavor::Owner) => {
            vec![plain("systemuser"), plain("team"), plain("owner")]
        }
        (None, None, LookupFlavor::Lookup) => {
            return Err("a lookup needs a table: `lookup(contact)`, or `to`".into());
        }
        (Some(_), _, _) => {
            return Err("say the tables once, as `lookup(contact)` or in `to`".into());
        }
    };
    // Custom navigation properties have the casing of the schema name, the others are lower case.
    let column = schema_name.to_lowercase();
    let base = if is_custom(schema_name) {
        schema_name
    } else {
        &column
    };
    let one_name = flavor == LookupFlavor::Owner || targets.len() == 1;
    let relationship = |(target, written): (String, WrittenTarget)| {
        let written = match written {
            WrittenTarget::Full(full) => full,
            WrittenTarget::Relationship(name) => WrittenFullTarget {
                relationship: Some(name),
                ..WrittenFullTarget::default()
            },
        };
        let schema_name = written
            .relationship
            .unwrap_or_else(|| format!("{target}_{}_{column}", table.logical_name));
        let navigation = written.navigation.unwrap_or_else(|| {
            if one_name {
                base.to_owned()
            } else {
                format!("{base}_{target}")
            }
        });
        RelationshipDef {
            is_told: !written.untold,
            on_delete: match written.delete {
                WrittenDelete::RemoveLink => OnDelete::RemoveLink,
                WrittenDelete::Restrict => OnDelete::Restrict,
                WrittenDelete::Cascade => OnDelete::Cascade,
            },
            collection: written.collection.unwrap_or_else(|| schema_name.clone()),
            schema_name,
            column: column.clone(),
            target,
            navigation,
        }
    };
    Ok(targets.into_iter().map(relationship).collect())
}

/// What was written and not used does not belong to the type.
fn refuse_leftovers(type_name: &str, written: &WrittenColumn) -> Result<(), String> {
    let leftovers = [
        ("options", written.options.is_some()),
        ("global", written.global.is_some()),
        ("default", written.default.is_some()),
        ("true", written.true_label.is_some()),
        ("false", written.false_label.is_some()),
        ("to", written.to.is_some()),
    ];
    match leftovers.into_iter().find(|(_, is_left)| *is_left) {
        None => Ok(()),
        Some((member, _)) => Err(format!(
            "`{member}` does not belong to a column of type {type_name}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_name_becomes_words() {
        assert_eq!(words("FirstName"), "First Name");
        assert_eq!(words("Address1_PostalCode"), "Address 1: Postal");
        assert_eq!(words("new_ContactId"), "Contact");
        assert_eq!(words("new_startedon"), "Startedon");
        assert_eq!(words("SIC"), "SIC");
        assert_eq!(words("EMailAddress"), "EMail Address");
    }
}
