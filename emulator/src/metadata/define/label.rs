//! Labels as clients write them.

use serde_json::{Map, Value as Json};

use super::Members;

/// English (United States); every label has a text in it.
const BASE: u64 = 1033;

/// The text of a member that is a label, in the base language if it has one.
pub(super) fn of(body: &Members, name: &str) -> Option<String> {
    one(body.get(name)?)
}

/// The same for the label itself.
pub(crate) fn one(label: &Json) -> Option<String> {
    let texts = all(label);
    let base = texts.get(&BASE.to_string()).and_then(Json::as_str);
    base.map(str::to_owned)
}

/// All texts of a label by language code, as a schema file writes them; empty if it has none.
pub(super) fn all(label: &Json) -> Map<String, Json> {
    let user = label.get("UserLocalizedLabel").into_iter();
    let localized = label.get("LocalizedLabels").and_then(Json::as_array);
    let written = localized.into_iter().flatten().chain(user);
    let mut texts = Map::new();
    let mut first = None;
    for one in written {
        let code = one.get("LanguageCode").and_then(Json::as_u64);
        let (Some(code), Some(text)) = (code, one.get("Label").and_then(Json::as_str)) else {
            continue;
        };
        first.get_or_insert(text);
        let code = code.to_string();
        texts.entry(code).or_insert_with(|| text.into());
    }
    if let Some(first) = first {
        let base = BASE.to_string();
        texts.entry(base).or_insert_with(|| first.into());
    }
    texts
}
