//! Keys of several columns: one way through every command that takes or compares a key.

use serde_json::{Value as Json, json};

use crate::desk::{Desk, Ran};

const KEY: &str = "[new_customernumber, new_plan]";

const PLAN: &str = "{ from: plan, choice: { gold: Premium, silver: Plus, basic: Basic } }";

/// Empty parts, and values that only look like two parts.
const WHOLE: &str = "cust,plan,name\nK1,gold,a\nK1,silver,b\nK2,gold,c\n\"K1,gold\",basic,d\n";

fn mapping(desk: &Desk, key: &str, plan: &str, more: &str) {
    desk.write(
        "subs.yaml",
        format!(
            "version: 1\nsource: {{ path: subs.csv }}\ntarget: {{ table: new_subscription, key: {key} }}\n{more}\n\
             columns:\n  new_customernumber: cust\n  new_plan: {plan}\n  new_name: name\n"
        ),
    );
}

fn push(desk: &Desk, more: &[&str]) -> Ran {
    desk.run(&[&["push", "-m", "subs.yaml", "--json"], more].concat())
}

fn state(desk: &Desk, arguments: &[&str]) -> Ran {
    let command = [&["state"], arguments, &["-m", "subs.yaml"]].concat();
    desk.run(&command)
}

fn counts<const N: usize>(ran: &Ran, names: [&str; N]) -> [u64; N] {
    names.map(|name| ran.rows(name))
}

async fn pushed(more: &str) -> Desk {
    let desk = Desk::new().await;
    mapping(&desk, KEY, PLAN, more);
    desk.write("subs.csv", WHOLE);
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 4), "{ran:?}");
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_empty_is_a_reject_and_case_and_blanks_tell_nothing_apart() {
    let desk = pushed("missing: delete").await;
    let same = WHOLE
        .replace("K1,gold,a", "k1 ,gold,a")
        .replace("K2,", "  K2,");
    desk.write("subs.csv", same + "K3,,e\n,gold,f\n,,g\nK4, ,h\n");
    let ran = push(&desk, &[]);
    assert_eq!(
        (
            ran.code,
            counts(&ran, ["unchanged", "rejected", "vanished"])
        ),
        (Some(1), [4, 4, 0]),
        "{ran:?}"
    );
    let rejects = ran.rejects();
    assert!(
        rejects.contains("\"cust=K3,plan=\",new_plan,key_null"),
        "{rejects}"
    );
    desk.write("subs.csv", format!("{WHOLE}k1,gold ,again\n"));
    let ran = push(&desk, &[]);
    assert_eq!(counts(&ran, ["unchanged", "rejected"]), [4, 1], "{ran:?}");
    assert_eq!(desk.emulator.rows("new_subscription").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_name_a_key_by_its_columns_or_by_those_of_the_extract() {
    let desk = pushed("").await;
    for key in [
        "new_customernumber=K1,new_plan=gold",
        "new_plan=gold,new_customernumber=k1 ",
        "cust=K1,plan=gold",
        "new_customernumber=K1,gold,new_plan=basic",
    ] {
        let ran = push(&desk, &["--full-refresh", "--key", key]);
        assert_eq!(
            counts(&ran, ["updated", "skipped"]),
            [1, 3],
            "{key}: {ran:?}"
        );
    }
    for key in [
        "K1",
        "K1,gold",
        "cust=K1",
        "cust=K1,plan=",
        "cust=K1,cust=K2,plan=gold",
    ] {
        let ran = push(&desk, &["--key", key]);
        assert_eq!(ran.code, Some(2), "{key}: {ran:?}");
        assert!(ran.err.contains("is no value of the key"), "{ran:?}");
    }
    let forgot = state(&desk, &["forget", "cust=K1,plan=silver", "--json"]);
    assert_eq!(forgot.json()["forgotten"], 1, "{forgot:?}");
    let ran = push(&desk, &[]);
    assert_eq!(counts(&ran, ["updated", "unchanged"]), [1, 3], "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_such_keys_is_kept_moved_adopted_and_carried_over() {
    let desk = pushed("").await;
    let shown = state(&desk, &["show"]);
    assert!(
        shown.out.contains("new_customernumber + new_plan"),
        "{shown:?}"
    );
    for command in [
        ["export", "--out", "kept.ndjson"].as_slice(),
        &["reset", "--yes"],
        &["import", "--from", "kept.ndjson"],
    ] {
        let ran = state(&desk, command);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_eq!(push(&desk, &[]).rows("unchanged"), 4);

    assert_eq!(state(&desk, &["reset", "--yes"]).code, Some(0));
    let adopted = state(&desk, &["adopt", "--json"]);
    assert_eq!(adopted.json()["adopted"], 4, "{adopted:?}");
    assert_eq!(push(&desk, &[]).rows("unchanged"), 4);

    // The order in which the columns are written makes no other key.
    mapping(&desk, "[new_plan, new_customernumber]", PLAN, "");
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("unchanged")), (Some(0), 4), "{ran:?}");
    let rekeyed = state(&desk, &["rekey", "--json"]);
    assert_eq!(rekeyed.json()["carried"], 4, "{rekeyed:?}");
}

/// One part is the same for every row of this mapping, and another one's for the rows of another.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_may_be_a_fixed_value() {
    let desk = pushed("").await;
    mapping(&desk, KEY, "{ value: Plus }", "name: plus\nmissing: delete");
    desk.write("subs.csv", "cust,name\nK1,mine\nK5,new\n,none\nk1,again\n");
    let ran = push(&desk, &[]);
    assert_eq!(
        counts(&ran, ["created", "updated", "rejected"]),
        [1, 1, 2],
        "{ran:?}"
    );
    assert!(
        ran.rejects().contains("subs.csv:5,k1,"),
        "{}",
        ran.rejects()
    );
    desk.write("subs.csv", "cust,name\nK1,mine\nK5,new\n");
    assert_eq!(push(&desk, &[]).rows("unchanged"), 2);
    for key in ["K5", "cust=K5", "new_customernumber=k5"] {
        let ran = push(&desk, &["--full-refresh", "--key", key]);
        assert_eq!(
            counts(&ran, ["updated", "skipped"]),
            [1, 1],
            "{key}: {ran:?}"
        );
    }
    assert_eq!(state(&desk, &["reset", "--yes"]).code, Some(0));
    let adopted = state(&desk, &["adopt", "--json"]);
    assert_eq!(adopted.json()["adopted"], 2, "{adopted:?}");
    assert_eq!(push(&desk, &[]).rows("unchanged"), 2);
    // Who leaves the segment of this value leaves the others alone.
    desk.write("subs.csv", "cust,name\nK5,new\nK6,newer\n");
    assert_eq!(push(&desk, &[]).rows("created"), 1);
    desk.write("subs.csv", "cust,name\nK5,new\n");
    let ran = push(&desk, &[]);
    assert_eq!(ran.rows("deleted"), 1, "{ran:?}");
    assert_eq!(desk.emulator.rows("new_subscription").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_the_same_for_every_row_is_told() {
    let desk = Desk::new().await;
    desk.write("subs.csv", WHOLE);
    for (cust, plan, told) in [
        (
            "{ value: K1 }",
            "{ value: Plus }",
            "every row would have the same key",
        ),
        ("cust", "{ value: null }", "no record has an empty key"),
    ] {
        mapping(&desk, KEY, plan, "");
        let text = desk.read("subs.yaml");
        let line = format!("new_customernumber: {cust}");
        desk.write("subs.yaml", text.replace("new_customernumber: cust", &line));
        let ran = push(&desk, &[]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.err.contains("SG0119") && ran.err.contains(told),
            "{}",
            ran.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_removed_and_returns_under_the_whole_key() {
    for (treatment, counter) in [
        ("missing: delete", "deleted"),
        ("missing: deactivate", "deactivated"),
    ] {
        let desk = pushed(treatment).await;
        desk.write("subs.csv", WHOLE.replace("K1,silver,b\n", ""));
        let ran = push(&desk, &[]);
        assert_eq!(counts(&ran, ["vanished", counter]), [1, 1], "{ran:?}");
        let rows = desk.emulator.rows("new_subscription");
        let stays = |row: &&Json| row["statecode"] == 0;
        let rows: Vec<Json> = rows.into_iter().map(|it| json!(it)).collect();
        assert_eq!(rows.iter().filter(stays).count(), 3, "{rows:?}");
        desk.write("subs.csv", WHOLE);
        assert_eq!(push(&desk, &[]).code, Some(0));
        let rows = desk.emulator.rows("new_subscription");
        assert_eq!(rows.iter().filter(|row| row["statecode"] == 0).count(), 4);
        // One part changes at the source: a second record, and a word about it.
        desk.write("subs.csv", WHOLE.replace("K2,gold,c", "K2,silver,c"));
        let ran = push(&desk, &[]);
        assert_eq!(counts(&ran, ["created", counter]), [1, 1], "{ran:?}");
        assert!(ran.err.contains("if the key was changed"), "{}", ran.err);
    }
}
