//! The application users that a run writes as.

use std::sync::Arc;

use super::open::Opened;
use crate::dataverse::{Dataverse, DataverseError, Requests, TableWriter, Who, WireOptions};
use crate::dispatch::Dropped;
use crate::model::{Connection, RecordId, Target};

/// One application user.
pub(super) struct User {
    client_id: String,
    environment: Dataverse,
    /// Its `systemuserid`.
    id: RecordId,
}

/// Those who can sign in.
pub(super) struct SignedIn {
    /// As the first of them.
    pub(super) environment: Dataverse,
    pub(super) who: Who,
    pub(super) users: Vec<User>,
    pub(super) warnings: Vec<String>,
}

/// Signs in as every application of the connection; those that cannot are left out with a warning.
///
/// # Errors
/// Why the first one cannot, if nobody can.
pub(super) async fn sign_in(connection: &Connection) -> Result<SignedIn, DataverseError> {
    let mut users = Vec::new();
    let mut first = None;
    let mut failed = Vec::new();
    for alone in connection.each() {
        let reached = async {
            let environment = Dataverse::connect(&alone, &WireOptions::default()).await?;
            let who = environment.who().await?;
            Ok((environment, who))
        };
        match reached.await {
            Ok((environment, who)) => {
                first.get_or_insert_with(|| (environment.clone(), who));
                users.push(User {
                    client_id: alone.client_id,
                    environment,
                    id: who.user,
                });
            }
            Err(error) => failed.push((alone.client_id, error)),
        }
    }
    let warnings = failed.iter().map(|(client, error)| left_out(client, error));
    let warnings = warnings.collect();
    match (first, failed.into_iter().next()) {
        (Some((environment, who)), _) => Ok(SignedIn {
            environment,
            who,
            users,
            warnings,
        }),
        (None, Some((_, error))) => Err(error),
        (None, None) => Err(DataverseError::Setting {
            setting: "clients",
            value: String::new(),
            why: "names nobody",
        }),
    }
}

fn left_out(client: &str, error: &dyn std::fmt::Display) -> String {
    format!("the application {client} is left out, the others do its work: {error}")
}

impl Opened {
    /// The application users that this run may write as.
    pub(super) fn our_users(&self) -> Vec<RecordId> {
        self.users.iter().map(|user| user.id).collect()
    }

    /// Where each user writes to that target.
    pub(super) fn writers(&self, target: &Arc<Target>) -> Vec<Arc<TableWriter>> {
        let writer = |user: &User| Arc::new(user.environment.writer(Arc::clone(target)));
        self.users.iter().map(writer).collect()
    }

    /// How many requests were sent so far, by all users together.
    pub(super) fn requests(&self) -> Requests {
        let none = Requests::default();
        let each = self.users.iter().map(|user| user.environment.requests());
        each.fold(none, |all, one| Requests {
            reads: all.reads + one.reads,
            writes: all.writes + one.writes,
        })
    }

    /// What to say of a user that was dropped while the run went on.
    pub(super) fn dropped(&self, dropped: &Dropped) -> String {
        let user = self.users.get(dropped.user);
        let client = user.map_or("", |user| user.client_id.as_str());
        left_out(client, &dropped.error)
    }
}
