//! What Dataverse holds already is adopted with its references: a first push sends only differences.

use serde_json::json;

use crate::desk::{Desk, Ran, numbered};

const CONTACTS: &str = "version: 1
source: { path: contacts.csv }
target: { table: contact, key: [externaluseridentifier] }
columns:
  externaluseridentifier: number
  lastname: name
  parentcustomerid: { lookup: account, by: { accountnumber: company } }
  ownerid: { lookup: systemuser, by: { internalemailaddress: owner } }
";

fn contacts(desk: &Desk, rows: &[(&str, &str)]) {
    let owner = owner_of(desk);
    let lines = rows.iter();
    let lines = lines.map(|(name, company)| format!("{name},{name},{company},{owner}\n"));
    desk.write(
        "contacts.csv",
        format!("number,name,company,owner\n{}", lines.collect::<String>()),
    );
}

fn owner_of(desk: &Desk) -> String {
    let user = &desk.emulator.rows("systemuser")[0];
    user["internalemailaddress"].as_str().unwrap().to_owned()
}

/// The GUID of an account.
fn id_of(desk: &Desk, number: &str) -> String {
    let accounts = desk.emulator.rows("account");
    let account = accounts.iter().find(|it| it["accountnumber"] == number);
    account.unwrap()["accountid"].as_str().unwrap().to_owned()
}

fn run(desk: &Desk, command: &[&str]) -> Ran {
    desk.run(&[command, &["-m", "contacts.yaml", "--json"]].concat())
}

fn push(desk: &Desk) -> Ran {
    run(desk, &["push"])
}

/// Forgets all and adopts what is there.
fn adopt(desk: &Desk) {
    assert_eq!(run(desk, &["state", "reset", "--yes"]).code, Some(0));
    let adopted = run(desk, &["state", "adopt"]);
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
}

/// Contacts of accounts, pushed.
async fn pushed(mapping: &str, rows: &[(&str, &str)]) -> Desk {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    desk.write("a.csv", numbered(3));
    assert_eq!(desk.push(&[]).rows("created"), 3);
    desk.write("contacts.yaml", mapping);
    contacts(&desk, rows);
    assert_eq!(push(&desk).rows("created"), rows.len() as u64);
    desk
}

/// The columns that were written since the journal had so many entries, entry by entry.
fn written_since(desk: &Desk, entries: usize) -> Vec<Vec<String>> {
    let journal = desk.emulator.journal();
    let news = journal.get(entries..).unwrap_or_default().iter();
    news.map(|entry| entry.columns.keys().cloned().collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_hold_already_are_not_sent_again() {
    let rows = [("Ann", "A1"), ("Bob", "A2"), ("Cid", "A3"), ("Dee", "")];
    let desk = pushed(CONTACTS, &rows).await;
    adopt(&desk);
    // Dataverse finds the same account by either spelling.
    contacts(
        &desk,
        &[("Ann", "a1"), ("Bob", "A2"), ("Cid", "A3"), ("Dee", "")],
    );
    let before = desk.emulator.journal().len();
    let first = push(&desk);
    assert_eq!(
        (first.rows("unchanged"), first.requests("writes")),
        (4, 0),
        "{first:?}"
    );
    contacts(
        &desk,
        &[("Ann", "A1"), ("Bob", "A3"), ("Cid", "A3"), ("Dee", "")],
    );
    let moved = push(&desk);
    assert_eq!(
        (moved.rows("updated"), moved.rows("unchanged")),
        (1, 3),
        "{moved:?}"
    );
    assert_eq!(written_since(&desk, before), [["parentcustomerid"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_pages_one_row_whose_company_changed_sends_that_column_alone() {
    const PAGE: usize = 5_000;
    let names: Vec<String> = (0..PAGE + 10).map(|number| format!("P{number}")).collect();
    let mut rows: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "A1")).collect();
    let desk = pushed(CONTACTS, &rows).await;
    adopt(&desk);
    rows[7].1 = "A3";
    contacts(&desk, &rows);
    let before = desk.emulator.journal().len();
    let first = push(&desk);
    assert_eq!(
        (first.rows("updated"), first.rows("unchanged")),
        (1, PAGE as u64 + 9),
        "{first:?}"
    );
    assert_eq!(written_since(&desk, before), [["parentcustomerid"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_points_to_another_table_or_to_a_record_without_the_key_differs() {
    let desk = pushed(CONTACTS, &[("Ann", "A1"), ("Bob", "A2"), ("Cid", "")]).await;
    let ann = "contacts(externaluseridentifier='Ann')";
    let cid = "/contacts(externaluseridentifier='Cid')";
    desk.edit(ann, &json!({ "parentcustomerid_contact@odata.bind": cid }));
    for (number, then) in [("A2", json!(null)), ("A3", json!("A2"))] {
        let account = format!("accounts({})", id_of(&desk, number));
        desk.edit(&account, &json!({ "accountnumber": then }));
    }
    let before = desk.emulator.journal().len();
    adopt(&desk);
    let first = push(&desk);
    assert_eq!(first.rows("updated"), 2, "{first:?}");
    assert_eq!(
        written_since(&desk, before),
        [["parentcustomerid"], ["parentcustomerid"]]
    );
    assert_eq!(push(&desk).requests("writes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn references_by_id_and_by_a_default_are_compared_too() {
    let desk = pushed(CONTACTS, &[("Ann", "A1"), ("Bob", "A2")]).await;
    let by_id = CONTACTS.replace("accountnumber: company", "accountid: company");
    desk.write("contacts.yaml", by_id);
    contacts(
        &desk,
        &[("Ann", &id_of(&desk, "A1")), ("Bob", &id_of(&desk, "A3"))],
    );
    adopt(&desk);
    let first = push(&desk);
    assert_eq!(
        (first.rows("unchanged"), first.rows("updated")),
        (1, 1),
        "{first:?}"
    );

    let default = format!(
        "company }}, absent: {{ default: {} }} }}",
        id_of(&desk, "A3")
    );
    desk.write("contacts.yaml", CONTACTS.replace("company } }", &default));
    contacts(&desk, &[("Ann", "A1"), ("Bob", "A9")]);
    adopt(&desk);
    let first = push(&desk);
    assert_eq!(
        (first.rows("unchanged"), first.requests("writes")),
        (2, 0),
        "{first:?}"
    );
}
