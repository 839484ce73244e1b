//! The applications that the login service knows, and how a test changes what they may.
//!
//! An application signs in with its secret; what it may then do hangs on its application user, a
//! `systemuser` row of the environment, and on that user's roles. Rows stand in the data file;
//! applications, secrets and roles are set up anew with each start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use crate::error::EmulatorError;
use crate::lock;
use crate::options::{CLIENT_ID, CLIENT_SECRET};
use crate::roles::users;
use crate::roles::{self, Rights};
use crate::schema::Schema;
use crate::service::Service;

/// An application and its user, as an emulator begins with them.
///
/// As JSON: `{"client_id": "…", "secret": "…", "secret_state": "lapsed", "user": "disabled",
/// "privileges": {"all_but": ["prvCreateContact"]}}`; what is left out is as by default.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientOptions {
    /// Its id at the login service; default [`CLIENT_ID`].
    pub client_id: Uuid,
    /// Its secret; default [`CLIENT_SECRET`].
    pub secret: String,
    /// Whether the secret is still good.
    pub secret_state: SecretState,
    /// Whether the environment has an application user for it.
    pub user: UserState,
    /// What the user's roles give.
    pub privileges: Privileges,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            client_id: default_client(),
            secret: CLIENT_SECRET.to_owned(),
            secret_state: SecretState::Good,
            user: UserState::Present,
            privileges: Privileges::All,
        }
    }
}

/// Whether a secret is still good; as JSON `good` or `lapsed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// It is.
    Good,
    /// Its time is over.
    Lapsed,
}

/// Whether an environment has an application user; as JSON `present`, `missing` or `disabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// It has, and the user is enabled.
    Present,
    /// It has none.
    Missing,
    /// It has, and the user is disabled.
    Disabled,
}

/// What a user's roles give; as JSON `"all"`, `"no_role"`, `{"only": […]}` or `{"all_but": […]}`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privileges {
    /// As the System Administrator has.
    All,
    /// All but these, by name: `prvCreateContact`.
    AllBut(Vec<String>),
    /// Only these, by name.
    Only(Vec<String>),
    /// The user has no role at all.
    NoRole,
}

/// The id that every emulator knows.
fn default_client() -> Uuid {
    Uuid::try_parse(CLIENT_ID).unwrap_or_default()
}

/// An application as the login service keeps it, with the roles of its user.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) secret: String,
    pub(crate) secret_state: SecretState,
    pub(crate) is_disabled: bool,
    pub(crate) rights: Arc<Rights>,
    /// Where its user was found last.
    pub(crate) user: Option<Uuid>,
}

/// All applications.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    known: Mutex<HashMap<Uuid, Registration>>,
}

impl Registry {
    /// The applications that an emulator begins with: one, unless more are asked for.
    pub(crate) fn new(wanted: &[ClientOptions], schema: &Schema) -> Result<Self, EmulatorError> {
        let registry = Self::default();
        registry.add(&ClientOptions::default(), schema)?;
        for client in wanted {
            registry.add(client, schema)?;
        }
        Ok(registry)
    }

    fn add(&self, client: &ClientOptions, schema: &Schema) -> Result<(), EmulatorError> {
        let registration = Registration {
            secret: client.secret.clone(),
            secret_state: client.secret_state,
            is_disabled: false,
            rights: Arc::new(rights(&client.privileges, schema)?),
            user: None,
        };
        lock(&self.known).insert(client.client_id, registration);
        Ok(())
    }

    pub(crate) fn get(&self, client: Uuid) -> Option<Registration> {
        lock(&self.known).get(&client).cloned()
    }

    pub(crate) fn remember_user(&self, client: Uuid, user: Uuid) {
        self.change(client, |known| known.user = Some(user));
    }

    fn change(&self, client: Uuid, change: impl FnOnce(&mut Registration)) {
        if let Some(known) = lock(&self.known).get_mut(&client) {
            change(known);
        }
    }

    fn remove(&self, client: Uuid) {
        lock(&self.known).remove(&client);
    }
}

fn rights(privileges: &Privileges, schema: &Schema) -> Result<Rights, EmulatorError> {
    Ok(match privileges {
        Privileges::All => Rights::Everything,
        Privileges::NoRole => Rights::NoRole,
        Privileges::Only(names) => {
            let names = names.iter().map(|name| known(schema, name));
            Rights::Only(names.collect::<Result<_, _>>()?)
        }
        Privileges::AllBut(names) => {
            let mut rights = Rights::Everything;
            for name in names {
                rights.revoke(schema, &known(schema, name)?);
            }
            rights
        }
    })
}

fn known(schema: &Schema, privilege: &str) -> Result<String, EmulatorError> {
    roles::known(schema, privilege).ok_or_else(|| EmulatorError::NoPrivilege {
        name: privilege.to_owned(),
    })
}

/// One application of a service, to be changed while it runs.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    service: &'a Service,
    id: Uuid,
}

impl Service {
    /// The application that every emulator knows: [`CLIENT_ID`].
    pub fn client(&self) -> Client<'_> {
        self.client_of(default_client())
    }

    /// An application by its id; one that is not known yet is added by [`Service::add_client`].
    pub fn client_of(&self, client_id: Uuid) -> Client<'_> {
        Client {
            service: self,
            id: client_id,
        }
    }

    /// Makes an application known to the login service, and its user to the environment.
    ///
    /// # Errors
    /// If a privilege is unknown, or the data file cannot be written.
    pub fn add_client(&self, client: &ClientOptions) -> Result<Client<'_>, EmulatorError> {
        self.registry.add(client, &self.schema())?;
        self.set_user(client.client_id, client.user)?;
        Ok(self.client_of(client.client_id))
    }

    pub(crate) fn set_user(&self, client: Uuid, state: UserState) -> Result<(), EmulatorError> {
        let mut engine = lock(&self.engine);
        users::set(&mut engine, &self.identity, client, state, self.clock.now()).map_err(|source| {
            EmulatorError::DataFile {
                path: self.options.data.clone().unwrap_or_default(),
                source: source.into(),
            }
        })
    }
}

impl Client<'_> {
    /// Its id at the login service.
    pub fn client_id(&self) -> Uuid {
        self.id
    }

    /// `systemuserid` of its application user.
    pub fn user_id(&self) -> Option<Uuid> {
        let engine = lock(&self.service.engine);
        users::of_client(&engine, self.id, None).map(|user| user.id)
    }

    /// Puts the application user there, removes it, or switches it off.
    ///
    /// # Errors
    /// If the data file cannot be written.
    pub fn set_user(&self, state: UserState) -> Result<(), EmulatorError> {
        self.service.set_user(self.id, state)
    }

    /// From now on its user's roles give exactly this.
    ///
    /// # Errors
    /// If the environment has no privilege of such a name.
    pub fn set_privileges(&self, privileges: &Privileges) -> Result<(), EmulatorError> {
        let rights = rights(privileges, &self.service.schema())?;
        self.change(|known| known.rights = Arc::new(rights));
        Ok(())
    }

    /// Takes one privilege away: `prvCreateContact`.
    ///
    /// # Errors
    /// If the environment has no privilege of such a name.
    pub fn revoke_privilege(&self, name: &str) -> Result<(), EmulatorError> {
        let schema = &self.service.schema();
        let name = known(schema, name)?;
        self.change(|known| Arc::make_mut(&mut known.rights).revoke(schema, &name));
        Ok(())
    }

    /// Gives one privilege: `prvCreateContact`.
    ///
    /// # Errors
    /// If the environment has no privilege of such a name.
    pub fn grant_privilege(&self, name: &str) -> Result<(), EmulatorError> {
        let schema = &self.service.schema();
        let name = known(schema, name)?;
        self.change(|known| Arc::make_mut(&mut known.rights).grant(schema, name));
        Ok(())
    }

    /// Replaces its secret; the one before is wrong from now on, tokens given for it stay good.
    pub fn set_secret(&self, secret: &str) {
        self.change(|known| {
            secret.clone_into(&mut known.secret);
            known.secret_state = SecretState::Good;
        });
    }

    /// The time of its secret is over.
    pub fn lapse_secret(&self) {
        self.change(|known| known.secret_state = SecretState::Lapsed);
    }

    /// Switches the application off at the login service; its tokens stay good to their end.
    pub fn disable_application(&self) {
        self.change(|known| known.is_disabled = true);
    }

    /// Makes the application unknown to the login service; its user stays.
    pub fn forget(&self) {
        self.service.registry.remove(self.id);
    }

    /// None of its tokens is good any more.
    pub fn revoke_tokens(&self) {
        self.service.tokens.revoke_of(self.id);
    }

    fn change(&self, change: impl FnOnce(&mut Registration)) {
        self.service.registry.change(self.id, change);
    }
}
