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
async fn fifty_thousand_references_to_two_hundred_records_cost_a_handful_of_reads() {
    let desk = with_accounts(200).await;
    let companies: Vec<String> = (0..50_000)
        .map(|row| format!("A{}", row % 200 + 1))
        .collect();
    let rows: Vec<(&str, &str)> = companies.iter().map(|it| ("Name", it.as_str())).collect();
    contacts(&desk, "", &rows);
    let ran = push(&desk, &[]);
    assert_eq!(
        (ran.code, ran.rows("created")),
        (Some(0), 50_000),
        "{ran:?}"
    );
    assert!(ran.requests("reads") < 16, "{ran:?}");
}

/// Accounts of number and parent, pushed.
fn family(desk: &Desk, rows: &[(&str, &str)], absent: &str, more: &[&str]) -> crate::desk::Ran {
    let lines = rows
        .iter()
        .map(|(number, parent)| format!("{number},{parent}\n"));
    desk.write(
        "a.csv",
        format!("number,parent\n{}", lines.collect::<String>()),
    );
    desk.write(
        "family.yaml",
        format!(
            "version: 1\nsource: {{ path: a.csv }}\ntarget: {{ table: account, key: [accountnumber] }}\n\
             columns:\n  accountnumber: number\n  name: number\n  \
             parentaccountid: {{ lookup: account, by: {{ accountnumber: parent }}{absent} }}\n"
        ),
    );
    desk.run(&[&["push", "-m", "family.yaml", "--json"], more].concat())
}

/// The number of the account above this one.
fn parent_of(desk: &Desk, number: &str) -> Option<String> {
    let accounts = desk.emulator.rows("account");
    let row = |wanted: &dyn Fn(&serde_json::Value) -> bool| {
        let rows = accounts
            .iter()
            .map(|row| serde_json::to_value(row).unwrap());
        rows.into_iter().find(wanted)
    };
    let account = row(&|row| row["accountnumber"] == number).unwrap();
    let above = account["_parentaccountid_value"].clone();
    let parent = row(&|row| row["accountid"] == above);
    parent.map(|row| row["accountnumber"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_may_refer_to_one_that_comes_later_in_the_extract() {
    let desk = Desk::new().await;
    let rows = [
        ("A3", "A2"),
        ("A2", "A1"),
        ("A1", ""),
        ("A4", "A9"),
        ("A5", "A1"),
    ];
    let ran = family(&desk, &rows, "", &[]);
    assert_eq!(
        (ran.code, ran.rows("created"), ran.rows("rejected")),
        (Some(1), 4, 1),
        "{ran:?}"
    );
    assert!(
        ran.rejects().contains("reference_not_found"),
        "{}",
        ran.rejects()
    );
    assert_eq!(desk.emulator.rows("account").len(), 4, "no half of A4");
    let above = ["A3", "A2", "A1", "A5"].map(|it| parent_of(&desk, it));
    let above: Vec<_> = above.iter().map(Option::as_deref).collect();
    assert_eq!(above, [Some("A2"), Some("A1"), None, Some("A1")]);
    let again = family(&desk, &rows[..3], "", &["--partial"]);
    assert_eq!(
        (again.rows("unchanged"), again.requests("writes")),
        (3, 0),
        "{again:?}"
    );
    let grown = [("A3", "A6"), ("A2", "A1"), ("A1", ""), ("A6", "A1")];
    let ran = family(&desk, &grown, "", &["--partial"]);
    assert_eq!(
        (ran.code, ran.rows("created"), ran.rows("unchanged")),
        (Some(0), 1, 3),
        "{ran:?}"
    );
    assert_eq!(parent_of(&desk, "A3").as_deref(), Some("A6"));
    let mended = [("A9", ""), ("A4", "A9")];
    let ran = family(&desk, &mended, "", &["--partial"]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 2), "{ran:?}");
    assert_eq!(parent_of(&desk, "A4").as_deref(), Some("A9"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_to_a_record_that_is_made_again_is_written_again() {
    let desk = Desk::new().await;
    let rows = [("A2", "A1"), ("A1", ""), ("A3", "A1")];
    assert_eq!(family(&desk, &rows, "", &[]).rows("created"), 3);
    desk.request("DELETE", "accounts(accountnumber='A1')", "");
    assert_eq!(parent_of(&desk, "A2"), None);
    let ran = family(&desk, &rows, "", &["--full-refresh"]);
    assert_eq!((ran.code, ran.rows("rejected")), (Some(0), 0), "{ran:?}");
    assert_eq!(parent_of(&desk, "A2").as_deref(), Some("A1"));
    desk.request("DELETE", "accounts(accountnumber='A1')", "");
    // Both rows are due, and of A2 only another column differs.
    let mapping = desk
        .read("family.yaml")
        .replace("name: number", "name: { value: Other }");
    desk.write("family.yaml", mapping);
    let ran = desk.run(&["push", "-m", "family.yaml", "--json"]);
    assert_eq!((ran.code, ran.rows("rejected")), (Some(0), 0), "{ran:?}");
    assert_eq!(parent_of(&desk, "A2").as_deref(), Some("A1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_reference_to_the_own_table_is_no_reject() {
    let desk = Desk::new().await;
    let rows = [("A2", "A1"), ("A1", "A7")];
    let ran = family(&desk, &rows, ", absent: blank", &[]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 2), "{ran:?}");
    assert_eq!(parent_of(&desk, "A2").as_deref(), Some("A1"));
    let again = family(&desk, &rows, ", absent: blank", &[]);
    assert_eq!(
        (again.rows("unchanged"), again.requests("writes")),
        (2, 0),
        "{again:?}"
    );
    let ran = family(
        &desk,
        &[("A2", "A1"), ("A1", "A7"), ("A7", "")],
        ", absent: blank",
        &[],
    );
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 1), "{ran:?}");
    assert_eq!(parent_of(&desk, "A1").as_deref(), Some("A7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_typed_where_nothing_is_mapped_stays() {
    let desk = with_accounts(1).await;
    contacts(&desk, "", &[("Ann", "A1")]);
    assert_eq!(push(&desk, &[]).rows("created"), 1);
    let typed = serde_json::json!({ "jobtitle": "Chief", "telephone1": "0123" });
    desk.edit("contacts(externaluseridentifier='0')", &typed);
    contacts(&desk, "", &[("Anne", "A1")]);
    assert_eq!(push(&desk, &[]).rows("updated"), 1);
    let contact = desk.run(&["get", "contact", "externaluseridentifier=0", "--json"]);
    let contact = contact.json();
    assert_eq!(
        (
            &contact["lastname"],
            &contact["jobtitle"],
            &contact["telephone1"]
        ),
        (&"Anne".into(), &"Chief".into(), &"0123".into())
    );
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
