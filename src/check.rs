//! The way to an environment, step by step: what holds, and the first thing that does not.
//!
//! Steps stand in the order in which a run takes them: the settings, the login host, the environment, the user, then
//! each mapping's table. A step that fails ends the way, since what comes after it cannot be seen. Changes nothing.

use jiff::{SignedDuration, Timestamp};

use crate::dataverse::{Dataverse, DataverseError, Lacking, Needed, Privileges, Who, WireOptions};
use crate::mapping::{Mapping, Missing, Mode, Origin};
use crate::model::{Connection, Table};

/// One step of the way.
#[derive(Debug)]
pub struct Step {
    /// `token`; stable, scripts may read it.
    pub name: &'static str,
    /// What became of it.
    pub finding: Finding,
}

/// What became of a step.
#[derive(Debug)]
pub enum Finding {
    /// It holds; what was seen.
    Holds(String),
    /// It holds, but somebody should look.
    Doubtful {
        /// What was seen.
        what: String,
        /// What to do.
        help: String,
    },
    /// It cannot be seen from here; why.
    Skipped(String),
    /// It does not hold: the environment or the login host refuses, or there is no way to it.
    Fails(DataverseError),
    /// The user lacks privileges.
    Lacks(Vec<Lacking>),
}

/// Beyond this a clock is wrong and not only late.
const MOST_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Walks the way, as each application of the connection. `now` is this machine's clock at the answer to the first request, near enough.
///
/// # Cancellation
/// Safe: it only reads.
pub async fn check(
    connection: &Connection,
    mappings: &[Mapping],
    now: impl Fn() -> Timestamp,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let applications = connection.each();
    for alone in &applications {
        if applications.len() > 1 {
            steps.push(holds("client", alone.client_id.clone()));
        }
        if let Err((name, error)) = walk(alone, mappings, &now, &mut steps).await {
            let finding = Finding::Fails(error);
            steps.push(Step { name, finding });
        }
    }
    steps
}

async fn walk(
    connection: &Connection,
    mappings: &[Mapping],
    now: impl Fn() -> Timestamp,
    steps: &mut Vec<Step>,
) -> Result<(), (&'static str, DataverseError)> {
    let environment = Dataverse::connect(connection, &WireOptions::default())
        .await
        .map_err(|error| ("settings", error))?;
    let url = &connection.url;
    steps.push(holds("settings", format!("{url}, the secret is there")));
    let who = match environment.who().await {
        Ok(who) => who,
        Err(error) => {
            let failed = step_of(&error, connection);
            // Nothing is ticked that this error does not prove.
            let proven = if NO_STEP_BEFORE.contains(&failed) || is_either(&error, connection) {
                &[]
            } else {
                &REACHED[..]
            };
            let before = proven.iter().take_while(|step| step.name != failed);
            steps.extend(before.map(|step| holds(step.name, step.seen.to_owned())));
            return Err((failed, error));
        }
    };
    steps.extend(REACHED.map(|step| holds(step.name, step.seen.to_owned())));
    let user = format!("{}, organisation {}", who.user.0, who.organization);
    steps.push(holds("user", user));
    steps.push(holds("version", "v9.2 is served".to_owned()));
    let finding = clock(&who, now());
    steps.push(Step {
        name: "clock",
        finding,
    });
    for mapping in mappings {
        look_at_table(&environment, &who, mapping, steps).await?;
    }
    Ok(())
}

/// What lies behind us once the user is asked for.
struct Reached {
    name: &'static str,
    seen: &'static str,
}

const REACHED: [Reached; 3] = [
    Reached {
        name: "token",
        seen: "the login host gave one",
    },
    Reached {
        name: "name",
        seen: "the environment's name resolves, or a proxy resolves it",
    },
    Reached {
        name: "connection",
        seen: "the environment answers",
    },
];

/// A login host that is out of order and such an environment look alike.
const NO_STEP_BEFORE: [&str; 2] = ["settings", "service"];

/// Whether it was the login host or the environment that could not be reached: one server may be both.
fn is_either(error: &DataverseError, connection: &Connection) -> bool {
    let login = connection.authority.as_deref().unwrap_or_default();
    match error {
        DataverseError::Unreachable { host, .. } | DataverseError::Unanswered { host, .. } => {
            login.contains(host.as_str()) && connection.url.contains(host.as_str())
        }
        _ => false,
    }
}

/// At which step the first request fails. The token is fetched before the environment is called.
fn step_of(error: &DataverseError, connection: &Connection) -> &'static str {
    let environment = |host: &str| connection.url.contains(host);
    match error {
        DataverseError::SignIn { .. } | DataverseError::LoginHostUnknown { .. } => "token",
        DataverseError::Setting { .. }
        | DataverseError::Secret { .. }
        | DataverseError::Client(_) => "settings",
        DataverseError::Unreachable { host, .. } | DataverseError::Unanswered { host, .. }
            if !environment(host) =>
        {
            "token"
        }
        DataverseError::Unreachable { why, .. } if does_not_resolve(why) => "name",
        DataverseError::Unreachable { .. } | DataverseError::Unanswered { .. } => "connection",
        DataverseError::Unavailable { .. } => "service",
        DataverseError::Refused { .. }
        | DataverseError::NoSuchTable { .. }
        | DataverseError::Key { .. }
        | DataverseError::Unexpected { .. } => "user",
    }
}

fn does_not_resolve(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    why.contains("dns") || why.contains("lookup address")
}

fn clock(who: &Who, now: Timestamp) -> Finding {
    let Some(service) = who.service_time else {
        return Finding::Skipped("the service does not tell its time".to_owned());
    };
    let skew = now.duration_since(service);
    let seconds = skew.as_secs();
    if skew.abs() <= MOST_SKEW {
        return Finding::Holds(format!("{seconds} s from the service's"));
    }
    Finding::Doubtful {
        what: format!("this machine's clock is {seconds} s from the service's"),
        help: "Set the clock of this machine, best by NTP.".to_owned(),
    }
}

async fn look_at_table(
    environment: &Dataverse,
    who: &Who,
    mapping: &Mapping,
    steps: &mut Vec<Step>,
) -> Result<(), (&'static str, DataverseError)> {
    let table = environment
        .table(&mapping.table.value)
        .await
        .map_err(|error| ("table", error))?;
    steps.push(holds("table", format!("`{}` is there", table.name)));
    let needed = needed(environment, mapping, &table).await;
    let needed = needed.map_err(|error| ("table", error))?;
    let privileges = environment
        .privileges(who.user, &needed)
        .await
        .map_err(|error| ("privileges", error))?;
    let finding = match privileges {
        Privileges::NotTold { why } => Finding::Skipped(why),
        Privileges::Told { missing } if missing.is_empty() => {
            let on = |it: &Needed| format!("{} on `{}`", it.accesses.join(", "), it.table);
            Finding::Holds(needed.iter().map(on).collect::<Vec<_>>().join("; "))
        }
        Privileges::Told { missing } => Finding::Lacks(missing),
    };
    let name = "privileges";
    steps.push(Step { name, finding });
    Ok(())
}

/// What a run of the mapping does, table by table.
async fn needed(
    environment: &Dataverse,
    mapping: &Mapping,
    table: &Table,
) -> Result<Vec<Needed>, DataverseError> {
    let mut accesses = match mapping.mode {
        Mode::Upsert => vec!["Create", "Read", "Write"],
        Mode::Create => vec!["Create", "Read"],
        Mode::Update | Mode::UpdateOrSkip => vec!["Read", "Write"],
    };
    if mapping.delete_when.is_some() || matches!(mapping.missing.value, Missing::Delete(_)) {
        accesses.push("Delete");
    }
    match mapping.missing.value {
        Missing::Keep | Missing::Delete(_) => {}
        Missing::Deactivate(_) | Missing::Set(_) if accesses.contains(&"Write") => {}
        Missing::Deactivate(_) | Missing::Set(_) => accesses.push("Write"),
    }
    let mut referenced: Vec<Needed> = Vec::new();
    for column in &mapping.columns {
        let Origin::Lookup(lookup) = &column.origin else {
            continue;
        };
        let (here, there) = match column.target.value.as_str() {
            OWNER => ("Assign", vec!["Read"]),
            _ => ("Append", vec!["Read", "AppendTo"]),
        };
        if !accesses.contains(&here) {
            accesses.push(here);
        }
        let target = environment.table(&lookup.table.value).await?.name;
        if !referenced.iter().any(|it| it.table == target) {
            referenced.push(Needed {
                table: target,
                accesses: there,
            });
        }
    }
    let own = Needed {
        table: table.name.clone(),
        accesses,
    };
    Ok(std::iter::once(own).chain(referenced).collect())
}

/// The lookup that says whose a record is.
const OWNER: &str = "ownerid";

fn holds(name: &'static str, what: String) -> Step {
    let finding = Finding::Holds(what);
    Step { name, finding }
}
