//! Changing what a ledger holds without pushing: adopt, rekey, forget.
//!
//! Each takes the lock of a run, so that none happens beside one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::open::{Opened, open};
use super::selection::Selection;
use super::survey::Surveyor;
use super::{Progress, PushError, Request, blocking, ended, place_of};
use crate::dataverse::Scanned;
use crate::dispatch::Stopping;
use crate::ledger::{
    Entry, Extent, Identity, Layout, Ledger, LedgerError, NewKey, Recorded, Rekey, Rekeyed,
    RunLock, Scope, Survey, Unkeyed, overview,
};
use crate::mapping::{ColumnDigester, Plan};
use crate::model::{
    ColumnDigest, ColumnState, DigestSecret, KeyDigest, LogicalName, Position, RowTag, RunId,
    SourceDigest, StandingFlags, Value,
};
use crate::report::ExitCode;

/// Keys that are recorded together, in one transaction.
const TOGETHER: usize = 1_000;

/// Why the ledger was not changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// What would stop a run as well.
    #[error(transparent)]
    Push(#[from] PushError),
    /// Only a ledger in which nothing was written adopts.
    #[error("the ledger holds {records} records already")]
    NotEmpty {
        /// So many.
        records: u64,
    },
    /// A push would make them a second time.
    #[error(
        "{records} records that the ledger holds have no value of the new key ({key}) in Dataverse"
    )]
    Unkeyed {
        /// So many.
        records: u64,
        /// The key's columns.
        key: String,
    },
    /// There is nothing to change.
    #[error("there is no ledger in {}", folder.display())]
    NoLedger {
        /// Where it was looked for.
        folder: PathBuf,
    },
}

impl StateError {
    /// What the operator does next.
    pub fn help(&self) -> String {
        match self {
            Self::Push(error) => error.help().into_owned(),
            Self::NotEmpty { .. } => {
                "Push: what the ledger holds is proved already. To begin anew, `segue state reset` goes first."
                    .to_owned()
            }
            Self::Unkeyed { .. } => {
                "Nothing was changed. Go back to the old key, map the new key's columns too and push, so that Dataverse has them; \
                 then change the key and rekey. With --yes these records are forgotten, and a push makes each a second time."
                    .to_owned()
            }
            Self::NoLedger { .. } => {
                "Look at what there is with `segue state show`; a ledger is made by the first push.".to_owned()
            }
        }
    }

    /// What a scheduler is told.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Push(error) => error.exit_code(),
            Self::NotEmpty { .. } | Self::Unkeyed { .. } | Self::NoLedger { .. } => ExitCode::Usage,
        }
    }
}

impl From<LedgerError> for StateError {
    fn from(error: LedgerError) -> Self {
        Self::Push(error.into())
    }
}

/// What was adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// Records of the table.
    pub seen: u64,
    /// Of these, records whose key the extract has: the ledger holds them now.
    pub adopted: u64,
    /// Records without a whole key.
    pub unkeyed: u64,
}

/// All that the three need.
struct Workbench {
    opened: Arc<Opened>,
    folder: PathBuf,
    identity: Identity,
    layout: Layout,
    _lock: RunLock,
}

impl Workbench {
    async fn set_up(request: &Request, what: &str) -> Result<Self, StateError> {
        let opened = Arc::new(open(request).await?);
        let (folder, identity, layout) = place_of(request, &opened);
        let table = &opened.plan.target().table;
        let run = RunId::new(&format!("state-{what}"));
        let lock = RunLock::acquire(&request.state, opened.who.organization, table, &run)?;
        Ok(Self {
            opened,
            folder,
            identity,
            layout,
            _lock: lock,
        })
    }

    async fn ledger(&self) -> Result<Arc<Ledger>, StateError> {
        let (folder, identity, layout) = (
            self.folder.clone(),
            self.identity.clone(),
            self.layout.clone(),
        );
        let ledger = blocking(move || Ledger::open(&folder, &identity, &layout)).await?;
        Ok(Arc::new(ledger))
    }

    /// The places of the key's columns, as far as the mapping has them.
    fn places_of_key(&self) -> Vec<usize> {
        let columns = &self.layout.columns;
        let key = self.identity.key.iter();
        key.filter_map(|name| columns.iter().position(|column| column.name == *name))
            .collect()
    }

    /// The ledger, empty: one in which nothing was written holds what an adoption that was stopped came to, and is
    /// filled anew.
    async fn unwritten_ledger(&self) -> Result<Arc<Ledger>, StateError> {
        let ledger = self.ledger().await?;
        let records = ledger.snapshot().len();
        if records == 0 {
            return Ok(ledger);
        }
        let snapshot = ledger.snapshot().clone();
        if blocking(move || snapshot.holds_written()).await? {
            return Err(StateError::NotEmpty { records });
        }
        let identity = self.identity.clone();
        let clear = move || Arc::into_inner(ledger).map_or(Ok(()), |it| it.clear(&identity));
        blocking(clear).await?;
        self.ledger().await
    }

    /// Records entries; the file is synced on a thread that may wait.
    async fn amend(ledger: &Arc<Ledger>, entries: Vec<Entry>) -> Result<(), StateError> {
        let ledger = Arc::clone(ledger);
        Ok(blocking(move || ledger.amend(&entries)).await?)
    }

    async fn fold(ledger: Arc<Ledger>) -> Result<(), StateError> {
        Ok(blocking(move || Arc::into_inner(ledger).map_or(Ok(()), Ledger::fold)).await?)
    }

    /// Which keys of the ledger the extract has.
    async fn survey(&self, ledger: &Ledger) -> Result<Survey, StateError> {
        // Nobody stops it but who ends the process; the ledger is consistent then as well.
        let (_, stop) = watch::channel(Stopping::No);
        let surveyor = Surveyor {
            opened: Arc::clone(&self.opened),
            ledger: ledger.snapshot().clone(),
            selection: Selection::default(),
            scope: Scope::Changed,
            extent: Extent::Whole,
            // Nothing reads them again.
            row_memory: 0,
            held: Arc::default(),
            spill: self.folder.clone(),
            progress: Arc::new(Progress::default()),
            stop,
        };
        let surveying =
            tokio::task::spawn_blocking(move || surveyor.read(&mut BTreeSet::new(), None));
        Ok(surveying.await.map_err(|error| ended(&error))??)
    }
}

/// Fills a ledger in which nothing was written from what Dataverse holds: records whose key the extract has, with all their columns. So
/// a first push sends only differences. Adopted records count as never written, their columns as not owned.
/// While the extract has a row whose key cannot be read, that row may be any record: then all of them are adopted.
///
/// # Errors
/// What would stop a run before it sends; or if the mapping wrote records already.
///
/// # Cancellation
/// Not cancel-safe: dropped, the ledger may hold a part of the records, or records that the extract has not. Each of
/// them is true, none is written, and adopting again begins anew.
pub async fn adopt(request: &Request) -> Result<Adopted, StateError> {
    let workbench = Workbench::set_up(request, "adopt").await?;
    let ledger = workbench.unwritten_ledger().await?;
    let Opened {
        plan, environment, ..
    } = &*workbench.opened;
    let secret = ledger.snapshot().secret().clone();
    let mut adopted = Adopted {
        seen: 0,
        adopted: 0,
        unkeyed: 0,
    };
    let mut scan = environment.scan(Arc::clone(plan.target()), &plan.lookups());
    while let Some(page) = scan.next().await.map_err(PushError::from)? {
        adopted.seen += page.len() as u64;
        let mut entries = Vec::with_capacity(page.len());
        for record in page {
            match adopted_entry(plan, &secret, &record) {
                Some(entry) => entries.push(entry),
                None => adopted.unkeyed += 1,
            }
        }
        Workbench::amend(&ledger, entries).await?;
    }
    Workbench::fold(ledger).await?;

    // The table may hold more than this extract is about: those records are none of its business.
    let ledger = workbench.ledger().await?;
    let survey = workbench.survey(&ledger).await?;
    let mut foreign = Vec::new();
    let mut left_out = 0;
    for vanished in survey.vanished() {
        foreign.push(Entry::Forget(vanished?.key));
        if foreign.len() == TOGETHER {
            left_out += TOGETHER as u64;
            Workbench::amend(&ledger, std::mem::take(&mut foreign)).await?;
        }
    }
    left_out += foreign.len() as u64;
    adopted.adopted = ledger.snapshot().len() - left_out;
    Workbench::amend(&ledger, foreign).await?;
    Workbench::fold(ledger).await?;
    Ok(adopted)
}

/// `None` if the record has no whole key.
fn adopted_entry(plan: &Plan, secret: &DigestSecret, record: &Scanned) -> Option<Entry> {
    let key = key_of(plan, secret, record)?;
    let id = record.id;
    let digests = told(secret, record).into_iter();
    let columns = digests.map(|it| it.map_or(ColumnState::NEVER_SENT, ColumnState::adopted));
    Some(Entry::Standing(Recorded {
        row: RowTag {
            position: Position::new(0, 0),
            key,
            // No row has it: each is mapped once, and compared column by column.
            source: SourceDigest(0),
        },
        id: Some(id),
        flags: StandingFlags::SEEN,
        columns: columns.collect(),
    }))
}

/// A digest for each of the plan's columns that Dataverse told of.
fn told(secret: &DigestSecret, record: &Scanned) -> Vec<Option<ColumnDigest>> {
    let mut digester = ColumnDigester::new(secret);
    let values = record.values.iter();
    let digests = values.map(|value| Some(digester.of(value.as_ref()?)));
    digests.collect()
}

/// What Dataverse holds of a record; `former` are the places of the old key's columns.
fn new_key(plan: &Plan, secret: &DigestSecret, former: &[usize], record: &Scanned) -> NewKey {
    let (id, key) = (record.id, key_of(plan, secret, record));
    let digests = told(secret, record);
    let former = former.iter().map(|place| *digests.get(*place)?);
    NewKey {
        id,
        key,
        former: former.collect(),
    }
}

fn key_of(plan: &Plan, secret: &DigestSecret, record: &Scanned) -> Option<KeyDigest> {
    let key = plan.target().key.iter();
    let key = key.map(|index| record.values.get(*index).cloned().flatten());
    let key = key.collect::<Option<Vec<Value>>>()?;
    let is_whole = !key.iter().any(Value::is_null);
    is_whole.then(|| plan.key_digest(&key, secret))
}

/// Carries a ledger over to the key that the mapping has now: each record is recognised by its GUID, and its new key
/// is read from Dataverse. Does nothing where the key is the same.
///
/// # Errors
/// What would stop a run before it sends; if there is no ledger; or if records have no value of the new key and are not to
/// be forgotten. Then the ledger is as it was.
///
/// # Cancellation
/// Safe: the new keys are put in force all at once.
pub async fn rekey(request: &Request, those_without: Unkeyed) -> Result<Rekeyed, StateError> {
    let mut workbench = Workbench::set_up(request, "rekey").await?;
    let (folder, spill) = (workbench.folder.clone(), workbench.folder.clone());
    let Some(held) = blocking(move || overview(&folder, &spill)).await? else {
        let folder = workbench.folder;
        return Err(StateError::NoLedger { folder });
    };
    let wanted = workbench.identity.clone();
    let old = held.key.iter().filter_map(|it| LogicalName::parse(it).ok());
    workbench.identity.key = old.collect();
    let ledger = workbench.ledger().await?;
    if workbench.identity.key == wanted.key {
        return Ok(Rekeyed {
            carried: ledger.snapshot().len(),
            forgotten: 0,
            unkeyed: 0,
        });
    }
    let Opened {
        plan, environment, ..
    } = &*workbench.opened;
    let secret = ledger.snapshot().secret().clone();
    let key: Vec<String> = wanted.key.iter().map(ToString::to_string).collect();
    let (identity, spill) = (wanted, workbench.folder.clone());
    let former = workbench.places_of_key();
    let places = former.clone();
    let begun = blocking(move || {
        Arc::into_inner(ledger)
            .map(|ledger| Rekey::begin(ledger, &identity, places, &spill))
            .transpose()
    });
    let Some(mut rekey) = begun.await? else {
        return Err(PushError::Defect("the ledger is in use".to_owned()).into());
    };
    let mut scan = environment.scan(Arc::clone(plan.target()), &[]);
    while let Some(page) = scan.next().await.map_err(PushError::from)? {
        let keys = page.into_iter();
        let keys = keys.map(|record| new_key(plan, &secret, &former, &record));
        let keys: Vec<NewKey> = keys.collect();
        rekey = blocking(move || {
            for key in &keys {
                rekey.add(key)?;
            }
            Ok(rekey)
        })
        .await?;
    }
    let done = blocking(move || rekey.finish(those_without)).await?;
    if done.unkeyed > 0 && those_without == Unkeyed::Stop {
        let records = done.unkeyed;
        let key = key.join(", ");
        return Err(StateError::Unkeyed { records, key });
    }
    Ok(done)
}

/// Makes the ledger forget the keys of the request; tells how many of them it held. The next push finds such a record
/// by its key, and sends all its columns.
///
/// # Errors
/// What would stop a run before it sends, or a key that is no key of the mapping; then nothing is forgotten.
///
/// # Cancellation
/// Not cancel-safe: dropped, the keys may be forgotten or not.
pub async fn forget(request: &Request) -> Result<u64, StateError> {
    let workbench = Workbench::set_up(request, "forget").await?;
    let ledger = workbench.ledger().await?;
    let snapshot = ledger.snapshot();
    let keys = Selection::new(request).resolve(&workbench.opened, snapshot.secret())?;
    let before = snapshot.len();
    let keys: Vec<KeyDigest> = keys.keys().collect();
    ledger.free_refused(&keys)?;
    let entries: Vec<Entry> = keys.into_iter().map(Entry::Forget).collect();
    Workbench::amend(&ledger, entries).await?;
    Workbench::fold(ledger).await?;
    let after = workbench.ledger().await?.snapshot().len();
    Ok(before - after)
}
