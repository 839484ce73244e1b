//! Columns that hold more than one value.

use crate::desk::{Desk, Ran};

const MAPPING: &str = "version: 1
source: { path: a.csv }
target: { table: contact, key: [externaluseridentifier] }
columns:
  externaluseridentifier: number
  lastname: name
  new_interests: { from: interests, choices: { split: \"|\" } }
";

fn push(desk: &Desk, interests: &str) -> Ran {
    desk.write(
        "a.csv",
        format!("number,name,interests\n1,Ann,{interests}\n"),
    );
    desk.run(&["push", "-m", "people.yaml", "--json"])
}

fn interests(desk: &Desk) -> serde_json::Value {
    desk.emulator.rows("contact")[0]["new_interests"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_options_arrive_in_any_order_and_only_a_difference_travels() {
    let desk = Desk::new().await;
    desk.write("people.yaml", MAPPING);
    let ran = push(&desk, "Hiking|100000000");
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 1), "{ran:?}");
    assert_eq!(interests(&desk), "100000000,100000001");
    let same = push(&desk, " cycling | HIKING |");
    assert_eq!(
        (same.rows("unchanged"), same.requests("writes")),
        (1, 0),
        "{same:?}"
    );
    assert_eq!(push(&desk, "Running").rows("updated"), 1);
    assert_eq!(interests(&desk), "100000002");
    assert_eq!(push(&desk, "").rows("updated"), 1);
    assert!(interests(&desk).is_null(), "{}", interests(&desk));
    let unknown = push(&desk, "Cycling|Diving");
    assert!(
        unknown.rejects().contains(",new_interests,choice_unknown,"),
        "{}",
        unknown.rejects()
    );

    desk.write(
        "people.yaml",
        MAPPING.replace(
            "choices: {",
            "choice: { bike: Cycling, ski: Skiing }, choices: {",
        ),
    );
    assert_eq!(push(&desk, "ski|bike").rows("updated"), 1);
    assert_eq!(interests(&desk), "100000000,100000003");
}
