//! What segue remembers can be looked at, moved, mended and removed.

use serde_json::Value as Json;

use crate::desk::{Desk, Ran, numbered};

fn state(desk: &Desk, arguments: &str) -> Ran {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    desk.run(&[&["state"], arguments.as_slice()].concat())
}

fn shown(desk: &Desk) -> Json {
    let shown = state(desk, "show -m accounts.yaml --json");
    assert_eq!(shown.code, Some(0), "{shown:?}");
    shown.json()["ledgers"][0].clone()
}

async fn pushed(rows: usize) -> Desk {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(rows));
    desk.accounts("{ path: a.csv }", "");
    assert_eq!(desk.push(&[]).rows("created"), rows as u64);
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_shown_to_people_and_machines() {
    let desk = pushed(3).await;
    let ledger = shown(&desk);
    assert_eq!(
        (&ledger["records"], &ledger["created"]),
        (&3.into(), &3.into())
    );
    assert_eq!(ledger["table"], "account");
    assert_eq!(ledger["runs"][0]["ending"], "settled");
    assert!(ledger["bytes"].as_u64().unwrap() > 0);
    let all = state(&desk, "show");
    assert!(all.out.contains("accounts → env"), "{all:?}");
    assert!(all.out.contains("account by accountnumber"), "{all:?}");
    assert!(all.out.contains("created by this mapping 3"), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_ledger_nothing_is_shown_or_changed() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    assert_eq!(state(&desk, "show").code, Some(0));
    for command in ["show", "export", "rekey", "reset --yes"] {
        let ran = state(&desk, &format!("{command} -m accounts.yaml"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("there is no ledger in"), "{ran:?}");
    }
    assert_eq!(desk.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_agreed_to_and_the_next_push_finds_records_by_their_key() {
    let desk = pushed(3).await;
    let asked = state(&desk, "reset -m accounts.yaml");
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.err.contains("--yes"), "{asked:?}");
    assert_eq!(shown(&desk)["records"], 3);
    let done = state(&desk, "reset -m accounts.yaml --yes --json");
    assert_eq!(done.json()["done"], "reset");
    assert_eq!(state(&desk, "show -m accounts.yaml").code, Some(2));
    assert_eq!(desk.push(&[]).rows("updated"), 3);
    assert_eq!(desk.emulator.rows("account").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger_is_told_and_can_be_reset() {
    let desk = pushed(3).await;
    std::fs::remove_file(desk.path(".segue/env/accounts/digests.1")).unwrap();
    let told = state(&desk, "show");
    assert!(told.err.contains("is damaged: it is missing"), "{told:?}");
    assert_ne!(told.code, Some(0));
    assert_eq!(state(&desk, "reset -m accounts.yaml --yes").code, Some(0));
    assert_eq!(desk.push(&[]).rows("updated"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger_is_not_taken_from_under_a_run() {
    let desk = pushed(3).await;
    state(&desk, "export -m accounts.yaml --out kept.ndjson");
    std::fs::remove_file(desk.path(".segue/env/accounts/digests.1")).unwrap();
    let table = segue::model::LogicalName::parse("account").unwrap();
    let run = segue::model::RunId::new("a-run");
    let organisation = desk.emulator.organization_id();
    let lock = segue::ledger::RunLock::acquire(&desk.path(".segue"), organisation, &table, &run);
    for command in ["reset", "import --from kept.ndjson"] {
        let command = format!("{command} -m accounts.yaml --yes");
        let held = state(&desk, &command);
        assert_eq!(held.code, Some(5), "{held:?}");
        assert!(held.err.contains("held by run a-run"), "{held:?}");
    }
    drop(lock.unwrap());
    let imported = state(&desk, "import --from kept.ndjson -m accounts.yaml --yes");
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(desk.push(&[]).rows("unchanged"), 3);
}

/// A first push may be about to make its ledger just when one is imported.
#[tokio::test(flavor = "multi_thread")]
async fn no_ledger_is_imported_under_a_first_push() {
    let desk = pushed(3).await;
    state(&desk, "export -m accounts.yaml --out kept.ndjson");
    assert_eq!(state(&desk, "reset -m accounts.yaml --yes").code, Some(0));
    let table = segue::model::LogicalName::parse("account").unwrap();
    let run = segue::model::RunId::new("a-run");
    let organisation = desk.emulator.organization_id();
    let lock = segue::ledger::RunLock::acquire(&desk.path(".segue"), organisation, &table, &run);
    let held = state(&desk, "import --from kept.ndjson -m accounts.yaml");
    assert_eq!(held.code, Some(5), "{held:?}");
    drop(lock.unwrap());
    let imported = state(&desk, "import --from kept.ndjson -m accounts.yaml");
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(desk.push(&[]).rows("unchanged"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_adopting_an_existing_environment_only_differences_are_sent() {
    const PAGE: usize = 5_000;
    let desk = pushed(PAGE + 5).await;
    assert_eq!(state(&desk, "reset -m accounts.yaml --yes").code, Some(0));
    let extract = numbered(PAGE + 3).replace("A7,Shop 7\n", "A7,Renamed\n") + "B1,New\n";
    desk.write("a.csv", extract);
    let before = desk.writes();
    let adopted = state(&desk, "adopt -m accounts.yaml --json");
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
    let adopted = adopted.json();
    assert_eq!(adopted["seen"], PAGE + 5);
    // Records that the extract does not have are none of the mapping's business.
    assert_eq!(adopted["adopted"], PAGE + 3);
    assert_eq!(desk.writes(), before);
    let ledger = shown(&desk);
    assert_eq!(ledger["never_written"], PAGE + 3);
    assert_eq!(ledger["created"], 0);

    let pushed = desk.push(&[]);
    let counts = ["unchanged", "updated", "created", "vanished"].map(|it| pushed.rows(it));
    assert_eq!(counts, [PAGE as u64 + 2, 1, 1, 0], "{pushed:?}");
    assert_eq!(desk.push(&[]).rows("unchanged"), PAGE as u64 + 4);

    let again = state(&desk, "adopt -m accounts.yaml");
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(
        again.err.contains("holds 5004 records already"),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn adopted_columns_are_not_owned() {
    let desk = pushed(1).await;
    state(&desk, "reset -m accounts.yaml --yes");
    assert_eq!(state(&desk, "adopt -m accounts.yaml").code, Some(0));
    // What others wrote is not cleared by an empty cell; what this mapping wrote is.
    desk.write("a.csv", "number,name\nA1,\n");
    assert_eq!(desk.push(&[]).rows("unchanged"), 1);
    assert_eq!(desk.emulator.rows("account")[0]["name"], "Shop 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_key_is_sent_again_whole() {
    let desk = pushed(3).await;
    let forgot = state(&desk, "forget a2 -m accounts.yaml --json");
    assert_eq!(forgot.json()["forgotten"], 1, "{forgot:?}");
    assert_eq!(shown(&desk)["records"], 2);
    let pushed = desk.push(&[]);
    assert_eq!((pushed.rows("updated"), pushed.rows("unchanged")), (1, 2));
    let unknown = state(&desk, "forget nobody -m accounts.yaml");
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_ledger_is_imported_elsewhere() {
    let desk = pushed(3).await;
    let exported = state(&desk, "export -m accounts.yaml --out kept.ndjson --json");
    assert_eq!(exported.json()["records"], 3, "{exported:?}");
    assert_eq!(
        desk.read("kept.ndjson"),
        state(&desk, "export -m accounts.yaml").out
    );
    assert_eq!(state(&desk, "reset -m accounts.yaml --yes").code, Some(0));
    let imported = state(&desk, "import -m accounts.yaml --from kept.ndjson --json");
    assert_eq!(imported.json()["records"], 3, "{imported:?}");
    let pushed = desk.push(&[]);
    assert_eq!(
        (pushed.rows("unchanged"), pushed.requests("writes")),
        (3, 0)
    );
    assert_eq!(shown(&desk)["created"], 3);

    let refused = state(&desk, "import -m accounts.yaml --from kept.ndjson");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("--yes"), "{refused:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let about = std::fs::metadata(desk.path("kept.ndjson")).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_export_changes_nothing() {
    let desk = pushed(3).await;
    state(&desk, "export -m accounts.yaml --out kept.ndjson");
    let whole = desk.read("kept.ndjson");
    let (but_last, last) = whole.trim_end().rsplit_once('\n').unwrap();
    let (half, _) = last.split_at(last.len() / 2);
    let cases = [
        (format!("{but_last}\n"), "has 2 of 3 records"),
        (format!("{but_last}\n{half}"), "line 4 is not about a key"),
        (whole.chars().take(100).collect(), "ends in its first line"),
        (whole.replace("ledger/2", "ledger/9"), "format 9"),
        (String::new(), "no exported ledger"),
        ("number,name\n".to_owned(), "no exported ledger"),
    ];
    for (text, why) in cases {
        desk.write("kept.ndjson", text);
        let refused = state(&desk, "import -m accounts.yaml --from kept.ndjson --yes");
        assert_ne!(refused.code, Some(0), "{why}");
        assert!(refused.err.contains(why), "{why}: {refused:?}");
        assert_eq!(shown(&desk)["records"], 3);
    }
    assert_eq!(desk.push(&[]).rows("unchanged"), 3);
    let folder = std::fs::read_dir(desk.path(".segue/env")).unwrap();
    assert_eq!(folder.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_elsewhere_does_not_replace_a_good_ledger() {
    let desk = pushed(3).await;
    state(&desk, "export -m accounts.yaml --out kept.ndjson");
    let kept = desk.read("kept.ndjson");
    let organisation = desk.emulator.organization_id().to_string();
    let other = "00000000-0000-0000-0000-00000000000a";
    for (from, to, told) in [
        ("\"account\"", "\"contact\"", "of table `contact`"),
        (organisation.as_str(), other, other),
    ] {
        desk.write("kept.ndjson", kept.replace(from, to));
        let refused = state(&desk, "import -m accounts.yaml --from kept.ndjson --yes");
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains(told), "{refused:?}");
        assert!(refused.err.contains("nothing was changed"), "{refused:?}");
        assert_eq!(desk.push(&[]).rows("unchanged"), 3);
    }
    std::fs::create_dir(desk.path("folder")).unwrap();
    for from in ["none.ndjson", "folder"] {
        let none = state(
            &desk,
            &format!("import -m accounts.yaml --from {from} --yes"),
        );
        assert_eq!(none.code, Some(2), "{none:?}");
        assert!(
            none.err.contains(&format!("{from} cannot be read")),
            "{none:?}"
        );
        assert!(none.err.contains("segue state export"), "{none:?}");
    }
    let nowhere = state(&desk, "export -m accounts.yaml --out none/kept.ndjson");
    assert!(
        nowhere.err.contains("none/kept.ndjson cannot be written"),
        "{nowhere:?}"
    );
}

fn contacts(desk: &Desk, key: &str) {
    let text = format!(
        "version: 1\nsource: {{ path: c.csv }}\ntarget: {{ table: contact, key: [{key}] }}\ncolumns:\n  \
         emailaddress1: email\n  externaluseridentifier: number\n  lastname: name\n"
    );
    desk.write("contacts.yaml", text);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_without_the_new_key_are_not_forgotten_unasked() {
    let desk = Desk::new().await;
    desk.write(
        "c.csv",
        "email,number,name\na@x.example,1,Ada\nb@x.example,,Bob\n",
    );
    contacts(&desk, "emailaddress1");
    let push = || desk.run(&["push", "-m", "contacts.yaml", "--json"]);
    assert_eq!(push().rows("created"), 2);
    contacts(&desk, "externaluseridentifier");
    for _ in 0..2 {
        let refused = state(&desk, "rekey -m contacts.yaml");
        assert_eq!(refused.code, Some(2), "{refused:?}");
        let told = "1 records that the ledger holds have no value of the new key";
        assert!(refused.err.contains(told), "{}", refused.err);
    }
    // The way out: the old key once more, with a value for each.
    contacts(&desk, "emailaddress1");
    desk.write(
        "c.csv",
        "email,number,name\na@x.example,1,Ada\nb@x.example,2,Bob\n",
    );
    assert_eq!(push().rows("updated"), 1);
    contacts(&desk, "externaluseridentifier");
    let rekeyed = state(&desk, "rekey -m contacts.yaml --json").json();
    assert_eq!(rekeyed["carried"], 2, "{rekeyed}");
    assert_eq!(push().rows("unchanged"), 2);
    assert_eq!(desk.emulator.rows("contact").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_carried_over_to_another_key_by_guid() {
    let desk = Desk::new().await;
    desk.write(
        "c.csv",
        "email,number,name\na@x.example,1,Ada\nb@x.example,2,Bob\nc@x.example,3,Cy\n",
    );
    contacts(&desk, "emailaddress1");
    let push = || desk.run(&["push", "-m", "contacts.yaml", "--json"]);
    assert_eq!(push().rows("created"), 3);
    contacts(&desk, "externaluseridentifier");
    let stopped = push();
    assert_eq!(stopped.code, Some(2), "{stopped:?}");
    assert!(stopped.err.contains("segue state rekey"), "{stopped:?}");
    let rekeyed = state(&desk, "rekey -m contacts.yaml --json").json();
    assert_eq!(
        (&rekeyed["carried"], &rekeyed["forgotten"]),
        (&3.into(), &0.into())
    );

    // One address changes: under the old key that would have been another person.
    let extract = desk.read("c.csv").replace("b@x", "bob@x");
    desk.write("c.csv", extract);
    let pushed = push();
    assert_eq!(
        (
            pushed.rows("updated"),
            pushed.rows("unchanged"),
            pushed.rows("vanished")
        ),
        (1, 2, 0),
        "{pushed:?}"
    );
    // What segue wrote as a key is cleared as any column that it filled.
    let extract = desk.read("c.csv").replace("c@x.example", "");
    desk.write("c.csv", extract);
    assert_eq!(push().rows("updated"), 1);
    let cleared = desk.emulator.rows("contact").into_iter();
    let mut cleared = cleared.filter(|row| row["externaluseridentifier"] == "3");
    assert_eq!(cleared.next().unwrap()["emailaddress1"], Json::Null);
    assert_eq!(push().rows("unchanged"), 3);
    assert_eq!(desk.emulator.rows("contact").len(), 3);
    let again = state(&desk, "rekey -m contacts.yaml --json").json();
    assert_eq!(again["carried"], 3);
}
