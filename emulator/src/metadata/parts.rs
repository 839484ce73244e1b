//! The small objects that definitions are made of: ids, labels, managed properties, names of types.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

/// English (United States): the language of the user that every request is made by.
const USER_LANGUAGE: u32 = 1033;

/// The id of a definition, the same for the same path of names.
pub(super) fn id(path: &str) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"dataverse definitions");
    Uuid::new_v5(&namespace, path.as_bytes())
}

/// A label in one language.
pub(super) fn label(text: &str, path: &str) -> Value {
    labels(&BTreeMap::from([(USER_LANGUAGE, text.to_owned())]), path)
}

/// A label in several languages.
pub(super) fn labels(texts: &BTreeMap<u32, String>, path: &str) -> Value {
    let localized = |(language, text): (&u32, &String)| {
        json!({
            "Label": text,
            "LanguageCode": language,
            "IsManaged": true,
            "MetadataId": id(&format!("label/{path}/{language}")),
            "HasChanged": null,
        })
    };
    json!({
        "LocalizedLabels": texts.iter().map(localized).collect::<Vec<_>>(),
        "UserLocalizedLabel": texts.get_key_value(&USER_LANGUAGE).map(localized),
    })
}

/// A label without text.
pub(super) fn no_label() -> Value {
    json!({"LocalizedLabels": [], "UserLocalizedLabel": null})
}

/// A value that a solution may lock.
pub(super) fn managed(value: impl Into<Value>, property: &str) -> Value {
    json!({"Value": value.into(), "CanBeChanged": true, "ManagedPropertyLogicalName": property})
}
