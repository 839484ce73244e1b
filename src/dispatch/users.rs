//! The application users of a lane: whose turn it is to send, and whose penalty runs.

use std::time::Duration;

use tokio::time::Instant;

use super::charge::Charge;
use super::meter::Meter;
use super::options::Options;
use super::pace::{Pace, Ticket};
use super::penalty::Penalty;

/// The application users of a lane. A limit is for each of them alone, so what one may not send another one may.
#[derive(Debug)]
pub(super) struct Users {
    all: Vec<User>,
    /// Finds that wait for a slot. They go first, since rows wait for them.
    seekers: usize,
}

#[derive(Debug)]
struct User {
    standing: Standing,
    /// Nothing is sent before.
    free_at: Instant,
    charge: Charge,
    /// How many penalties in a row came without a time to wait.
    untold: u32,
    pace: Pace,
    under_way: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Serves,
    /// Its secret or role fails.
    Dropped,
}

/// Who sends next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// This user, now.
    Of(usize),
    /// Somebody at that time, unless an answer comes before.
    At(Instant),
    /// Somebody once an answer has come.
    AfterAnswer,
}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    Write,
    Find,
}

impl Users {
    pub(super) fn new(count: usize, options: &Options) -> Self {
        let now = Instant::now();
        let user = |_| User {
            standing: Standing::Serves,
            free_at: now,
            charge: Charge::new(now),
            untold: 0,
            pace: Pace::new(options),
            under_way: 0,
        };
        Self {
            all: (0..count).map(user).collect(),
            seekers: 0,
        }
    }

    fn serving(&self) -> impl Iterator<Item = (usize, &User)> + Clone {
        let all = self.all.iter().enumerate();
        all.filter(|(_, user)| user.standing == Standing::Serves)
    }

    /// Who sends next: of those who may, the one with the most room.
    pub(super) fn turn(&self, errand: Errand, now: Instant) -> Turn {
        let ready = self
            .serving()
            .filter(|(_, user)| user.ready_at(now).is_none());
        let room: usize = ready.clone().map(|(_, user)| user.room()).sum();
        let reserved = match errand {
            Errand::Write => self.seekers,
            Errand::Find => 0,
        };
        let most = ready.max_by_key(|(at, user)| (user.room(), usize::MAX - at));
        if let Some((at, _)) = most.filter(|_| room > reserved) {
            return Turn::Of(at);
        }
        let later = self.serving().filter(|(_, user)| user.room() > 0);
        let next = later.filter_map(|(_, user)| user.ready_at(now)).min();
        next.map_or(Turn::AfterAnswer, Turn::At)
    }

    /// How many requests may be on their way.
    pub(super) fn width(&self) -> usize {
        self.serving().map(|(_, user)| user.pace.width()).sum()
    }

    /// A find waits for its turn.
    pub(super) fn seeks(&mut self) {
        self.seekers += 1;
    }

    /// It waits no longer.
    pub(super) fn sought(&mut self) {
        self.seekers = self.seekers.saturating_sub(1);
    }

    /// A request of that user begins.
    pub(super) fn begins(&mut self, user: usize) -> Option<Ticket> {
        let user = self.all.get_mut(user)?;
        user.under_way += 1;
        Some(user.pace.sends())
    }

    /// It has come to its end.
    pub(super) fn ends(&mut self, user: usize) {
        if let Some(user) = self.all.get_mut(user) {
            user.under_way = user.under_way.saturating_sub(1);
        }
    }

    /// It was answered well.
    pub(super) fn answered(
        &mut self,
        user: usize,
        ticket: Ticket,
        operations: usize,
        took: Duration,
    ) {
        if let Some(user) = self.all.get_mut(user) {
            user.untold = 0;
            user.pace.answered(ticket, operations, took);
        }
    }

    /// Everything is sent that may be, or that there is.
    pub(super) fn filled(&mut self) {
        for user in &mut self.all {
            user.pace.filled(user.under_way);
        }
    }

    /// The service protects itself from a user; tells for how long. Without a time to wait, `usual` tells it from how
    /// often it did so in a row. No time at all is none either: obeyed, it would have us ask as fast as we can for as long
    /// as the service refuses.
    pub(super) fn impose(
        &mut self,
        user: usize,
        ((told, limit), error): Penalty<'_>,
        meter: &Meter,
        usual: impl FnOnce(u32) -> Duration,
    ) -> Option<Duration> {
        let now = Instant::now();
        let user = self.all.get_mut(user)?;
        let running = user.free_at > now;
        if !running {
            user.pace.penalised(user.under_way);
        }
        user.pace.refused(limit);
        // While a penalty lasts, the answers of what was in flight add nothing to it unless they say so.
        let wait = match told.filter(|told| !told.is_zero()) {
            Some(told) => told,
            None if running => return None,
            None => {
                user.untold = user.untold.saturating_add(1);
                usual(user.untold)
            }
        };
        // A time beyond what the clock can tell is as good as a day: patience ends long before.
        let ends = now
            .checked_add(wait)
            .unwrap_or(now + Duration::from_hours(24));
        if ends > user.free_at {
            user.charge.begins(&error.code, user.free_at, meter);
            user.free_at = ends;
        }
        Some(wait)
    }

    /// Nothing is sent as that user before. What was waited belongs to the run that was told to.
    pub(super) fn rests(&mut self, user: usize, until: Instant) {
        if let Some(user) = self.all.get_mut(user) {
            user.free_at = user.free_at.max(until);
            user.charge = Charge::new(user.free_at);
        }
    }

    /// Until when nothing is sent as that user, if a penalty lasts.
    pub(super) fn rests_until(&self, user: usize) -> Option<Instant> {
        let free_at = self.all.get(user)?.free_at;
        (free_at > Instant::now()).then_some(free_at)
    }

    /// Puts on the meter what of all penalties has passed by now.
    pub(super) fn charge(&mut self, meter: &Meter) {
        for user in &mut self.all {
            user.charge.passes(user.free_at, meter);
        }
    }

    /// Whether that user may send, as far as penalties go.
    pub(super) fn is_open(&self, user: usize) -> bool {
        let now = Instant::now();
        self.serving()
            .any(|(at, it)| at == user && it.free_at <= now)
    }

    /// The user is not asked to send any more.
    pub(super) fn drop(&mut self, user: usize) {
        if let Some(user) = self.all.get_mut(user) {
            user.standing = Standing::Dropped;
        }
    }

    /// How many can still be asked to send.
    pub(super) fn left(&self) -> usize {
        self.serving().count()
    }

    /// When the first user may send, as far as penalties go; past if one may now.
    pub(super) fn free_at(&self) -> Option<Instant> {
        self.serving().map(|(_, user)| user.free_at).min()
    }
}

impl User {
    /// How many requests more it may have in flight.
    fn room(&self) -> usize {
        self.pace.width().saturating_sub(self.under_way)
    }

    /// When it may send the next one, if that is not now.
    fn ready_at(&self, now: Instant) -> Option<Instant> {
        let penalty = (self.free_at > now).then_some(self.free_at);
        penalty.max(self.pace.due(now))
    }
}
