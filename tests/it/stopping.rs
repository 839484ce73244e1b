//! Runs that are stopped, killed, or in each other's way.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use segue_emulator::{EffectKind, Emulator, Fault, Options};
use serde_json::json;

use crate::desk::{Desk, numbered};

const ROWS: usize = 1_000;

/// A push that has sent some rows and is being kept waiting by the service.
async fn kept_waiting() -> (Desk, Child) {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(ROWS));
    desk.accounts("{ path: a.csv }", "");
    // Just one: the run sends nothing more while it waits, and the next run is to be spared.
    let wait = Fault::Throttle { retry_after: 600 };
    desk.emulator
        .next_requests([Fault::Pass, Fault::Pass, wait]);
    let mut child = desk.start_push();
    wait_until_throttled(&mut child);
    (desk, child)
}

/// It says so when it has to wait: no need to guess when.
pub(crate) fn wait_until_throttled(child: &mut Child) {
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains("throttled")),
        "it was not throttled"
    );
    std::thread::spawn(move || lines.for_each(drop));
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([name, &id])
            .status()
            .unwrap()
            .success()
    );
}

/// No row was created twice, and every one is there.
fn each_was_created_once(desk: &Desk) {
    let mut created: BTreeMap<_, u32> = BTreeMap::new();
    for entry in desk.emulator.journal() {
        if entry.kind == EffectKind::Create && entry.table == "account" {
            *created.entry(entry.id).or_default() += 1;
        }
    }
    assert_eq!(created.len(), ROWS);
    assert!(created.values().all(|times| *times == 1));
    assert_eq!(desk.emulator.rows("account").len(), ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_push_to_the_table_is_told_that_it_is_held() {
    let (desk, mut child) = kept_waiting().await;
    let second = desk.push(&[]);
    assert_eq!(second.code, Some(5), "{second:?}");
    assert!(second.err.contains("held by run"), "{}", second.err);
    let rehearsal = desk.push(&["--dry-run"]);
    assert_eq!(
        rehearsal.code,
        Some(0),
        "a dry run needs no lock: {rehearsal:?}"
    );
    signal(&child, "-KILL");
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_push_is_completed_by_the_next_one() {
    for name in ["-INT", "-TERM"] {
        let (desk, child) = kept_waiting().await;
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(6), "{name}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let run = &json["runs"][0];
        assert_eq!(run["status"], "interrupted");
        let rows = |name: &str| run["rows"][name].as_u64().unwrap();
        assert_eq!(
            rows("created") + rows("not_attempted"),
            ROWS as u64,
            "{run}"
        );
        assert!(rows("created") > 0);
        let next = desk.push(&[]);
        assert_eq!(next.code, Some(0), "{next:?}");
        assert_eq!(next.rows("unchanged"), rows("created"));
        each_was_created_once(&desk);
    }
}

/// An answer that does not come keeps a run that is told to stop, and nobody who says so twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_run_at_once_and_the_next_one_completes_it() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(ROWS));
    desk.accounts("{ path: a.csv }", "");
    let late = Duration::from_hours(1);
    desk.emulator.next_requests([Fault::Stall { time: late }]);
    let mut child = desk.start_push();
    while desk.emulator.counts().batched_writes == 0 {
        std::thread::yield_now();
    }
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    signal(&child, "-INT");
    assert!(lines.any(|line| line.contains("interrupt again to give up")));
    signal(&child, "-INT");
    std::thread::spawn(move || lines.for_each(drop));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = &json["runs"][0];
    assert_eq!(run["status"], "interrupted", "{run}");
    let rows = |name: &str| run["rows"][name].as_u64().unwrap();
    assert_eq!(
        rows("created") + rows("not_attempted"),
        ROWS as u64,
        "{run}"
    );
    assert!(rows("not_attempted") > 0, "{run}");
    let next = desk.push(&[]);
    assert_eq!(next.code, Some(0), "{next:?}");
    each_was_created_once(&desk);
    assert_eq!(desk.push(&[]).requests("writes"), 0);
}

/// The file of a sandbox that another process holds keeps nobody who is told to stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_waits_for_its_destination_hears_a_signal() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    let box_in_use = Options {
        data: Some(desk.path(".segue/box.dataverse")),
        ..Options::default()
    };
    std::fs::create_dir(desk.path(".segue")).unwrap();
    let another = Emulator::start(box_in_use).await.unwrap();
    desk.write(
        "segue.yaml",
        "version: 1\ndestinations:\n  box: { sandbox: {} }\n",
    );
    let arguments = ["push", "-m", "accounts.yaml", "--lock-wait", "1h", "-v"];
    let mut command = desk.command(&arguments);
    for name in [
        "URL",
        "AUTHORITY",
        "TENANT_ID",
        "CLIENT_ID",
        "CLIENT_SECRET",
    ] {
        command.env_remove(format!("SEGUE_{name}"));
    }
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains("waiting for another process")));
    signal(&child, "-TERM");
    let told: String = lines.collect();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(6), "{told}");
    another.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_push_is_listed_among_the_others() {
    let (desk, mut child) = kept_waiting().await;
    signal(&child, "-KILL");
    child.wait().unwrap();
    let folder = std::fs::read_dir(desk.path(".segue/runs")).unwrap();
    let killed = folder.map(|it| it.unwrap().file_name().into_string().unwrap());
    let killed: Vec<String> = killed.collect();
    let [killed] = killed.as_slice() else {
        panic!("{killed:?}");
    };
    assert_eq!(desk.push(&[]).code, Some(0));
    let later = "20990101T030405Z-accounts";
    std::fs::create_dir(desk.path(&format!(".segue/runs/{later}"))).unwrap();
    let listed = desk.run(&["runs"]).out;
    let first = listed.lines().nth(1).unwrap();
    assert!(first.starts_with(later), "{listed}");
    for command in ["runs", "rejects", "retry"] {
        let told = desk.run(&[command, killed]);
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(told.err.contains("was killed"), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_push_is_completed_by_the_next_one() {
    let (desk, mut child) = kept_waiting().await;
    signal(&child, "-KILL");
    child.wait().unwrap();
    let next = desk.push(&[]);
    assert_eq!(next.code, Some(0), "{next:?}");
    each_was_created_once(&desk);
    assert_eq!(desk.push(&[]).requests("writes"), 0);
}

/// What a killed run made and could not record is proved by later runs, unless one of them says that nothing is open.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_made_is_ours_whatever_runs_come_between() {
    let betweens: [&[&str]; 3] = [&["--limit", "1"], &["--partial", "--key", "A3"], &[]];
    for more in betweens {
        let desk = Desk::new().await;
        desk.accounts("{ path: a.csv }", "missing: delete\n");
        desk.write("a.csv", format!("{}B1,one\n", numbered(5)));
        // The records are made, and no answer tells so: the run learns that it must wait, and is killed waiting.
        let wait = Fault::Throttle { retry_after: 600 };
        desk.emulator.next_requests([Fault::CloseAfterCommit, wait]);
        let mut child = desk.start_push();
        wait_until_throttled(&mut child);
        assert_eq!(desk.emulator.rows("account").len(), 6);
        child.kill().unwrap();
        child.wait().unwrap();
        if more.is_empty() {
            // A guard stops the run between.
            desk.accounts(
                "{ path: a.csv }",
                "missing: delete\nguard: { min_rows: 99 }\n",
            );
            assert_eq!(desk.push(&[]).code, Some(4));
            desk.accounts("{ path: a.csv }", "missing: delete\n");
        } else {
            assert_eq!(desk.push(more).code, Some(0));
        }
        assert_eq!(desk.push(&[]).code, Some(0));
        desk.write("a.csv", numbered(4) + "B1,one\n");
        let ran = desk.push(&[]);
        assert_eq!(
            (ran.rows("deleted"), ran.rows("kept")),
            (1, 0),
            "{more:?}: {ran:?}"
        );
    }
}

/// A value that was written while the run died is no older value's twin: what is withdrawn the next day is written back.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_a_killed_run_made_and_nobody_wants_is_taken_back() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    desk.write("a.csv", numbered(9));
    assert_eq!(desk.push(&[]).rows("created"), 9);
    desk.write("a.csv", numbered(9).replace("Shop 3", "Wrong"));
    let wait = Fault::Throttle { retry_after: 600 };
    desk.emulator.next_requests([Fault::CloseAfterCommit, wait]);
    let mut child = desk.start_push();
    wait_until_throttled(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let names = || {
        let rows = desk.emulator.rows("account");
        rows.iter().filter(|row| row["name"] == "Wrong").count()
    };
    assert_eq!(names(), 1, "it did not begin");
    desk.write("a.csv", numbered(9));
    let ran = desk.push(&[]);
    assert_eq!((ran.rows("updated"), ran.rows("unchanged")), (1, 8));
    assert_eq!(names(), 0, "{ran:?}");
    assert_eq!(desk.push(&[]).requests("writes"), 0);
}

/// What was filled while the run died is this mapping's to clear, whoever filled it: a row, or its absence.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_killed_run_filled_in_is_cleared_when_it_is_gone() {
    let lines = |phone: &str| format!("number,name,phone,contact\nA1,one,{phone},\nA2,two,,\n");
    for (more, columns, extract) in [
        ("", "", lines("0123")),
        (
            "",
            "  primarycontactid: { lookup: contact, by: { emailaddress1: contact } }\n",
            lines("0123"),
        ),
        (
            "missing: { set: { telephone1: none } }\n",
            "",
            "number,name,phone,contact\nA2,two,,\n".to_owned(),
        ),
    ] {
        let desk = Desk::new().await;
        desk.accounts("{ path: a.csv }", more);
        let mapping = desk.read("accounts.yaml") + "  telephone1: phone\n" + columns;
        desk.write("accounts.yaml", mapping);
        desk.write("a.csv", lines(""));
        assert_eq!(desk.push(&[]).rows("created"), 2);
        desk.write("a.csv", extract);
        let wait = Fault::Throttle { retry_after: 600 };
        desk.emulator.next_requests([Fault::CloseAfterCommit, wait]);
        let mut child = desk.start_push();
        wait_until_throttled(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        let phones = || {
            let rows = desk.emulator.rows("account");
            let phones = rows.iter().map(|row| row["telephone1"].clone());
            phones.filter(|phone| !phone.is_null()).count()
        };
        assert_eq!(phones(), 1, "{more}: it did not begin");
        desk.write("a.csv", lines(""));
        let ran = desk.push(&[]);
        assert_eq!(phones(), 0, "{more}: {ran:?}");
        assert_eq!(desk.push(&[]).requests("writes"), 0);
    }
}

/// A run that ends knows what it never sent: of that, nothing counts as filled, and what a person typed there stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_run_never_sent_is_not_its_own() {
    for lookup in [
        "",
        "  primarycontactid: { lookup: contact, by: { emailaddress1: contact } }\n",
    ] {
        let desk = Desk::new().await;
        desk.accounts("{ path: a.csv }", "");
        let mapping = desk.read("accounts.yaml") + "  telephone1: phone\n" + lookup;
        desk.write("accounts.yaml", mapping);
        let extract = |phone: &str| {
            let lines = (1..=ROWS).map(|row| format!("A{row},Shop {row},{phone},\n"));
            let lines: String = lines.collect();
            desk.write("a.csv", format!("number,name,phone,contact\n{lines}"));
        };
        extract("");
        assert_eq!(desk.push(&[]).rows("created"), ROWS as u64);
        let typed = || {
            let rows = desk.emulator.rows("account");
            let typed = rows.iter().filter(|row| row["telephone1"] == "typed");
            typed.count()
        };
        for row in ROWS - 20..ROWS {
            let key = format!("accounts(accountnumber='A{row}')");
            desk.edit(&key, &json!({ "telephone1": "typed" }));
        }
        extract("0123");
        let wait = Fault::Throttle { retry_after: 600 };
        desk.emulator.next_requests([Fault::Pass, wait]);
        let mut child = desk.start_push();
        wait_until_throttled(&mut child);
        signal(&child, "-INT");
        assert_eq!(child.wait().unwrap().code(), Some(6));
        let before = typed();
        assert!(before > 0, "the run came to all of them");
        extract("");
        let ran = desk.push(&[]);
        assert_eq!((ran.code, typed()), (Some(0), before), "{ran:?}");
        assert_eq!(desk.push(&[]).requests("writes"), 0);
    }
}

/// Who is removed while the run dies, and is back the next day: nothing of the ledger may call such a row unchanged.
#[tokio::test(flavor = "multi_thread")]
async fn who_returns_after_a_killed_removal_is_there_again() {
    for (more, mark) in [
        ("missing: delete", ""),
        ("missing: deactivate", ""),
        ("missing: { set: { name: Gone, telephone1: none } }", ""),
        ("delete_when: gone", "yes"),
    ] {
        let desk = Desk::new().await;
        desk.accounts("{ path: a.csv }", &format!("{more}\n"));
        let mapping = desk.read("accounts.yaml") + "  telephone1: phone\n";
        desk.write("accounts.yaml", mapping);
        let line = |row: u32, mark: &str| format!("A{row},Shop {row},0{row},{mark}\n");
        let header = "number,name,phone,gone\n";
        let whole: String = (1..=9).map(|row| line(row, "")).collect();
        desk.write("a.csv", format!("{header}{whole}"));
        assert_eq!(desk.push(&[]).rows("created"), 9);
        let before = desk.emulator.rows("account").len();
        let rest: String = (4..=9).map(|row| line(row, "")).collect();
        let marked: String = (1..=3).map(|row| line(row, mark)).collect();
        let left = if mark.is_empty() {
            String::new()
        } else {
            marked
        };
        desk.write("a.csv", format!("{header}{left}{rest}"));
        // The records are removed, and no answer tells so.
        let wait = Fault::Throttle { retry_after: 600 };
        desk.emulator.next_requests([Fault::CloseAfterCommit, wait]);
        let mut child = desk.start_push();
        wait_until_throttled(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        let there = |row: &serde_json::Value| {
            let name = row["name"].as_str().unwrap_or_default();
            let phone = row["telephone1"].as_str().unwrap_or_default();
            let is_right = name.trim_start_matches("Shop ") == phone.trim_start_matches('0');
            is_right && row["statecode"] == 0
        };
        let standing = || {
            let rows = desk.emulator.rows("account");
            let rows = rows.iter().map(|row| serde_json::json!(row));
            rows.filter(|row| there(row)).count()
        };
        assert_eq!((before, standing()), (9, 6), "{more}: it did not begin");
        desk.write("a.csv", format!("{header}{whole}"));
        let ran = desk.push(&[]);
        assert_eq!((ran.code, standing()), (Some(0), 9), "{more}: {ran:?}");
        assert_eq!(desk.push(&[]).requests("writes"), 0, "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_create_nothing_twice() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(ROWS));
    desk.accounts("{ path: a.csv }", "");
    desk.emulator.next_requests([
        Fault::CloseAfterCommit,
        Fault::TruncateBody,
        Fault::CloseBeforeCommit,
        Fault::Pass,
        Fault::CloseAfterCommit,
    ]);
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.code, ran.rows("created")),
        (Some(0), ROWS as u64),
        "{ran:?}"
    );
    each_was_created_once(&desk);
}

/// How often the process is killed.
const KILLS: usize = 100;

/// The extract of one day: ten rows more than the day before, each with another name.
fn grown(day: usize) -> String {
    let lines = (1..=day * 10).map(|row| format!("A{row},Shop {row} of day {day}\n"));
    format!("number,name\n{}", lines.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_lose_nothing_and_double_nothing() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    let mut chance = 0x5E60_E5E6_0E5E_u64;
    for day in 1..=KILLS {
        desk.write("a.csv", grown(day));
        let before = desk.emulator.counts().batched_writes;
        let mut command = desk.command(&["push", "-m", "accounts.yaml", "--json"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // A moment of the run's own work, not of the clock: until so many writes were done, or it has ended.
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let writes = before + (chance >> 33) % (day as u64 * 10);
        while desk.emulator.counts().batched_writes < writes && child.try_wait().unwrap().is_none()
        {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = desk.push(&[]);
    assert_eq!(last.code, Some(0), "{last:?}");
    each_was_created_once(&desk);
    let rows = desk.emulator.rows("account");
    let is_of_the_last_day = |row: &serde_json::Value| {
        let name = row["name"].as_str().unwrap();
        name.ends_with(&format!("of day {KILLS}"))
    };
    assert!(rows.iter().all(is_of_the_last_day));
    assert_eq!(desk.push(&[]).requests("writes"), 0);
}
