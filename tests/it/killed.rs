//! The real command killed in each of its phases: before every step that it makes on disk, while it reads, and between
//! any two answers of the service. One more run, and all is as if nothing had happened.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use segue_emulator::{Fault, Options};
use serde_json::Value as Json;

use crate::desk::{Desk, Ran, numbered, ran};
use crate::stopping::wait_until_throttled;

/// A library that kills the command before one of its steps on disk.
struct Steps {
    library: PathBuf,
    told: PathBuf,
}

/// Which calls count as steps.
#[derive(Clone, Copy)]
enum Counted {
    Changes,
    Reads,
}

impl Steps {
    fn of(desk: &Desk) -> Self {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/killed/steps.c");
        let library = desk.path("steps.so");
        // The same compiler has built SQLite for the command.
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-o"]).arg(&library);
        let made = compile.args([source, "-ldl"]).status().unwrap();
        assert!(made.success());
        let told = desk.path("steps.told");
        Self { library, told }
    }

    /// The command, which stops before a step on a file below `under`.
    fn armed(
        &self,
        desk: &Desk,
        (step, counted, under): (usize, Counted, &str),
        arguments: &[&str],
    ) -> Command {
        std::fs::remove_file(&self.told).ok();
        let mut command = desk.command(arguments);
        command
            .env("LD_PRELOAD", &self.library)
            .env("STEPS_UNDER", desk.path(under))
            .env("STEPS_TOLD", &self.told)
            .env("STEPS_BEFORE", step.to_string());
        if let Counted::Reads = counted {
            command.env("STEPS_READS", "1");
        }
        command
    }

    /// The verb and path of the step that was come to; `None` if there was none.
    fn told(&self, desk: &Desk) -> Option<String> {
        let told = std::fs::read_to_string(&self.told).ok()?;
        let above = desk.path("").display().to_string();
        Some(told.replace(above.trim_end_matches('/'), ""))
    }

    /// Runs the command until a step, told by its verb and path, or to its end.
    fn until(
        &self,
        desk: &Desk,
        place: (usize, Counted, &str),
        arguments: &[&str],
    ) -> Result<String, Ran> {
        let ran = ran(&mut self.armed(desk, place, arguments));
        match ran.code {
            Some(_) => Err(ran),
            None => Ok(self.told(desk).unwrap()),
        }
    }

    /// Runs the command again and again, each time until the next step, and lets `judge` look at what is left; until it
    /// comes to its end. Tells the steps.
    fn each(
        &self,
        desk: &Desk,
        (counted, under): (Counted, &str),
        arguments: &[&str],
        mut prepare: impl FnMut(usize),
        mut judge: impl FnMut(usize, &str),
    ) -> Vec<String> {
        let mut steps = Vec::new();
        loop {
            prepare(steps.len());
            match self.until(desk, (steps.len(), counted, under), arguments) {
                Ok(step) => {
                    judge(steps.len(), &step);
                    steps.push(step);
                }
                Err(ended) => {
                    assert!(matches!(ended.code, Some(0 | 1)), "{ended:?}");
                    assert!(steps.len() > 3, "nothing was counted: {ended:?}");
                    return steps;
                }
            }
        }
    }
}

/// Whether one of the steps is of this kind on a file of this name.
fn has(steps: &[String], verb: &str, name: &str) -> bool {
    let is_it = |step: &String| step.starts_with(verb) && step.contains(name);
    steps.iter().any(is_it)
}

/// One day's extract: against the day before, one account is changed, one is new, one left, and every other day one is
/// back.
fn of_day(day: usize) -> String {
    let back = if day.is_multiple_of(2) {
        "R,Back\n"
    } else {
        ""
    };
    format!("number,name\nA1,Shop 1\nA2,Shop 2\nA3,Shop 3\nU,Shop of day {day}\nN{day},New\n{back}")
}

/// Numbers and names of the accounts, as the extract has them.
fn accounts(desk: &Desk) -> String {
    let text = |row: &Json, column: &str| row[column].as_str().unwrap_or_default().to_owned();
    let rows = desk.emulator.rows("account");
    let rows = rows.iter().filter(|row| row["statecode"] == 0);
    let lines: BTreeSet<String> = rows
        .map(|row| format!("{},{}\n", text(row, "accountnumber"), text(row, "name")))
        .collect();
    lines.into_iter().collect()
}

fn sorted(extract: &str) -> String {
    let lines: BTreeSet<String> = extract
        .lines()
        .skip(1)
        .map(|it| format!("{it}\n"))
        .collect();
    lines.into_iter().collect()
}

const PUSH: [&str; 4] = ["push", "-m", "accounts.yaml", "--json"];

fn state<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["state"], more, &["-m", "accounts.yaml"]].concat()
}

/// A ledger of one day.
async fn pushed(more: &str) -> Desk {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", more);
    desk.write("a.csv", of_day(1));
    let ran = desk.push(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_killed_before_any_step_on_disk_is_completed_by_the_next() {
    let desk = Desk::with(Options {
        chaos: "rule=name:Refused".parse().unwrap(),
        ..Options::default()
    })
    .await;
    desk.accounts("{ path: a.csv }", "missing: delete\n");
    // One row is refused by the service, and held back on some days; one by the mapping.
    let bad = format!("X,Refused\nY,{}\n", "y".repeat(161));
    let write = |day: usize| desk.write("a.csv", of_day(day) + &bad);
    write(1);
    assert_eq!(desk.push(&[]).rows("rejected"), 2);
    let made = Steps::of(&desk).each(
        &desk,
        (Counted::Changes, ".segue"),
        &PUSH,
        |step| write(step + 2),
        |step, name| {
            if step.is_multiple_of(4) {
                let shown = desk.run(&["state", "show"]);
                assert_eq!(shown.code, Some(0), "before {name}: {shown:?}");
            }
            let ran = desk.push(&[]);
            let told = (ran.code, ran.rows("rejected"));
            assert_eq!(told, (Some(1), 2), "before {name}: {ran:?}");
            assert!(ran.rejects().contains("business_rule"), "before {name}");
            let extract = sorted(&of_day(step + 2));
            assert_eq!(accounts(&desk), extract, "before {name}: {ran:?}");
        },
    );
    desk.write("a.csv", of_day(made.len() + 2));
    assert_eq!(desk.push(&[]).requests("writes"), 0);
    // Recorded, put in order, in force, the old generation going, the lock let go, the results written.
    for (verb, name) in [
        ("sync", "journal."),
        ("write", "digests."),
        ("sync", "columns."),
        ("sync", "catalogue.db"),
        ("remove", "journal."),
        ("remove", "digests."),
        ("remove", "columns."),
        ("cut", ".lock"),
        ("write", "rejects.csv"),
        ("rename", "run_results.json"),
    ] {
        assert!(has(&made, verb, name), "{verb} {name}: {made:#?}");
    }
    let last = made.iter().rposition(|step| step.starts_with("rename"));
    let synced: Vec<&str> = made[last.unwrap() + 1..]
        .iter()
        .map(|step| step.split(".segue/").last().unwrap())
        .collect();
    assert!(synced[0].starts_with("runs/2"), "{synced:?}");
    assert_eq!(synced[1..], ["runs"], "{made:#?}");
}

/// Wherever the first signal comes, the run drains, tells how it ended, and its books are right.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_interrupted_before_any_step_on_disk_tells_so_and_is_completed_by_the_next() {
    let desk = pushed("missing: delete\n").await;
    let steps = Steps::of(&desk);
    let (mut done, mut interrupted) = (0, 0);
    for step in 0.. {
        let day = step + 2;
        desk.write("a.csv", of_day(day));
        let place = (step, Counted::Changes, ".segue");
        let told = ran(steps.armed(&desk, place, &PUSH).env("STEPS_SIGNAL", "2"));
        let Some(name) = steps.told(&desk) else {
            assert_eq!(told.code, Some(0), "{told:?}");
            break;
        };
        match told.code {
            Some(0) => done += 1,
            Some(6) => interrupted += 1,
            _ => panic!("before {name}: {told:?}"),
        }
        let json = told.json();
        let run = json["runs"][0]["run"].as_str().unwrap();
        let kept = desk.read(&format!(".segue/runs/{run}/run_results.json"));
        let kept: Json = serde_json::from_str(&kept).unwrap();
        assert_eq!(kept, json["runs"][0], "before {name}");
        let ran = desk.push(&[]);
        assert_eq!(ran.code, Some(0), "before {name}: {ran:?}");
        let extract = sorted(&of_day(day));
        assert_eq!(accounts(&desk), extract, "before {name}: {ran:?}");
    }
    assert!(done > 5 && interrupted > 5, "{done} and {interrupted}");
    assert_eq!(desk.push(&[]).requests("writes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_push_killed_before_any_step_on_disk_is_completed_by_the_next() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    desk.write("a.csv", of_day(2));
    let whole = sorted(&of_day(2));
    let made = Steps::of(&desk).each(
        &desk,
        (Counted::Changes, ".segue"),
        &PUSH,
        |_| {
            std::fs::remove_dir_all(desk.path(".segue")).ok();
            for row in desk.emulator.rows("account") {
                let id = row["accountid"].as_str().unwrap().to_owned();
                desk.request("DELETE", &format!("accounts({id})"), "");
            }
        },
        |_, name| {
            let ran = desk.push(&[]);
            assert_eq!(ran.code, Some(0), "before {name}: {ran:?}");
            assert_eq!(accounts(&desk), whole, "before {name}: {ran:?}");
        },
    );
    assert!(has(&made, "create", "catalogue.db"), "{made:#?}");
    assert!(has(&made, "create", "digests.1"), "{made:#?}");
    assert_eq!(accounts(&desk), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_killed_in_either_reading_is_completed_by_the_next() {
    let desk = pushed("missing: delete\n").await;
    let padded = |day: usize| {
        let text = of_day(day);
        let rows = (0..2_000).map(|row| format!("P{row},Padding {row} of day {day}\n"));
        text + &rows.collect::<String>()
    };
    let made = Steps::of(&desk).each(
        &desk,
        (Counted::Reads, "a.csv"),
        &PUSH,
        |step| desk.write("a.csv", padded(step + 2)),
        |step, name| {
            let ran = desk.push(&[]);
            assert_eq!(ran.code, Some(0), "before {name}: {ran:?}");
            let extract = sorted(&padded(step + 2));
            assert_eq!(accounts(&desk), extract, "before {name}: {ran:?}");
        },
    );
    assert!(made.len() > 3, "{made:?}");
    assert_eq!(desk.push(&[]).requests("writes"), 0);
}

/// A row that refers to nothing is never sent: what a person typed where it has a value is not the dead run's to clear.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_killed_push_could_not_send_is_not_its_own() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    let more = "  telephone1: phone\n  primarycontactid: { lookup: contact, by: { emailaddress1: contact } }\n";
    let mapping = desk.read("accounts.yaml") + more;
    desk.write("accounts.yaml", mapping);
    let write = |day: usize, cells: &str| {
        let lines = format!("number,name,phone,contact\nA1,one,{cells}\nA2,day {day},,\n");
        desk.write("a.csv", lines);
    };
    write(0, ",");
    assert_eq!(desk.push(&[]).rows("created"), 2);
    let typed = serde_json::json!({ "telephone1": "typed" });
    desk.edit("accounts(accountnumber='A1')", &typed);
    let phone = || {
        let rows = desk.emulator.rows("account");
        let row = rows.iter().find(|row| row["accountnumber"] == "A1");
        row.unwrap()["telephone1"].clone()
    };
    let made = Steps::of(&desk).each(
        &desk,
        (Counted::Changes, ".segue"),
        &PUSH,
        |step| write(step + 1, "0123,nobody@example.com"),
        |step, name| {
            let ran = desk.push(&[]);
            assert_eq!(ran.rows("rejected"), 1, "before {name}: {ran:?}");
            write(step + 1, ",");
            let ran = desk.push(&[]);
            assert_eq!(
                (ran.code, phone()),
                (Some(0), "typed".into()),
                "before {name}: {ran:?}"
            );
        },
    );
    assert!(has(&made, "sync", "journal."), "{made:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_killed_among_its_removals_is_completed_by_the_next() {
    for (more, left) in [
        ("missing: delete\n", 3),
        ("missing: deactivate\n", 3),
        ("missing: { set: { name: Gone } }\n", 6),
    ] {
        let alone = format!("{more}write: {{ envelope: single }}\n");
        for answered in 0..3 {
            let desk = Desk::new().await;
            desk.accounts("{ path: a.csv }", &alone);
            desk.write("a.csv", numbered(6));
            assert_eq!(desk.push(&[]).rows("created"), 6);
            desk.write("a.csv", numbered(3));
            let passed = std::iter::repeat_n(Fault::Pass, answered);
            let wait = Fault::Throttle { retry_after: 600 };
            desk.emulator.next_requests(passed.chain([wait]));
            let mut child = desk.start_push();
            wait_until_throttled(&mut child);
            child.kill().unwrap();
            child.wait().unwrap();
            let ran = desk.push(&[]);
            assert_eq!(ran.code, Some(0), "{more}{answered}: {ran:?}");
            let there = accounts(&desk);
            assert_eq!(there.lines().count(), left, "{more}{answered}: {ran:?}");
            assert!(there.starts_with(&sorted(&numbered(3))), "{there}");
            assert_eq!(desk.push(&[]).requests("writes"), 0, "{more}{answered}");
            // Who returns is there again.
            desk.write("a.csv", numbered(6));
            assert_eq!(desk.push(&[]).code, Some(0));
            assert_eq!(accounts(&desk), sorted(&numbered(6)), "{more}{answered}");
        }
    }
}

/// Rows that refer to one another are written in two passes; between any two answers of either the run may die.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_killed_between_its_passes_is_completed_by_the_next() {
    const REQUESTS: usize = 5;
    for answered in 0..=REQUESTS {
        let desk = Desk::new().await;
        let text = "version: 1\nsource: { path: a.csv }\ntarget: { table: account, key: [accountnumber] }\n\
                    write: { envelope: single }\ncolumns:\n  accountnumber: number\n  name: name\n  \
                    parentaccountid: { lookup: account, by: { accountnumber: parent } }\n";
        desk.write("accounts.yaml", text);
        desk.write(
            "a.csv",
            "number,name,parent\nA1,one,A2\nA2,two,A3\nA3,three,\n",
        );
        let passed = std::iter::repeat_n(Fault::Pass, answered);
        let wait = Fault::Throttle { retry_after: 600 };
        desk.emulator.next_requests(passed.chain([wait]));
        let mut child = desk.start_push();
        if answered < REQUESTS {
            wait_until_throttled(&mut child);
            child.kill().unwrap();
        }
        child.wait().unwrap();
        let ran = desk.push(&[]);
        assert_eq!(ran.code, Some(0), "{answered}: {ran:?}");
        let rows = desk.emulator.rows("account");
        let of = |number: &str| {
            rows.iter()
                .find(|row| row["accountnumber"] == number)
                .unwrap()
        };
        assert_eq!(rows.len(), 3, "{answered}: {ran:?}");
        for (child, parent) in [("A1", "A2"), ("A2", "A3")] {
            let parent = &of(parent)["accountid"];
            let above = &of(child)["_parentaccountid_value"];
            assert_eq!(above, parent, "{answered}: {ran:?}");
        }
        let idle = desk.push(&[]);
        let counts = (idle.rows("unchanged"), idle.requests("writes"));
        assert_eq!(counts, (3, 0), "{answered}: {idle:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_killed_before_any_step_is_made_by_the_next_or_by_a_push() {
    let desk = pushed("missing: delete\n").await;
    let all = accounts(&desk);
    // A part of what Dataverse holds is none of this extract's business.
    desk.write("a.csv", "number,name\nA1,Shop 1\nA2,Shop 2\n");
    let made = Steps::of(&desk).each(
        &desk,
        (Counted::Changes, ".segue"),
        &state(&["adopt"]),
        |_| std::fs::remove_dir_all(desk.path(".segue/env")).unwrap(),
        |step, name| {
            if step.is_multiple_of(2) {
                let again = desk.run(&state(&["adopt", "--json"]));
                assert_eq!(again.code, Some(0), "before {name}: {again:?}");
                assert_eq!(again.json()["adopted"], 2, "before {name}: {again:?}");
            }
            let ran = desk.push(&[]);
            assert_eq!(ran.code, Some(0), "before {name}: {ran:?}");
            let touched = ran.rows("deleted") + ran.rows("created");
            assert_eq!(touched, 0, "before {name}: {ran:?}");
            assert_eq!(accounts(&desk), all, "before {name}: {ran:?}");
        },
    );
    assert!(has(&made, "create", "digests."), "{made:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_killed_before_any_step_leaves_the_one_ledger_or_the_other() {
    let desk = pushed("missing: delete\n").await;
    let export = state(&["export", "--out", "kept.ndjson"]);
    assert_eq!(desk.run(&export).code, Some(0));
    let import = state(&["import", "--from", "kept.ndjson", "--yes"]);
    let made = Steps::of(&desk).each(
        &desk,
        (Counted::Changes, ".segue"),
        &import,
        |_| {},
        |_, name| {
            let shown = desk.run(&state(&["show", "--json"]));
            assert_eq!(shown.code, Some(0), "before {name}: {shown:?}");
            let ledger = &shown.json()["ledgers"][0];
            let counts = (&ledger["records"], &ledger["created"]);
            assert_eq!(counts, (&5.into(), &5.into()), "before {name}");
            let again = desk.run(&import);
            assert_eq!(again.code, Some(0), "before {name}: {again:?}");
        },
    );
    assert!(has(&made, "sync", "catalogue.db"), "{made:#?}");
    // Nothing is left beside the ledger.
    let folder = std::fs::read_dir(desk.path(".segue/env")).unwrap();
    assert_eq!(folder.count(), 1);
    assert_eq!(desk.push(&[]).rows("unchanged"), 5);
    desk.write("a.csv", of_day(2));
    let ran = desk.push(&[]);
    assert_eq!((ran.code, ran.rows("deleted")), (Some(0), 1), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekey_killed_before_any_step_is_made_or_made_by_the_next() {
    let desk = Desk::new().await;
    let keyed = |key: &str| {
        let text = format!(
            "version: 1\nsource: {{ path: c.csv }}\ntarget: {{ table: contact, key: [{key}] }}\nmissing: delete\n\
             columns:\n  emailaddress1: email\n  externaluseridentifier: number\n  lastname: name\n"
        );
        desk.write("accounts.yaml", text);
    };
    let keys = ["emailaddress1", "externaluseridentifier"];
    desk.write(
        "c.csv",
        "email,number,name\na@x.example,1,Ada\nb@x.example,2,Bob\n",
    );
    for key in keys {
        keyed(key);
        let reset = state(&["reset", "--yes"]);
        desk.run(&reset);
        assert_eq!(desk.push(&[]).code, Some(0));
    }
    let rekey = state(&["rekey", "--json"]);
    let made = Steps::of(&desk).each(
        &desk,
        (Counted::Changes, ".segue"),
        &rekey,
        |step| keyed(keys[step % 2]),
        |_, name| {
            let again = desk.run(&rekey);
            assert_eq!(again.code, Some(0), "before {name}: {again:?}");
            assert_eq!(again.json()["carried"], 2, "before {name}: {again:?}");
        },
    );
    assert!(has(&made, "sync", "columns"), "{made:#?}");
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.rows("created"), ran.rows("deleted")),
        (0, 0),
        "{ran:?}"
    );
    assert_eq!(desk.emulator.rows("contact").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_killed_before_any_step_is_made_or_not_made() {
    let desk = pushed("missing: delete\n").await;
    let reset = state(&["reset", "--yes"]);
    Steps::of(&desk).each(
        &desk,
        (Counted::Changes, ".segue"),
        &reset,
        |_| {
            assert_eq!(desk.push(&[]).code, Some(0));
        },
        |_, name| {
            let shown = desk.run(&state(&["show"]));
            assert!(
                matches!(shown.code, Some(0 | 2)),
                "before {name}: {shown:?}"
            );
            let again = desk.run(&reset);
            assert_eq!(again.code, shown.code, "before {name}: {again:?}");
            let ran = desk.push(&[]);
            assert_eq!(ran.code, Some(0), "before {name}: {ran:?}");
            assert_eq!(
                ran.rows("created") + ran.rows("deleted"),
                0,
                "before {name}: {ran:?}"
            );
            assert_eq!(accounts(&desk), sorted(&of_day(1)), "before {name}");
        },
    );
    assert_eq!(desk.push(&[]).rows("updated"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgetting_killed_before_any_step_is_made_or_not_made() {
    let desk = pushed("missing: delete\n").await;
    let forget = state(&["forget", "A1"]);
    let made = Steps::of(&desk).each(
        &desk,
        (Counted::Changes, ".segue"),
        &forget,
        |_| {
            assert_eq!(desk.push(&[]).code, Some(0));
        },
        |_, name| {
            let again = desk.run(&forget);
            assert!(
                matches!(again.code, Some(0 | 1)),
                "before {name}: {again:?}"
            );
            let ran = desk.push(&[]);
            assert_eq!(ran.code, Some(0), "before {name}: {ran:?}");
            let counts = (ran.rows("updated"), ran.rows("unchanged"));
            assert_eq!(counts, (1, 4), "before {name}: {ran:?}");
            assert_eq!(accounts(&desk), sorted(&of_day(1)), "before {name}");
        },
    );
    assert!(has(&made, "sync", "columns"), "{made:#?}");
}
