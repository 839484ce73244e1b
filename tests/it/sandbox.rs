//! `segue sandbox` as a server of its own, with its switches.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use crate::desk::{Ran, numbered, ran};

/// A folder with a sandbox that listens.
struct Served {
    folder: tempfile::TempDir,
    child: Child,
    ready: Json,
}

fn segue(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segue"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// The command alone, in an empty folder.
fn told(arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    ran(&mut segue(folder.path(), arguments))
}

impl Served {
    /// With these files beside it.
    fn start(files: &[(&str, &str)], more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let arguments = ["sandbox", "--in-memory", "--ready-file", "ready.json"];
        let mut child = segue(folder.path(), &[&arguments, more].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // It prints only once it listens.
        stdout.lines().next().unwrap().unwrap();
        let ready = std::fs::read_to_string(folder.path().join("ready.json")).unwrap();
        Self {
            ready: serde_json::from_str(&ready).unwrap(),
            folder,
            child,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn value(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    /// A command that has this sandbox as its destination.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = segue(self.folder.path(), arguments);
        for name in [
            "url",
            "authority",
            "tenant_id",
            "client_id",
            "client_secret",
        ] {
            let variable = format!("SEGUE_{}", name.to_uppercase());
            command.env(variable, self.value(name));
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

const ACCOUNTS: &str = "version: 1\nsource: { path: a.csv }\n\
    target: { table: account, key: [accountnumber] }\n\
    columns:\n  accountnumber: number\n  name: name\n";

#[test]
fn the_help_reads_like_a_form() {
    let help = told(&["sandbox", "--help"]).out;
    for heading in [
        "Address:",
        "Content:",
        "Access:",
        "Limits and speed:",
        "Trouble:",
    ] {
        assert!(
            help.contains(&format!("\n{heading}\n")),
            "{heading}: {help}"
        );
    }
    assert!(help.contains("close-after"), "{help}");
}

#[test]
fn a_wrong_switch_says_what_is_allowed() {
    for (switch, value, said) in [
        ("--limits", "none", "`off`, `real` or a factor"),
        (
            "--chaos",
            "404=0.1",
            "allowed are 429, 500, 502, 503, close-before",
        ),
        ("--chaos", "429=7", "a share is a number from 0 to 1"),
        ("--service-time", "fast", "`fast` is no time"),
        ("--workers", "0", "0"),
    ] {
        let ran = told(&["sandbox", "--in-memory", switch, value]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(said), "{ran:?}");
    }
}

#[test]
fn a_file_that_does_not_fit_is_named() {
    for (switch, text, said) in [
        ("--schema", "{", "schema file `wrong.json`"),
        (
            "--clients",
            r#"[{"secrets": "x"}]"#,
            "unknown field `secrets`",
        ),
        (
            "--clients",
            r#"[{"privileges": {"only": ["prvReadNothing"]}}]"#,
            "no privilege `prvReadNothing`",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("wrong.json"), text).unwrap();
        let arguments = ["sandbox", "--in-memory", switch, "wrong.json"];
        let ran = ran(&mut segue(folder.path(), &arguments));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(said), "{ran:?}");
    }
    let missing = told(&["sandbox", "--in-memory", "--schema", "absent.json"]);
    assert_eq!(missing.code, Some(2));
    assert!(
        missing.err.contains("cannot read `absent.json`"),
        "{missing:?}"
    );
}

#[test]
fn tables_and_applications_come_from_files() {
    let schema = r#"{"table": "Account", "columns": {"new_Extra": "text(9)"}}"#;
    let clients = r#"[{"client_id": "00000000-0000-4000-8000-00000000000a", "secret": "other",
        "privileges": {"all_but": ["prvReadAccount"]}}]"#;
    let files = [("schema.json", schema), ("clients.json", clients)];
    let switches = ["--schema", "schema.json", "--clients", "clients.json"];
    let served = Served::start(&files, &switches);
    let described = served.run(&["describe", "account"]);
    assert!(described.out.contains("new_extra"), "{described:?}");
    let read = ["get", "account", "accountnumber=1"];
    assert_eq!(served.run(&read).code, Some(1));
    let other = ran(served
        .command(&read)
        .env("SEGUE_CLIENT_ID", "00000000-0000-4000-8000-00000000000a")
        .env("SEGUE_CLIENT_SECRET", "other"));
    assert_eq!(other.code, Some(3), "{other:?}");
    assert!(other.err.contains("prvReadAccount"), "{other:?}");
}

#[test]
fn the_journal_file_tells_what_stands_after_deadlocks_and_a_rule() {
    let rows = numbered(60);
    let switches = [
        "--chaos",
        "deadlock=0.1,rule=accountnumber:A7",
        "--seed",
        "3",
        "--journal",
        "journal.jsonl",
    ];
    let served = Served::start(&[("a.csv", &rows), ("accounts.yaml", ACCOUNTS)], &switches);
    let pushed = served.run(&["push", "-m", "accounts.yaml", "--json"]);
    assert_eq!(pushed.code, Some(1), "{pushed:?}");
    assert_eq!((pushed.rows("created"), pushed.rows("rejected")), (59, 1));
    assert!(pushed.requests("retried") > 0, "{pushed:?}");
    let journal = std::fs::read_to_string(served.path("journal.jsonl")).unwrap();
    assert_eq!(journal.matches(r#""kind":"create""#).count(), 59);
}

#[test]
fn segue_reaches_a_sandbox_over_tls_that_it_was_told_to_trust() {
    let served = Served::start(
        &[("a.csv", &numbered(5)), ("accounts.yaml", ACCOUNTS)],
        &["--tls"],
    );
    assert!(served.value("url").starts_with("https://localhost:"));
    assert_eq!(
        Path::new(served.value("certificate")),
        served.path("ready.pem")
    );
    let push = ["push", "-m", "accounts.yaml", "--json"];
    let trusting = ran(served
        .command(&push)
        .env("SSL_CERT_FILE", served.value("certificate")));
    assert_eq!(trusting.code, Some(0), "{trusting:?}");
    assert_eq!(trusting.rows("created"), 5);
    let other = served.path("a.csv");
    let doubting = ran(served.command(&push).env("SSL_CERT_FILE", other));
    assert_eq!(doubting.code, Some(3), "{doubting:?}");
}

/// The body of an answer over plain http.
fn asked(served: &Served, request: &str, headers: &str, body: &str) -> String {
    let address = served.value("url").strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        socket,
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn a_new_key_is_active_at_once_where_its_index_takes_no_time() {
    let wrong = told(&["sandbox", "--key-index-time", "soon"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let served = Served::start(&[], &["--key-index-time", "0"]);
    let form = format!(
        "client_id={}&client_secret={}&grant_type=client_credentials&scope={}/.default",
        served.value("client_id"),
        served.value("client_secret"),
        served.value("url"),
    );
    let path = format!("POST /{}/oauth2/v2.0/token", served.value("tenant_id"));
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let token: Json = serde_json::from_str(&asked(&served, &path, kind, &form)).unwrap();
    let token = token["access_token"].as_str().unwrap();
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let keys = "/api/data/v9.2/EntityDefinitions(LogicalName='account')/Keys";
    let key = r#"{"SchemaName":"new_PhoneKey","KeyAttributes":["telephone1"],
        "DisplayName":{"LocalizedLabels":[{"Label":"Phone","LanguageCode":1033}]}}"#;
    let made = asked(&served, &format!("POST {keys}"), &headers, key);
    assert_eq!(made, "");
    let found = asked(
        &served,
        &format!("GET {keys}?$select=LogicalName,EntityKeyIndexStatus"),
        &headers,
        "",
    );
    let found: Json = serde_json::from_str(&found).unwrap();
    let keys = found["value"].as_array().unwrap();
    let key = keys.iter().find(|key| key["LogicalName"] == "new_phonekey");
    assert_eq!(key.unwrap()["EntityKeyIndexStatus"], "Active");
}

#[test]
fn a_folder_that_cannot_be_made_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for arguments in [
        &["sandbox", "--data", "file/rows.dataverse"][..],
        &["sandbox", "--in-memory", "--journal", "file/more/journal"],
    ] {
        let ran = ran(&mut segue(folder.path(), arguments));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("cannot make the folder `file"), "{ran:?}");
        assert!(ran.err.contains("  because: "), "{ran:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_destination_says_which_rows_are_served() {
    let config = "version: 1\ndestinations:\n  trial: { sandbox: { data: trial.dataverse } }\n  \
                  prod: { url: https://contoso.crm4.dynamics.com, tenant_id: 00000000-0000-0000-0000-0000000000a1, client_id: 00000000-0000-0000-0000-0000000000c1, client_secret: { env: X } }\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("segue.yaml"), config).unwrap();
    let refused = ran(&mut segue(
        folder.path(),
        &["sandbox", "--destination", "prod"],
    ));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("an environment, not a sandbox"));
    let unknown = ran(&mut segue(
        folder.path(),
        &["sandbox", "--destination", "trail"],
    ));
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    let served = |more: &[&str]| {
        let arguments = [&["sandbox", "--destination", "trial"], more].concat();
        let mut command = segue(folder.path(), &arguments);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.next().unwrap().unwrap();
        let id = child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        lines.for_each(drop);
        String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
    };
    assert!(served(&["--in-memory"]).contains("`trial` chooses nothing here"));
    assert!(!folder.path().join("trial.dataverse").exists());
    assert_eq!(served(&[]), "");
    assert!(folder.path().join("trial.dataverse").exists());
}
