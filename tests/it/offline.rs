//! Work without a connection: schemas that were stored before.

use crate::desk::{Desk, ran};

async fn desk() -> Desk {
    let desk = Desk::new().await;
    desk.write("a.csv", "number,name,company\nC1,Ann,A1\n");
    people(&desk, "lastname: name");
    desk
}

fn people(desk: &Desk, column: &str) {
    desk.write(
        "people.yaml",
        format!(
            "version: 1\nsource: {{ path: a.csv }}\ntarget: {{ table: contact, key: [externaluseridentifier] }}\n\
             columns:\n  externaluseridentifier: number\n  {column}\n  \
             parentcustomerid: {{ lookup: account, by: {{ accountnumber: company }} }}\n"
        ),
    );
}

/// `validate`, with nobody at the address of the destination.
fn offline(desk: &Desk, more: &[&str]) -> crate::desk::Ran {
    let arguments = ["validate", "-m", "people.yaml", "--offline"];
    let mut command = desk.command(&[&arguments, more].concat());
    ran(command.env("SEGUE_URL", "http://127.0.0.1:9"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_is_validated_from_stored_schemas() {
    let desk = desk().await;
    let nothing = offline(&desk, &[]);
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    assert!(
        nothing
            .err
            .contains("no schema of table `contact` is stored"),
        "{nothing:?}"
    );
    let stored = desk.run(&["describe", "contact", "--snapshot", "schema.json"]);
    assert_eq!(stored.code, Some(0), "{stored:?}");
    let lacking = offline(&desk, &[]);
    assert!(lacking.err.contains("table `account`"), "{lacking:?}");
    let stored = desk.run(&["describe", "accounts", "--snapshot", "schema.json"]);
    assert_eq!(stored.code, Some(0), "{stored:?}");
    assert_eq!(offline(&desk, &[]).code, Some(0));
    assert_eq!(offline(&desk, &["--snapshot", "schema.json"]).code, Some(0));
    people(&desk, "lastnam: name");
    let wrong = offline(&desk, &[]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("did you mean `lastname`"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_of_mappings_are_stored_together() {
    let desk = desk().await;
    let arguments = ["describe", "-m", "people.yaml", "--snapshot", "s/all.json"];
    let stored = desk.run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(stored.code, Some(0), "{stored:?}");
    let tables = &stored.json()["tables"];
    assert_eq!(*tables, serde_json::json!(["account", "contact"]));
    std::fs::remove_dir_all(desk.path(".segue")).unwrap();
    assert_eq!(offline(&desk, &["--snapshot", "s/all.json"]).code, Some(0));
    assert_eq!(desk.run(&["describe", "--snapshot", "x"]).code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_file_is_no_snapshot_and_is_left_alone() {
    let desk = desk().await;
    for text in ["{}", "number,name\n", "{\"schema\":\"segue.snapshot/9\"}"] {
        desk.write("schema.json", text);
        let ran = offline(&desk, &["--snapshot", "schema.json"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("schema.json is no snapshot"), "{ran:?}");
        let ran = desk.run(&["describe", "contact", "--snapshot", "schema.json"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert_eq!(desk.read("schema.json"), text);
    }
}
