//! One destination of `segue.yaml`.

use std::path::{Path, PathBuf};

use super::super::decode::{Decoder, Entry, Form, Settings};
use super::super::problem::codes;
use super::super::yaml::Is;
use super::Destination;
use super::address::{self, Wrong};
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
const SECRET: Settings = Settings {
    known: &["env", "file", "command"],
    later: &[],
};
const SECRET_HELP: &str =
    "Write `{ env: NAME }`, `{ file: PATH }` or `{ command: [program, argument] }`.";

impl Decoder {
    pub(super) fn destination(
        &mut self,
        entry: Entry<'_>,
        form: &Form<'_>,
        base: &Path,
    ) -> Option<Destination> {
        let name = entry.name.to_owned();
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            let title = "cannot be the name of a destination".to_owned();
            let help = "Take letters, digits and dashes: the name is a folder of the state too.";
            self.tell(
                codes::BAD_VALUE,
                entry.key.at.clone(),
                title,
                "not taken",
                help,
            );
            return None;
        }
        if let Some(sandbox) = form.get("sandbox") {
            let others = form.entries.iter().filter(|it| it.name != "sandbox");
            for other in others {
                let title = "the sandbox has no other settings beside it".to_owned();
                let help = "Remove this, or `sandbox`.";
                self.tell(
                    codes::CONFLICT,
                    other.key.at.clone(),
                    title,
                    "beside `sandbox`",
                    help,
                );
            }
            let data = self.embedded(sandbox, base);
            return Some(Destination::Sandbox { name, data });
        }
        let url = self.required(form, "url", "Write the environment's address.");
        let url = url.and_then(|it| self.address(it));
        let help = "Write the tenant's id from the Entra admin center.";
        let tenant = self.required(form, "tenant_id", help);
        let tenant = tenant.and_then(|it| self.tenant(it));
        let help = "Write the application (client) id of the app registration.";
        let client = self.required(form, "client_id", help);
        let client = client.and_then(|it| self.guid(it));
        let secret = self.required(form, "client_secret", SECRET_HELP);
        let secret = secret.and_then(|it| self.secret(it, base));
        let authority = form.get("authority").map(|it| self.address(it));
        let production = form.get("production").and_then(|it| self.flag(it));
        Some(Destination::Dataverse(Connection {
            name,
            url: url?,
            tenant_id: tenant?,
            client_id: client?,
            client_secret: secret?,
            authority: match authority {
                Some(address) => Some(address?),
                None => None,
            },
            production: production.is_some_and(|it| it.value),
        }))
    }

    fn embedded(&mut self, entry: Entry<'_>, base: &Path) -> Option<PathBuf> {
        let form = self.form(entry, &EMBEDDED)?;
        let data = form.get("data").and_then(|it| self.text(it))?;
        Some(base.join(data.value))
    }

    fn address(&mut self, entry: Entry<'_>) -> Option<String> {
        let text = self.text(entry)?;
        let (code, title, help) = match address::check(&text.value) {
            Ok(()) => return Some(text.value),
            Err(Wrong::Plain) => (
                codes::PLAIN_HTTP,
                "plain http would show the secret to the network",
                "Write `https://`; plain http is for this machine alone.",
            ),
            Err(Wrong::Shape) => (
                codes::BAD_ADDRESS,
                "this is not the address of an environment",
                "Write it as `https://contoso.crm4.dynamics.com`.",
            ),
        };
        self.tell(code, text.at, title.to_owned(), "not taken", help);
        None
    }

    fn tenant(&mut self, entry: Entry<'_>) -> Option<String> {
        let text = self.text(entry)?;
        let taken = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if text.value.chars().all(taken) && text.value.contains(['-', '.']) {
            return Some(text.value);
        }
        let help = "Write the tenant's GUID, or one of its domains as `contoso.com`.";
        self.bad(entry, "is no tenant", help);
        None
    }

    fn guid(&mut self, entry: Entry<'_>) -> Option<String> {
        let text = self.text(entry)?;
        if uuid::Uuid::try_parse(&text.value).is_ok() {
            return Some(text.value);
        }
        let help = "Write a GUID, as `00000000-0000-0000-0000-0000000000c1`.";
        self.bad(entry, "is no GUID", help);
        None
    }

    fn secret(&mut self, entry: Entry<'_>, base: &Path) -> Option<SecretSource> {
        if !matches!(entry.node.is, Is::Map(_)) && !entry.node.is_null() {
            let title = "a secret does not belong in the file".to_owned();
            let label = "masked here";
            self.tell(
                codes::LITERAL_SECRET,
                entry.place(),
                title,
                label,
                SECRET_HELP,
            );
            return None;
        }
        let form = self.form(entry, &SECRET)?;
        let [source] = form.entries.as_slice() else {
            self.bad(entry, "comes from one place", SECRET_HELP);
            return None;
        };
        match source.name {
            "env" => self.text(*source).map(|it| SecretSource::Env(it.value)),
            "file" => self
                .text(*source)
                .map(|it| SecretSource::File(base.join(it.value))),
            _ => self.command(*source).map(SecretSource::Command),
        }
    }

    /// A list, or one text that is split at blanks: there is no shell.
    fn command(&mut self, entry: Entry<'_>) -> Option<Vec<String>> {
        let words: Vec<String> = if matches!(entry.node.is, Is::List(_)) {
            let texts = self.texts(entry)?;
            texts.into_iter().map(|it| it.value).collect()
        } else {
            let text = self.text(entry)?;
            text.value.split_whitespace().map(str::to_owned).collect()
        };
        if words.first().is_none_or(String::is_empty) {
            self.bad(entry, "names a program", SECRET_HELP);
            return None;
        }
        Some(words)
    }
}
