//! However a run ends, every row has its outcome and the exit code tells why.

use std::process::Command;

use segue_emulator::Fault;

use crate::desk::{Desk, Ran, numbered, ran};

/// The command with a limit on the size of each file that it writes: a disk that is full, as far as it can tell.
#[cfg(unix)]
fn on_a_small_disk(desk: &Desk, half_kilobytes: u32, more: &[&str]) -> Ran {
    let arguments = ["push", "-m", "accounts.yaml", "--json"];
    let whole = desk.command(&[&arguments, more].concat());
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f $0; exec \"$@\""])
        .arg(half_kilobytes.to_string())
        .arg(whole.get_program())
        .args(whole.get_args())
        .current_dir(whole.get_current_dir().unwrap());
    for (name, value) in whole.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    ran(&mut command)
}

/// Every row that was read has one outcome.
fn accounted(ran: &Ran) {
    let rows = &ran.json()["runs"][0]["rows"];
    let count = |name: &str| rows[name].as_u64().unwrap();
    let outcomes = [
        "unchanged",
        "created",
        "updated",
        "upserted",
        "deleted",
        "deactivated",
        "kept",
        "skipped",
        "rejected",
        "not_attempted",
    ];
    let outcomes: u64 = outcomes.into_iter().map(count).sum();
    assert_eq!(count("read") + count("vanished"), outcomes, "{rows}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_while_recording_stops_the_run() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(6_000));
    desk.accounts("{ path: a.csv }", "");
    // The ledger's databases are made before the disk is full.
    assert_eq!(desk.push(&["--limit", "1"]).code, Some(0));
    let ran = on_a_small_disk(&desk, 650, &[]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    accounted(&ran);
    assert!(ran.rows("created") > 0, "it did not begin: {ran:?}");
    assert!(ran.rows("not_attempted") > 0, "it went on: {ran:?}");
    // What is counted can be backed: by the ledger, not by an answer that nobody will remember.
    assert_eq!(ran.rows("created") + 1, recorded(&desk), "{ran:?}");
    what_was_recorded_is_not_sent_again(&desk);
    assert_eq!(desk.emulator.rows("account").len(), 6_000);
}

/// How many records the ledger holds.
fn recorded(desk: &Desk) -> u64 {
    let shown = desk.run(&["state", "show", "-m", "accounts.yaml", "--json"]);
    let ledger = &shown.json()["ledgers"][0];
    ledger["records"]
        .as_u64()
        .unwrap_or_else(|| panic!("{shown:?}"))
}

/// The next run leaves the recorded rows alone, and each of the others has one effect more.
fn what_was_recorded_is_not_sent_again(desk: &Desk) {
    let recorded = recorded(desk);
    assert!(recorded > 0);
    let before = desk.emulator.journal().len();
    let next = desk.push(&[]);
    assert_eq!(next.code, Some(0), "{next:?}");
    assert_eq!(next.rows("unchanged"), recorded, "{next:?}");
    let effects = (desk.emulator.journal().len() - before) as u64;
    assert_eq!(effects, next.rows("read") - recorded, "{next:?}");
    assert_eq!(desk.push(&[]).requests("writes"), 0);
    assert_eq!(
        desk.emulator.rows("account").len() as u64,
        next.rows("read")
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn removals_that_a_full_disk_does_not_record_do_not_count() {
    let more = "missing: delete\nguard: { max_deletes: 100% }\n";
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(8_000));
    desk.accounts("{ path: a.csv }", more);
    assert_eq!(desk.push(&[]).code, Some(0));
    desk.write("a.csv", numbered(1));
    // What the survey finds has room, and what is recorded has not quite.
    let ran = on_a_small_disk(&desk, 900, &[]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    accounted(&ran);
    assert!(ran.rows("deleted") > 0, "it did not begin: {ran:?}");
    assert_eq!(ran.rows("kept"), 0, "{ran:?}");
    assert_eq!(8_000 - ran.rows("deleted"), recorded(&desk), "{ran:?}");
    let next = desk.push(&[]);
    assert_eq!(next.code, Some(0), "{next:?}");
    assert_eq!(ran.rows("deleted") + next.rows("deleted"), 7_999);
    assert_eq!(desk.emulator.rows("account").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_out_of_time_is_gone_on_with_and_nothing_is_sent_twice() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(3_000));
    desk.accounts("{ path: a.csv }", "");
    // The service makes it wait for longer than it may.
    let wait = Fault::Throttle { retry_after: 600 };
    desk.emulator
        .next_requests([Fault::Pass, Fault::Pass, wait]);
    let ran = desk.push(&["--deadline", "2s"]);
    assert!(matches!(ran.code, Some(6 | 75)), "{ran:?}");
    accounted(&ran);
    assert!(ran.rows("not_attempted") > 0, "{ran:?}");
    what_was_recorded_is_not_sent_again(&desk);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_of_rejects_is_no_defect() {
    let desk = Desk::new().await;
    let long = "x".repeat(200);
    desk.write("a.csv", numbered(10_000).replace("Shop", &long));
    desk.accounts("{ path: a.csv }", "");
    let ran = on_a_small_disk(&desk, 2_000, &[]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    accounted(&ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_beyond_what_a_clock_can_tell_have_no_end() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(3));
    desk.accounts("{ path: a.csv }", "");
    let ages = "2562047788015215h";
    let ran = desk.push(&["--lock-wait", ages, "--deadline", ages, "--grace", ages]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 3), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ways_to_write_a_key_find_the_same_row() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(9));
    desk.accounts("{ path: a.csv }", "");
    let ran = desk.push(&["--key", "a7", "--key", "A7"]);
    assert_eq!((ran.rows("created"), ran.rows("skipped")), (1, 8));
    assert!(!ran.err.contains("no row"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_refresh_of_what_stands_is_no_change_to_the_guard() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(10));
    desk.accounts("{ path: a.csv }", "guard: { max_changes: 30% }\n");
    assert_eq!(desk.push(&[]).code, Some(0));
    let ran = desk.push(&["--full-refresh"]);
    assert_eq!((ran.code, ran.rows("updated")), (Some(0), 10), "{ran:?}");
    desk.write("a.csv", numbered(10).replace("Shop", "Store"));
    let ran = desk.push(&["--full-refresh"]);
    assert_eq!((ran.code, ran.rows("not_attempted")), (Some(4), 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_left_the_extract_are_kept_and_counted() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(5));
    desk.accounts("{ path: a.csv }", "");
    assert_eq!(desk.push(&[]).rows("kept"), 0);
    desk.write("a.csv", numbered(3));
    for more in [["--dry-run"].as_slice(), &[]] {
        let ran = desk.push(more);
        assert_eq!((ran.code, ran.rows("unchanged")), (Some(0), 3), "{ran:?}");
        assert_eq!((ran.rows("vanished"), ran.rows("kept")), (2, 2), "{ran:?}");
    }
    let ran = desk.push(&["--partial"]);
    assert_eq!((ran.rows("vanished"), ran.rows("kept")), (0, 0), "{ran:?}");
    assert_eq!(desk.emulator.rows("account").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_that_stop_a_run_before_it_sends_can_be_looked_at() {
    let desk = Desk::new().await;
    desk.write("a.csv", format!("{}A1,twice\n,nobody\n", numbered(4)));
    desk.accounts("{ path: a.csv }", "guard: { max_rejects: 1 }\n");
    for more in [["--dry-run"].as_slice(), &[]] {
        let ran = desk.push(more);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert_eq!((ran.rows("rejected"), ran.rows("not_attempted")), (2, 4));
        accounted(&ran);
        let rejects = ran.rejects();
        assert!(rejects.contains("a.csv:6,A1,,duplicate_row,"), "{rejects}");
        assert!(rejects.contains("a.csv:7,,"), "{rejects}");
    }
    assert_eq!(desk.writes(), 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_its_results_and_nothing_else_behind_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new().await;
    desk.write("a.csv", format!("{}A1,twice\n", numbered(2)));
    desk.accounts("{ path: a.csv }", "");
    for more in [["--dry-run"].as_slice(), &[]] {
        let ran = desk.push(more);
        let run = ran.json()["runs"][0]["run"].as_str().unwrap().to_owned();
        let folder = desk.path(".segue/runs").join(run);
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap())
            .collect();
        files.sort_by_key(std::fs::DirEntry::file_name);
        let names: Vec<_> = files.iter().map(std::fs::DirEntry::file_name).collect();
        assert_eq!(names, ["rejects.csv", "run_results.json"]);
        for file in files {
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_no_folder_is_refused_where_it_stands() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    for name in ["..", ".", "a/b", "a\\\\b", "c:d"] {
        desk.accounts("{ path: a.csv }", &format!("name: \"{name}\"\n"));
        let ran = desk.push(&[]);
        assert_eq!(ran.code, Some(2), "{name}: {ran:?}");
        assert!(ran.err.contains("accounts.yaml:4:7"), "{}", ran.err);
    }
    assert!(!desk.path(".segue/catalogue.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_the_run_then_does_in_every_mode() {
    for (mode, rows) in [
        ("upsert", [2, 2, 0, 2]),
        ("create", [2, 0, 2, 2]),
        ("update", [0, 2, 0, 4]),
        ("{ update: skip }", [0, 2, 2, 2]),
    ] {
        let desk = Desk::new().await;
        desk.write("a.csv", "number,name\nA1,one\nA2,two\na/b,slash\n");
        desk.accounts("{ path: a.csv }", "name: before\n");
        assert_eq!(desk.push(&[]).rows("created"), 3);
        // Another mapping, which knows nothing of what is there; one key cannot stand in a URL.
        let edited = "number,name\nA1,ONE\nA3,three\nA3,again\na/b,SLASH\n,none\nq/r,new\n";
        desk.write("a.csv", edited);
        desk.accounts("{ path: a.csv }", &format!("mode: {mode}\n"));
        for more in [["--dry-run"].as_slice(), &[]] {
            let ran = desk.push(more);
            let counts = ["created", "updated", "skipped", "rejected"].map(|name| ran.rows(name));
            assert_eq!((ran.code, counts), (Some(1), rows), "{mode} {more:?}");
            accounted(&ran);
        }
    }
}
