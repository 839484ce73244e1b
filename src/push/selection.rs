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
        let (plan, parts) = (&*opened.plan, parts(opened));
        for written in &self.written {
            let texts = texts(written, &parts);
            let digest = texts.map(|texts| plan.key_digest_of(&texts, secret));
            let Some(KeyReading::Known(digest)) = digest else {
                return Err(PushError::Key {
                    written: written.clone(),
                    columns: columns_of(plan).join(", "),
                });
            };
            self.asked.push(digest);
        }
        if !self.asked.is_empty() {
            self.keys = Some(self.asked.iter().copied().collect());
        }
        if let Some(file) = self.rejects_of.take() {
            let rejected = self.rejected(&file, opened, secret);
            self.keys = Some(rejected.map_err(PushError::Rejected)?);
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
        let parts = parts(opened);
        let given: Vec<String> = parts.iter().filter_map(|it| it.source.clone()).collect();
        let mut keys = BTreeSet::new();
        for cells in RejectFile::open(file)?.cells(&given)? {
            let read = cells?.map(|cells| {
                let mut cells = cells.into_iter();
                let text = |part: &Part| part.source.as_ref().and_then(|_| cells.next());
                let texts = parts.iter().map(text).map(Option::unwrap_or_default);
                opened
                    .plan
                    .key_digest_of(&texts.collect::<Vec<_>>(), secret)
            });
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

fn columns_of(plan: &Plan) -> Vec<String> {
    let target = plan.target();
    let key = target.key.iter();
    let key = key.filter_map(|index| target.columns.get(*index));
    key.map(|column| column.name.to_string()).collect()
}

/// A column of the key.
struct Part {
    /// What it may be called: its own name, or that of the extract's column, as in the reject file. None where rows do
    /// not give it: then it is the same for all.
    source: Option<String>,
    own: String,
}

impl Part {
    fn is_called(&self, name: &str) -> bool {
        self.own == name || self.source.as_deref() == Some(name)
    }
}

fn parts(opened: &Opened) -> Vec<Part> {
    let (plan, extract) = (&opened.plan, again::names(&opened.extract));
    let columns = plan.source_columns();
    let slots = plan.key_slots().into_iter();
    let sources = slots.map(|slot| extract.get(*columns.get(slot?)?).cloned());
    let own = columns_of(plan).into_iter();
    own.zip(sources)
        .map(|(own, source)| Part { source, own })
        .collect()
}

/// One text per key column: the text itself, or `column=value,…` in any order. A comma ends a value only where a
/// column of the key follows. `None` if a column is missing or named twice.
fn texts(written: &str, parts: &[Part]) -> Option<Vec<String>> {
    let mut values: BTreeMap<usize, String> = BTreeMap::new();
    let mut last: Option<usize> = None;
    let given = |(place, part): (usize, &Part)| part.source.as_ref().map(|_| place);
    let given: Vec<usize> = parts.iter().enumerate().filter_map(given).collect();
    for piece in written.split(',') {
        let pair = piece.split_once('=').and_then(|(name, value)| {
            let place = parts.iter().position(|it| it.is_called(name.trim()))?;
            Some((place, value))
        });
        match (pair, last, given.as_slice()) {
            (Some((place, value)), _, _) => {
                if values.insert(place, value.to_owned()).is_some() {
                    return None;
                }
                last = Some(place);
            }
            (None, Some(place), _) => {
                let value = values.entry(place).or_default();
                value.push(',');
                value.push_str(piece);
            }
            (None, None, [only]) => {
                values.insert(*only, written.to_owned());
                break;
            }
            (None, None, _) => return None,
        }
    }
    let is_whole = given.iter().all(|place| values.contains_key(place));
    let places = 0..parts.len();
    is_whole.then(|| {
        places
            .map(|it| values.remove(&it).unwrap_or_default())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(own: &str, source: Option<&str>) -> Part {
        Part {
            source: source.map(str::to_owned),
            own: own.to_owned(),
        }
    }

    #[test]
    fn a_key_of_several_columns_is_written_by_name_in_any_order() {
        let parts = [part("number", Some("nr")), part("plan", Some("tier"))];
        let read = |written: &str| texts(written, &parts).map(|it| it.join("|"));
        assert_eq!(read("number=K1,plan=gold").as_deref(), Some("K1|gold"));
        assert_eq!(read("tier=gold, nr =K,1").as_deref(), Some("K,1|gold"));
        assert_eq!(read("number=K=1,plan=").as_deref(), Some("K=1|"));
        for wrong in ["K1", "K1,gold", "number=K1", "nr=1,number=2,plan=x", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_part_that_is_the_same_for_all_rows_need_not_be_written() {
        let parts = [part("plan", None), part("number", Some("nr"))];
        let read = |written: &str| texts(written, &parts).map(|it| it.join("|"));
        assert_eq!(read("K,1").as_deref(), Some("|K,1"));
        assert_eq!(read("nr=K1").as_deref(), Some("|K1"));
        assert_eq!(read("plan=gold,nr=K1").as_deref(), Some("gold|K1"));
        assert_eq!(read("plan=gold"), None);
    }
}
