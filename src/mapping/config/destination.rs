//! One destination of `segue.yaml`.

use std::path::{Path, PathBuf};

use super::super::decode::{Decoder, Entry, Form, Settings};
use super::super::problem::codes;
use super::super::yaml::{Is, Node};
use super::address::{self, Refusal};
use super::{Destination, ENVIRONMENT};
use crate::model::{Connection, SecretSource};

/// What a destination can say.
pub(super) const DESTINATION: Settings = Settings {
    known: &[
        "url",
        "tenant_id",
        "client_id",
        "client_secret",
        "authority",
        "production",
        "sandbox",
    ],
    later: &["clients"],
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

impl Decoder {
    pub(super) fn destination(
        &mut self,
        entry: Entry<'_>,
        form: &Form<'_>,
        base: &Path,
    ) -> Option<Destination> {
        self.destination_name(entry);
        self.clients(entry.node, base);
        if let Some(sandbox) = form.get("sandbox") {
            return Some(self.sandbox(entry.name, form, sandbox, base));
        }
        let help = "Write `url: https://contoso.crm4.dynamics.com`, or `sandbox: {}` for the embedded Dataverse.";
        let url = self.checked(form, "url", help, address::url);
        let help = "Write the tenant's id from the Entra admin center.";
        let tenant_id = self.checked(form, "tenant_id", help, address::tenant);
        let (client_id, client_secret) = if value_of(entry.node, "clients").is_some() {
            (None, None)
        } else {
            let help = "Write the application (client) id of the app registration.";
            let client = self.checked(form, "client_id", help, address::client);
            let secret = self.required(form, "client_secret", SECRET_HELP);
            (client, secret.and_then(|it| self.secret(it, base)))
        };
        let authority = form.get("authority");
        let authority = authority.and_then(|it| self.accepted(it, address::authority));
        let production = form.get("production").and_then(|it| self.flag(it));
        Some(Destination::Dataverse(Connection {
            name: entry.name.to_owned(),
            url: url?,
            tenant_id: tenant_id?,
            client_id: client_id?,
            client_secret: client_secret?,
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

    /// Several clients are not supported yet, but a secret among them is told all the same.
    fn clients(&mut self, destination: &Node, base: &Path) {
        let clients = match value_of(destination, "clients").map(|it| (it, &it.is)) {
            Some((_, Is::List(clients))) => clients.as_slice(),
            Some((client, _)) => std::slice::from_ref(client),
            None => &[],
        };
        for client in clients {
            let name = "client_secret";
            if let Is::Map(pairs) = &client.is
                && let Some((key, node)) = pairs.iter().find(|(key, _)| key.text() == Some(name))
            {
                self.secret(Entry { key, name, node }, base);
            }
        }
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

fn value_of<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Is::Map(pairs) = &node.is else {
        return None;
    };
    let found = pairs.iter().find(|(key, _)| key.text() == Some(name));
    found.map(|(_, value)| value)
}
