//! Which of the due rows a run is to send: `--limit`, `--key`, the rejects of an earlier run.

use std::collections::{BTreeMap, BTreeSet};

use std::path::{Path, PathBuf};

use super::open::Opened;
use super::{PushError, Request, again};
use crate::mapping::Plan;
use crate::model::{DigestSecret, KeyDigest, KeyReading};
use crate::report::RejectFile;

/// Which of the due rows a run is to send; the others are skipped.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    written: Vec<String>,
    /// So many due rows.
    limit: Option<u64>,
    /// Of each `--key` one, in the order in which they were written.
    asked: Vec<KeyDigest>,
    rejects_of: Option<PathBuf>,
    /// Rejects that have no key.
    unkeyed: u64,
    /// Only these; `None` for every row.
    keys: Option<BTreeSet<KeyDigest>>,
}

impl Selection {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            written: request.keys.clone(),
            limit: request.limit,
            asked: Vec::new(),
            rejects_of: request.rejects_of.clone(),
            unkeyed: 0,
            keys: None,
        }
    }

    /// Reads the keys as the plan reads the cells of a row.
    pub(super) fn resolve(
        mut self,
        opened: &Opened,
        secret: &DigestSecret,
    ) -> Result<Self, PushError> {
        let plan = &*opened.plan;
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
        if !self.asked.is_empty() {
            self.keys = Some(self.asked.iter().copied().collect());
        }
        if let Some(file) = self.rejects_of.take() {
            let rejected = self.rejected(&file, opened, secret);
            self.keys = Some(rejected.map_err(PushError::Results)?);
            self.rejects_of = Some(file);
        }
        Ok(self)
    }

    /// The keys of the rows of a reject file.
    fn rejected(
        &mut self,
        file: &Path,
        opened: &Opened,
        secret: &DigestSecret,
    ) -> std::io::Result<BTreeSet<KeyDigest>> {
        let columns = again::names(&opened.extract);
        let key = again::key_columns(opened).into_iter();
        let key: Vec<String> = key.filter_map(|it| columns.get(it).cloned()).collect();
        let mut keys = BTreeSet::new();
        for cells in RejectFile::open(file)?.cells(&key)? {
            let read = cells?.map(|cells| opened.plan.key_digest_of(&cells, secret));
            match read {
                Some(KeyReading::Known(key)) => {
                    keys.insert(key);
                }
                Some(KeyReading::Refused | KeyReading::Unreadable) | None => self.unkeyed += 1,
            }
        }
        Ok(keys)
    }

    /// Whether a due row is to be sent, after so many others.
    pub(super) fn takes(&self, key: KeyDigest, sent: u64) -> bool {
        let wanted = self.keys.as_ref().is_none_or(|keys| keys.contains(&key));
        wanted && self.limit.is_none_or(|limit| sent < limit)
    }

    /// Whether it is about some keys only.
    pub(super) fn is_of_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Whether somebody asked for this key.
    pub(super) fn names(&self, key: KeyDigest) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.contains(&key))
    }

    /// The keys that were asked for, each once.
    pub(super) fn keys(&self) -> impl Iterator<Item = KeyDigest> {
        self.keys.iter().flatten().copied()
    }

    /// Notes that the extract has this key.
    pub(super) fn meet(&self, key: KeyReading, met: &mut BTreeSet<KeyDigest>) {
        if let KeyReading::Known(digest) = key
            && self.names(digest)
        {
            met.insert(digest);
        }
    }

    /// The keys that were asked for and are not in the extract.
    pub(super) fn unmet(&self, met: &BTreeSet<KeyDigest>) -> Vec<String> {
        let asked = self.written.iter().zip(&self.asked);
        let unmet = asked.filter(|(_, digest)| !met.contains(digest));
        let mut unmet: Vec<String> = unmet
            .map(|(key, _)| format!("no row of the extract has the key `{key}`"))
            .collect();
        if self.rejects_of.is_some() {
            let gone = self.keys.as_ref().map_or(0, BTreeSet::len) - met.len();
            let told = [
                (gone as u64, "rejected rows are not in the extract any more"),
                (
                    self.unkeyed,
                    "rejected rows have no key and cannot be chosen",
                ),
            ];
            let told = told.into_iter().filter(|(count, _)| *count > 0);
            unmet.extend(told.map(|(count, what)| format!("{count} {what}")));
        }
        unmet
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
