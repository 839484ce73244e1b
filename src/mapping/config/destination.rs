//! One destination of `segue.yaml`.

use std::path::{Path, PathBuf};

use super::super::decode::{Decoder, Entry, Form, Settings};
use super::super::problem::codes;
use super::super::yaml::{Is, Node};
use super::address::{self, Refusal};
use super::{Destination, ENVIRONMENT};
use crate::model::{Client, Connection, SecretSource};

/// What a destination can say.
pub(super) const DESTINATION: Settings = Settings {
    known: &[
        "url",
        "tenant_id",
        "client_id",
        "client_secret",
        "clients",
        "authority",
        "production",
        "sandbox",
    ],
    later: &[],
};
/// What one application of several can say.
const CLIENT: Settings = Settings {
    known: &["client_id", "client_secret"],
    later: &[],
};
const EMBEDDED: Settings = Settings {
    known: &["data"],
    later: &[],
};
/// Where a secret can come from.
pub(super) const WAYS: Settings = Settings {
    known: &["env", "file", "command"],
    later: &[],
};
/// Folders of the state that are not a destination's.
const TAKEN: &[&str] = &["locks", "runs"];
/// What only a shell would understand.
const SHELL: [char; 9] = ['"', '\'', '`', '$', '|', '&', ';', '<', '>'];
const SECRET_HELP: &str =
    "Write `{ env: NAME }`, `{ file: PATH }` or `{ command: [program, argument] }`.";
const CLIENTS_HELP: &str = "Write `[{ client_id: …, client_secret: { env: NAME } }, …]`.";

impl Decoder {
    pub(super) fn destination(
        &mut self,
        entry: Entry<'_>,
        form: &Form<'_>,
        base: &Path,
    ) -> Option<Destination> {
        self.destination_name(entry);
        if let Some(sandbox) = form.get("sandbox") {
            // A secret in the file is told all the same.
            self.clients(form, base);
            return Some(self.sandbox(entry.name, form, sandbox, base));
        }
        let help = "Write `url: https://contoso.crm4.dynamics.com`, or `sandbox: {}` for the embedded Dataverse.";
        let url = self.checked(form, "url", help, address::url);
        let help = "Write the tenant's id from the Entra admin center.";
        let tenant_id = self.checked(form, "tenant_id", help, address::tenant);
        let mut clients = match form.get("clients") {
            Some(_) => self.clients(form, base),
            None => self.client(form, base).into_iter().collect(),
        };
        let authority = form.get("authority");
        let authority = authority.and_then(|it| self.accepted(it, address::authority));
        let production = form.get("production").and_then(|it| self.flag(it));
        if clients.is_empty() {
            return None;
        }
        let first = clients.remove(0);
        Some(Destination::Dataverse(Connection {
            name: entry.name.to_owned(),
            url: url?,
            tenant_id: tenant_id?,
            client_id: first.client_id,
            client_secret: first.client_secret,
            others: clients,
            authority,
            production: production.is_some_and(|it| it.value),
        }))
    }

    /// The name of a destination is also the name of a folder in the state.
    fn destination_name(&mut self, entry: Entry<'_>) {
        let good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = entry.name;
        let fits = !name.is_empty() && name.len() <= 64 && name.chars().all(good);
        let (what, help) = if name == ENVIRONMENT {
            (
                "is taken by the one that SEGUE_URL describes",
                "Choose another name.",
            )
        } else if TAKEN.contains(&name) {
            ("is taken by a folder of the state", "Choose another name.")
        } else if !fits || name.starts_with('.') {
            (
                "cannot be the name of a folder",
                "Take letters, digits and dashes: the name is a folder of the state too.",
            )
        } else {
            return;
        };
        let title = format!("the name of this destination {what}");
        let at = entry.key.at.clone();
        self.tell(codes::BAD_VALUE, at, title, "not taken", help);
    }

    fn sandbox(
        &mut self,
        name: &str,
        form: &Form<'_>,
        entry: Entry<'_>,
        base: &Path,
    ) -> Destination {
        for other in form.entries.iter().filter(|it| it.name != "sandbox") {
            self.tell(
                codes::CONFLICT,
                other.key.at.clone(),
                "the sandbox has no other settings beside it".to_owned(),
                "beside `sandbox`",
                "Remove this, or `sandbox`.",
            );
            if other.name == "client_secret" {
                self.secret(*other, base);
            }
        }
        Destination::Sandbox {
            name: name.to_owned(),
            data: self.embedded(entry, base),
        }
    }

    /// The one application of a destination, or one of several.
    fn client(&mut self, form: &Form<'_>, base: &Path) -> Option<Client> {
        let help = "Write the application (client) id of the app registration.";
        let id = self.checked(form, "client_id", help, address::client);
        let secret = self.required(form, "client_secret", SECRET_HELP);
        let secret = secret.and_then(|it| self.secret(it, base));
        Some(Client {
            client_id: id?,
            client_secret: secret?,
        })
    }

    /// Several applications of one destination, each named once.
    fn clients(&mut self, form: &Form<'_>, base: &Path) -> Vec<Client> {
        let Some(entry) = form.get("clients") else {
            return Vec::new();
        };
        for name in CLIENT.known {
            if let Some(other) = form.get(name) {
                self.tell(
                    codes::CONFLICT,
                    other.key.at.clone(),
                    format!("`{name}` is said by each of `clients`"),
                    "beside `clients`",
                    "Remove this, or `clients`.",
                );
                if other.name == "client_secret" {
                    self.secret(other, base);
                }
            }
        }
        let nodes = match &entry.node.is {
            Is::List(nodes) if !nodes.is_empty() => nodes.as_slice(),
            // One that stands for itself is told of its own mistakes first.
            Is::Map(_) => std::slice::from_ref(entry.node),
            _ => {
                self.misfit(entry, "takes a list of applications", CLIENTS_HELP);
                return Vec::new();
            }
        };
        let mut clients: Vec<Client> = Vec::new();
        for node in nodes {
            let entry = Entry { node, ..entry };
            let Some(mut form) = self.form(entry, &CLIENT) else {
                continue;
            };
            if let Some(first) = form.entries.first() {
                form.at = first.key.at.clone();
            }
            let Some(client) = self.client(&form, base) else {
                continue;
            };
            if clients.iter().any(|it| it.client_id == client.client_id) {
                self.bad(entry, "names an application twice", "Keep one of the two.");
            }
            clients.push(client);
        }
        clients
    }

    fn embedded(&mut self, entry: Entry<'_>, base: &Path) -> Option<PathBuf> {
        if entry.node.is_null() {
            return None;
        }
        let form = self.form(entry, &EMBEDDED)?;
        form.get("data").and_then(|it| self.path(it, base))
    }

    /// A setting that must be there, as a text that a check accepts.
    fn checked(
        &mut self,
        form: &Form<'_>,
        name: &str,
        help: &str,
        check: fn(&str) -> Result<String, Refusal>,
    ) -> Option<String> {
        let entry = self.required(form, name, help)?;
        self.accepted(entry, check)
    }

    /// A text that a check accepts.
    fn accepted(
        &mut self,
        entry: Entry<'_>,
        check: fn(&str) -> Result<String, Refusal>,
    ) -> Option<String> {
        let text = self.text(entry)?;
        check(&text.value)
            .map_err(|refusal| {
                let title = format!("`{}` {}", entry.name, refusal.what);
                self.tell(refusal.code, text.at, title, "not taken", refusal.help);
            })
            .ok()
    }

    /// A path, relative to the file.
    pub(super) fn path(&mut self, entry: Entry<'_>, base: &Path) -> Option<PathBuf> {
        let text = self.text(entry)?.value;
        if text == "~" || text.starts_with("~/") {
            let help = "Write the path in full, or relative to this file.";
            self.bad(entry, "cannot begin with `~`", help);
            return None;
        }
        Some(base.join(text))
    }

    /// Where a secret comes from. What stands there is never repeated: it may be the secret.
    fn secret(&mut self, entry: Entry<'_>, base: &Path) -> Option<SecretSource> {
        if entry.node.is_null() {
            self.misfit(entry, "says where the secret is", SECRET_HELP);
            return None;
        }
        let Is::Map(pairs) = &entry.node.is else {
            let title = "a secret does not belong in the file".to_owned();
            let help = format!("{SECRET_HELP} If others could read it here, make a new one.");
            self.tell(
                codes::LITERAL_SECRET,
                entry.place(),
                title,
                "masked here",
                help,
            );
            return None;
        };
        let known = |key: &Node| key.text().is_some_and(|it| WAYS.known.contains(&it));
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !known(key)) {
            let key = if key.at.is_empty() { entry.key } else { key };
            let title = "a secret has no setting of this name".to_owned();
            let at = key.at.clone();
            self.tell(codes::UNKNOWN_SETTING, at, title, "not known", SECRET_HELP);
            return None;
        }
        let form = self.form(entry, &WAYS)?;
        let [source] = form.entries.as_slice() else {
            self.bad(entry, "comes from one place", SECRET_HELP);
            return None;
        };
        match source.name {
            "env" => self.variable(*source).map(SecretSource::Env),
            "file" => self.path(*source, base).map(SecretSource::File),
            _ => self.command(*source, base).map(SecretSource::Command),
        }
    }

    fn variable(&mut self, entry: Entry<'_>) -> Option<String> {
        let name = self.text(entry)?.value;
        if is_variable(&name) {
            return Some(name);
        }
        let help = "Write the name of an environment variable, as `SEGUE_CLIENT_SECRET`.";
        self.bad(entry, "takes the name of a variable", help);
        None
    }

    /// A list, or one text that is split at blanks: there is no shell.
    fn command(&mut self, entry: Entry<'_>, base: &Path) -> Option<Vec<String>> {
        let mut words: Vec<String> = if matches!(entry.node.is, Is::List(_)) {
            let texts = self.texts(entry)?;
            texts.into_iter().map(|it| it.value).collect()
        } else {
            let text = self.text(entry)?;
            if text.value.contains(SHELL) {
                let help =
                    "No shell reads it: write a list, `[pass, show, crm]`, or name a script.";
                self.bad(entry, "is split at blanks alone", help);
                return None;
            }
            text.value.split_whitespace().map(str::to_owned).collect()
        };
        match words.first_mut() {
            Some(program) if !program.trim().is_empty() => {
                // A bare name is looked for in PATH; a path is relative to the file, like every other.
                if program.contains('/') {
                    *program = base.join(&*program).to_string_lossy().into_owned();
                }
                Some(words)
            }
            _ => {
                self.bad(entry, "names a program", SECRET_HELP);
                None
            }
        }
    }
}

/// Whether an environment variable can have this name.
pub(super) fn is_variable(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(good) && name.starts_with(|c: char| !c.is_ascii_digit())
}
