//! The application users that a run writes as.

use std::sync::Arc;

use tokio::time::Instant;

use super::Resting;
use super::open::Opened;
use crate::dataverse::{Dataverse, DataverseError, Requests, TableWriter, Who, WireOptions};
use crate::dispatch::{Dropped, Lane, Meter, Options};
use crate::model::{Connection, RecordId, ServiceError, Target};

/// One application user.
pub(super) struct User {
    pub(super) client_id: String,
    environment: Dataverse,
    /// As the environment told, now or in an earlier run.
    pub(super) who: Who,
    /// Nothing is sent as this user before.
    pub(super) rests_until: Option<Instant>,
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
/// Why nobody can: the longest penalty, or else what keeps the first one out.
pub(super) async fn sign_in(
    connection: &Connection,
    resting: &Resting,
) -> Result<SignedIn, DataverseError> {
    let mut users = Vec::new();
    let mut failed = Vec::new();
    for alone in connection.each() {
        match reach(&alone, resting.of(&alone)).await {
            Ok(user) => users.push(user),
            Err(error) => failed.push((alone.client_id, error)),
        }
    }
    let first = first(&mut users).await?;
    let warnings = failed.iter().map(|(client, error)| left_out(client, error));
    let warnings = warnings.collect();
    match (first, gravest(failed)) {
        (Some((environment, who)), _) => Ok(SignedIn {
            environment,
            who,
            users,
            warnings,
        }),
        (None, Some(error)) => Err(error),
        (None, None) => Err(DataverseError::Setting {
            setting: "clients",
            value: String::new(),
            why: "names nobody",
        }),
    }
}

/// While a penalty lasts, nobody should be asked again.
fn gravest(failed: Vec<(String, DataverseError)>) -> Option<DataverseError> {
    let errors = failed.into_iter().map(|(_, error)| error).rev();
    errors.max_by_key(|error| match error {
        DataverseError::Unavailable { retry_after, .. } => *retry_after,
        _ => None,
    })
}

async fn reach(
    alone: &Connection,
    resting: Option<(Option<Who>, Instant)>,
) -> Result<User, DataverseError> {
    let environment = Dataverse::connect(alone, &WireOptions::default()).await?;
    let (who, rests_until) = match resting {
        Some((Some(who), until)) => (who, Some(until)),
        Some((None, until)) => {
            rested(until).await?;
            (environment.who().await?, None)
        }
        None => (environment.who().await?, None),
    };
    Ok(User {
        client_id: alone.client_id.clone(),
        environment,
        who,
        rests_until,
    })
}

/// Whoever may be asked; where all of them rest, the one whose penalty is over first, if that is soon.
async fn first(users: &mut [User]) -> Result<Option<(Dataverse, Who)>, DataverseError> {
    let Some(user) = users.iter_mut().min_by_key(|user| user.rests_until) else {
        return Ok(None);
    };
    if let Some(until) = user.rests_until.take() {
        rested(until).await?;
        user.who = user.environment.who().await?;
    }
    Ok(Some((user.environment.clone(), user.who)))
}

/// Waits for the end of an earlier run's penalty, if that is soon.
async fn rested(until: Instant) -> Result<(), DataverseError> {
    let wait = until.saturating_duration_since(Instant::now());
    if wait > WireOptions::default().patience {
        return Err(DataverseError::Unavailable {
            retry_after: Some(wait),
            error: ServiceError {
                status: 429,
                message: "the penalty of an earlier run lasts".to_owned(),
                ..ServiceError::default()
            },
        });
    }
    tokio::time::sleep_until(until).await;
    Ok(())
}

fn left_out(client: &str, error: &dyn std::fmt::Display) -> String {
    format!("the application {client} is left out, the others do its work: {error}")
}

impl Opened {
    /// The application users that this run may write as.
    pub(super) fn our_users(&self) -> Vec<RecordId> {
        self.users.iter().map(|user| user.who.user).collect()
    }

    /// Where each user writes to that target.
    pub(super) fn writers(&self, target: &Arc<Target>) -> Vec<Arc<TableWriter>> {
        let writer = |user: &User| Arc::new(user.environment.writer(Arc::clone(target)));
        self.users.iter().map(writer).collect()
    }

    /// The way to the environment as all of them, of whom some may still rest.
    pub(super) fn first_lane(
        &self,
        writers: Vec<Arc<TableWriter>>,
        options: Options,
        meter: &Arc<Meter>,
    ) -> Lane<TableWriter> {
        let lane = Lane::of(writers, options, Arc::clone(meter));
        for (at, user) in self.users.iter().enumerate() {
            if let Some(until) = user.rests_until {
                lane.rests(at, until);
            }
        }
        lane
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
