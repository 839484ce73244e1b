//! What holds for a request beside its own words: the environment, the caller, where it came from.

use std::time::Duration;

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::chaos::rules::Rule;
use crate::engine::Engine;
use crate::model::Model;
use crate::odata::payload::References;
use crate::options::{EmptyText, ReadOnly, RepeatedTargets};
use crate::refusal::Refusal;
use crate::roles::Caller;
use crate::schema::Schema;
use crate::table::value::Value;
use crate::token::clients::Registry;

/// Below this path, with a version, stands the API.
pub(crate) const ROOT: &str = "/api/data/";
const VERSIONS: [&str; 3] = ["v9.0", "v9.1", "v9.2"];
/// Rows that the environment needs to be one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Identity {
    pub(crate) organization: Uuid,
    pub(crate) business_unit: Uuid,
    pub(crate) currency: Uuid,
    /// The caller; of the environment itself, the application user that it began with.
    pub(crate) user: Uuid,
}

impl Identity {
    /// Whether the environment would not be one without this row.
    pub(crate) fn has(&self, id: Uuid) -> bool {
        [
            self.organization,
            self.business_unit,
            self.currency,
            self.user,
        ]
        .contains(&id)
    }
}

/// What holds for a request beside its own words.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) model: &'a Model,
    pub(crate) schema: &'a Schema,
    pub(crate) identity: &'a Identity,
    pub(crate) caller: &'a Caller,
    pub(crate) registry: &'a Registry,
    pub(crate) rules: &'a [Rule],
    /// `http://127.0.0.1:5000`
    pub(crate) origin: &'a str,
    /// `v9.2`
    pub(crate) version: &'a str,
    pub(crate) references: &'a References,
    pub(crate) empty_text: EmptyText,
    pub(crate) repeated_targets: RepeatedTargets,
    pub(crate) read_only: ReadOnly,
    /// Milliseconds since 1970.
    pub(crate) milliseconds: u64,
    pub(crate) place: Enclosure,
    /// How long the index of a new key takes.
    pub(crate) key_index_time: Duration,
}

/// Whether an operation is a request of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enclosure {
    Request,
    Batch,
    ChangeSet,
}

impl<'a> Context<'a> {
    /// `http://127.0.0.1:5000/api/data/v9.2`
    pub(crate) fn base(&self) -> String {
        format!("{}{ROOT}{}", self.origin, self.version)
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        i64::try_from(self.milliseconds / 1000).unwrap_or_default()
    }

    /// A new id, greater than those before it, so that rows stand in the order of their creation.
    pub(crate) fn new_id(&self, engine: &Engine) -> Uuid {
        let mut bytes = [0; 10];
        let order = engine.next_version().to_be_bytes();
        let random = *Uuid::new_v4().as_bytes();
        for (place, byte) in bytes.iter_mut().zip(order.iter().skip(4).chain(&random)) {
            *place = *byte;
        }
        uuid::Builder::from_unix_timestamp_millis(self.milliseconds, &bytes).into_uuid()
    }

    fn reference_to(&self, table: &str, id: Uuid) -> Option<Value<'static>> {
        let table = self.model.of_name(table)?.number;
        Some(Value::Reference { table, id })
    }

    pub(crate) fn caller_reference(&self) -> Option<Value<'static>> {
        self.reference_to("systemuser", self.identity.user)
    }

    pub(crate) fn business_unit_reference(&self) -> Option<Value<'static>> {
        self.reference_to("businessunit", self.identity.business_unit)
    }

    pub(crate) fn currency_reference(&self) -> Option<Value<'static>> {
        self.reference_to("transactioncurrency", self.identity.currency)
    }

    /// What one unit of the base currency is worth in a currency; 1 if nothing says otherwise.
    pub(crate) fn exchange_rate(&self, engine: &Engine, currency: Uuid) -> Decimal {
        let rate = || {
            let layout = self.model.of_name("transactioncurrency")?;
            let row = engine.row(layout, currency)?;
            match row.cells.get(layout.special.exchange_rate?) {
                Some(Value::Decimal(rate)) if !rate.is_zero() => Some(rate),
                _ => None,
            }
        };
        rate().unwrap_or(Decimal::ONE)
    }

    /// The row that a part of this change set wrote.
    pub(crate) fn reference(&self, content_id: &str) -> Result<&'a (String, Uuid), Refusal> {
        self.references.get(content_id).ok_or_else(|| {
            let message = format!(
                "Content-ID Reference: '${content_id}' does not exist in the batch context."
            );
            Refusal::new(400, "0x80048d19", message)
        })
    }

    /// What a bind string means below the API's root: an absolute URL, an absolute path, or a path
    /// with or without a slash before it.
    pub(crate) fn bound_path<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self.target(text) {
            Some(path) => Some(path),
            None if text.contains("://") || text.starts_with(ROOT) => None,
            None => Some(text.strip_prefix('/').unwrap_or(text)),
        }
    }

    /// What a request line of a batch means below the API's root: an absolute URL, an absolute
    /// path, or a path without a slash before it.
    pub(crate) fn target<'t>(&self, line: &'t str) -> Option<&'t str> {
        let own = line.strip_prefix(self.origin);
        let path = own.filter(|path| path.starts_with('/')).unwrap_or(line);
        if path.starts_with('/') {
            return versioned(path).map(|(_, below)| below);
        }
        (!path.contains("://")).then_some(path)
    }
}

/// Splits `/api/data/v9.2/contacts?…` into version and the rest. Slashes are not counted there:
/// clients put a path with one behind a root with one, Microsoft's samples among them.
pub(crate) fn versioned(target: &str) -> Option<(&str, &str)> {
    let below = target.strip_prefix(ROOT)?;
    let end = below.find(['/', '?']).unwrap_or(below.len());
    let (version, rest) = below.split_at_checked(end)?;
    let rest = rest.trim_start_matches('/');
    VERSIONS.contains(&version).then_some((version, rest))
}
