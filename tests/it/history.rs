//! What can be asked after a run: its record, its results, its rejects.

use crate::desk::{Desk, numbered};

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_rejects_are_listed_and_mended_rows_pushed() {
    let desk = Desk::new().await;
    let long = "x".repeat(161);
    desk.write("a.csv", format!("{}B1,{long}\nB2,{long}\n", numbered(3)));
    desk.accounts("{ path: a.csv }", "");
    let pushed = desk.push(&[]);
    assert_eq!(pushed.code, Some(1));
    let run = pushed.json()["runs"][0]["run"].as_str().unwrap().to_owned();

    let runs = desk.run(&["runs"]);
    assert!(runs.out.contains(&run), "{runs:?}");
    let full = desk.run(&["runs", &run]);
    assert!(
        full.out.contains("created 3") && full.out.contains("exit code 1"),
        "{full:?}"
    );
    assert_eq!(
        desk.run(&["runs", &run, "--json"]).json()["run"],
        run.as_str()
    );
    assert_eq!(desk.run(&["runs", "nothing"]).code, Some(2));

    let rejects = desk.run(&["rejects"]);
    assert!(
        rejects.out.contains("2 × text_too_long in `name`"),
        "{}",
        rejects.out
    );
    assert!(rejects.out.contains("a.csv:5 (B1)"), "{}", rejects.out);
    let rows = desk.run(&["rejects", &run, "--csv"]);
    assert_eq!(rows.out, format!("number,name\nB1,{long}\nB2,{long}\n"));
    desk.write("mended.csv", rows.out.replace(&long, "short"));
    let mended = desk.push(&["--extract", "mended.csv"]);
    assert_eq!(
        (mended.code, mended.rows("created")),
        (Some(0), 2),
        "{mended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_read_as_the_extract_is_read_whatever_its_signs_mean() {
    let rows = |csv: &str, extract: &str| {
        let source = format!("{{ path: a.csv, csv: {{ {csv} }} }}");
        (source, extract.to_owned())
    };
    for ((source, extract), name) in [
        (
            rows(
                "delimiter: '|', quote: none",
                "number|name|parent\nK|he said \"hi|?\n",
            ),
            "he said \"hi",
        ),
        (
            rows("escape: '\\'", "number,name,parent\nK,\"a\\\"b\\\\c,\",?\n"),
            "a\"b\\c,",
        ),
        (
            rows(
                "comment: K",
                "number,name,parent\n\"K\",\"it's 5\"\" \",?\n",
            ),
            "it's 5\"",
        ),
        (
            rows("quote: \"'\"", "number,name,parent\n'K','it''s 5\"',?\n"),
            "it's 5\"",
        ),
        (rows("null_text: [N]", "number,name,parent\nK,N,?\n"), ""),
    ] {
        let desk = Desk::new().await;
        desk.write("a.csv", extract);
        desk.accounts(&source, "");
        let mapping = format!(
            "{}  numberofemployees: parent\n",
            desk.read("accounts.yaml")
        );
        desk.write("accounts.yaml", mapping);
        assert_eq!(desk.push(&[]).rows("rejected"), 1);
        let rows = desk.run(&["rejects", "--csv"]).out;
        desk.write("mended.csv", rows.replace('?', "7"));
        let mended = desk.push(&["--extract", "mended.csv"]);
        assert_eq!(mended.rows("created"), 1, "{rows} {mended:?}");
        let held = desk.emulator.rows("account");
        assert_eq!(held[0]["name"].as_str().unwrap_or_default(), name, "{rows}");
        assert_eq!(held[0]["accountnumber"], "K", "{rows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_that_are_not_kept_any_more_are_told_as_such() {
    let desk = Desk::new().await;
    desk.write("a.csv", format!("{}A1,twice\n", numbered(2)));
    desk.accounts("{ path: a.csv }", "");
    let pushed = desk.push(&[]);
    let run = pushed.json()["runs"][0]["run"].as_str().unwrap().to_owned();
    std::fs::remove_file(desk.path(&format!(".segue/runs/{run}/rejects.csv"))).unwrap();
    for command in ["rejects", "retry"] {
        let ran = desk.run(&[command, &run]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let told = format!("the rejects of {run} are not kept any more");
        assert!(ran.err.contains(&told), "{}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_removes_rejects_and_runs_that_are_too_old() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    for run in ["20200101T000000Z-accounts", "20200101T000000Z-others"] {
        desk.write(&format!(".segue/runs/{run}/rejects.csv"), "a,row");
    }
    let is_there = |run: &str| desk.path(&format!(".segue/runs/{run}")).exists();
    assert_eq!(desk.push(&["--dry-run"]).code, Some(0));
    assert!(is_there("20200101T000000Z-accounts"));
    assert_eq!(desk.push(&[]).code, Some(0));
    assert!(!is_there("20200101T000000Z-accounts"));
    assert!(is_there("20200101T000000Z-others/rejects.csv"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_got_by_key_and_by_id() {
    let desk = Desk::new().await;
    desk.write("a.csv", "number,name\n\"A,1/2\",One\n");
    desk.accounts("{ path: a.csv }", "");
    desk.push(&[]);
    let shown = desk.run(&["get", "accounts", "accountnumber=a,1/2"]);
    assert!(
        shown.out.contains("accountnumber") && shown.out.contains("One"),
        "{shown:?}"
    );
    let id = desk
        .run(&["get", "account", "accountnumber=A,1/2", "--json"])
        .json();
    let id = id["accountid"].as_str().unwrap();
    assert_eq!(
        desk.run(&["get", "account", id, "--json"]).json()["name"],
        "One"
    );
    let missing = desk.run(&["get", "account", "accountnumber=A2"]);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.out.is_empty() && missing.err.contains("no record"),
        "{missing:?}"
    );
    let wrong = desk.run(&["get", "acount", "accountnumber=A2"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("account"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_come_back_as_the_extract_is_written() {
    let desk = Desk::new().await;
    let long = "\u{e9}".repeat(161);
    let text = format!("exported today\nnumber|name\nB1|{long}\n");
    let as_latin = |text: &str| {
        text.chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect::<Vec<u8>>()
    };
    desk.write("a.csv", as_latin(&text));
    let csv = "{ path: a.csv, csv: { delimiter: \"|\", encoding: windows-1252, skip_rows: 1 } }";
    desk.accounts(csv, "");
    assert_eq!(desk.push(&[]).rows("rejected"), 1);
    let output = desk.command(&["rejects", "--csv"]).output().unwrap();
    assert_eq!(
        output.stdout,
        as_latin(&format!("\nnumber|name\nB1|{long}\n"))
    );
    desk.write("mended.csv", as_latin("\nnumber|name\nB1|Caf\u{e9}\n"));
    assert_eq!(desk.push(&["--extract", "mended.csv"]).rows("created"), 1);
    assert_eq!(desk.emulator.rows("account")[0]["name"], "Caf\u{e9}");
}
