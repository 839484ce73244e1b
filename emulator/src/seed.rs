//! The rows that an environment begins with, and how they are found again.
//!
//! An organization, its root business unit and default team, its base currency, and the
//! application user as which every caller acts. Ids are random: two environments are never one.

use std::borrow::Cow;
use std::sync::Arc;

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::address::guid;
use crate::context::Identity;
use crate::engine::{Engine, Written};
use crate::error::EmulatorError;
use crate::model::{Layout, Model};
use crate::options::CLIENT_ID;
use crate::table::Row;
use crate::value::{Cells, Column, Value};

/// The base language that the organization's row tells.
pub(crate) fn language(organizations: &Layout, row: &Row) -> Option<i32> {
    let column = organizations.number_of("languagecode")?;
    match row.cells.get(column) {
        Some(Value::Integer(language)) => Some(language),
        _ => None,
    }
}

/// The ids of the rows that were planted; `None` if they are gone.
pub(crate) fn identity(engine: &Engine) -> Result<Option<Identity>, EmulatorError> {
    let model = &engine.model;
    let organizations = table(model, "organization")?;
    let users = table(model, "systemuser")?;
    table(model, "businessunit")?;
    let find = || {
        let rows = engine.rows(organizations)?;
        let (organization, row) = rows.after(None).next()?;
        let currency = reference(organizations, row, "basecurrencyid").unwrap_or_default();
        let application = users.number_of("applicationid")?;
        let is_ours = |row: &Row| row.cells.get(application) == guid(CLIENT_ID).map(Value::Guid);
        let mut users_rows = engine.rows(users)?.after(None);
        let (user, row) = users_rows.find(|(_, row)| is_ours(row))?;
        Some(Identity {
            organization,
            currency,
            user,
            business_unit: reference(users, row, "businessunitid")?,
        })
    };
    Ok(find())
}

fn reference(layout: &Layout, row: &Row, column: &str) -> Option<Uuid> {
    match row.cells.get(layout.number_of(column)?) {
        Some(Value::Reference { id, .. }) => Some(id),
        _ => None,
    }
}

fn table<'m>(model: &'m Model, table: &'static str) -> Result<&'m Layout, EmulatorError> {
    model.of_name(table).ok_or(EmulatorError::NoTable { table })
}

/// Puts the first rows into a fresh environment.
pub(crate) fn plant(engine: &mut Engine, language: i32, milliseconds: u64) {
    let model = Arc::clone(&engine.model);
    let planter = Planter {
        model: &model,
        now: Value::DateTime(i64::try_from(milliseconds / 1000).unwrap_or_default()),
        language,
        identity: Identity {
            organization: Uuid::new_v4(),
            business_unit: Uuid::new_v4(),
            currency: Uuid::new_v4(),
            user: Uuid::new_v4(),
        },
    };
    let identity = planter.identity;
    for (table, id, values) in [
        (
            "organization",
            identity.organization,
            planter.organization(),
        ),
        (
            "businessunit",
            identity.business_unit,
            planter.business_unit(),
        ),
        (
            "transactioncurrency",
            identity.currency,
            Planter::currency(),
        ),
        ("systemuser", identity.user, planter.user()),
        ("team", Uuid::new_v4(), planter.team()),
    ] {
        if let Some(layout) = model.of_name(table) {
            let cells = planter.cells(layout, values);
            // A fresh environment has no other rows with which these could collide.
            drop(engine.create(layout, id, cells, Written::new()));
        }
    }
}

type Named = Vec<(&'static str, Option<Value<'static>>)>;

fn text(text: &'static str) -> Value<'static> {
    Value::Text(Cow::Borrowed(text))
}

struct Planter<'a> {
    model: &'a Model,
    now: Value<'static>,
    language: i32,
    identity: Identity,
}

impl Planter<'_> {
    fn organization(&self) -> Named {
        vec![
            ("name", Some(text("segue emulator"))),
            ("languagecode", Some(Value::Integer(self.language))),
            ("basecurrencyid", self.base_currency()),
        ]
    }

    fn business_unit(&self) -> Named {
        vec![
            ("name", Some(text("segue"))),
            ("transactioncurrencyid", self.base_currency()),
        ]
    }

    fn currency() -> Named {
        vec![
            ("currencyname", Some(text("US Dollar"))),
            ("isocurrencycode", Some(text("USD"))),
            ("currencysymbol", Some(text("$"))),
            ("currencyprecision", Some(Value::Integer(2))),
            ("exchangerate", Some(Value::Decimal(Decimal::ONE))),
        ]
    }

    fn user(&self) -> Named {
        vec![
            ("firstname", Some(text("#"))),
            ("lastname", Some(text("segue"))),
            ("fullname", Some(text("# segue"))),
            ("domainname", Some(text("segue@emulator.example"))),
            ("internalemailaddress", Some(text("segue@emulator.example"))),
            ("applicationid", guid(CLIENT_ID).map(Value::Guid)),
            ("businessunitid", self.root_unit()),
            ("accessmode", Some(Value::Integer(4))),
            ("islicensed", Some(Value::Boolean(false))),
        ]
    }

    fn team(&self) -> Named {
        vec![
            ("name", Some(text("segue"))),
            ("businessunitid", self.root_unit()),
            ("teamtype", Some(Value::Integer(0))),
            ("isdefault", Some(Value::Boolean(true))),
        ]
    }

    fn base_currency(&self) -> Option<Value<'static>> {
        self.reference("transactioncurrency", self.identity.currency)
    }

    fn root_unit(&self) -> Option<Value<'static>> {
        self.reference("businessunit", self.identity.business_unit)
    }

    fn reference(&self, table: &str, id: Uuid) -> Option<Value<'static>> {
        let table = self.model.of_name(table)?.number;
        Some(Value::Reference { table, id })
    }

    fn cells(&self, layout: &Layout, values: Named) -> Cells {
        let mut cells = layout.defaults.clone();
        let mut set = |column: Option<Column>, value: Option<Value<'static>>| {
            if let (Some(column), Some(value)) = (column, value) {
                cells.retain(|(known, _)| *known != column);
                cells.push((column, value));
            }
        };
        let special = &layout.special;
        let user = self.reference("systemuser", self.identity.user);
        set(special.created_on, Some(self.now.clone()));
        set(special.modified_on, Some(self.now.clone()));
        set(special.created_by, user.clone());
        set(special.modified_by, user);
        for (name, value) in values {
            set(layout.number_of(name), value);
        }
        cells.sort_by_key(|(column, _)| *column);
        Cells::pack(&cells)
    }
}
