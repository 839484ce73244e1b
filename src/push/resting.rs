//! Application users that the service still refuses when a run ends: the next run of the same command leaves them alone.

use tokio::time::Instant;

use super::Request;
use super::open::Opened;
use super::users::User;
use crate::dataverse::{TableWriter, Who};
use crate::dispatch::Lane;
use crate::model::Connection;

/// Application users that are not asked for anything before their penalty is over.
#[derive(Debug, Clone, Default)]
pub struct Resting(Vec<Rest>);

#[derive(Debug, Clone)]
struct Rest {
    url: String,
    client_id: String,
    who: Who,
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
                who: user.who,
                until: until?,
            })
        };
        let users = opened.users.iter().enumerate();
        let here = users.filter_map(rest);
        Self(elsewhere.cloned().chain(here).collect())
    }

    /// Who that application is and until when it rests, if it still does.
    pub(super) fn of(&self, alone: &Connection) -> Option<(Who, Instant)> {
        let is_it = |rest: &&Rest| rest.url == alone.url && rest.client_id == alone.client_id;
        let rest = self.0.iter().find(is_it)?;
        (rest.until > Instant::now()).then_some((rest.who, rest.until))
    }
}
