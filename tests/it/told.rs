//! What is told: where it is wrong, on which stream, and nothing that is not so.

use std::fs::File;

use serde_json::{Value as Json, json};

use crate::desk::{Desk, numbered, ran};

#[tokio::test(flavor = "multi_thread")]
async fn of_several_mappings_each_error_names_its_own_and_the_line() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    let good = desk.read("accounts.yaml");
    desk.write("many/good.yaml", good.replace("a.csv", "../a.csv"));
    desk.write(
        "many/table.yaml",
        good.replace("table: account", "table: acount"),
    );
    desk.write("many/extract.yaml", good.replace("a.csv", "b.csv"));
    let table = good.replace("table: account", "table: acount");
    desk.write("many/table.yaml", table.replace("a.csv", "../a.csv"));
    for command in ["validate", "push"] {
        let ran = desk.run(&[command, "-m", "many"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        for place in ["--> many/table.yaml:3:18", "--> many/extract.yaml:2:17"] {
            assert!(ran.err.contains(place), "{command}: {place}: {}", ran.err);
        }
    }
    let ran = desk.run(&["validate", "-m", "many", "--json"]);
    let place = ran.json()["mappings"][2]["error"]["place"].clone();
    assert_eq!(place, "many/table.yaml:3:18");
    // What the command named stands in no mapping.
    let ran = desk.run(&["push", "-m", "accounts.yaml", "--extract", "b.csv"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!ran.err.contains("-->"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_validated_names_its_mapping() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    let ran = ran(desk
        .command(&["validate", "-m", "accounts.yaml"])
        .env("SEGUE_CLIENT_SECRET", "wrong"));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("--> accounts.yaml\n"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_without_anything_to_do_is_one_json_object() {
    let desk = Desk::new().await;
    let of_none = desk.run(&["retry", "--json"]);
    assert_eq!(
        (of_none.code, &of_none.json()["exit_code"]),
        (Some(2), &json!(2))
    );
    assert!(
        of_none.json()["errors"][0]["help"].is_string(),
        "{of_none:?}"
    );
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    assert_eq!(desk.push(&[]).code, Some(0));
    let ran = desk.run(&["retry", "--json"]);
    let done = json!({ "schema": "segue.push/1", "exit_code": 0, "runs": [] });
    assert_eq!((ran.code, ran.json()), (Some(0), done), "{ran:?}");
}

/// The disk that standard output goes to is full.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn data_that_did_not_reach_stdout_is_no_success() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(2) + "A1,again\n");
    desk.accounts("{ path: a.csv }", "");
    assert_eq!(desk.push(&[]).code, Some(1));
    for arguments in [
        ["rejects", "--csv"].as_slice(),
        &["runs", "--json"],
        &["get", "account", "accountnumber=A1"],
        &["push", "-m", "accounts.yaml", "--json"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = desk.command(arguments).stdout(full).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(7), "{arguments:?}: {err}");
        assert!(err.contains("could not be written to stdout"), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_cannot_be_read_is_not_an_empty_one() {
    let desk = Desk::new().await;
    let ran = desk.run(&["state", "show"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    desk.write(".segue", "no folder");
    let ran = desk.run(&["state", "show"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("cannot be read"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_ticks_nothing_that_was_not_seen() {
    let desk = Desk::new().await;
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let url = format!("http://{nobody}");
    let mut command = desk.command(&["check", "--json"]);
    let ran = ran(command.env("SEGUE_URL", &url).env("SEGUE_AUTHORITY", &url));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let json = ran.json();
    let steps: Vec<(&Json, &Json)> = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (&step["step"], &step["status"]))
        .collect();
    let seen = [
        (&json!("settings"), &json!("ok")),
        (&json!("connection"), &json!("failed")),
    ];
    assert_eq!(steps, seen, "{ran:?}");
    assert!(ran.out.contains(&nobody), "without its port: {ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_told_in_words_of_the_field() {
    let desk = Desk::new().await;
    for (arguments, told) in [
        (
            ["push", "-m", "a.yaml", "--limit=ten"].as_slice(),
            "write a number of rows",
        ),
        (
            &["push", "-m", "a.yaml", "--limit=-1"],
            "write a number of rows",
        ),
        (
            &["push", "-m", "a.yaml", "--limit", "-1"],
            "write a number of rows",
        ),
        (
            &["push", "-m", "a.yaml", "--concurrency", "0"],
            "write a number of requests",
        ),
        (&["push", "a.yaml"], "--mapping a.yaml"),
        (&["validate", "mappings/b.yml"], "--mapping mappings/b.yml"),
    ] {
        let ran = desk.run(arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extract_with_another_delimiter_is_recognised() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    for (delimiter, written) in [(";", ";"), ("\t", "\\t"), ("|", "|")] {
        desk.write("a.csv", numbered(1).replace(',', delimiter));
        let ran = desk.run(&["validate", "-m", "accounts.yaml"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let told = format!("`csv: {{ delimiter: \"{written}\" }}`");
        assert!(ran.err.contains(&told), "{told}: {}", ran.err);
        let source = format!("{{ path: a.csv, csv: {{ delimiter: \"{written}\" }} }}");
        desk.accounts(&source, "");
        assert_eq!(desk.run(&["validate", "-m", "accounts.yaml"]).code, Some(0));
        desk.accounts("{ path: a.csv }", "");
    }
}

#[test]
fn a_ready_file_that_cannot_be_written_is_named() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_segue"));
    let ran = ran(command.args(["sandbox", "--in-memory", "--ready-file", "no/folder.json"]));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("no/folder.json"), "{}", ran.err);
}

/// Of two destinations the one that is named counts, whichever was pushed to last.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_named_chooses_among_the_runs() {
    let desk = Desk::new().await;
    desk.write(
        "segue.yaml",
        "version: 1\ndestinations: { trial: { sandbox: {} } }\n",
    );
    desk.write("a.csv", numbered(2) + "A1,again\n");
    desk.accounts("{ path: a.csv }", "");
    let mut first = String::new();
    for destination in ["env", "trial"] {
        let ran = desk.push(&["--destination", destination]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        if destination == "env" {
            first = ran.json()["runs"][0]["run"].as_str().unwrap().to_owned();
        }
    }
    let to_env = ["--destination", "env"];
    let runs = desk.run(&[["runs", "--json"], to_env].concat()).json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs}");
    let rejects = desk.run(&[["rejects"].as_slice(), &to_env].concat());
    assert!(rejects.out.starts_with(&first), "{rejects:?}");
    let shown = desk.run(&[["state", "show"], to_env].concat());
    assert!(
        shown.out.contains("→ env") && !shown.out.contains("trial"),
        "{shown:?}"
    );
    let wrong = desk.run(&["retry", &first, "--destination", "trial"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("went to `env`"), "{wrong:?}");
    let retried = desk.run(&[["retry", "--json"], to_env].concat());
    assert_eq!(
        retried.json()["runs"][0]["destination"],
        "env",
        "{retried:?}"
    );
}

/// What a person sees at a terminal, if there is a program that lends one.
#[cfg(target_os = "linux")]
fn at_a_terminal(desk: &Desk, arguments: &str) -> Option<String> {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_segue"));
    let mut lent = std::process::Command::new("script");
    let mut command = desk.command(&[]);
    lent.args(["-qec", &line, "/dev/null"])
        .current_dir(command.get_current_dir().unwrap())
        .envs(
            command
                .get_envs()
                .filter_map(|(name, it)| Some((name, it?))),
        )
        .env("NO_COLOR", "1")
        .stdin(std::process::Stdio::null());
    command.stdin(std::process::Stdio::null());
    let output = lent.output().ok()?;
    Some(String::from_utf8(output.stdout).unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_progress_makes_way_for_log_lines() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(5));
    desk.accounts("{ path: a.csv }", "");
    let Some(seen) = at_a_terminal(&desk, "push -m accounts.yaml -v") else {
        return;
    };
    assert!(seen.contains("opening: mapping"), "{seen:?}");
    // A log line begins with its time, at the beginning of a line or where the line was cleared.
    let logs = seen.split('\n').filter(|line| line.contains(" INFO "));
    let logs: Vec<&str> = logs.collect();
    assert!(logs.len() > 2, "{seen:?}");
    for line in logs {
        let visible = line.rsplit("\u{1b}[2K").next().unwrap();
        assert!(visible.starts_with("20"), "{line:?}");
    }
}

/// What Excel writes in Germany: semicolons, windows-1252, points in dates, commas in numbers.
#[tokio::test(flavor = "multi_thread")]
async fn a_german_spreadsheet_is_told_setting_by_setting_what_to_write() {
    let desk = Desk::new().await;
    let rows = b"Nr;Name;Geboren;Einkommen\r\n1;M\xfcller;31.12.1985;45.000,50\r\n";
    desk.write("kunden.csv", rows);
    let told = |source: &str, born: &str, income: &str| {
        let text = format!(
            "version: 1\nsource: {{ path: kunden.csv{source} }}\ntarget: {{ table: contact, key: [externaluseridentifier] }}\n\
             columns:\n  externaluseridentifier: Nr\n  lastname: Name\n  birthdate: {born}\n  annualincome: {income}\n"
        );
        desk.write("m.yaml", text);
        let ran = desk.run(&["push", "-m", "m.yaml"]);
        let rejects = desk.run(&["rejects"]);
        (ran.code, ran.err + &rejects.out)
    };
    let (born, income) = ("Geboren", "Einkommen");
    let (code, words) = told("", born, income);
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("`csv: { delimiter: \";\" }`"), "{words}");
    let (_, words) = told(", csv: { delimiter: \";\" }", born, income);
    assert!(words.contains("often `windows-1252`"), "{words}");
    let source = ", csv: { delimiter: \";\", encoding: windows-1252 }";
    let (_, words) = told(source, born, income);
    assert!(words.contains("`parse: \"%d.%m.%Y\"`"), "{words}");
    let (code, words) = told(source, "{ from: Geboren, parse: TT.MM.JJJJ }", income);
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("did you mean `%d.%m.%Y`?"), "{words}");
    let born = "{ from: Geboren, parse: \"%d.%m.%Y\" }";
    let (_, words) = told(source, born, income);
    let setting = "decimal: \",\", thousands: \".\"";
    assert!(words.contains(&format!("`{setting}`")), "{words}");
    let (code, words) = told(source, born, &format!("{{ from: Einkommen, {setting} }}"));
    assert_eq!(code, Some(0), "{words}");
    let rows = desk.emulator.rows("contact");
    let row = serde_json::to_value(&rows[0]).unwrap();
    assert_eq!(row["annualincome"], 45000.5);
    assert_eq!(row["lastname"], "Müller");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extract_in_place_of_a_mapping_is_told_as_that() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    for command in ["push", "validate"] {
        let ran = desk.run(&[command, "-m", "a.csv"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.err.contains("a.csv is an extract, not a mapping"),
            "{ran:?}"
        );
    }
    let ran = desk.run(&["push", "-m", "b.csv"]);
    assert!(ran.err.contains("cannot be read"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_tells_everything_that_is_wrong_with_it_at_once() {
    let desk = Desk::new().await;
    desk.write(
        "a.csv",
        "number,name,born,kids,mail\n1,Ann,31.12.1985,two,a\n",
    );
    desk.write(
        "m.yaml",
        "version: 1\nsource: { path: a.csv }\ntarget: { table: contact, key: [externaluseridentifier] }\n\
         columns:\n  externaluseridentifier: number\n  lastname: name\n  birthdate: born\n  numberofchildren: kids\n  \
         gendercode: { from: mail, choice: labels }\n",
    );
    let ran = desk.run(&["push", "-m", "m.yaml", "--json"]);
    assert_eq!(ran.rows("rejected"), 1);
    let reasons = &ran.json()["runs"][0]["rejects"]["reasons"];
    assert_eq!(reasons.as_array().unwrap().len(), 1, "{reasons}");
    assert_eq!(reasons[0]["column"], "birthdate");
    let expected = "`31.12.1985` is not a date as ISO 8601 writes it; also numberofchildren: `two` is not a number; \
                    gendercode: `a` is no label of an option (1 Male, 2 Female)";
    assert!(ran.rejects().contains(expected), "{}", ran.rejects());
}
