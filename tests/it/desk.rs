//! A desk to work at: a folder of its own, an environment of its own, and the real command.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use segue_emulator::{CLIENT_ID, CLIENT_SECRET, Emulator, Options, Request, TENANT_ID};
use serde_json::Value as Json;

pub(crate) struct Desk {
    folder: tempfile::TempDir,
    pub(crate) emulator: Emulator,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The last line of stdout as JSON.
    pub(crate) fn json(&self) -> Json {
        let line = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// One count of the only run.
    pub(crate) fn rows(&self, name: &str) -> u64 {
        let json = self.json();
        let count = json["runs"][0]["rows"][name].as_u64();
        count.unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(crate) fn requests(&self, name: &str) -> u64 {
        self.json()["runs"][0]["requests"][name].as_u64().unwrap()
    }

    /// The text of the reject file.
    pub(crate) fn rejects(&self) -> String {
        let json = self.json();
        let file = json["runs"][0]["rejects"]["file"].as_str();
        std::fs::read_to_string(file.unwrap_or_else(|| panic!("no rejects: {self:?}"))).unwrap()
    }
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            emulator: Emulator::start(options).await.unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Copies what is shipped under this name.
    pub(crate) fn ship(&self, name: &str) {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        self.write(name, std::fs::read(shipped).unwrap());
    }

    /// What a person changes.
    pub(crate) fn edit(&self, set_and_key: &str, body: &Json) {
        self.request("PATCH", set_and_key, &body.to_string());
    }

    /// A write beside segue, which must succeed.
    pub(crate) fn request(&self, method: &str, set_and_key: &str, body: &str) {
        let form = format!(
            "client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&grant_type=client_credentials&scope={}/.default",
            self.emulator.url()
        );
        let path = format!("/{TENANT_ID}/oauth2/v2.0/token");
        let answer = self
            .emulator
            .handle(&Request::new("POST", &path).body(form));
        let token: Json = serde_json::from_slice(&answer.body).unwrap();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let path = format!("/api/data/v9.2/{set_and_key}");
        let request = Request::new(method, &path)
            .header("Authorization", &bearer)
            .header("Content-Type", "application/json")
            .header("If-Match", "*")
            .body(body.to_owned());
        let mut answer = self.emulator.handle(&request);
        while answer.status == 500 {
            // Chance strikes people as well; they try again.
            answer = self.emulator.handle(&request);
        }
        assert_eq!(
            answer.status,
            204,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
    }

    /// Operations that wrote, those in batches included.
    pub(crate) fn writes(&self) -> u64 {
        let counts = self.emulator.counts();
        counts.writes + counts.batched_writes
    }

    /// A mapping of accounts by number, with more lines.
    pub(crate) fn accounts(&self, source: &str, more: &str) {
        let text = format!(
            "version: 1\nsource: {source}\ntarget: {{ table: account, key: [accountnumber] }}\n{more}\
             columns:\n  accountnumber: number\n  name: name\n"
        );
        self.write("accounts.yaml", text);
    }

    /// The command, in this folder, with this environment as its destination.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segue"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_remove("SEGUE_LOG")
            .env_remove("SEGUE_CONFIG")
            .env_remove("SEGUE_DESTINATION")
            .env("SEGUE_URL", self.emulator.url())
            .env("SEGUE_AUTHORITY", self.emulator.authority())
            .env("SEGUE_TENANT_ID", TENANT_ID)
            .env("SEGUE_CLIENT_ID", CLIENT_ID)
            .env("SEGUE_CLIENT_SECRET", CLIENT_SECRET);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    /// `push accounts.yaml --json` with more arguments.
    pub(crate) fn push(&self, more: &[&str]) -> Ran {
        let arguments = ["push", "-m", "accounts.yaml", "--json"];
        self.run(&[&arguments, more].concat())
    }

    /// Starts a push that tells on stderr what it does.
    pub(crate) fn start_push(&self) -> Child {
        let mut command = self.command(&["push", "-m", "accounts.yaml", "--json", "-vv"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An extract of so many accounts.
pub(crate) fn numbered(rows: usize) -> String {
    let lines = (1..=rows).map(|row| format!("A{row},Shop {row}\n"));
    format!("number,name\n{}", lines.collect::<String>())
}
