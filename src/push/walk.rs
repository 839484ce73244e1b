//! The rows that are not unchanged, one after the other: from memory if they are still there, or else read again.

use std::iter::Peekable;

use super::PushError;
use super::open::Opened;
use super::send::{End, Mapper, Step};
use crate::ledger::{Finding, LedgerError, SurveyEntry};
use crate::mapping::{ColumnDigester, PlannedRows};
use crate::model::{KeyReading, Position, Reading, RowDigest, Rows, Source as _};

/// What takes the steps of a walk, and what they need on the way.
struct Steps<'a> {
    mapper: &'a Mapper,
    digester: ColumnDigester,
    sent: u64,
    each: &'a mut dyn FnMut(Step) -> Result<(), End>,
}

impl Mapper {
    /// Goes through the rows of these entries, and tells what becomes of each; `due` are the same ones.
    pub(super) fn walk<I: Iterator<Item = Result<SurveyEntry, LedgerError>>>(
        &self,
        due: impl Iterator<Item = Result<SurveyEntry, LedgerError>> + Send + 'static,
        entries: &mut Peekable<I>,
        each: &mut dyn FnMut(Step) -> Result<(), End>,
    ) -> Result<(), End> {
        let mut steps = Steps {
            mapper: self,
            digester: ColumnDigester::new(self.ledger.secret()),
            sent: 0,
            each,
        };
        match self.opened.remembered.get() {
            Some(batches) => {
                self.opened.extract.unchanged()?;
                for rows in batches {
                    steps.remembered(rows, entries)?;
                }
            }
            None => steps.read_again(due, entries)?,
        }
        match entries.next() {
            None => Ok(()),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(_)) => Err(PushError::Moved {
                place: "a row that is missing now".to_owned(),
            }
            .into()),
        }
    }
}

impl Steps<'_> {
    /// Takes the steps of the entries whose rows are among these.
    fn remembered<I: Iterator<Item = Result<SurveyEntry, LedgerError>>>(
        &mut self,
        rows: &Rows,
        entries: &mut Peekable<I>,
    ) -> Result<(), End> {
        let last = rows.positions.last();
        let is_here = |entry: &SurveyEntry| last.is_some_and(|last| entry.position <= *last);
        let mut planned = None;
        let mut index = 0;
        while let Some(entry) = entries.next_if(|it| it.as_ref().map_or(true, is_here)) {
            let entry = entry?;
            let rest = rows.positions.iter().skip(index);
            index += rest.take_while(|it| **it < entry.position).count();
            if rows.positions.get(index) != Some(&entry.position) {
                return Err(self.moved(entry.position));
            }
            let plan = &self.mapper.opened.plan;
            let planned = planned.get_or_insert_with(|| plan.over(rows));
            self.take(planned, index, &entry)?;
        }
        Ok(())
    }

    /// Reads the due rows again, and takes their steps.
    fn read_again<I: Iterator<Item = Result<SurveyEntry, LedgerError>>>(
        &mut self,
        due: impl Iterator<Item = Result<SurveyEntry, LedgerError>> + Send + 'static,
        entries: &mut Peekable<I>,
    ) -> Result<(), End> {
        let Opened { extract, plan, .. } = &*self.mapper.opened;
        let due = due.filter_map(Result::ok);
        let reading = Reading {
            columns: plan.source_columns().to_vec(),
            only: Some(Box::new(due.map(|entry| entry.position))),
        };
        let mut digests = Vec::new();
        for rows in extract.read(reading)? {
            let rows = rows?;
            digests.clear();
            plan.digest(&rows, self.mapper.ledger.secret(), &mut digests);
            let mut planned = plan.over(&rows);
            for (index, digest) in digests.iter().enumerate() {
                let entry = match entries.next().transpose()? {
                    Some(entry) if is_of(digest, &entry) => entry,
                    Some(_) | None => return Err(self.moved(digest.position)),
                };
                self.take(&mut planned, index, &entry)?;
            }
        }
        Ok(())
    }

    /// Takes the step of the row with that index.
    fn take(
        &mut self,
        rows: &mut PlannedRows<'_>,
        index: usize,
        entry: &SurveyEntry,
    ) -> Result<(), End> {
        let step = self
            .mapper
            .step(rows, &mut self.digester, index, entry, self.sent)?;
        self.sent += u64::from(step.is_sent());
        (self.each)(step)
    }

    /// The error that another row stands there than before.
    fn moved(&self, place: Position) -> End {
        let place = place.display(self.mapper.opened.extract.files());
        let place = place.to_string();
        PushError::Moved { place }.into()
    }
}

/// Whether the row with these digests is the one of the entry.
fn is_of(digest: &RowDigest, entry: &SurveyEntry) -> bool {
    let same_key = match (entry.finding, digest.key) {
        (Finding::Due { key, .. } | Finding::Duplicate { key, .. }, KeyReading::Known(now)) => {
            key == now
        }
        (Finding::Unkeyed, KeyReading::Refused) | (Finding::Unreadable, KeyReading::Unreadable) => {
            true
        }
        _ => false,
    };
    same_key && entry.position == digest.position && entry.source == digest.source
}
