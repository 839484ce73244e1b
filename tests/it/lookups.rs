//! References to records of other tables.

use crate::desk::Desk;

const CONTACTS: &str = "version: 1
name: contacts
source: { path: contacts.csv }
target: { table: contact, key: [externaluseridentifier] }
columns:
  externaluseridentifier: number
  lastname: name
  parentcustomerid: { lookup: account, by: { accountnumber: company }ABSENT }
";

/// Accounts A1 to An, pushed.
async fn with_accounts(count: usize) -> Desk {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    desk.write("a.csv", crate::desk::numbered(count));
    assert_eq!(desk.push(&[]).rows("created"), count as u64);
    desk
}

fn contacts(desk: &Desk, absent: &str, rows: &[(&str, &str)]) {
    desk.write("contacts.yaml", CONTACTS.replace("ABSENT", absent));
    let lines = rows.iter().enumerate();
    let lines = lines.map(|(place, (name, company))| format!("{place},{name},{company}\n"));
    desk.write(
        "contacts.csv",
        format!("number,name,company\n{}", lines.collect::<String>()),
    );
}

fn push(desk: &Desk, more: &[&str]) -> crate::desk::Ran {
    let arguments = ["push", "-m", "contacts.yaml", "--json"];
    desk.run(&[&arguments, more].concat())
}

/// The number of the account that a contact belongs to.
fn company_of(desk: &Desk, number: &str) -> Option<String> {
    let key = format!("externaluseridentifier={number}");
    let contact = desk.run(&["get", "contact", &key, "--json"]).json();
    let id = contact["_parentcustomerid_value"].as_str()?.to_owned();
    let accounts = desk.emulator.rows("account");
    let account = accounts
        .iter()
        .find(|row| row["accountid"].as_str() == Some(id.as_str()));
    account.map(|row| row["accountnumber"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_is_missing_is_one_reject_and_the_rest_arrive() {
    let desk = with_accounts(3).await;
    contacts(
        &desk,
        "",
        &[("Ann", "a1"), ("Bob", "A9"), ("Cid", "A3"), ("Dee", "")],
    );
    let ran = push(&desk, &[]);
    assert_eq!(
        (ran.code, ran.rows("created"), ran.rows("rejected")),
        (Some(1), 3, 1),
        "{ran:?}"
    );
    let rejects = ran.rejects();
    assert!(
        rejects.contains(",parentcustomerid,reference_not_found,"),
        "{rejects}"
    );
    assert!(
        rejects.contains("no account has")
            || rejects.contains("no account with accountnumber = `A9`"),
        "{rejects}"
    );
    assert_eq!(company_of(&desk, "0").as_deref(), Some("A1"));
    assert_eq!(company_of(&desk, "2").as_deref(), Some("A3"));
    assert_eq!(company_of(&desk, "3"), None);
    let again = push(&desk, &[]);
    assert_eq!(
        (again.rows("unchanged"), again.requests("writes")),
        (3, 0),
        "{again:?}"
    );
    contacts(
        &desk,
        "",
        &[("Ann", "A2"), ("Bob", "A3"), ("Cid", "A3"), ("Dee", "")],
    );
    let rehearsed = push(&desk, &["--dry-run"]);
    assert_eq!(
        (rehearsed.rows("updated"), rehearsed.rows("created")),
        (1, 1),
        "{rehearsed:?}"
    );
    let moved = push(&desk, &[]);
    assert_eq!(
        (moved.rows("updated"), moved.rows("created")),
        (1, 1),
        "{moved:?}"
    );
    assert_eq!(company_of(&desk, "0").as_deref(), Some("A2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_references_to_a_few_records_cost_a_handful_of_reads() {
    let desk = with_accounts(50).await;
    let companies: Vec<String> = (0..2_000).map(|row| format!("A{}", row % 50 + 1)).collect();
    let rows: Vec<(&str, &str)> = companies.iter().map(|it| ("Name", it.as_str())).collect();
    contacts(&desk, "", &rows);
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 2_000), "{ran:?}");
    assert!(ran.requests("reads") < 12, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_withdrawn_is_cleared_only_where_it_was_ours() {
    let desk = with_accounts(2).await;
    contacts(&desk, "", &[("Ann", "A1"), ("Bob", "")]);
    assert_eq!(push(&desk, &[]).rows("created"), 2);
    contacts(&desk, "", &[("Ann", ""), ("Bobby", "")]);
    let ran = push(&desk, &[]);
    assert_eq!(ran.rows("updated"), 2, "{ran:?}");
    assert_eq!(company_of(&desk, "0"), None);
    let journal = desk.emulator.journal();
    let bob = journal.last().unwrap();
    let bobs: Vec<&String> = journal
        .iter()
        .rev()
        .take(2)
        .find(|entry| entry.columns.contains_key("lastname"))
        .unwrap_or(bob)
        .columns
        .keys()
        .collect();
    assert_eq!(bobs, ["lastname"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_or_default_is_tried_again_until_there_is_a_record() {
    let desk = with_accounts(1).await;
    contacts(&desk, ", absent: blank", &[("Ann", "A1"), ("Bob", "A2")]);
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 2), "{ran:?}");
    assert_eq!(company_of(&desk, "1"), None);
    let again = push(&desk, &[]);
    assert_eq!(
        (again.rows("unchanged"), again.requests("writes")),
        (2, 0),
        "{again:?}"
    );
    desk.write("a.csv", crate::desk::numbered(2));
    assert_eq!(desk.push(&[]).rows("created"), 1);
    let found = push(&desk, &[]);
    assert_eq!(
        (found.rows("updated"), found.rows("unchanged")),
        (1, 1),
        "{found:?}"
    );
    assert_eq!(company_of(&desk, "1").as_deref(), Some("A2"));
    assert_eq!(push(&desk, &[]).requests("writes"), 0);

    let id = desk.emulator.rows("account")[0]["accountid"]
        .as_str()
        .unwrap()
        .to_owned();
    let number = desk.emulator.rows("account")[0]["accountnumber"]
        .as_str()
        .unwrap()
        .to_owned();
    let default = format!(", absent: {{ default: {id} }}");
    contacts(
        &desk,
        &default,
        &[("Ann", "A1"), ("Bob", "A2"), ("Cid", "A7")],
    );
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 1), "{ran:?}");
    assert_eq!(company_of(&desk, "2"), Some(number));
    assert_eq!(push(&desk, &[]).requests("writes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_taken_by_id_and_by_columns_that_are_no_key() {
    let desk = with_accounts(2).await;
    let id = desk.emulator.rows("account")[0]["accountid"]
        .as_str()
        .unwrap()
        .to_owned();
    contacts(
        &desk,
        "",
        &[
            ("Ann", &id),
            ("Bob", "00000000-0000-0000-0000-0000000000aa"),
        ],
    );
    let text = desk.read("contacts.yaml");
    desk.write(
        "contacts.yaml",
        text.replace("accountnumber:", "accountid:"),
    );
    let ran = push(&desk, &[]);
    assert_eq!(
        (ran.rows("created"), ran.rows("rejected")),
        (1, 1),
        "{ran:?}"
    );
    assert!(
        ran.rejects().contains("reference_not_found"),
        "{}",
        ran.rejects()
    );

    desk.write("a.csv", "number,name\nA1,Twin\nA2,Twin\nA3,Single\n");
    desk.push(&[]);
    contacts(&desk, "", &[("Ann", "Single"), ("Bob", "Twin")]);
    let text = desk.read("contacts.yaml");
    desk.write("contacts.yaml", text.replace("accountnumber:", "name:"));
    let ran = push(&desk, &[]);
    assert!(
        ran.rejects()
            .contains(",reference_ambiguous,2 records of account"),
        "{}",
        ran.rejects()
    );
    assert_eq!(company_of(&desk, "0").as_deref(), Some("A3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_a_user_or_a_team() {
    let desk = with_accounts(1).await;
    let user = &desk.emulator.rows("systemuser")[0];
    let (id, address) = (
        user["systemuserid"].clone(),
        user["internalemailaddress"].as_str().unwrap().to_owned(),
    );
    desk.write(
        "contacts.csv",
        format!("number,name,owner\n1,Ann,{address}\n"),
    );
    desk.write(
        "contacts.yaml",
        "version: 1\nsource: { path: contacts.csv }\ntarget: { table: contact, key: [externaluseridentifier] }\n\
         columns:\n  externaluseridentifier: number\n  lastname: name\n  \
         ownerid: { lookup: systemuser, by: { internalemailaddress: owner } }\n",
    );
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 1), "{ran:?}");
    let contact = desk
        .run(&["get", "contact", "externaluseridentifier=1", "--json"])
        .json();
    assert_eq!(contact["_ownerid_value"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_a_lookup_are_shown_at_their_place() {
    let desk = Desk::new().await;
    desk.write("contacts.csv", "number,name,company\n1,Ann,A1\n");
    let text = CONTACTS.replace("ABSENT", "");
    for (from, to, code, told) in [
        ("lookup: account", "lookup: lead", "SG0124", "account"),
        ("lookup: account", "lookup: acount", "SG0124", "account"),
        ("accountnumber:", "acountnumber:", "SG0107", "accountnumber"),
        ("parentcustomerid:", "jobtitle:", "SG0123", "text"),
        (
            "{ lookup: account, by: { accountnumber: company } }",
            "company",
            "SG0125",
            "lookup: account",
        ),
        (": company }", ": compny }", "SG0101", "company"),
        ("by: {", "bye: {", "SG0004", "by"),
    ] {
        desk.write("contacts.yaml", text.replace(from, to));
        let ran = desk.run(&["validate", "-m", "contacts.yaml"]);
        assert_eq!(ran.code, Some(2), "{to}: {ran:?}");
        assert!(
            ran.err.contains(code) && ran.err.contains(told),
            "{to}: {}",
            ran.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_mappings_run_in_the_order_of_their_lookups() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "tags: [daily]\n");
    desk.write("a.csv", crate::desk::numbered(2));
    contacts(&desk, "", &[("Ann", "A1"), ("Bob", "A2")]);
    let ran = desk.run(&[
        "push",
        "-m",
        "contacts.yaml",
        "-m",
        "accounts.yaml",
        "--json",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let runs = &ran.json()["runs"];
    assert_eq!(
        (&runs[0]["mapping"], &runs[1]["mapping"]),
        (&"accounts".into(), &"contacts".into())
    );
    assert_eq!(company_of(&desk, "1").as_deref(), Some("A2"));

    let chosen = desk.run(&["push", "-m", ".", "--select", "tag:daily", "--json"]);
    assert_eq!(
        chosen.json()["runs"].as_array().map(Vec::len),
        Some(1),
        "{chosen:?}"
    );
    assert_eq!(
        desk.run(&["push", "-m", ".", "--select", "tag:none"]).code,
        Some(2)
    );

    desk.write("a.csv", "number,name\nA1,never \"closed\n\"A2");
    let failed = desk.run(&["push", "-m", ".", "--json"]);
    assert_eq!(failed.code, Some(7), "{failed:?}");
    assert!(
        failed.err.contains("`contacts` was held back"),
        "{}",
        failed.err
    );
    assert_eq!(failed.json()["runs"].as_array().map(Vec::len), Some(1));
}
