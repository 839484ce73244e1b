//! What has changed since a client looked last: `odata.track-changes` and delta links.
//!
//! Source: Microsoft Learn, "Use change tracking to synchronize data with external systems".

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Asked;
use super::cookie::Cookie;
use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::query::filter::Filter;
use crate::refusal::Refusal;
use crate::request::Preferences;
use crate::schema::TableNature;

/// How long a token is good, as the organization's `ExpireChangeTrackingInDays` is by default.
const SECONDS: i64 = 7 * 24 * 60 * 60;

/// A query of which the changes are told later, or are told now.
#[derive(Debug, Clone)]
pub(super) struct Tracked {
    /// The changes since this version are asked for.
    pub(super) since: Option<u64>,
    /// The version at the first page.
    pub(super) until: u64,
    /// By which the next changes are asked for.
    pub(super) token: String,
}

/// Makes a query one of changes, if the client asks for that.
pub(super) fn track(
    engine: &Engine,
    context: &Context<'_>,
    layout: &Layout,
    asked: &mut Asked,
    preferences: &Preferences,
) -> Result<(), Refusal> {
    if !preferences.track_changes && asked.delta.is_none() {
        return Ok(());
    }
    if layout.def.nature != TableNature::Standard {
        let table = &layout.def.logical_name;
        let message = format!("Entity {table} isn't enabled for change tracking.");
        return Err(Refusal::new(400, "0x80072491", message));
    }
    check_options(asked)?;
    let token = asked.delta.as_deref();
    let since = token
        .map(|token| version(engine, context, token))
        .transpose()?;
    let until = asked.cookie.and_then(|cookie| cookie.until);
    let until = until.unwrap_or_else(|| engine.version());
    asked.filter = since.map(Filter::Since);
    asked.tracked = Some(Tracked {
        since,
        until,
        token: written(engine, context, until),
    });
    Ok(())
}

fn check_options(asked: &Asked) -> Result<(), Refusal> {
    let unfit = [
        ("filter", asked.filter.is_some()),
        ("orderby", !asked.order.is_empty()),
        ("expand", !asked.expands.is_empty()),
        ("top", asked.top.is_some()),
        ("apply", asked.apply.is_some()),
    ];
    let Some((name, _)) = unfit.iter().find(|(_, is_there)| *is_there) else {
        return Ok(());
    };
    let message =
        format!("The \"${name}\" query parameter isn't supported when Change Tracking is enabled.");
    Err(Refusal::new(400, "0x80060888", message))
}

/// `1000266!1763718844!5f3a…`: the version, when it was told, and by which life of the service.
fn written(engine: &Engine, context: &Context<'_>, version: u64) -> String {
    let (now, life) = (context.now(), engine.life.simple());
    format!("{version}%21{now}%21{life}")
}

fn version(engine: &Engine, context: &Context<'_>, token: &str) -> Result<u64, Refusal> {
    let read = || {
        let mut words = token.splitn(3, '!');
        let version: u64 = words.next()?.parse().ok()?;
        let told: i64 = words.next()?.parse().ok()?;
        let life = Uuid::try_parse(words.next()?).ok()?;
        let is_good = life == engine.life
            && context.now().saturating_sub(told) <= SECONDS
            && (engine.forgotten()..=engine.version()).contains(&version);
        is_good.then_some(version)
    };
    read().ok_or_else(|| {
        let message = "The delta token is not one of this service, or its time is over.";
        Refusal::new(400, "0x80060888", message)
    })
}

impl Tracked {
    /// The rows that are gone, as far as the client may still have them.
    pub(super) fn gone(&self, engine: &Engine, layout: &Layout) -> BTreeSet<Uuid> {
        let Some(since) = self.since else {
            return BTreeSet::new();
        };
        let gone = engine.deleted(layout.number, since, self.until);
        gone.filter(|id| engine.row(layout, *id).is_none())
            .collect()
    }

    /// Where the next page begins, from which the first one's version is told on.
    pub(super) fn following(&self, next: Cookie) -> Cookie {
        Cookie {
            until: Some(self.until),
            ..next
        }
    }
}
