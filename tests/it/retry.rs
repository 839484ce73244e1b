//! Rows that Dataverse refused: tried again less often each time, set aside in the end, and freed.

use segue_emulator::{ChaosSpec, Options};
use serde_json::Value as Json;

use crate::desk::{Desk, Ran, numbered, ran};

/// An environment that refuses accounts of some names.
async fn refusing(spec: &str) -> Desk {
    let desk = Desk::with(Options {
        chaos: spec.parse::<ChaosSpec>().unwrap(),
        ..Options::default()
    })
    .await;
    desk.write("a.csv", numbered(5));
    desk.accounts("{ path: a.csv }", "");
    desk
}

fn run_of(ran: &Ran) -> String {
    ran.json()["runs"][0]["run"].as_str().unwrap().to_owned()
}

fn held(ran: &Ran) -> u64 {
    ran.json()["runs"][0]["rejects"]["held"].as_u64().unwrap()
}

fn retry(desk: &Desk, arguments: &[&str]) -> Ran {
    desk.run(&[&["retry", "--json"], arguments].concat())
}

/// Held back and set aside, as the ledger has it.
fn shown(desk: &Desk) -> (Json, Json) {
    let shown = desk.run(&["state", "show", "-m", "accounts.yaml", "--json"]);
    let ledger = &shown.json()["ledgers"][0];
    (ledger["held_back"].clone(), ledger["set_aside"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_is_tried_less_often_and_never_counts_as_accepted() {
    let desk = refusing("rule=name:Shop 2").await;
    let mut tried = Vec::new();
    for number in 1..=34 {
        let ran = desk.push(&[]);
        assert_eq!(
            (ran.code, ran.rows("rejected")),
            (Some(1), 1),
            "{number}: {ran:?}"
        );
        match (ran.requests("writes"), held(&ran)) {
            (1.., 0) => tried.push(number),
            (0, 1) => assert_eq!(ran.rows("unchanged"), 4, "{ran:?}"),
            other => panic!("{number}: {other:?}: {ran:?}"),
        }
        let rejects = ran.rejects();
        assert!(rejects.contains("business_rule"), "{rejects}");
        assert!(rejects.contains("A2,Shop 2"), "{rejects}");
        if number == 3 {
            assert!(rejects.contains("tried again in the next run"), "{rejects}");
            assert!(rejects.contains("refused 2 times alike"), "{rejects}");
            assert_eq!(shown(&desk), (1.into(), 0.into()));
        }
        if number > 32 {
            assert!(
                rejects.contains("Set aside after 6 equal answers"),
                "{rejects}"
            );
            assert!(rejects.contains("segue retry"), "{rejects}");
        }
    }
    assert_eq!(tried, [1, 2, 4, 8, 16, 32]);
    assert_eq!(shown(&desk), (0.into(), 1.into()));
    let people = desk.run(&["state", "show"]);
    assert!(people.out.contains("set aside 1"), "{people:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_row_or_mapping_is_tried_at_once() {
    let desk = refusing("rule=name:Shop 2").await;
    let push = || {
        let ran = desk.push(&[]);
        (ran.rows("rejected"), held(&ran))
    };
    assert_eq!([push(), push(), push()], [(1, 0), (1, 0), (1, 1)]);
    let mapping = desk.read("accounts.yaml");
    desk.write("accounts.yaml", mapping + "  description: name\n");
    assert_eq!([push(), push(), push()], [(1, 0), (1, 0), (1, 1)]);
    desk.write("a.csv", numbered(5).replace("Shop 2", "Corner 2"));
    assert_eq!(push(), (0, 0));
    assert_eq!(shown(&desk), (0.into(), 0.into()));
    assert_eq!(desk.emulator.rows("account").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_leads_nowhere_is_held_back_and_retried_when_asked() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(2));
    desk.accounts("{ path: a.csv }", "");
    desk.write("c.csv", "number,shop\nC1,A1\nC2,\"A,9\"\n");
    desk.write(
        "people.yaml",
        "version: 1\nsource: { path: c.csv }\ntarget: { table: contact, key: [externaluseridentifier] }\n\
         columns:\n  externaluseridentifier: number\n  lastname: number\n  \
         parentcustomerid: { lookup: account, by: { accountnumber: shop } }\n",
    );
    let push = |more: &[&str]| desk.run(&[&["push", "-m", "people.yaml", "--json"], more].concat());
    assert_eq!(desk.push(&[]).rows("created"), 2);
    let first = push(&[]);
    assert_eq!(
        (first.rows("created"), first.rows("rejected")),
        (1, 1),
        "{first:?}"
    );
    assert_eq!(held(&push(&[])), 0);
    desk.write("a.csv", numbered(2) + "\"A,9\",Shop 9\n");
    assert_eq!(desk.push(&[]).rows("created"), 1);
    let third = push(&["--dry-run"]);
    assert_eq!((third.rows("rejected"), held(&third)), (1, 1), "{third:?}");
    let rejects = third.rejects();
    assert!(rejects.contains("reference_not_found"), "{rejects}");
    assert!(
        !rejects.contains("accountnumber = `A,9`"),
        "no value at rest: {rejects}"
    );
    let run = run_of(&first);
    let rehearsed = retry(&desk, &[&run, "--dry-run"]);
    assert_eq!(rehearsed.rows("created"), 1, "{rehearsed:?}");
    let retried = retry(&desk, &[&run]);
    assert_eq!(
        (
            retried.code,
            retried.rows("created"),
            retried.rows("unchanged")
        ),
        (Some(0), 1, 1),
        "{retried:?}"
    );
    assert_eq!(push(&[]).rows("unchanged"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_pushes_the_rejected_rows_alone_and_removes_nothing() {
    let desk = refusing("rule=name:Shop 2").await;
    desk.accounts("{ path: a.csv }", "missing: delete\n");
    let first = desk.push(&[]);
    desk.write("a.csv", "number,name\nA2,Mended\nA3,Changed\nA6,New\n");
    let ran = retry(&desk, &[&run_of(&first)]);
    assert_eq!(
        (
            ran.rows("created"),
            ran.rows("skipped"),
            ran.rows("vanished")
        ),
        (1, 2, 0),
        "{ran:?}"
    );
    assert_eq!(desk.emulator.rows("account").len(), 5);
    let none = desk.run(&["retry", &run_of(&ran)]);
    assert_eq!(none.code, Some(0), "{none:?}");
    assert!(none.err.contains("has no rejects"), "{none:?}");
    let unknown = desk.run(&["retry", "nothing"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extract_that_came_by_standard_input_is_needed_once_more() {
    let desk = refusing("rule=name:Shop 2").await;
    desk.accounts("{ path: \"-\" }", "");
    let given = |arguments: &[&str]| {
        let extract = std::fs::File::open(desk.path("a.csv")).unwrap();
        ran(desk.command(arguments).stdin(extract))
    };
    let first = given(&["push", "-m", "accounts.yaml", "--json"]);
    assert_eq!((first.rows("created"), first.rows("rejected")), (4, 1));
    let nothing = retry(&desk, &[]);
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    for told in ["no extract came", "segue retry", "< EXTRACT"] {
        assert!(nothing.err.contains(told), "{nothing:?}");
    }
    // The run that could not begin hides nothing.
    let listed = desk.run(&["rejects"]);
    assert!(listed.out.contains("business_rule"), "{listed:?}");
    desk.write("a.csv", numbered(5).replace("Shop 2", "Mended"));
    let again = given(&["retry", "--json"]);
    assert_eq!(
        (again.code, again.rows("created")),
        (Some(0), 1),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_takes_its_key_from_elsewhere_is_told() {
    let desk = refusing("rule=name:Shop 2").await;
    assert_eq!(desk.push(&[]).rows("rejected"), 1);
    let mapping = desk.read("accounts.yaml");
    let renamed = mapping.replace("accountnumber: number", "accountnumber: nr");
    desk.write("accounts.yaml", renamed);
    desk.write("a.csv", numbered(5).replace("number,", "nr,"));
    let ran = retry(&desk, &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("no column `nr`"), "{}", ran.err);
    assert!(ran.err.contains("Push the whole extract"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_gone_is_told_with_what_to_do() {
    let desk = refusing("rule=name:Shop 2").await;
    let run = run_of(&desk.push(&[]));
    std::fs::rename(desk.path("accounts.yaml"), desk.path("shops.yaml")).unwrap();
    let ran = retry(&desk, &[&run]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for told in ["accounts.yaml", "is not there any more", "push the mapping"] {
        assert!(ran.err.contains(told), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_row_gets_an_answer() {
    let desk = refusing("rule=name:Shop 2,rule=name:Shop 4").await;
    let push = |more: &[&str]| {
        let ran = desk.push(more);
        (ran.rows("rejected"), held(&ran))
    };
    assert_eq!([push(&[]), push(&[]), push(&[])], [(2, 0), (2, 0), (2, 2)]);
    assert_eq!(push(&["--key", "A2"]), (1, 0));
    assert_eq!(push(&["--limit", "9"]), (2, 1), "the other one is due");
    assert_eq!(push(&["--full-refresh"]), (2, 0));
    assert_eq!(shown(&desk), (2.into(), 0.into()));
    let latest = retry(&desk, &[]);
    assert_eq!(
        (latest.rows("rejected"), held(&latest)),
        (2, 0),
        "{latest:?}"
    );
    assert_eq!([push(&[]), push(&[])], [(2, 0), (2, 2)], "counted anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_left_the_extract_or_the_ledger_leave_the_table() {
    let desk = refusing("rule=name:Shop 2,rule=name:Shop 4").await;
    desk.push(&[]);
    assert_eq!(shown(&desk), (2.into(), 0.into()));
    desk.write("a.csv", numbered(3));
    desk.push(&[]);
    assert_eq!(shown(&desk), (1.into(), 0.into()));
    let more = ["-m", "accounts.yaml", "--yes"];
    let ran = desk.run(&[&["state", "reset"], more.as_slice()].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let tried = desk.push(&[]);
    assert_eq!((tried.rows("rejected"), held(&tried)), (1, 0), "{tried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mapping_rejects_and_what_a_stopped_run_was_told_is_not_held_back() {
    let desk = refusing("rule=name:Shop 2").await;
    desk.accounts("{ path: a.csv }", "guard: { max_rejects: 0 }\n");
    for _ in 0..4 {
        let ran = desk.push(&[]);
        assert_eq!((ran.code, held(&ran)), (Some(4), 0), "{ran:?}");
    }
    desk.accounts("{ path: a.csv }", "");
    desk.write("a.csv", format!("number,name\nA1,{}\n", "x".repeat(999)));
    for _ in 0..4 {
        let ran = desk.push(&[]);
        assert_eq!((ran.rows("rejected"), held(&ran)), (1, 0), "{ran:?}");
    }
}
