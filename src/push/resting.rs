//! Application users that the service still refuses when a run ends: the next run of the same command leaves them alone.

use tokio::time::Instant;

use super::open::Opened;
use super::users::User;
use super::{PushError, Request};
use crate::dataverse::{DataverseError, TableWriter, Who};
use crate::dispatch::Lane;
use crate::model::Connection;

/// Application users that are not asked for anything before their penalty is over.
#[derive(Debug, Clone, Default)]
pub struct Resting(Vec<Rest>);

#[derive(Debug, Clone)]
struct Rest {
    url: String,
    client_id: String,
    /// Unless it was refused before it was told.
    who: Option<Who>,
    until: Instant,
}

impl Resting {
    /// Those of a run that has ended.
    pub(super) fn after(
        request: &Request,
        opened: &Opened,
        lane: Option<&Lane<TableWriter>>,
    ) -> Self {
        let url = &request.connection.url;
        let elsewhere = request.resting.0.iter().filter(|rest| rest.url != *url);
        let rest = |(at, user): (usize, &User)| {
            let until = match lane {
                Some(lane) => lane.rests_until(at),
                None => user.rests_until,
            };
            Some(Rest {
                url: url.clone(),
                client_id: user.client_id.clone(),
                who: Some(user.who),
                until: until?,
            })
        };
        let users = opened.users.iter().enumerate();
        let here = users.filter_map(rest);
        Self(elsewhere.cloned().chain(here).collect())
    }

    /// Those after a run that ended before it had begun. Of several applications nobody was let in, and whoever was refused
    /// longest is told: until then none of them is asked.
    pub(super) fn refused(mut self, connection: &Connection, stopped: Option<&PushError>) -> Self {
        let Some(PushError::Dataverse(DataverseError::Unavailable {
            retry_after: Some(wait),
            ..
        })) = stopped
        else {
            return self;
        };
        let Some(until) = Instant::now().checked_add(*wait) else {
            return self;
        };
        for alone in connection.each() {
            if self.of(&alone).is_none() {
                self.0.push(Rest {
                    url: alone.url,
                    client_id: alone.client_id,
                    who: None,
                    until,
                });
            }
        }
        self
    }

    /// Who that application is, if that is known, and until when it rests, if it still does.
    pub(super) fn of(&self, alone: &Connection) -> Option<(Option<Who>, Instant)> {
        let is_it = |rest: &&Rest| rest.url == alone.url && rest.client_id == alone.client_id;
        let rest = self.0.iter().rfind(is_it)?;
        (rest.until > Instant::now()).then_some((rest.who, rest.until))
    }
}
