//! One environment of Dataverse: the door to everything that this room can ask.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::address::Address;
use super::get::{self, GetKey};
use super::http::{Http, Requests, WireOptions, WireWork};
use super::privileges::{self, Needed, Privileges};
use super::scan::Scan;
use super::tables::{self, TableName};
use super::token::{Application, Tokens};
use super::who::{self, Who};
use super::writer::TableWriter;
use super::{DataverseError, bulk, credentials, metadata, transport};
use crate::model::{Connection, Lookup, RecordId, Relationship, Table, Target};

/// One environment, reached as one application. Clones share connections and token.
#[derive(Clone)]
pub struct Dataverse {
    http: Arc<Http>,
}

impl std::fmt::Debug for Dataverse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataverse")
            .field("origin", &self.http.address.origin)
            .finish_non_exhaustive()
    }
}

impl Dataverse {
    /// Prepares the way to an environment: checks the settings and reads the secret. Sends nothing yet.
    ///
    /// # Errors
    /// If a setting cannot be used or the secret cannot be read.
    ///
    /// # Cancellation
    /// A secret's command that was started runs to its end.
    pub async fn connect(
        connection: &Connection,
        options: &WireOptions,
    ) -> Result<Self, DataverseError> {
        let address = Address::parse(&connection.url)?;
        let endpoint =
            address.token_endpoint(connection.authority.as_deref(), &connection.tenant_id)?;
        let application = Application {
            client_id: connection.client_id.clone(),
            secret: credentials::read(&connection.client_secret).await?,
            resource: address.resource.clone(),
        };
        let (login, client) = transport::clients(&endpoint, &address.batch, options)?;
        let tokens = Tokens::new(login, endpoint, application);
        Ok(Self {
            http: Arc::new(Http::new(client, address, tokens, options.patience)),
        })
    }

    /// Who we are there: the first request, which proves address, token and user.
    ///
    /// # Errors
    /// If there is no connection, no token or no such user; told by cause.
    ///
    /// # Cancellation
    /// Safe: it only reads.
    pub async fn who(&self) -> Result<Who, DataverseError> {
        who::who(&self.http).await
    }

    /// The schema of a table, by logical name (`contact`) or entity set name (`contacts`).
    ///
    /// # Errors
    /// If there is no such table, with names that look alike; or if the schema cannot be read.
    ///
    /// # Cancellation
    /// Safe: it only reads.
    pub async fn table(&self, name: &str) -> Result<Table, DataverseError> {
        metadata::table(&self.http, name).await
    }

    /// Where the lookup columns of a table point: what [`Table::relationships`] lacks, since most mappings can do
    /// without.
    ///
    /// # Errors
    /// If they cannot be read.
    ///
    /// # Cancellation
    /// Safe: it only reads.
    pub async fn relationships(&self, table: &Table) -> Result<Vec<Relationship>, DataverseError> {
        metadata::relationships(&self.http, &table.name).await
    }

    /// Whether a table takes bulk messages, for new records as well as for changes.
    ///
    /// # Errors
    /// If that cannot be read.
    ///
    /// # Cancellation
    /// Safe: it only reads.
    pub async fn takes_bulk(&self, table: &Table) -> Result<bool, DataverseError> {
        bulk::takes_bulk(&self.http, &table.name).await
    }

    /// All tables by their names, sorted by logical name; one request.
    ///
    /// # Errors
    /// If the list cannot be read.
    ///
    /// # Cancellation
    /// Safe: it only reads.
    pub async fn tables(&self) -> Result<Vec<TableName>, DataverseError> {
        tables::tables(&self.http).await
    }

    /// Which of these privileges a user lacks.
    ///
    /// # Errors
    /// If the answer cannot be read; an environment that does not tell is no error.
    ///
    /// # Cancellation
    /// Safe: it only reads.
    pub async fn privileges(
        &self,
        user: RecordId,
        needed: &[Needed],
    ) -> Result<Privileges, DataverseError> {
        privileges::privileges(&self.http, user, needed).await
    }

    /// Where operations on one table are sent.
    pub fn writer(&self, target: Arc<Target>) -> TableWriter {
        TableWriter::new(Arc::clone(&self.http), target)
    }

    /// One record with all columns and annotations, as the service returned it; `None` if there is none.
    ///
    /// # Errors
    /// If the key is not one of the table, or the record cannot be read.
    ///
    /// # Cancellation
    /// Safe: it only reads.
    pub async fn get(
        &self,
        table: &Table,
        key: &GetKey,
    ) -> Result<Option<Box<RawValue>>, DataverseError> {
        get::get(&self.http, table, key).await
    }

    /// All records of a table, with the columns of the target; of its lookups those that are named.
    pub fn scan(&self, target: Arc<Target>, lookups: &[Arc<Lookup>]) -> Scan {
        Scan::new(Arc::clone(&self.http), target, lookups)
    }

    /// How many requests were sent so far, by all clones together.
    pub fn requests(&self) -> Requests {
        self.http.requests()
    }

    /// How long requests that carry operations were worked on so far, by all writers together.
    pub fn work(&self) -> WireWork {
        self.http.work()
    }
}

#[cfg(test)]
mod tests {
    use super::super::DataverseErrorKind;
    use super::super::loopback::{Loopback, SECRET, json};
    use super::*;
    use crate::model::SecretSource;

    fn connection(url: &str, authority: Option<&str>, secret: SecretSource) -> Connection {
        Connection {
            name: "test".to_owned(),
            url: url.to_owned(),
            tenant_id: "contoso.example".to_owned(),
            client_id: "the-client".to_owned(),
            client_secret: secret,
            others: Vec::new(),
            authority: authority.map(str::to_owned),
            production: false,
        }
    }

    fn nowhere() -> SecretSource {
        SecretSource::Env("SEGUE_NO_SUCH_VARIABLE".to_owned())
    }

    async fn connect(connection: &Connection) -> Result<Dataverse, DataverseError> {
        Dataverse::connect(connection, &WireOptions::default()).await
    }

    #[tokio::test]
    async fn a_connection_leads_to_an_answer_and_shows_no_secret() {
        let server = Loopback::environment(|_, _| json("200 OK", r#"{"BusinessUnitId":"00000000-0000-0000-0000-000000000003","UserId":"00000000-0000-0000-0000-000000000001","OrganizationId":"00000000-0000-0000-0000-000000000002"}"#)).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, SECRET).unwrap();
        let url = format!("{}/api/data/v9.2/", server.origin);
        let connection = connection(&url, Some(&server.origin), SecretSource::File(path));
        let dataverse = connect(&connection).await.unwrap();
        let who = dataverse.clone().who().await.unwrap();
        assert_eq!(who.organization.as_u128(), 2);
        assert_eq!(
            dataverse.requests(),
            Requests {
                reads: 1,
                writes: 0
            }
        );
        let shown = format!("{dataverse:?}");
        assert!(
            shown.contains(&server.origin) && !shown.contains(SECRET),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn settings_are_judged_before_the_secret_is_read() {
        for (url, authority) in [
            ("http://contoso.crm4.dynamics.com", None),
            ("https://contoso.example", None),
            ("http://127.0.0.1:1", None),
            (
                "https://contoso.crm4.dynamics.com",
                Some("http://login.example"),
            ),
        ] {
            let error = connect(&connection(url, authority, nowhere()))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), DataverseErrorKind::Configuration);
            assert!(!matches!(error, DataverseError::Secret { .. }), "{error}");
        }
        let good = connection("https://contoso.crm4.dynamics.com", None, nowhere());
        let error = connect(&good).await.unwrap_err();
        assert!(matches!(error, DataverseError::Secret { .. }), "{error}");
    }
}
