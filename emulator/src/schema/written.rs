//! A schema file as written, before anything is checked against other tables.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// One table, or what is to be added to one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTable {
    pub(super) table: String,
    pub(super) display: Option<String>,
    pub(super) set: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) code: Option<i32>,
    pub(super) ownership: Option<WrittenOwnership>,
    pub(super) elastic: Option<bool>,
    pub(super) bulk: Option<bool>,
    pub(super) internal: Option<bool>,
    pub(super) between: Option<WrittenBetween>,
    pub(super) addresses: Option<u8>,
    pub(super) states: Option<Vec<WrittenState>>,
    #[serde(default)]
    pub(super) columns: Pairs<WrittenColumn>,
    #[serde(default)]
    pub(super) keys: Pairs<WrittenKey>,
}

/// A many-to-many relationship: its name, and for each of two tables the collection on it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenBetween {
    pub(super) relationship: String,
    pub(super) tables: Pairs<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WrittenOwnership {
    User,
    Organization,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenState {
    pub(super) value: i32,
    pub(super) label: Labels,
    pub(super) reasons: Pairs<Labels>,
}

/// A column; the short form has only the type.
#[derive(Debug, Default)]
pub(super) struct WrittenColumn {
    pub(super) phrase: String,
    pub(super) label: Option<String>,
    pub(super) options: Option<Pairs<Labels>>,
    pub(super) global: Option<String>,
    pub(super) default: Option<WrittenDefault>,
    pub(super) true_label: Option<String>,
    pub(super) false_label: Option<String>,
    pub(super) to: Option<Pairs<WrittenTarget>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(super) enum WrittenDefault {
    Flag(bool),
    Number(i32),
}

/// A table that a lookup points to; the short form names the relationship.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum WrittenTarget {
    Relationship(String),
    Full(WrittenFullTarget),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenFullTarget {
    pub(super) relationship: Option<String>,
    pub(super) navigation: Option<String>,
    pub(super) collection: Option<String>,
    #[serde(default)]
    pub(super) delete: WrittenDelete,
    #[serde(default)]
    pub(super) untold: bool,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WrittenDelete {
    #[default]
    RemoveLink,
    Restrict,
    Cascade,
}

/// An alternate key; the short form has only the columns.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum WrittenKey {
    Columns(Vec<String>),
    Full(WrittenFullKey),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenFullKey {
    pub(super) columns: Vec<String>,
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) status: WrittenKeyStatus,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WrittenKeyStatus {
    Pending,
    InProgress,
    #[default]
    Active,
    Failed,
}

/// A label by language code.
#[derive(Debug, Clone)]
pub(super) struct Labels(pub(super) BTreeMap<u32, String>);

/// The members of a JSON object in the order they were written, each name once.
#[derive(Debug)]
pub(super) struct Pairs<V>(pub(super) Vec<(String, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
            type Value = Pairs<V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs: Vec<(String, V)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if pairs.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("`{name}` is written twice")));
                    }
                    // Serde only tells the position; people look for the name.
                    let value = map
                        .next_value()
                        .map_err(|error| A::Error::custom(format!("`{name}`: {error}")))?;
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }

            // An object that was a value in between has lost its order; a list of pairs keeps it.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut pairs: Vec<(String, V)> = Vec::new();
                while let Some((name, value)) = list.next_element::<(String, V)>()? {
                    if pairs.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("`{name}` is written twice")));
                    }
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_any(PairsVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;
        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = Labels;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a label, or labels by language code")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Labels, E> {
                Ok(Labels(BTreeMap::from([(1033, text.to_owned())])))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Labels, A::Error> {
                let labels = BTreeMap::deserialize(MapAccessDeserializer::new(map))?;
                if labels.contains_key(&1033) {
                    Ok(Labels(labels))
                } else {
                    Err(A::Error::custom("labels need one for language 1033"))
                }
            }
        }
        deserializer.deserialize_any(LabelsVisitor)
    }
}

impl<'de> Deserialize<'de> for WrittenColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            r#type: String,
            label: Option<String>,
            options: Option<Pairs<Labels>>,
            global: Option<String>,
            default: Option<WrittenDefault>,
            r#true: Option<String>,
            r#false: Option<String>,
            to: Option<Pairs<WrittenTarget>>,
        }
        struct ColumnVisitor;
        impl<'de> Visitor<'de> for ColumnVisitor {
            type Value = WrittenColumn;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a type as text, or an object with `type`")
            }

            fn visit_str<E: Error>(self, phrase: &str) -> Result<WrittenColumn, E> {
                Ok(WrittenColumn {
                    phrase: phrase.to_owned(),
                    ..WrittenColumn::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenColumn, A::Error> {
                let full = Full::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WrittenColumn {
                    phrase: full.r#type,
                    label: full.label,
                    options: full.options,
                    global: full.global,
                    default: full.default,
                    true_label: full.r#true,
                    false_label: full.r#false,
                    to: full.to,
                })
            }
        }
        deserializer.deserialize_any(ColumnVisitor)
    }
}
