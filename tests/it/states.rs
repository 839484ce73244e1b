//! Columns whose value depends on the write: states, `when:` and stamps.

use serde_json::Value as Json;

use crate::desk::{Desk, Ran};

fn mapping(desk: &Desk, columns: &str) {
    let text = format!(
        "version: 1\nsource: {{ path: a.csv }}\ntarget: {{ table: contact, key: [externaluseridentifier] }}\n\
         columns:\n  externaluseridentifier: number\n  lastname: name\n{columns}"
    );
    desk.write("people.yaml", text);
}

/// Rows of number, name and one more cell.
fn push(desk: &Desk, rows: &[(&str, &str)]) -> Ran {
    let lines = rows.iter().enumerate();
    let lines = lines.map(|(number, (name, more))| format!("{number},{name},{more}\n"));
    desk.write(
        "a.csv",
        format!("number,name,more\n{}", lines.collect::<String>()),
    );
    desk.run(&["push", "-m", "people.yaml", "--json"])
}

fn person(desk: &Desk, number: &str) -> Json {
    let rows = desk.emulator.rows("contact");
    let mut rows = rows
        .into_iter()
        .map(|row| serde_json::to_value(row).unwrap());
    rows.find(|row| row["externaluseridentifier"] == number)
        .unwrap()
}

fn state(desk: &Desk, number: &str) -> (i64, i64) {
    let row = person(desk, number);
    (
        row["statecode"].as_i64().unwrap(),
        row["statuscode"].as_i64().unwrap(),
    )
}

const STATE: &str = "  statecode: { from: more, choice: labels }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_record_gets_its_state_by_a_second_write_where_it_needs_one() {
    let desk = Desk::new().await;
    mapping(&desk, STATE);
    let ran = push(
        &desk,
        &[("Ann", "Active"), ("Bob", "inactive"), ("Cid", "")],
    );
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 3), "{ran:?}");
    assert_eq!(
        (state(&desk, "0"), state(&desk, "1"), state(&desk, "2")),
        ((0, 1), (1, 2), (0, 1))
    );
    assert_eq!(desk.writes(), 4, "one more for the inactive one");
    let again = push(
        &desk,
        &[("Ann", "Active"), ("Bob", "inactive"), ("Cid", "")],
    );
    assert_eq!((again.rows("unchanged"), desk.writes()), (3, 4));
    let turned = push(
        &desk,
        &[("Ann", "Inactive"), ("Bob", "Active"), ("Cid", "")],
    );
    assert_eq!((turned.rows("updated"), desk.writes()), (2, 6));
    assert_eq!((state(&desk, "0"), state(&desk, "1")), ((1, 2), (0, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_brings_its_state_along() {
    let desk = Desk::new().await;
    mapping(
        &desk,
        "  statuscode: { from: more, choice: { a: Active, i: Inactive } }\n",
    );
    assert_eq!(push(&desk, &[("Ann", "i")]).rows("created"), 1);
    assert_eq!(state(&desk, "0"), (1, 2));
    assert_eq!(push(&desk, &[("Ann", "a")]).rows("updated"), 1);
    assert_eq!(state(&desk, "0"), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_second_write_is_refused_is_a_reject_and_is_ours() {
    let desk = Desk::new().await;
    desk.write(
        "people.yaml",
        "version: 1\nsource: { path: a.csv }\ntarget: { table: opportunity, key: [opportunityid] }\n\
         columns:\n  opportunityid: number\n  name: name\n  statecode: { from: more, choice: labels }\n",
    );
    let id = "00000000-0000-0000-0000-0000000000aa";
    let extract = |name: &str, state: &str| {
        desk.write("a.csv", format!("number,name,more\n{id},{name},{state}\n"));
    };
    extract("Deal", "Won");
    let ran = desk.run(&["push", "-m", "people.yaml", "--json"]);
    assert_eq!(
        (ran.code, ran.rows("created"), ran.rows("rejected")),
        (Some(1), 0, 1),
        "{ran:?}"
    );
    assert!(
        ran.rejects()
            .contains("invalid_state,\"the record was created, but not its state:"),
        "{}",
        ran.rejects()
    );
    assert_eq!(desk.emulator.rows("opportunity").len(), 1);
    let writes = desk.writes();
    extract("Deal", "Open");
    let mended = desk.run(&["push", "-m", "people.yaml", "--json"]);
    assert_eq!(
        (mended.rows("updated"), desk.writes()),
        (1, writes + 1),
        "{mended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_for_new_records_is_theirs_alone() {
    let desk = Desk::new().await;
    mapping(&desk, "");
    assert_eq!(push(&desk, &[("Ann", "")]).rows("created"), 1);
    // Another machine has no ledger of it.
    std::fs::remove_dir_all(desk.path(".segue")).unwrap();
    mapping(
        &desk,
        "  jobtitle: { from: more, when: create }\n  description: { value: known, when: update }\n",
    );
    let ran = push(&desk, &[("Ann", "Chief"), ("Bob", "Clerk")]);
    assert_eq!(
        (ran.rows("updated"), ran.rows("created")),
        (1, 1),
        "{ran:?}"
    );
    let (ann, bob) = (person(&desk, "0"), person(&desk, "1"));
    assert_eq!(
        (&ann["jobtitle"], &ann["description"]),
        (&Json::Null, &"known".into())
    );
    assert_eq!(
        (&bob["jobtitle"], &bob["description"]),
        (&"Clerk".into(), &Json::Null)
    );
    // Bob is there now, and gets what only records that are there get.
    let ran = push(&desk, &[("Ann", "Boss"), ("Bob", "Clerk")]);
    assert_eq!(
        (ran.rows("unchanged"), ran.rows("updated")),
        (1, 1),
        "{ran:?}"
    );
    assert_eq!(person(&desk, "1")["description"], "known");
    let writes = desk.writes();
    let ran = push(&desk, &[("Ann", "Boss"), ("Bob", "Clerk")]);
    assert_eq!(
        (ran.rows("unchanged"), desk.writes()),
        (2, writes),
        "{ran:?}"
    );
}

/// A record that somebody deleted is made anew, and is new once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_for_records_that_are_there_follows_in_the_next_run() {
    let desk = Desk::new().await;
    mapping(
        &desk,
        "  jobtitle: { from: more, when: update }\n  lastusedincampaign: { stamp: run }\nguard: { max_changes: 50% }\n",
    );
    let title = |number: &str| person(&desk, number)["jobtitle"].clone();
    for name in ["Ann", "Anna"] {
        let ran = push(&desk, &[(name, "Chief"), ("Bob", "Clerk")]);
        assert!(ran.rows("created") > 0, "{ran:?}");
        assert_eq!(title("0"), Json::Null, "{name}");
        let next = push(&desk, &[(name, "Chief"), ("Bob", "Clerk")]);
        assert_eq!(
            (next.code, next.rows("updated")),
            (Some(0), if name == "Ann" { 2 } else { 1 }),
            "{next:?}"
        );
        assert_eq!(title("0"), "Chief", "{name}");
        let idle = push(&desk, &[(name, "Chief"), ("Bob", "Clerk")]);
        assert_eq!(
            (idle.rows("unchanged"), idle.requests("writes")),
            (2, 0),
            "{idle:?}"
        );
        let id = person(&desk, "0")["contactid"].clone();
        desk.request("DELETE", &format!("contacts({})", id.as_str().unwrap()), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_record_that_gets_nothing_is_unchanged() {
    let desk = Desk::new().await;
    mapping(&desk, "");
    assert_eq!(push(&desk, &[("Ann", "")]).rows("created"), 1);
    std::fs::remove_dir_all(desk.path(".segue")).unwrap();
    desk.write(
        "people.yaml",
        "version: 1\nsource: { path: a.csv }\ntarget: { table: contact, key: [externaluseridentifier] }\n\
         columns:\n  externaluseridentifier: number\n  lastname: { from: name, when: create }\n  \
         lastusedincampaign: { stamp: run }\n",
    );
    let writes = desk.writes();
    let rehearsed = desk.run(&["push", "-m", "people.yaml", "--dry-run", "--json"]);
    assert_eq!(rehearsed.rows("unchanged"), 1, "{rehearsed:?}");
    for _ in 0..2 {
        let ran = push(&desk, &[("Anne", "")]);
        assert_eq!(
            (ran.rows("unchanged"), desk.writes()),
            (1, writes),
            "{ran:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_travels_only_with_other_changes() {
    let desk = Desk::new().await;
    mapping(&desk, "  lastusedincampaign: { stamp: run }\n");
    assert_eq!(push(&desk, &[("Ann", ""), ("Bob", "")]).rows("created"), 2);
    let stamp = |number: &str| person(&desk, number)["lastusedincampaign"].clone();
    let first = stamp("0");
    assert!(first.is_string(), "{first}");
    let writes = desk.writes();
    let again = push(&desk, &[("Ann", ""), ("Bob", "")]);
    assert_eq!(
        (again.rows("unchanged"), desk.writes()),
        (2, writes),
        "{again:?}"
    );
    // A cell that is read and makes no difference.
    assert_eq!(
        push(&desk, &[("Ann ", ""), ("Bobby", "")]).rows("updated"),
        1
    );
    assert_eq!(stamp("0"), first);
    let sent = desk.emulator.journal().last().unwrap().columns.clone();
    assert!(sent.contains_key("lastusedincampaign") && sent.contains_key("lastname"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_write_can_do_is_told_at_its_place() {
    let desk = Desk::new().await;
    desk.write("a.csv", "number,name,more\n1,Ann,x\n");
    for (columns, code) in [
        ("  statecode: { from: more, nulls: clear }\n", "SG0121"),
        ("  jobtitle: { from: more, when: insert }\n", "SG0008"),
        ("  jobtitle: { stamp: run }\n", "SG0127"),
        ("  birthdate: { stamp: run, parse: epoch }\n", "SG0108"),
        ("  birthdate: { stamp: run, from: more }\n", "SG0011"),
        (
            "  statecode: { from: more, choice: { x: Asleep } }\n",
            "SG0114",
        ),
    ] {
        mapping(&desk, columns);
        let ran = desk.run(&["validate", "-m", "people.yaml"]);
        assert_eq!(ran.code, Some(2), "{columns}: {ran:?}");
        assert!(ran.err.contains(code), "{columns}: {}", ran.err);
    }
    mapping(&desk, "  jobtitle: { from: more, when: update }\n");
    let text = desk
        .read("people.yaml")
        .replace("columns:", "mode: create\ncolumns:");
    desk.write("people.yaml", text);
    let ran = desk.run(&["validate", "-m", "people.yaml"]);
    assert!(ran.err.contains("SG0126"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_and_a_reason_that_contradict_each_other_are_told() {
    let desk = Desk::new().await;
    desk.write("a.csv", "number,name,more\n1,Ann,x\n");
    let told = |columns: &str, missing: &str| {
        mapping(&desk, columns);
        let text = desk.read("people.yaml");
        desk.write(
            "people.yaml",
            text.replace("columns:", &format!("{missing}columns:")),
        );
        desk.run(&["validate", "-m", "people.yaml"])
    };
    let fixed = |state: &str, reason: &str| {
        format!("  statecode: {{ value: {state} }}\n  statuscode: {{ value: {reason} }}\n")
    };
    let both = told(&fixed("0", "2"), "");
    assert_eq!(both.code, Some(2), "{both:?}");
    for words in [
        "SG0129",
        "people.yaml:8:3",
        "`2 Inactive` is no reason of the state `0 Active`",
        "The reasons of that state are `1 Active`.",
    ] {
        assert!(both.err.contains(words), "{words}: {}", both.err);
    }
    let set = told(
        "",
        "missing: { set: { statecode: Inactive, statuscode: Active } }\n",
    );
    assert!(
        set.code == Some(2) && set.err.contains("people.yaml:4:40"),
        "{set:?}"
    );
    // At odds only if one write carries both.
    let apart =
        "  statecode: { value: 0, when: create }\n  statuscode: { value: 2, when: update }\n";
    for columns in [&fixed("1", "2"), &fixed("Active", "Active"), apart] {
        let fit = told(
            columns,
            "missing: { set: { statecode: 1, statuscode: 2 } }\n",
        );
        assert_eq!(fit.code, Some(0), "{fit:?}");
    }
}
