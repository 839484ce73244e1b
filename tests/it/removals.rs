//! The file of removals: whoever looks at a dry run sees which records would go, and a run tells which went.

use serde_json::{Value as Json, json};

use crate::desk::{Desk, Ran, numbered};

/// The lines of the file that the only run names, without the header.
fn lines(ran: &Ran) -> Vec<Vec<String>> {
    let json = ran.json();
    let file = json["runs"][0]["removals"]["file"].as_str();
    let file = file.unwrap_or_else(|| panic!("no removals: {ran:?}"));
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("table,id,action,columns,reason,position,outcome")
    );
    let cells = |line: &str| line.split(',').map(str::to_owned).collect();
    let mut lines: Vec<Vec<String>> = lines.map(cells).collect();
    lines.sort();
    lines
}

/// The GUIDs of these accounts, sorted.
fn ids(desk: &Desk, numbers: &[&str]) -> Vec<String> {
    let rows = desk.emulator.rows("account").into_iter();
    let rows = rows.map(|row| serde_json::to_value(row).unwrap());
    let wanted = rows.filter(|row| numbers.contains(&row["accountnumber"].as_str().unwrap()));
    let mut ids: Vec<String> = wanted
        .map(|row| row["accountid"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

fn column(lines: &[Vec<String>], at: usize) -> Vec<&str> {
    lines.iter().map(|line| line[at].as_str()).collect()
}

/// Thirty accounts, pushed.
async fn thirty(more: &str) -> Desk {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(30));
    desk.accounts("{ path: a.csv }", more);
    assert_eq!(desk.push(&[]).rows("created"), 30);
    desk
}

/// Takes these rows out of the extract.
fn without(desk: &Desk, numbers: &[&str]) {
    let text = desk.read("a.csv");
    let leaves = |line: &&str| !numbers.contains(&line.split(',').next().unwrap());
    let left: Vec<&str> = text.lines().filter(leaves).collect();
    desk.write("a.csv", left.join("\n") + "\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_the_records_that_it_would_delete_and_the_run_those_that_went() {
    let desk = thirty("missing: delete\n").await;
    let gone = ["A3", "A7", "A11", "A30"];
    let expected = ids(&desk, &gone);
    without(&desk, &gone);
    let rehearsed = desk.push(&["--dry-run"]);
    let lines_of = lines(&rehearsed);
    assert_eq!(column(&lines_of, 1), expected);
    let rest = ["account", "delete", "", "missing", "", "foreseen"];
    for line in &lines_of {
        assert_eq!(
            [&line[0], &line[2], &line[3], &line[4], &line[5], &line[6]],
            rest
        );
    }
    let kinds = &rehearsed.json()["runs"][0]["removals"]["kinds"];
    assert_eq!(kinds[0]["records"], 4);
    assert_eq!(kinds[0]["first"].as_array().unwrap().len(), 3);

    let told = desk.run(&["push", "-m", "accounts.yaml", "--dry-run"]);
    let hint = format!(
        "segue get account {} --destination env",
        kinds[0]["first"][0].as_str().unwrap()
    );
    for words in [
        "would delete 4 records that left the extract:",
        "and 1 more",
        "removals.csv",
        &hint,
    ] {
        assert!(told.out.contains(words), "{words}: {}", told.out);
    }
    let shown = desk.run(&hint.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!(shown.code, Some(0), "{shown:?}");

    let ran = desk.push(&[]);
    let lines_of = lines(&ran);
    assert_eq!(column(&lines_of, 1), expected);
    assert_eq!(column(&lines_of, 6), ["done"; 4]);
    let run = ran.json()["runs"][0]["run"].as_str().unwrap().to_owned();
    let shown = desk.run(&["runs", &run]);
    assert!(
        shown
            .out
            .contains("deleted 4 records that left the extract:"),
        "{}",
        shown.out
    );
    assert!(!shown.out.contains("segue get"), "{}", shown.out);
    let again = desk.push(&[]);
    assert_eq!(again.json()["runs"][0]["removals"]["file"], Json::Null);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_removals_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = thirty("missing: delete\n").await;
    without(&desk, &["A1"]);
    let ran = desk.push(&["--dry-run"]).json();
    let file = ran["runs"][0]["removals"]["file"].as_str().unwrap();
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_into_records_that_left_stands_beside_them() {
    let desk = thirty("missing: { set: { donotbulkemail: true } }\n").await;
    without(&desk, &["A2"]);
    let expected = ids(&desk, &["A2"]);
    for (more, outcome) in [(&["--dry-run"][..], "foreseen"), (&[], "done")] {
        let ran = desk.push(more);
        let lines = lines(&ran);
        assert_eq!(column(&lines, 1), expected);
        assert_eq!(lines[0][2..4], ["set", "donotbulkemail=true"]);
        assert_eq!(lines[0][6], outcome);
    }
    let told = desk.run(&["runs"]);
    assert_eq!(told.code, Some(0));
    desk.accounts("{ path: a.csv }", "missing: deactivate\n");
    without(&desk, &["A4"]);
    let told = desk.run(&["push", "-m", "accounts.yaml", "--dry-run"]);
    assert!(told.out.contains("would deactivate"), "{}", told.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_row_is_marked_is_named_with_the_place_of_the_row() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "delete_when: left\n");
    let rows = |marks: [&str; 3]| {
        let lines = marks.iter().enumerate();
        let lines = lines.map(|(row, mark)| format!("A{row},Shop {row},{mark}\n"));
        format!("number,name,left\n{}", lines.collect::<String>())
    };
    desk.write("a.csv", rows(["no", "no", "no"]));
    assert_eq!(desk.push(&[]).rows("created"), 3);
    desk.write("a.csv", rows(["no", "yes", "no"]));
    let expected = ids(&desk, &["A1"]);
    for (more, outcome) in [(&["--dry-run"][..], "foreseen"), (&[], "done")] {
        let ran = desk.push(more);
        let lines = lines(&ran);
        assert_eq!(column(&lines, 1), expected, "{ran:?}");
        assert_eq!(lines[0][4], "delete_when");
        assert!(lines[0][5].ends_with("a.csv:3"), "{lines:?}");
        assert_eq!(lines[0][6], outcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_gone_already_is_told_as_gone() {
    let desk = thirty("missing: { set: { donotbulkemail: true } }\n").await;
    desk.request("DELETE", "accounts(accountnumber='A5')", "");
    without(&desk, &["A5", "A6"]);
    let ran = desk.push(&[]);
    let mut outcomes = column(&lines(&ran), 6).join(" ");
    if outcomes == "gone done" {
        outcomes = "done gone".to_owned();
    }
    assert_eq!(outcomes, "done gone", "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_stops_a_run_for_its_removals_names_them() {
    let desk = thirty("missing: delete\nguard: { max_deletes: 1 }\n").await;
    let gone = ["A8", "A9"];
    without(&desk, &gone);
    for more in [&["--dry-run"][..], &[]] {
        let ran = desk.push(more);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        let lines = lines(&ran);
        assert_eq!(column(&lines, 1), ids(&desk, &gone));
        assert_eq!(column(&lines, 6), ["stopped"; 2]);
    }
    let told = desk.run(&["push", "-m", "accounts.yaml", "--dry-run"]);
    assert!(
        told.out
            .contains("did not delete 2 records that left the extract"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_is_not_named_as_removed() {
    let desk = thirty("missing: delete\n").await;
    // Another mapping holds A1 as well; the key of A2 moved to a new row.
    desk.write(
        "others.yaml",
        "version: 1\nsource: { path: a.csv }\ntarget: { table: account, key: [accountnumber] }\n\
         columns:\n  accountnumber: number\n  name: name\n",
    );
    desk.write("all.csv", desk.read("a.csv"));
    desk.write("a.csv", "number,name\nA1,Shop 1\n");
    assert_eq!(desk.run(&["push", "-m", "others.yaml"]).code, Some(0));
    desk.write("a.csv", desk.read("all.csv"));
    without(&desk, &["A1", "A2", "A3"]);
    let moved = format!("accounts({})", ids(&desk, &["A2"])[0]);
    desk.edit(&moved, &json!({ "accountnumber": "B2" }));
    desk.write("a.csv", desk.read("a.csv") + "B2,Shop 2\n");
    let expected = ids(&desk, &["A3"]);
    for more in [&["--dry-run"][..], &[]] {
        let ran = desk.push(more);
        assert_eq!(column(&lines(&ran), 1), expected, "{ran:?}");
    }
}
