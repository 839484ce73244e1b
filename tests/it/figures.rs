//! What a command tells people is true of what it did, to the figure.

use crate::desk::{Desk, Ran, numbered};

async fn pushed(rows: usize, more: &str) -> Desk {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", more);
    desk.write("a.csv", numbered(rows));
    assert_eq!(desk.push(&[]).rows("created"), rows as u64);
    desk
}

fn plainly(desk: &Desk, arguments: &[&str]) -> Ran {
    desk.run(&[arguments, &["-m", "accounts.yaml"]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usual_guard_of_a_small_ledger_names_the_ten_that_may_go() {
    let desk = pushed(20, "missing: deactivate\n").await;
    desk.write("a.csv", numbered(9));
    let ran = plainly(&desk, &["push"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let told = "11 of 20 known records would be removed, at most 10 may";
    assert!(ran.err.lines().any(|it| it.ends_with(told)), "{ran:?}");
    desk.write("a.csv", numbered(10));
    assert_eq!(desk.push(&[]).rows("deactivated"), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_is_not_rows() {
    let desk = pushed(1, "").await;
    let ran = plainly(&desk, &["push"]);
    assert!(ran.out.contains("   1 row in "), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_tells_what_it_left_out_and_only_that() {
    let desk = pushed(3, "").await;
    let adopt = || {
        let reset = plainly(&desk, &["state", "reset", "--yes"]);
        assert_eq!(reset.code, Some(0), "{reset:?}");
        plainly(&desk, &["state", "adopt"]).out
    };
    let all = adopt();
    assert!(all.ends_with("adopted 3 of 3 records\n"), "{all}");
    desk.write("a.csv", numbered(2));
    let two = adopt();
    let told = "adopted 2 of 3 records; the other one is not in the extract\n";
    assert!(two.ends_with(told), "{two}");
    desk.request("POST", "accounts", r#"{"name":"No number"}"#);
    let two = adopt();
    let told = "adopted 2 of 4 records; 1 has no key, the other one is not in the extract\n";
    assert!(two.ends_with(told), "{two}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_ledger_yet_that_is_told() {
    let desk = Desk::new().await;
    let shown = desk.run(&["state", "show"]);
    assert_eq!((shown.code, shown.out.as_str()), (Some(0), ""));
    assert!(shown.err.contains("there is no ledger yet"), "{shown:?}");
    let shown = desk.run(&["state", "show", "--json"]);
    assert_eq!(shown.json()["ledgers"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extract_that_is_not_there_is_looked_for_where_it_was_named() {
    let desk = pushed(1, "").await;
    let ran = plainly(&desk, &["push", "--extract", "none.csv"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("`--extract` from the working folder"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_offered_in_the_language_of_the_user() {
    let desk = pushed(1, "").await;
    desk.accounts("{ path: a.csv }", "missing: { deactivate: Gone }\n");
    let ran = plainly(&desk, &["push"]);
    assert!(ran.err.contains("one of `Inactive`"), "{ran:?}");
    let shown = desk.run(&["describe", "account"]);
    assert!(shown.out.contains("0 Active, 1 Inactive"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_treatment_that_there_is_not_is_answered_with_all_that_there_are() {
    let desk = pushed(1, "").await;
    desk.accounts("{ path: a.csv }", "missing: archive\n");
    let ran = plainly(&desk, &["push"]);
    assert!(
        ran.err
            .contains("It takes `keep`, `deactivate`, `delete`, `set`"),
        "{ran:?}"
    );
    let halves = [
        ("missing: set\n", "`{ set: { column: value } }`"),
        ("duplicates: newest\n", "`duplicates: { newest: COLUMN }`"),
    ];
    for (half, whole) in halves {
        desk.accounts("{ path: a.csv }", half);
        let ran = plainly(&desk, &["push"]);
        assert!(ran.err.contains(whole), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_where_a_reference_points_before_and_after() {
    let desk = Desk::new().await;
    desk.write(
        "accounts.yaml",
        "version: 1\nsource: { path: a.csv }\ntarget: { table: account, key: [accountnumber] }\ncolumns:\n  \
         accountnumber: number\n  parentaccountid: { lookup: account, by: { accountnumber: parent } }\n",
    );
    desk.write("a.csv", "number,parent\nA1,\nA2,\nA3,A1\n");
    assert_eq!(desk.push(&[]).rows("created"), 3);
    desk.write("a.csv", "number,parent\nA1,\nA2,\nA3,A2\n");
    let ran = plainly(&desk, &["push", "--dry-run"]);
    let accounts = desk.emulator.rows("account");
    let id_of = |number: &str| {
        let account = accounts.iter().find(|it| it["accountnumber"] == number);
        account.unwrap()["accountid"].as_str().unwrap().to_owned()
    };
    let told = format!("parentaccountid: {} → {}", id_of("A1"), id_of("A2"));
    assert!(ran.out.contains(&told), "{ran:?}");
}
