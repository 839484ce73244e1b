//! The rows that an environment begins with, and how they are found again.
//!
//! An organization, its root business unit and default team, its base currency, the application user
//! of the client that every emulator knows with the role of an administrator, and the default
//! solution with its publisher. Ids are random: two environments are
//! never one.

use std::borrow::Cow;
use std::sync::Arc;

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::context::Identity;
use crate::engine::{Engine, Written};
use crate::error::EmulatorError;
use crate::model::{Layout, Model};
use crate::odata::address::guid;
use crate::options::CLIENT_ID;
use crate::roles::users;
use crate::table::Row;
use crate::table::value::{Cells, Column, Value};

/// The solution that holds what belongs to no other; it has this id in every environment.
const DEFAULT_SOLUTION: Uuid = Uuid::from_u128(0xfd14_0aaf_4df4_11dd_bd17_0019_b931_2238);

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
    table(model, "systemuser")?;
    let units = table(model, "businessunit")?;
    let find = || {
        let rows = engine.rows(organizations)?;
        let (organization, row) = rows.after(None).next()?;
        let currency = reference(organizations, row, "basecurrencyid").unwrap_or_default();
        // The root is the one unit that has no parent.
        let is_root = |row: &Row| reference(units, row, "parentbusinessunitid").is_none();
        let mut units = engine.rows(units)?.after(None);
        let (business_unit, _) = units.find(|(_, row)| is_root(row))?;
        let user = guid(CLIENT_ID).and_then(|client| users::of_client(engine, client, None));
        Some(Identity {
            organization,
            currency,
            business_unit,
            user: user.map_or_else(Uuid::nil, |user| user.id),
        })
    };
    Ok(find())
}

/// The row that a lookup holds.
pub(crate) fn reference(layout: &Layout, row: &Row, column: &str) -> Option<Uuid> {
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
    for (table, id, values) in planter.rows() {
        if let Some(layout) = model.of_name(table) {
            let cells = planter.cells(layout, values);
            // A fresh environment has no other rows with which these could collide.
            drop(engine.create(layout, id, cells, Written::new()));
        }
    }
}

/// Puts the user of another application there.
pub(crate) fn plant_user(
    engine: &mut Engine,
    identity: Identity,
    client: Uuid,
    milliseconds: u64,
) -> Uuid {
    let model = Arc::clone(&engine.model);
    let user = Uuid::new_v4();
    let planter = Planter {
        model: &model,
        now: Value::DateTime(i64::try_from(milliseconds / 1000).unwrap_or_default()),
        language: 0,
        identity: Identity { user, ..identity },
    };
    if let Some(users) = model.of_name("systemuser") {
        let cells = planter.cells(users, planter.user(client));
        drop(engine.create(users, user, cells, Written::new()));
    }
    user
}

type Named = Vec<(&'static str, Option<Value<'static>>)>;

fn text(text: &'static str) -> Value<'static> {
    Value::Text(Cow::Borrowed(text))
}

const ACTIVE_ACCOUNTS: &str = "<fetch version=\"1.0\" mapping=\"logical\"><entity name=\"account\">\
    <attribute name=\"name\" /><attribute name=\"primarycontactid\" />\
    <attribute name=\"telephone1\" /><attribute name=\"accountid\" />\
    <order attribute=\"name\" descending=\"false\" /><filter type=\"and\">\
    <condition attribute=\"statecode\" operator=\"eq\" value=\"0\" /></filter></entity></fetch>";
const ACTIVE_CONTACTS: &str = "<fetch version=\"1.0\" mapping=\"logical\"><entity name=\"contact\">\
    <attribute name=\"fullname\" /><attribute name=\"parentcustomerid\" />\
    <attribute name=\"emailaddress1\" /><attribute name=\"contactid\" />\
    <order attribute=\"fullname\" descending=\"false\" /><filter type=\"and\">\
    <condition attribute=\"statecode\" operator=\"eq\" value=\"0\" /></filter></entity></fetch>";

fn view(name: &'static str, table: &'static str, fetch: &'static str) -> Named {
    vec![
        ("name", Some(text(name))),
        ("returnedtypecode", Some(text(table))),
        ("querytype", Some(Value::Integer(0))),
        ("fetchxml", Some(text(fetch))),
        ("isdefault", Some(Value::Boolean(true))),
        ("ismanaged", Some(Value::Boolean(true))),
    ]
}

struct Planter<'a> {
    model: &'a Model,
    now: Value<'static>,
    language: i32,
    identity: Identity,
}

impl Planter<'_> {
    /// What a fresh environment holds: table, id and values.
    fn rows(&self) -> Vec<(&'static str, Uuid, Named)> {
        let identity = self.identity;
        let (role, publisher) = (Uuid::new_v4(), Uuid::new_v4());
        vec![
            ("organization", identity.organization, self.organization()),
            ("businessunit", identity.business_unit, self.business_unit()),
            (
                "transactioncurrency",
                identity.currency,
                Planter::currency(),
            ),
            (
                "systemuser",
                identity.user,
                self.user(guid(CLIENT_ID).unwrap_or_default()),
            ),
            ("team", Uuid::new_v4(), self.team()),
            ("role", role, self.role()),
            (
                "systemuserroles",
                Uuid::new_v4(),
                vec![
                    ("systemuserid", Some(Value::Guid(identity.user))),
                    ("roleid", Some(Value::Guid(role))),
                ],
            ),
            ("publisher", publisher, Planter::publisher()),
            ("solution", DEFAULT_SOLUTION, self.solution(publisher)),
            (
                "savedquery",
                Uuid::new_v4(),
                view("Active Accounts", "account", ACTIVE_ACCOUNTS),
            ),
            (
                "savedquery",
                Uuid::new_v4(),
                view("Active Contacts", "contact", ACTIVE_CONTACTS),
            ),
        ]
    }

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

    fn user(&self, client: Uuid) -> Named {
        // The application that every emulator knows goes by the name of the emulator itself.
        let name = match guid(CLIENT_ID) {
            Some(known) if known == client => "segue".to_owned(),
            _ => client.to_string(),
        };
        let owned = |text: String| Some(Value::Text(Cow::Owned(text)));
        let address = format!("{name}@emulator.example");
        vec![
            ("firstname", Some(text("#"))),
            ("fullname", owned(format!("# {name}"))),
            ("lastname", owned(name)),
            ("domainname", owned(address.clone())),
            ("internalemailaddress", owned(address)),
            ("applicationid", Some(Value::Guid(client))),
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

    fn role(&self) -> Named {
        vec![
            ("name", Some(text("System Administrator"))),
            ("businessunitid", self.root_unit()),
        ]
    }

    fn publisher() -> Named {
        vec![
            ("uniquename", Some(text("DefaultPublishersegue"))),
            ("friendlyname", Some(text("Default Publisher for segue"))),
            ("customizationprefix", Some(text("new"))),
            (
                "customizationoptionvalueprefix",
                Some(Value::Integer(10000)),
            ),
            ("isreadonly", Some(Value::Boolean(false))),
        ]
    }

    fn solution(&self, publisher: Uuid) -> Named {
        vec![
            ("uniquename", Some(text("Default"))),
            ("friendlyname", Some(text("Default Solution"))),
            ("version", Some(text("1.0"))),
            ("installedon", Some(self.now.clone())),
            ("ismanaged", Some(Value::Boolean(false))),
            ("isvisible", Some(Value::Boolean(true))),
            ("publisherid", self.reference("publisher", publisher)),
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
