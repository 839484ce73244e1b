//! How much the environment holds: it must not grow with the requests that it has served.

use crate::lock;
use crate::options::{CLIENT_ID, CLIENT_SECRET, Options, TENANT_ID};
use crate::request::{Request, Response};
use crate::service::Service;
use crate::token::TOKENS;

/// The journal is full long before the first look.
const JOURNAL: usize = 500;
/// So many rows of each kind are written over and over.
const ROWS: u64 = 40;

/// How many requests are served between two looks; a longer run is asked for by
/// `SEGUE_EMULATOR_REQUESTS`.
fn requests() -> u64 {
    let asked = std::env::var("SEGUE_EMULATOR_REQUESTS").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(10_000)
}

/// Says that this process has the measured test for itself.
const ALONE: &str = "SEGUE_EMULATOR_ALONE";
/// What the process may hold at the end, in hundredths of what it held half-way.
const MOST_RESIDENT: u64 = 105;

/// So often memory is looked at in each half.
const LOOKS: usize = 5;

/// The memory of this process in KiB; `None` where the system does not tell.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

struct Load {
    service: Service,
    token: String,
    state: u64,
}

impl Load {
    fn new() -> Self {
        let service = Service::open(Options {
            journal_entries: JOURNAL,
            ..Options::default()
        })
        .unwrap();
        let mut load = Self {
            service,
            token: String::new(),
            state: 7,
        };
        load.sign_in();
        load
    }

    fn sign_in(&mut self) {
        let form = format!(
            "client_id={CLIENT_ID}&scope=http%3A%2F%2F127.0.0.1%2F.default\
             &client_secret={CLIENT_SECRET}&grant_type=client_credentials"
        );
        let target = format!("/{TENANT_ID}/oauth2/v2.0/token");
        let request = Request::new("POST", &target)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form);
        let answer: serde_json::Value =
            serde_json::from_slice(&self.service.handle(&request).body).unwrap();
        self.token = answer["access_token"].as_str().unwrap().to_owned();
    }

    /// Brings what is bounded to its bound, so that it cannot pass for growth.
    fn fill(&mut self) {
        for _ in 0..TOKENS {
            self.sign_in();
        }
        lock(&self.service.engine).fill_deletions();
    }

    /// The next of a row of numbers that is the same in every run.
    fn pick(&mut self, below: u64) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.state >> 33) % below
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: String) -> Response {
        let request = Request::new(method, &format!("/api/data/v9.2/{path}"))
            .header("Authorization", &format!("Bearer {}", self.token))
            .header("Content-Type", kind)
            .body(body);
        self.service.handle(&request)
    }

    /// Serves one request of a mix in which every kind of write stands, refused ones too.
    fn step(&mut self) {
        let kind = "application/json";
        let (row, other) = (self.pick(ROWS), self.pick(ROWS));
        let account = format!("accounts(accountnumber='{row}')");
        let contact = format!("contacts(emailaddress1='{other}')");
        let bind = format!(r#"{{"name":"{other}","primarycontactid@odata.bind":"{contact}"}}"#);
        let answer = match self.pick(12) {
            0 => self.send("PATCH", &account, kind, bind),
            1 => self.send("PATCH", &contact, kind, r#"{"lastname":"L"}"#.to_owned()),
            2 => self.send("DELETE", &account, kind, String::new()),
            3 => self.send("DELETE", &contact, kind, String::new()),
            4 => {
                let body = format!(
                    r#"{{"accountnumber":"{row}","primarycontactid":{{"emailaddress1":"{other}"}},"accountleads_association":[{{"new_externalid":"{row}","lastname":"L"}}]}}"#
                );
                self.send("POST", "accounts", kind, body)
            }
            5 => {
                let target =
                    format!(r#"{{"@odata.id":"http://127.0.0.1/api/data/v9.2/{contact}"}}"#);
                let path = format!("{account}/contact_customer_accounts/$ref");
                self.send("POST", &path, kind, target)
            }
            6 => {
                let target = format!(
                    r#"{{"@odata.id":"http://127.0.0.1/api/data/v9.2/leads(new_externalid='{other}')"}}"#
                );
                let path = format!("{account}/accountleads_association/$ref");
                self.send("POST", &path, kind, target)
            }
            7 => self.send(
                "DELETE",
                &format!("leads(new_externalid='{row}')"),
                kind,
                String::new(),
            ),
            8 => {
                let body = format!(
                    r#"{{"Targets":[{{"@odata.type":"Microsoft.Dynamics.CRM.contact","@odata.id":"{contact}","lastname":"M"}},{{"@odata.type":"Microsoft.Dynamics.CRM.contact","@odata.id":"contacts(emailaddress1='{row}')"}}]}}"#
                );
                let path = "contacts/Microsoft.Dynamics.CRM.UpsertMultiple";
                self.send("POST", path, kind, body)
            }
            9 => {
                let body = batch(&account, &contact);
                self.send("POST", "$batch", "multipart/mixed; boundary=b", body)
            }
            10 => self.send("GET", "accounts?$top=3&$select=name", kind, String::new()),
            _ => {
                if row == 0 {
                    self.sign_in();
                }
                self.send("POST", "contacts", kind, "{".to_owned())
            }
        };
        assert_ne!(answer.status, 500);
    }

    /// What the environment holds, apart from its rows.
    fn held(&self) -> [usize; 3] {
        let engine = lock(&self.service.engine);
        let (journal, open) = (engine.journal.after(0).len(), engine.open_effects());
        [journal, open, usize::from(engine.index_is_wrong())]
    }

    fn rows(&self) -> usize {
        ["account", "contact", "lead", "accountleads"]
            .map(|table| self.service.rows(table).len())
            .iter()
            .sum()
    }
}

/// A change set that fails after it has written, and one that does not.
fn batch(account: &str, contact: &str) -> String {
    let part = |id: u8, method: &str, path: &str, body: &str| {
        format!(
            "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
             Content-ID: {id}\r\n\r\n{method} /api/data/v9.2/{path} HTTP/1.1\r\n\
             Content-Type: application/json\r\n\r\n{body}\r\n"
        )
    };
    let set = |parts: &str| {
        format!("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n")
    };
    let bind = format!(r#"{{"primarycontactid@odata.bind":"{contact}"}}"#);
    let good = part(1, "PATCH", contact, "{}") + &part(2, "PATCH", account, &bind);
    let bad = part(3, "PATCH", account, &bind)
        + &part(4, "DELETE", contact, "")
        + &part(5, "POST", "contacts", r#"{"nothing":1}"#);
    format!("{}{}--b--\r\n", set(&good), set(&bad))
}

#[test]
fn what_is_held_does_not_grow_with_what_was_served() {
    let mut load = Load::new();
    let most = usize::try_from(ROWS * (3 + ROWS)).unwrap();
    for _ in 0..2 {
        for _ in 0..requests() {
            load.step();
        }
        assert_eq!(load.held(), [JOURNAL, 0, 0]);
        assert!(load.rows() <= most, "{} rows", load.rows());
        assert!(load.service.tokens.held() <= TOKENS);
    }
    load.service.revoke_tokens();
    assert_eq!(load.service.tokens.held(), 0);
}

#[test]
fn tokens_are_forgotten_when_there_are_too_many() {
    let mut load = Load::new();
    for _ in 0..TOKENS + 100 {
        load.sign_in();
    }
    assert_eq!(load.service.tokens.held(), TOKENS);
    let answer = load.send("GET", "WhoAmI", "application/json", String::new());
    assert_eq!(answer.status, 200);
}

/// Other tests of this process would count as well, so it starts itself anew for this test.
#[test]
fn the_memory_of_the_process_does_not_grow_with_what_was_served() {
    if resident().is_none() {
        println!("skipped: only Linux tells how much memory a process has");
        return;
    }
    if std::env::var_os(ALONE).is_none() {
        let name = "footprint::the_memory_of_the_process_does_not_grow_with_what_was_served";
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone
            .args(["--exact", name, "--nocapture"])
            .env(ALONE, "1")
            .output();
        let output = output.unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{told}"
        );
        return;
    }
    let mut load = Load::new();
    load.fill();
    let looks = [0; 2 * LOOKS].map(|_| {
        for _ in 0..requests() / LOOKS as u64 {
            load.step();
        }
        resident().unwrap()
    });
    println!("KiB after each of {} parts: {looks:?}", 2 * LOOKS);
    let (half, end) = (looks[LOOKS - 1], looks[2 * LOOKS - 1]);
    assert!(
        end * 100 <= half * MOST_RESIDENT,
        "{half} KiB, then {end} KiB"
    );
}
