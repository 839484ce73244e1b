//! Which of the due rows a run is to send: `--limit`, `--key`.

use std::collections::{BTreeMap, BTreeSet};

use super::{PushError, Request};
use crate::mapping::Plan;
use crate::model::{DigestSecret, KeyDigest, KeyReading};

/// Which of the due rows a run is to send; the others are skipped.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    written: Vec<String>,
    /// So many due rows.
    limit: Option<u64>,
    /// Only these keys; of each `--key` one, in the order in which they were written. Every row if there is none.
    asked: Vec<KeyDigest>,
    keys: BTreeSet<KeyDigest>,
}

impl Selection {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            written: request.keys.clone(),
            limit: request.limit,
            asked: Vec::new(),
            keys: BTreeSet::new(),
        }
    }

    /// Reads the keys as the plan reads the cells of a row.
    pub(super) fn resolve(mut self, plan: &Plan, secret: &DigestSecret) -> Result<Self, PushError> {
        for written in &self.written {
            let texts = texts(written, plan).filter(|texts| texts.len() == plan.target().key.len());
            let digest = texts.map(|texts| plan.key_digest_of(&texts, secret));
            let Some(KeyReading::Known(digest)) = digest else {
                return Err(PushError::Key {
                    written: written.clone(),
                    columns: names(plan).join(", "),
                });
            };
            self.asked.push(digest);
        }
        self.keys = self.asked.iter().copied().collect();
        Ok(self)
    }

    /// Whether a due row is to be sent, after so many others.
    pub(super) fn takes(&self, key: KeyDigest, sent: u64) -> bool {
        let wanted = self.keys.is_empty() || self.keys.contains(&key);
        wanted && self.limit.is_none_or(|limit| sent < limit)
    }

    /// The keys that were asked for, each once.
    pub(super) fn keys(&self) -> impl Iterator<Item = KeyDigest> {
        self.keys.iter().copied()
    }

    /// Notes that the extract has this key.
    pub(super) fn meet(&self, key: KeyReading, met: &mut BTreeSet<KeyDigest>) {
        if let KeyReading::Known(digest) = key
            && self.keys.contains(&digest)
        {
            met.insert(digest);
        }
    }

    /// The keys that were asked for and are not in the extract.
    pub(super) fn unmet(&self, met: &BTreeSet<KeyDigest>) -> Vec<String> {
        let asked = self.written.iter().zip(&self.asked);
        let unmet = asked.filter(|(_, digest)| !met.contains(digest));
        unmet
            .map(|(key, _)| format!("no row of the extract has the key `{key}`"))
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
