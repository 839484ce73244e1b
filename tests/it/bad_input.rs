//! What is wrong with a mapping or an extract is told, and nothing that looks like a complete run happens.

use serde_json::Value as Json;

use crate::desk::{Desk, numbered};

/// Eight mistakes, of the file and of the table.
const EIGHT: &str = "version: 1
source: { path: a.csv, fromat: csv }
target: { table: contact, key: [emailaddress1] }
mode: upsrt
columns:
  emailaddress1: { from: number, trimm: true }
  emailadress2: name
  firstname: nmae
  birthdate: { from: name, parse: \"%Q\" }
  gendercode: { from: name, choice: { M: Mael } }
  fullname: name
";

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_with_eight_mistakes_shows_eight_carets() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.write("contacts.yaml", EIGHT);
    for command in ["push", "validate"] {
        let ran = desk.run(&[command, "-m", "contacts.yaml"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let is_caret = |line: &&str| line.trim_start_matches([' ', '|']).starts_with('^');
        assert_eq!(ran.err.lines().filter(is_caret).count(), 8, "{}", ran.err);
        assert!(
            ran.err.contains("did you mean `emailaddress2`"),
            "{}",
            ran.err
        );
    }
    let ran = desk.run(&["push", "-m", "contacts.yaml", "--json"]);
    let problems = ran.json()["runs"][0]["problems"].clone();
    assert_eq!(problems.as_array().map(Vec::len), Some(8), "{problems}");
    assert_eq!(desk.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_1252_is_read_as_such() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv, csv: { encoding: windows-1252 } }", "");
    desk.write("a.csv", b"number,name\nA1,Caf\xe9 \x80\n");
    let ran = desk.push(&[]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 1), "{ran:?}");
    assert_eq!(desk.emulator.rows("account")[0]["name"], "Café €");

    desk.accounts("{ path: a.csv }", "");
    desk.write("a.csv", b"number,name\nA1,Caf\xe9\nA2,fine\n");
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.code, ran.rows("rejected"), ran.rows("created")),
        (Some(1), 1, 1),
        "{ran:?}"
    );
    assert!(ran.rejects().contains("a.csv:2"), "{}", ran.rejects());
}

#[tokio::test(flavor = "multi_thread")]
async fn ragged_rows_are_rejects_with_their_line() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    desk.write(
        "a.csv",
        "number,name\n\"A\n1\",one\nA2\nA3,three,surplus\nA4,four\n",
    );
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.rows("created"), ran.rows("rejected")),
        (2, 2),
        "{ran:?}"
    );
    let rejects = ran.rejects();
    assert!(rejects.contains("a.csv:4,A2,"), "{rejects}");
    assert!(rejects.contains("a.csv:5,A3,"), "{rejects}");
    assert!(rejects.contains("surplus"), "{rejects}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extract_that_is_not_there_is_wrong_usage() {
    let desk = Desk::new().await;
    std::fs::create_dir(desk.path("empty")).unwrap();
    desk.write("zero.csv", "");
    desk.write("other.csv", "nummer,name\n1,x\n");
    for (path, told) in [
        ("nowhere.csv", "nowhere.csv"),
        ("empty", "empty"),
        ("none-*.csv", "none-"),
        ("zero.csv", "zero.csv"),
        ("other.csv", "number"),
    ] {
        desk.accounts(&format!("{{ path: {path} }}"), "");
        let ran = desk.push(&[]);
        assert_eq!(ran.code, Some(2), "{path}: {ran:?}");
        assert!(
            ran.err.contains(told) && ran.err.contains("help:"),
            "{}",
            ran.err
        );
        let results = &ran.json()["runs"][0];
        assert_eq!(results["status"], "failed", "{path}");
        let folder = desk
            .path(".segue/runs")
            .join(results["run"].as_str().unwrap());
        assert!(folder.join("run_results.json").is_file());
    }
    assert_eq!(desk.writes(), 0);
}

/// Wherever a compressed file is cut, the words are about that, and not about rights or disks.
#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_file_that_is_cut_is_told_as_such() {
    let desk = Desk::new().await;
    // Of numbers that do not pack well, or there would be nothing to cut.
    let line = |row: u64| {
        let number = row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("A{row},Shop {number:x}\n")
    };
    let lines: String = (0..5_000).map(line).collect();
    let lines = format!("number,name\n{lines}");
    let gz = |level| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), level);
        std::io::Write::write_all(&mut packed, lines.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let gz = gz(flate2::Compression::default());
    let zst = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    for (name, bytes) in [
        ("half.csv.gz", &gz[..gz.len() / 2]),
        ("nearly.csv.gz", &gz[..gz.len() - 1]),
        ("header.csv.gz", &gz[..6]),
        ("none.csv.gz", b"number,name\nA1,never packed\n"),
        ("half.csv.zst", &zst[..zst.len() / 2]),
        ("header.csv.zst", &zst[..6]),
        ("none.csv.zst", b"number,name\nA1,never packed\n"),
    ] {
        desk.write(name, bytes);
        desk.accounts(&format!("{{ path: {name} }}"), "");
        let ran = desk.push(&[]);
        assert_eq!(ran.code, Some(7), "{name}: {ran:?}");
        let told = format!("{name}: the compressed file is cut short or damaged");
        assert!(ran.err.contains(&told), "{}", ran.err);
        assert!(ran.err.contains("export or copy it again"), "{}", ran.err);
        let results = ran.json()["runs"][0].clone();
        let why = results["stopped_by"].as_str().unwrap();
        assert_eq!(why.matches(": ").count(), 2, "said twice: {why}");
    }
    assert_eq!(desk.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_alone_is_no_rows_and_a_guard_may_stop_it() {
    let desk = Desk::new().await;
    desk.write("a.csv", "number,name\n");
    desk.accounts("{ path: a.csv }", "");
    let ran = desk.push(&[]);
    assert_eq!((ran.code, ran.rows("read")), (Some(0), 0), "{ran:?}");
    assert!(ran.err.contains("warning:"), "{}", ran.err);
    let quiet = desk.push(&["-q"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""));
    desk.accounts("{ path: a.csv }", "guard: { min_rows: 1 }\n");
    let ran = desk.push(&[]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(ran.json()["runs"][0]["status"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_ends_inside_a_quoted_cell_sends_nothing() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    desk.write(
        "a.csv",
        "number,name\nA1,one\nA2,\"never closed\nA3,three\n",
    );
    let ran = desk.push(&[]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(
        ran.err.contains("a.csv") && ran.err.contains('3'),
        "{}",
        ran.err
    );
    assert_eq!(desk.writes(), 0);
    assert!(desk.emulator.rows("account").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_table_has_not_lists_those_it_has() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    let text = desk
        .read("accounts.yaml")
        .replace("[accountnumber]", "[name]");
    desk.write("accounts.yaml", text);
    let ran = desk.run(&["validate", "-m", "accounts.yaml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("[accountnumber] (active)"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_cannot_be_read_is_told_in_the_results_object() {
    let desk = Desk::new().await;
    desk.write("broken.yaml", "version: 1\nsource: [\n");
    for (file, told) in [("broken.yaml", "not YAML"), ("none.yaml", "cannot be read")] {
        let ran = desk.run(&["push", "-m", file, "--json"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let json = ran.json();
        let message = json["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(told), "{ran:?}");
        assert_eq!(
            (&json["exit_code"], &json["runs"]),
            (&2.into(), &serde_json::json!([]))
        );
        let name = file.trim_end_matches(".yaml");
        let (run, results) = only_run(&desk);
        assert!(run.ends_with(name), "{run}");
        let about = ["mapping", "status", "exit_code"].map(|it| results[it].clone());
        assert_eq!(about, [Json::from(name), "failed".into(), 2.into()]);
        let why = results["stopped_by"].as_str().unwrap();
        assert!(why.contains(told), "{why}");
        let runs = desk.run(&["runs"]);
        assert!(runs.out.contains(&run), "{runs:?}");
        std::fs::remove_dir_all(desk.path(".segue")).unwrap();
    }
}

/// The only run that left its results, and these.
fn only_run(desk: &Desk) -> (String, Json) {
    let folders = std::fs::read_dir(desk.path(".segue/runs")).unwrap();
    let folders: Vec<_> = folders.map(|it| it.unwrap().path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    let results = std::fs::read_to_string(folders[0].join("run_results.json")).unwrap();
    let run = folders[0].file_name().unwrap().to_str().unwrap();
    (run.to_owned(), serde_json::from_str(&results).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_begin_leaves_its_results() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    let ran = desk.push(&["--destination", "nowhere"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let runs = desk.run(&["runs"]);
    assert!(runs.out.contains("accounts"), "{runs:?}");
    let (_, results) = only_run(&desk);
    assert_eq!(
        (
            &results["mapping"],
            &results["status"],
            &results["exit_code"]
        ),
        (&"accounts".into(), &"failed".into(), &2.into())
    );
    let why = results["stopped_by"].as_str().unwrap();
    assert!(why.contains("no destination `nowhere`"), "{why}");
}

/// An extract in UTF-16, without a mark.
fn wide(bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let units = "number,name\nA1,Zo\u{eb}\n".encode_utf16();
    units.flat_map(bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_extract_is_told_with_the_way_out() {
    let (little, big) = (wide(u16::to_le_bytes), wide(u16::to_be_bytes));
    let cases: [(&str, &[u8], &str, &str); 12] = [
        ("a.xlsx", b"PK\x03\x04", "a workbook", "CSV UTF-8"),
        ("b.csv", b"PK\x03\x04..", "a workbook", "CSV UTF-8"),
        ("c.csv", b"\xD0\xCF\x11\xE0..", "a workbook", "CSV UTF-8"),
        ("d.json", b"[]", "JSON", "csv or parquet"),
        (
            "e.csv",
            b"[\n {\"number\": 1}\n]\n",
            "JSON",
            "csv or parquet",
        ),
        (
            "f.csv",
            b"<?xml version=\"1.0\"?>",
            "a web page or XML",
            "csv or parquet",
        ),
        ("g.csv", b"\x1f\x8b\x08\x00..", "a gzip file", ".csv.gz"),
        ("h.csv", &little, "UTF-16", "encoding: utf-16le"),
        ("i.csv", &big, "UTF-16", "encoding: utf-16be"),
        ("j.csv", b"sep=;\nnumber;name\n", "`sep=`", "skip_rows: 1"),
        (
            "k.csv",
            b"number,na\xefme\n",
            "not valid UTF-8",
            "encoding: windows-1252",
        ),
        (
            "l.parquet",
            b"number,name\nA1,Zoe\n",
            "not a whole Parquet file",
            ".csv",
        ),
    ];
    let desk = Desk::new().await;
    for (file, bytes, what, help) in cases {
        desk.accounts(&format!("{{ path: {file} }}"), "");
        desk.write(file, bytes);
        let ran = desk.run(&["validate", "-m", "accounts.yaml"]);
        assert_eq!(ran.code, Some(2), "{file}: {ran:?}");
        let told = format!("error: {file}");
        assert!(ran.err.starts_with(&told), "{file}: {}", ran.err);
        let (error, way) = ran.err.split_once("help:").unwrap();
        assert!(error.contains(what), "{file}: {error}");
        assert!(way.contains(help), "{file}: {way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_out_leads_somewhere() {
    let desk = Desk::new().await;
    for (file, csv, bytes) in [
        ("h.csv", "encoding: utf-16le", wide(u16::to_le_bytes)),
        ("i.csv", "encoding: utf-16be", wide(u16::to_be_bytes)),
        (
            "j.csv",
            "skip_rows: 1, delimiter: \";\"",
            b"sep=;\nnumber;name\nA1;Zoe\n".to_vec(),
        ),
    ] {
        desk.accounts(&format!("{{ path: {file}, csv: {{ {csv} }} }}"), "");
        desk.write(file, bytes);
        let ran = desk.run(&["validate", "-m", "accounts.yaml"]);
        assert_eq!(ran.code, Some(0), "{file}: {ran:?}");
    }
}
