//! Records that left the extract: what is removed, what returns, and what is never touched.

use serde_json::Value as Json;

use crate::desk::{Desk, Ran};

const KEY: &str = "externaluseridentifier";

/// A mapping of people by number, with those lines before its columns.
fn people(desk: &Desk, more: &str) {
    mapping(desk, "people", more);
}

fn mapping(desk: &Desk, name: &str, more: &str) {
    let text = format!(
        "version: 1\nname: {name}\nsource: {{ path: {name}.csv }}\ntarget: {{ table: contact, key: [{KEY}] }}\n\
         {more}\ncolumns:\n  {KEY}: number\n  lastname: name\n"
    );
    desk.write(&format!("{name}.yaml"), text);
}

fn numbers(desk: &Desk, name: &str, numbers: impl IntoIterator<Item = u32>) {
    let lines = numbers.into_iter().map(|it| format!("C{it},Name {it}\n"));
    desk.write(
        &format!("{name}.csv"),
        format!("number,name\n{}", lines.collect::<String>()),
    );
}

fn push(desk: &Desk, more: &[&str]) -> Ran {
    desk.run(&[&["push", "-m", "people.yaml", "--json"], more].concat())
}

fn person(desk: &Desk, number: u32) -> Option<Json> {
    let rows = desk.emulator.rows("contact").into_iter();
    let mut rows = rows.map(|row| serde_json::to_value(row).unwrap());
    rows.find(|row| row[KEY] == format!("C{number}"))
}

fn state(desk: &Desk, number: u32) -> (i64, i64) {
    let row = person(desk, number).unwrap();
    (
        row["statecode"].as_i64().unwrap(),
        row["statuscode"].as_i64().unwrap(),
    )
}

/// Thirty people, pushed.
async fn thirty(more: &str) -> Desk {
    let desk = Desk::new().await;
    people(&desk, more);
    numbers(&desk, "people", 1..=30);
    assert_eq!(push(&desk, &[]).rows("created"), 30);
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanished_is_deleted_and_created_again_when_it_returns() {
    let desk = thirty("missing: delete").await;
    numbers(&desk, "people", 3..=30);
    let rehearsed = push(&desk, &["--dry-run"]);
    assert_eq!(
        (rehearsed.rows("deleted"), rehearsed.rows("unchanged")),
        (2, 28),
        "{rehearsed:?}"
    );
    assert!(person(&desk, 1).is_some());
    let ran = push(&desk, &[]);
    assert_eq!(
        (
            ran.code,
            ran.rows("deleted"),
            ran.rows("vanished"),
            ran.rows("kept")
        ),
        (Some(0), 2, 2, 0),
        "{ran:?}"
    );
    assert!(person(&desk, 1).is_none() && person(&desk, 3).is_some());
    let again = push(&desk, &[]);
    assert_eq!(
        (again.rows("vanished"), again.requests("writes")),
        (0, 0),
        "{again:?}"
    );
    numbers(&desk, "people", 1..=30);
    assert_eq!(push(&desk, &[]).rows("created"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_else_made_in_the_place_of_ours_is_not_ours() {
    let desk = thirty("missing: delete").await;
    for number in ["C1", "C2"] {
        desk.request("DELETE", &format!("contacts({KEY}='{number}')"), "");
    }
    let theirs = serde_json::json!({ KEY: "C1", "lastname": "Theirs" });
    desk.request("POST", "contacts", &theirs.to_string());
    let people = desk.read("people.csv");
    let changed = people.replace("Name 1\n", "New 1\n");
    desk.write("people.csv", changed.replace("Name 2\n", "New 2\n"));
    let ran = push(&desk, &[]);
    assert_eq!(
        (ran.rows("updated"), ran.rows("created")),
        (1, 1),
        "{ran:?}"
    );
    numbers(&desk, "people", 3..=30);
    let ran = push(&desk, &[]);
    assert_eq!((ran.rows("deleted"), ran.rows("kept")), (1, 1), "{ran:?}");
    assert_eq!(person(&desk, 1).unwrap()["lastname"], "New 1");
    assert!(person(&desk, 2).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_mapping_created_is_deleted_unless_it_says_otherwise() {
    let desk = Desk::new().await;
    mapping(&desk, "others", "");
    numbers(&desk, "others", 1..=2);
    let ran = desk.run(&["push", "-m", "others.yaml", "--json"]);
    assert_eq!(ran.rows("created"), 2);
    // Its word is forgotten: it holds nothing any more.
    std::fs::remove_dir_all(desk.path(".segue/env/others")).unwrap();
    people(&desk, "missing: delete");
    numbers(&desk, "people", 1..=30);
    let ran = push(&desk, &[]);
    assert_eq!(
        (ran.rows("created"), ran.rows("updated")),
        (28, 2),
        "{ran:?}"
    );
    numbers(&desk, "people", 2..=29);
    let ran = push(&desk, &[]);
    assert_eq!(
        (ran.rows("deleted"), ran.rows("kept")),
        (1, 1),
        "C30 was made by this mapping, C1 was not: {ran:?}"
    );
    assert!(
        ran.err.contains("nothing proves that this mapping created"),
        "{}",
        ran.err
    );
    assert!(person(&desk, 1).is_some() && person(&desk, 30).is_none());
    people(&desk, "missing: { delete: written }");
    let ran = push(&desk, &[]);
    assert_eq!(ran.rows("deleted"), 1, "{ran:?}");
    assert!(person(&desk, 1).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_mapping_writes_stays() {
    let desk = thirty("missing: delete").await;
    mapping(&desk, "others", "");
    numbers(&desk, "others", [1]);
    let ran = desk.run(&["push", "-m", "others.yaml", "--json"]);
    assert_eq!(ran.rows("updated"), 1, "{ran:?}");
    numbers(&desk, "people", 3..=30);
    let ran = push(&desk, &[]);
    assert_eq!((ran.rows("deleted"), ran.rows("kept")), (1, 1), "{ran:?}");
    assert!(person(&desk, 1).is_some() && person(&desk, 2).is_none());
    for more in [["--dry-run"].as_slice(), &[]] {
        let ran = push(&desk, more);
        assert_eq!(ran.rows("kept"), 1, "{ran:?}");
        let told = "1 record left the extract and will stay: the ledger of another mapping holds them too (env/others)";
        assert!(ran.err.contains(told), "{}", ran.err);
    }
    // Whoever follows the advice gets what was meant.
    let reset = desk.run(&["state", "reset", "-m", "others.yaml", "--yes"]);
    assert_eq!(reset.code, Some(0), "{reset:?}");
    let ran = push(&desk, &[]);
    assert_eq!((ran.rows("deleted"), ran.err.as_str()), (1, ""), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reset_that_was_killed_left_holds_nobody() {
    let desk = thirty("missing: delete").await;
    let folder = |name: &str| desk.path(".segue/env").join(name);
    // Killed behind its first step, with some of the files removed.
    std::fs::rename(folder("people"), folder(".people.removed")).unwrap();
    std::fs::remove_file(folder(".people.removed/digests.1")).unwrap();
    people(&desk, "missing: { delete: written }");
    assert_eq!(push(&desk, &[]).rows("updated"), 30);
    numbers(&desk, "people", 2..=30);
    let ran = push(&desk, &[]);
    assert_eq!((ran.rows("deleted"), ran.err.as_str()), (1, ""), "{ran:?}");
}

/// Each would wait for the other: the advice ends it.
#[tokio::test(flavor = "multi_thread")]
async fn who_left_two_mappings_goes_when_one_of_them_gives_up() {
    for treatment in ["missing: delete", "missing: deactivate"] {
        let desk = thirty(treatment).await;
        mapping(&desk, "others", treatment);
        numbers(&desk, "others", 1..=2);
        let others = || desk.run(&["push", "-m", "others.yaml", "--json"]);
        assert_eq!(others().rows("updated"), 2);
        numbers(&desk, "people", 2..=30);
        numbers(&desk, "others", [2]);
        for _ in 0..2 {
            assert_eq!(others().rows("kept"), 1);
            let ran = push(&desk, &[]);
            assert_eq!(ran.rows("kept"), 1, "{ran:?}");
            let advice = "let it give them up (`segue state forget KEY` with its file) and push this one again";
            assert!(ran.err.contains(advice), "{}", ran.err);
        }
        let forgot = desk.run(&["state", "forget", "C1", "-m", "others.yaml"]);
        assert_eq!(forgot.code, Some(0), "{forgot:?}");
        let ran = push(&desk, &[]);
        let removed = ran.rows("deleted") + ran.rows("deactivated");
        assert_eq!((removed, ran.rows("kept")), (1, 0), "{ran:?}");
        assert_eq!(ran.err, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_key_moved_is_not_removed_behind_its_back() {
    let desk = thirty("missing: delete").await;
    let moved = serde_json::json!({ KEY: "C99" });
    let id = person(&desk, 1).unwrap()["contactid"].clone();
    desk.edit(&format!("contacts({})", id.as_str().unwrap()), &moved);
    numbers(&desk, "people", (2..=30).chain([99]));
    let ran = push(&desk, &[]);
    assert_eq!(
        (ran.rows("deleted"), ran.rows("kept"), ran.rows("updated")),
        (0, 1, 1),
        "{ran:?}"
    );
    assert!(person(&desk, 99).is_some());
    let again = push(&desk, &[]);
    assert_eq!(
        (again.rows("vanished"), again.rows("unchanged")),
        (0, 30),
        "{again:?}"
    );
}

/// Two records are one person: one of them is deleted by hand and the other gets its number, there and in the extract.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_took_the_key_of_an_unchanged_row_is_not_removed() {
    for more in [
        "missing: delete",
        "missing: deactivate",
        "delete_when: gone",
    ] {
        let desk = Desk::new().await;
        people(&desk, more);
        let line = |number: u32, mark: &str| format!("C{number},Ann,{mark}\n");
        let extract = |first: &str| {
            let rest: String = (2..=30).map(|it| line(it, "")).collect();
            desk.write("people.csv", format!("number,name,gone\n{first}{rest}"));
        };
        extract(&line(1, ""));
        assert_eq!(push(&desk, &[]).rows("created"), 30);
        let path = |number| {
            let id = person(&desk, number).unwrap()["contactid"].clone();
            format!("contacts({})", id.as_str().unwrap())
        };
        let stays = path(1);
        desk.request("DELETE", &path(2), "");
        desk.edit(&stays, &serde_json::json!({ KEY: "C2" }));
        extract(&if more.starts_with("missing") {
            String::new()
        } else {
            line(1, "yes")
        });
        for dry in [["--dry-run"].as_slice(), &[]] {
            let ran = push(&desk, dry);
            let removed = ran.rows("deleted") + ran.rows("deactivated");
            assert_eq!((removed, ran.rows("kept")), (0, 1), "{more}: {ran:?}");
            assert_eq!(path(2), stays, "{more}");
        }
        let next = push(&desk, &[]);
        assert_eq!(
            (next.rows("updated"), next.rows("kept")),
            (1, 1),
            "{next:?}"
        );
        let again = push(&desk, &[]);
        assert_eq!(again.requests("writes"), 0, "{more}: {again:?}");
        assert_eq!((path(2), state(&desk, 2)), (stays, (0, 1)), "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanished_is_deactivated_and_brought_back() {
    let desk = thirty("missing: deactivate").await;
    numbers(&desk, "people", 2..=30);
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("deactivated")), (Some(0), 1), "{ran:?}");
    assert_eq!((state(&desk, 1), state(&desk, 2)), ((1, 2), (0, 1)));
    let again = push(&desk, &[]);
    assert_eq!(
        (again.rows("vanished"), again.requests("writes")),
        (0, 0),
        "{again:?}"
    );
    numbers(&desk, "people", 1..=30);
    let ran = push(&desk, &[]);
    assert_eq!(
        (ran.rows("updated"), ran.rows("unchanged")),
        (1, 29),
        "{ran:?}"
    );
    assert_eq!(state(&desk, 1), (0, 1));
    assert_eq!(push(&desk, &[]).requests("writes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_deactivated_under_an_older_mapping_is_brought_back_and_nobody_else() {
    for later in [
        "missing: keep",
        "missing: { set: { donotbulkemail: true } }",
        "missing: delete",
    ] {
        let desk = thirty("missing: deactivate").await;
        numbers(&desk, "people", 3..=30);
        assert_eq!(push(&desk, &[]).rows("deactivated"), 2);
        people(&desk, later);
        numbers(&desk, "people", (1..=30).filter(|it| *it != 2));
        let ran = push(&desk, &[]);
        assert_eq!(ran.rows("unchanged"), 28, "nothing is mapped anew: {ran:?}");
        assert_eq!(state(&desk, 1), (0, 1), "{later}");
        // What somebody else set inactive stays so.
        let id = person(&desk, 5).unwrap()["contactid"].clone();
        let asleep = serde_json::json!({ "statecode": 1, "statuscode": 2 });
        desk.edit(&format!("contacts({})", id.as_str().unwrap()), &asleep);
        people(&desk, "missing: { set: { donotbulkemail: true } }");
        numbers(&desk, "people", (1..=30).filter(|it| *it != 2 && *it != 5));
        assert_eq!(push(&desk, &[]).code, Some(0));
        numbers(&desk, "people", 1..=30);
        assert_eq!(push(&desk, &[]).code, Some(0));
        assert_eq!((state(&desk, 2), state(&desk, 5)), ((0, 1), (1, 2)));
    }
}

/// Where the extract says the state of some, those of whom it says nothing return all the same.
#[tokio::test(flavor = "multi_thread")]
async fn who_returns_without_a_state_is_active_again() {
    for column in ["statecode", "statuscode"] {
        let desk = Desk::new().await;
        people(&desk, "missing: deactivate");
        let mapping =
            desk.read("people.yaml") + &format!("  {column}: {{ from: is, choice: labels }}\n");
        desk.write("people.yaml", mapping);
        let extract = |first: &[(u32, &str)]| {
            let rest = (3..=30).map(|it| (it, ""));
            let lines = first.iter().copied().chain(rest);
            let lines = lines.map(|(it, is)| format!("C{it},Name,{is}\n"));
            desk.write(
                "people.csv",
                format!("number,name,is\n{}", lines.collect::<String>()),
            );
        };
        let whole = [(1, ""), (2, "Inactive")];
        extract(&whole);
        assert_eq!(push(&desk, &[]).rows("created"), 30);
        extract(&[]);
        assert_eq!(push(&desk, &[]).rows("deactivated"), 2);
        extract(&whole);
        let ran = push(&desk, &[]);
        assert_eq!(
            (ran.rows("updated"), ran.rows("unchanged")),
            (1, 29),
            "{ran:?}"
        );
        assert_eq!(
            (state(&desk, 1), state(&desk, 2)),
            ((0, 1), (1, 2)),
            "{column}"
        );
        assert_eq!(push(&desk, &[]).requests("writes"), 0, "{column}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanished_is_marked_and_unmarked() {
    let desk = thirty("missing: { set: { donotbulkemail: true, lastname: Gone } }").await;
    numbers(&desk, "people", 2..=30);
    let ran = push(&desk, &[]);
    assert_eq!((ran.rows("updated"), ran.rows("kept")), (1, 0), "{ran:?}");
    let row = person(&desk, 1).unwrap();
    assert_eq!(
        (&row["donotbulkemail"], &row["lastname"]),
        (&Json::Bool(true), &"Gone".into())
    );
    assert_eq!(push(&desk, &[]).requests("writes"), 0);
    people(&desk, "missing: { set: { donotbulkemail: false } }");
    let ran = push(&desk, &[]);
    assert_eq!(ran.rows("updated"), 1, "another treatment: {ran:?}");
    assert_eq!(person(&desk, 1).unwrap()["donotbulkemail"], false);
    numbers(&desk, "people", 1..=30);
    assert_eq!(push(&desk, &[]).rows("updated"), 1);
    assert_eq!(person(&desk, 1).unwrap()["lastname"], "Name 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_already_is_forgotten() {
    let desk = thirty("missing: delete").await;
    desk.request("DELETE", &format!("contacts({KEY}='C1')"), "");
    numbers(&desk, "people", 2..=30);
    let ran = push(&desk, &[]);
    assert_eq!(ran.rows("deleted"), 1, "{ran:?}");
    assert_eq!(push(&desk, &[]).rows("vanished"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_removed_is_a_reject_that_names_it() {
    let desk = thirty("missing: delete").await;
    desk.emulator
        .client()
        .revoke_privilege("prvDeleteContact")
        .unwrap();
    numbers(&desk, "people", 2..=30);
    let ran = push(&desk, &[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("prvDeleteContact"), "{}", ran.err);
    let check = desk.run(&["check", "-m", "people.yaml"]);
    assert_eq!(check.code, Some(3));
    assert!(check.out.contains("prvDeleteContact"), "{check:?}");
}

/// Ways in which an extract can be wrong: nothing is removed in any.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_extract_removes_nothing() {
    let good: Vec<String> = (2..=30).map(|it| format!("C{it},Name {it}\n")).collect();
    let good = good.concat();
    let header = "number,name\n";
    let cases: [(&str, Vec<u8>, &[&str], i32); 9] = [
        (
            "cut short beyond the guard",
            format!("{header}C1,Name 1\n").into(),
            &[],
            4,
        ),
        ("a header only", header.into(), &[], 4),
        ("empty", Vec::new(), &[], 2),
        ("a ragged row", format!("{header}{good}C1\n").into(), &[], 1),
        (
            "an undecodable row",
            [header.as_bytes(), good.as_bytes(), b"\xff1,x\n"].concat(),
            &[],
            1,
        ),
        ("half its columns", good.replace(",Name", "").into(), &[], 2),
        (
            "a part",
            format!("{header}{good}").into(),
            &["--partial"],
            0,
        ),
        (
            "a limit",
            format!("{header}{good}").into(),
            &["--limit", "5"],
            0,
        ),
        (
            "one key",
            format!("{header}{good}").into(),
            &["--key", "C5"],
            0,
        ),
    ];
    for (what, extract, more, code) in cases {
        let desk = thirty("missing: delete").await;
        desk.write("people.csv", extract);
        let ran = push(&desk, more);
        assert_eq!(ran.code, Some(code), "{what}: {ran:?}");
        assert_eq!(desk.emulator.rows("contact").len(), 30, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_counts_every_removal() {
    let desk = thirty("missing: delete\nguard: { max_deletes: 3 }").await;
    numbers(&desk, "people", 5..=30);
    let ran = push(&desk, &[]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.err
            .contains("4 of 30 known records would be removed, at most 3 may"),
        "{}",
        ran.err
    );
    // Whoever is stopped is not told that all is well, and whoever allows it is told what it comes to.
    desk.write("people.csv", "number,name\n");
    let ran = push(&desk, &[]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(!ran.err.contains("nothing to do"), "{}", ran.err);
    people(&desk, "missing: delete\nguard: { max_deletes: 100% }");
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("deleted")), (Some(0), 30), "{ran:?}");
    assert!(!ran.err.contains("nothing to do"), "{}", ran.err);
    assert!(ran.err.contains("30 records are not in it"), "{}", ran.err);
    let ran = push(&desk, &[]);
    assert!(ran.err.contains("nothing to do"), "{}", ran.err);
}

/// Whom the mapping treats once more it counts among the known ones, and whoever returns as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_guard_of_a_hundred_percent_lets_everybody_pass() {
    let all = "guard: { max_deletes: 100%, max_changes: 100% }";
    let desk = thirty(&format!("missing: deactivate\n{all}")).await;
    numbers(&desk, "people", 1..=5);
    assert_eq!(push(&desk, &[]).rows("deactivated"), 25);
    numbers(&desk, "people", 1..=30);
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("updated")), (Some(0), 25), "{ran:?}");
    numbers(&desk, "people", 1..=5);
    assert_eq!(push(&desk, &[]).rows("deactivated"), 25);
    people(&desk, "missing: delete\nguard: { max_deletes: 24 }");
    let ran = push(&desk, &[]);
    let told = "25 of 30 known records would be removed, at most 24 may";
    assert!(ran.code == Some(4) && ran.err.contains(told), "{ran:?}");
    people(&desk, &format!("missing: delete\n{all}"));
    let ran = push(&desk, &[]);
    assert_eq!((ran.code, ran.rows("deleted")), (Some(0), 25), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_told_at_its_place() {
    let desk = Desk::new().await;
    numbers(&desk, "people", 1..=2);
    for (more, code) in [
        ("missing: { deactivate: Asleep }", "SG0128"),
        ("missing: { set: { externaluseridentifier: x } }", "SG0128"),
        ("missing: { set: { nothing: x } }", "SG0107"),
        ("missing: { set: { birthdate: soon } }", "SG0113"),
        ("missing: { set: {} }", "SG0008"),
        (
            "missing: { delete: written, set: { jobtitle: x } }",
            "SG0008",
        ),
        ("missing: remove", "SG0008"),
    ] {
        people(&desk, more);
        let ran = desk.run(&["validate", "-m", "people.yaml"]);
        assert_eq!(ran.code, Some(2), "{more}: {ran:?}");
        assert!(ran.err.contains(code), "{more}: {}", ran.err);
    }
    let text = "version: 1\nsource: { path: people.csv }\ntarget: { table: lead, key: [new_externalid] }\n\
                missing: MISSING\ncolumns:\n  new_externalid: number\n  lastname: name\n";
    desk.write("people.yaml", text.replace("MISSING", "deactivate"));
    let ran = desk.run(&["validate", "-m", "people.yaml"]);
    assert!(ran.err.contains("more than one inactive state"), "{ran:?}");
    desk.write(
        "people.yaml",
        text.replace("MISSING", "{ deactivate: Canceled }"),
    );
    assert_eq!(desk.run(&["validate", "-m", "people.yaml"]).code, Some(0));
}

/// Thirty people whose extract has a mark, pushed.
fn marked(desk: &Desk, marks: &[(u32, &str)]) -> Ran {
    let lines = (1..=30).map(|number| {
        let mark = marks.iter().find(|(it, _)| *it == number);
        format!(
            "C{number},Name {number},{}\n",
            mark.map_or("", |(_, mark)| mark)
        )
    });
    let lines: Vec<String> = lines.collect();
    desk.write(
        "people.csv",
        format!("number,name,gone\n{}", lines.concat()),
    );
    people(desk, "delete_when: gone");
    push(desk, &[])
}

/// The column of marks may be written as well, and was before anybody said that it has marks.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_said_to_have_marks_is_looked_at_again() {
    let desk = Desk::new().await;
    let with = |more: &str| {
        people(&desk, more);
        let mapping = desk.read("people.yaml") + "  jobtitle: gone\n";
        desk.write("people.yaml", mapping);
        push(&desk, &[])
    };
    let lines = (1..=30).map(|it| format!("C{it},Name,{}\n", if it == 1 { "yes" } else { "" }));
    desk.write(
        "people.csv",
        format!("number,name,gone\n{}", lines.collect::<String>()),
    );
    assert_eq!(with("").rows("created"), 30);
    let ran = with("delete_when: gone");
    assert_eq!(
        (ran.rows("deleted"), ran.rows("unchanged")),
        (1, 29),
        "{ran:?}"
    );
    assert_eq!(with("").rows("created"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_one_of_the_rows_that_a_limit_counts() {
    let desk = Desk::new().await;
    marked(&desk, &[]);
    let people = [1, 2, 3, 4].map(|number| (number, "yes"));
    let lines = (1..=30).map(|number| {
        let mark = people.iter().find(|(it, _)| *it == number);
        let name = if number == 5 { "Changed" } else { "Name" };
        format!("C{number},{name} {number},{}\n", mark.map_or("", |it| it.1))
    });
    desk.write(
        "people.csv",
        format!("number,name,gone\n{}", lines.collect::<String>()),
    );
    for more in [["--dry-run"].as_slice(), &[]] {
        let ran = push(&desk, &[&["--limit", "3"], more].concat());
        assert_eq!(
            (
                ran.rows("deleted"),
                ran.rows("updated"),
                ran.rows("skipped")
            ),
            (3, 0, 2),
            "{ran:?}"
        );
    }
    assert!(person(&desk, 4).is_some() && person(&desk, 1).is_none());
    let rest = push(&desk, &[]);
    assert_eq!((rest.rows("deleted"), rest.rows("updated")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_cannot_be_read_is_a_reject() {
    let desk = Desk::new().await;
    marked(&desk, &[]);
    desk.write(
        "people.csv",
        b"number,name,gone\nC1,Changed,\xFFyes\n".as_slice(),
    );
    let ran = push(&desk, &["--partial"]);
    assert_eq!((ran.code, ran.rows("rejected")), (Some(1), 1), "{ran:?}");
    assert!(ran.rejects().contains(",cell_undecodable,"), "{ran:?}");
    assert_eq!(person(&desk, 1).unwrap()["lastname"], "Name 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_marked_deletes_its_record_once() {
    let desk = Desk::new().await;
    let ran = marked(&desk, &[(4, "yes")]);
    assert_eq!(
        (ran.rows("created"), ran.rows("skipped")),
        (29, 1),
        "{ran:?}"
    );
    let people = [(1, " no"), (2, "yes "), (3, "TRUE"), (4, "1"), (5, "  ")];
    let ran = marked(&desk, &people);
    assert_eq!(
        (
            ran.code,
            ran.rows("deleted"),
            ran.rows("skipped"),
            ran.rows("unchanged")
        ),
        (Some(0), 2, 1, 27),
        "{ran:?}"
    );
    assert!(person(&desk, 2).is_none() && person(&desk, 1).is_some());
    let again = marked(&desk, &people);
    assert_eq!(
        (
            again.rows("unchanged"),
            again.rows("skipped"),
            again.requests("writes")
        ),
        (29, 1, 0),
        "{again:?}"
    );
    let back = marked(&desk, &[(3, "yes")]);
    assert_eq!(
        (back.rows("created"), back.rows("unchanged")),
        (2, 28),
        "{back:?}"
    );
    assert!(person(&desk, 2).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_deletes_only_what_is_ours_and_is_guarded() {
    let desk = Desk::new().await;
    mapping(&desk, "others", "");
    numbers(&desk, "others", [1]);
    assert_eq!(
        desk.run(&["push", "-m", "others.yaml", "--json"]).code,
        Some(0)
    );
    let ran = marked(&desk, &[]);
    assert_eq!(
        (ran.rows("created"), ran.rows("updated")),
        (29, 1),
        "{ran:?}"
    );
    let ran = marked(&desk, &[(1, "yes"), (2, "maybe")]);
    assert_eq!(
        (ran.code, ran.rows("kept"), ran.rows("rejected")),
        (Some(1), 1, 1),
        "{ran:?}"
    );
    assert!(ran.rejects().contains("mark_invalid"), "{}", ran.rejects());
    let all: Vec<(u32, &str)> = (2..=30).map(|it| (it, "yes")).collect();
    let ran = marked(&desk, &all);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(desk.emulator.rows("contact").len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_adopted_is_never_removed() {
    let desk = Desk::new().await;
    mapping(&desk, "others", "");
    numbers(&desk, "others", 1..=30);
    let ran = desk.run(&["push", "-m", "others.yaml", "--json"]);
    assert_eq!(ran.rows("created"), 30);
    std::fs::remove_dir_all(desk.path(".segue/env/others")).unwrap();
    people(&desk, "missing: { delete: written }");
    numbers(&desk, "people", 1..=30);
    let adopted = desk.run(&["state", "adopt", "-m", "people.yaml", "--json"]);
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
    let ran = push(&desk, &[]);
    assert_eq!(
        (ran.rows("unchanged"), ran.requests("writes")),
        (30, 0),
        "{ran:?}"
    );
    numbers(&desk, "people", 2..=30);
    let ran = push(&desk, &[]);
    assert_eq!((ran.rows("deleted"), ran.rows("kept")), (0, 1), "{ran:?}");
    let renamed = desk.read("people.csv").replace("C2,Name 2\n", "C2,Anna\n");
    desk.write("people.csv", renamed);
    assert_eq!(push(&desk, &[]).rows("updated"), 1);
    numbers(&desk, "people", 3..=30);
    let ran = push(&desk, &[]);
    assert_eq!((ran.rows("deleted"), ran.rows("kept")), (1, 1), "{ran:?}");
    assert!(person(&desk, 1).is_some() && person(&desk, 2).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_changed_at_the_source_is_noticed() {
    let desk = thirty("missing: keep").await;
    let people = desk.read("people.csv").replace("C7,", "C107,");
    desk.write("people.csv", people.replace("C9,", "C109,"));
    let ran = push(&desk, &[]);
    assert_eq!((ran.rows("created"), ran.rows("kept")), (2, 2), "{ran:?}");
    let warnings = ran.json()["runs"][0]["warnings"].to_string();
    let told = "2 new keys stand in rows that are, but for the key, those of keys which have vanished (people.csv:8, people.csv:10)";
    assert!(warnings.contains(told), "{warnings}");
}

/// One person joins a segment and another one leaves it: nothing was renamed.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_nothing_but_keys_tell_no_key_from_another() {
    let desk = thirty("missing: keep").await;
    let flag = |mode: &str| {
        desk.write(
            "people.yaml",
            format!(
                "version: 1\nsource: {{ path: flags.csv }}\ntarget: {{ table: contact, key: [externaluseridentifier] }}\n\
                 {mode}\ncolumns:\n  externaluseridentifier: number\n  donotbulkemail: {{ value: true }}\n"
            ),
        );
    };
    let member = |number: u32| desk.write("flags.csv", format!("number\nC1\nC{number}\n"));
    std::fs::remove_dir_all(desk.path(".segue/env/people")).unwrap();
    for (mode, numbers) in [("mode: upsert", [2, 3]), ("mode: { update: skip }", [4, 5])] {
        flag(mode);
        for number in numbers {
            member(number);
            let ran = push(&desk, &[]);
            assert_eq!((ran.code, ran.rows("rejected")), (Some(0), 0), "{ran:?}");
            assert!(!ran.err.contains("new key"), "{mode}: {}", ran.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_many_keys_share_tell_no_key_from_another() {
    let desk = Desk::new().await;
    people(&desk, "missing: keep");
    desk.write("people.csv", "number,name\nC1,Same\nC2,Same\nC3,Own\n");
    assert_eq!(push(&desk, &[]).rows("created"), 3);
    desk.write("people.csv", "number,name\nC4,Same\nC5,New\n");
    let ran = push(&desk, &[]);
    assert_eq!((ran.rows("created"), ran.rows("kept")), (2, 3), "{ran:?}");
    assert!(!ran.out.contains("but for the key"), "{ran:?}");
}
