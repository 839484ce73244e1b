//! Which of the due rows a run is to send: `--limit`, `--key`.

use std::collections::BTreeMap;

use super::{PushError, Request};
use crate::mapping::Plan;
use crate::model::{DigestSecret, KeyDigest, KeyReading};

/// Which of the due rows a run is to send; the others are skipped.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    written: Vec<String>,
    /// So many due rows.
    limit: Option<u64>,
    /// Only these keys, and which `--key` each is.
    keys: Option<BTreeMap<KeyDigest, usize>>,
}

impl Selection {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            written: request.keys.clone(),
            limit: request.limit,
            keys: None,
        }
    }

    /// Reads the keys as the plan reads the cells of a row.
    pub(super) fn resolve(mut self, plan: &Plan, secret: &DigestSecret) -> Result<Self, PushError> {
        if self.written.is_empty() {
            return Ok(self);
        }
        let mut keys = BTreeMap::new();
        for (place, written) in self.written.iter().enumerate() {
            let texts = texts(written, plan).filter(|texts| texts.len() == plan.target().key.len());
            let digest = texts.map(|texts| plan.key_digest_of(&texts, secret));
            let Some(KeyReading::Known(digest)) = digest else {
                return Err(PushError::Key {
                    written: written.clone(),
                    columns: names(plan).join(", "),
                });
            };
            keys.insert(digest, place);
        }
        self.keys = Some(keys);
        Ok(self)
    }

    /// Whether a due row is to be sent, after so many others.
    pub(super) fn takes(&self, key: KeyDigest, sent: u64) -> bool {
        let wanted = self
            .keys
            .as_ref()
            .is_none_or(|keys| keys.contains_key(&key));
        wanted && self.limit.is_none_or(|limit| sent < limit)
    }

    /// Notes that the extract has this key.
    pub(super) fn meet(&mut self, key: KeyReading, met: &mut Vec<usize>) {
        if let (Some(keys), KeyReading::Known(digest)) = (&self.keys, key)
            && let Some(place) = keys.get(&digest)
        {
            met.push(*place);
        }
    }

    /// The keys that were asked for and are not in the extract.
    pub(super) fn unmet(&self, met: &[usize]) -> Vec<String> {
        let written = self.written.iter().enumerate();
        let unmet = written.filter(|(place, _)| self.keys.is_some() && !met.contains(place));
        unmet
            .map(|(_, key)| format!("no row of the extract has the key `{key}`"))
            .collect()
    }
}

fn names(plan: &Plan) -> Vec<String> {
    let target = plan.target();
    let key = target.key.iter();
    let key = key.filter_map(|index| target.columns.get(*index));
    key.map(|column| column.name.to_string()).collect()
}

/// One text per key column: the text itself, or `column=value,…` in any order. A comma ends a value only where a
/// column of the key follows.
fn texts(written: &str, plan: &Plan) -> Option<Vec<String>> {
    let names = names(plan);
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    let mut last: Option<&str> = None;
    for piece in written.split(',') {
        let pair = piece.split_once('=').and_then(|(name, value)| {
            let known = names.iter().find(|known| *known == name.trim())?;
            Some((known.as_str(), value))
        });
        match (pair, last) {
            (Some((name, value)), _) => {
                values.insert(name, value.to_owned());
                last = Some(name);
            }
            (None, Some(name)) => {
                let value = values.entry(name).or_default();
                value.push(',');
                value.push_str(piece);
            }
            (None, None) if names.len() == 1 => return Some(vec![written.to_owned()]),
            (None, None) => return None,
        }
    }
    names
        .iter()
        .map(|name| values.get(name.as_str()).cloned())
        .collect()
}
