//! The rows that simulations send: resellers with a number, an e-mail and a name.
#![cfg(test)]

use std::sync::Arc;

use segue::dispatch::{Draft, KeyDigester};
use segue::model::{
    ColumnKind, ColumnSet, EntitySetName, Fate, KeyDigest, LogicalName, Nulls, Position, Record,
    RecordId, RowTag, SourceDigest, Standing, StandingFlags, Target, TargetColumn, Value,
};
use uuid::Uuid;

pub(crate) const NUMBER: usize = 0;
pub(crate) const EMAIL: usize = 1;
pub(crate) const NAME: usize = 2;

/// A name that the service refuses.
pub(crate) const BAD_NAME: &str = "BAD";
/// A name in a column that the service does not have.
pub(crate) const UNFIT_NAME: &str = "UNFIT";
/// A name at which the service fails: it refuses the whole request.
pub(crate) const REFUSED_NAME: &str = "REFUSED";
/// A name at which the service falls over: the request has no answer.
pub(crate) const LOST_NAME: &str = "LOST";

/// A number that the service does not even look for.
pub(crate) const UNASKABLE_NUMBER: &str = "\u{fffe}/";

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) number: String,
    pub(crate) email: String,
    pub(crate) name: String,
    /// The GUID that the ledger holds; only the name differs then.
    pub(crate) known: Option<RecordId>,
}

pub(crate) fn resellers(count: u64) -> Vec<Row> {
    (1..=count).map(reseller).collect()
}

fn reseller(line: u64) -> Row {
    Row {
        line,
        number: format!("R-{line}"),
        email: format!("{line}@reseller.example"),
        name: format!("Reseller {line}"),
        known: None,
    }
}

impl Row {
    /// With a number that cannot stand in a URL.
    pub(crate) fn with_slash(self) -> Self {
        let number = format!("{}/NL", self.number);
        Self { number, ..self }
    }

    pub(crate) fn bad(self) -> Self {
        let name = BAD_NAME.to_owned();
        Self { name, ..self }
    }

    pub(crate) fn unfit(self) -> Self {
        let name = UNFIT_NAME.to_owned();
        Self { name, ..self }
    }

    /// Every request with it fails, in that way.
    pub(crate) fn poisonous(self, fate: Fate) -> Self {
        let name = match fate {
            Fate::Answered | Fate::Refused => REFUSED_NAME,
            Fate::Lost => LOST_NAME,
        };
        let name = name.to_owned();
        Self { name, ..self }
    }

    pub(crate) fn known_as(self, id: RecordId) -> Self {
        Self {
            known: Some(id),
            ..self
        }
    }

    pub(crate) fn position(&self) -> Position {
        Position::new(0, self.line)
    }

    pub(crate) fn derived_id(&self) -> RecordId {
        derived_id(&self.record())
    }

    fn record(&self) -> Record {
        let values = self.values();
        Record { values }
    }

    pub(crate) fn values(&self) -> Vec<Value> {
        [&self.number, &self.email, &self.name]
            .map(|text| Value::Text(text.as_str().into()))
            .to_vec()
    }

    pub(crate) fn draft(&self) -> Draft {
        let standing = self.known.map(|id| {
            Arc::new(Standing {
                id: Some(id),
                flags: StandingFlags::default(),
                columns: Vec::new(),
            })
        });
        let columns: ColumnSet = match self.known {
            Some(_) => [NAME].into_iter().collect(),
            None => [EMAIL, NAME].into_iter().collect(),
        };
        Draft {
            row: RowTag {
                position: self.position(),
                key: digest(&[Value::Text(self.number.as_str().into())]),
                source: SourceDigest(0),
            },
            record: self.record(),
            columns,
            standing,
        }
    }
}

/// Our own derivation: any GUID does that depends on the key alone.
pub(crate) fn derived_id(record: &Record) -> RecordId {
    let number = format!("{:?}", record.values[NUMBER]);
    RecordId(Uuid::new_v5(&Uuid::NAMESPACE_OID, number.as_bytes()))
}

pub(crate) fn digest(key: &[Value]) -> KeyDigest {
    let text = format!("{key:?}");
    KeyDigest(*Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes()).as_bytes())
}

pub(crate) fn digester() -> KeyDigester {
    Arc::new(digest)
}

pub(crate) fn target() -> Target {
    let column = |name: &str| {
        TargetColumn::new(
            LogicalName::parse(name).unwrap(),
            ColumnKind::Text { max_length: 100 },
            Nulls::Owned,
        )
    };
    Target {
        table: LogicalName::parse("account").unwrap(),
        entity_set: EntitySetName::parse("accounts").unwrap(),
        primary_id: LogicalName::parse("accountid").unwrap(),
        columns: vec![
            column("accountnumber"),
            column("emailaddress1"),
            column("name"),
        ],
        key: vec![NUMBER],
        key_is_primary_id: false,
    }
}
