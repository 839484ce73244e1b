//! The shipped mappings and extracts, as a user pushes them.

use segue_emulator::JournalEntry;

use crate::desk::Desk;

const ACCOUNTS: &[&str] = &["push", "--mapping", "mappings/accounts.yaml", "--json"];
const CONTACTS: &[&str] = &["push", "--mapping", "mappings/contacts.yaml", "--json"];

async fn resellers() -> Desk {
    let desk = Desk::new().await;
    desk.ship("mappings/accounts.yaml");
    desk.ship("examples/accounts/resellers.csv");
    desk
}

async fn prospects() -> Desk {
    let desk = Desk::new().await;
    desk.ship("mappings/contacts.yaml");
    desk.ship("examples/contacts/prospects.csv");
    desk
}

fn columns(entries: &[JournalEntry]) -> Vec<String> {
    let mut columns: Vec<String> = entries
        .iter()
        .flat_map(|entry| entry.columns.keys().cloned())
        .collect();
    columns.sort_unstable();
    columns
}

#[tokio::test(flavor = "multi_thread")]
async fn resellers_arrive_once_and_then_only_what_changed() {
    let desk = resellers().await;
    let first = desk.run(ACCOUNTS);
    assert_eq!(
        (first.code, first.rows("created")),
        (Some(0), 701),
        "{first:?}"
    );
    assert_eq!(desk.emulator.rows("account").len(), 701);

    let before = desk.writes();
    let second = desk.run(ACCOUNTS);
    assert_eq!((second.code, second.rows("unchanged")), (Some(0), 701));
    assert_eq!(second.requests("writes"), 0);
    let after = desk.writes();
    assert_eq!(before, after);

    let extract = "examples/accounts/resellers.csv";
    let edited = desk
        .read(extract)
        .replacen("A Bike Store", "A Bicycle Store", 1)
        .replacen("|170-555-0127|", "|170-555-0128|", 1)
        .replacen("|40|", "|41|", 1);
    desk.write(extract, &edited);
    let journal = desk.emulator.journal().len();
    let third = desk.run(ACCOUNTS);
    assert_eq!((third.rows("updated"), third.rows("unchanged")), (3, 698));
    let written = desk.emulator.journal().split_off(journal);
    assert_eq!(
        columns(&written),
        ["name", "numberofemployees", "telephone1"]
    );

    let row =
        "9999|1|AW99999999|555|Warehouse|New Store|3|S|5|2011|2011|Road|1 Way||1.0|B|||1.0|1974\n";
    desk.write(extract, format!("{}\n{row}", edited.trim_end()));
    let fourth = desk.run(ACCOUNTS);
    assert_eq!((fourth.rows("created"), fourth.rows("unchanged")), (1, 701));
}

#[tokio::test(flavor = "multi_thread")]
async fn prospects_arrive_as_what_they_are_and_repeated_keys_name_both_rows() {
    let desk = prospects().await;
    let ran = desk.run(CONTACTS);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!((ran.rows("created"), ran.rows("rejected")), (2053, 6));
    let rejects = ran.rejects();
    let told = "the key of ../examples/contacts/prospects.csv:361 stands at ../examples/contacts/prospects.csv:360";
    assert!(rejects.contains(told), "{rejects}");
    assert_eq!(rejects.matches(",duplicate_row,").count(), 6);

    let got = desk.run(&["get", "contact", "externaluseridentifier=3003", "--json"]);
    let contact = got.json();
    assert_eq!(contact["birthdate"], "1950-03-06");
    assert_eq!(contact["annualincome"].as_f64(), Some(80000.0));
    assert_eq!(contact["gendercode"], 2);
    assert_eq!(contact["new_homeowner"], true);
    assert_eq!(contact["numberofchildren"], 4);
    assert_eq!(contact["new_education"], 100_000_003);
    assert_eq!(contact["emailaddress2"], "aalonso@alpineskihouse.com");

    let again = desk.run(CONTACTS);
    assert_eq!(
        (again.rows("unchanged"), again.requests("writes")),
        (2053, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_key_that_is_violated_is_named_with_column_and_value() {
    let desk = prospects().await;
    let mapping = desk.read("mappings/contacts.yaml");
    desk.write(
        "mappings/contacts.yaml",
        mapping.replace("emailaddress2: {", "emailaddress1: {"),
    );
    let ran = desk.run(CONTACTS);
    assert_eq!(ran.code, Some(1));
    let rejects = ran.rejects();
    let violated = rejects
        .lines()
        .filter(|line| line.contains(",duplicate_key,"));
    // 50 of 2,059 rows repeat an e-mail; 6 of them repeat the key as well.
    let violated: Vec<&str> = violated.collect();
    assert_eq!(violated.len() as u64 + 6, ran.rows("rejected"), "{rejects}");
    assert!(violated.len() >= 44, "{}", violated.len());
    for line in &violated {
        assert!(
            line.contains("emailaddress1") && line.contains('@'),
            "{line}"
        );
    }
    assert_eq!(ran.rows("created") + ran.rows("rejected"), 2059);
}
