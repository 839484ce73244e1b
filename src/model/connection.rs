//! How to reach an environment, without any secret in it.

use std::path::PathBuf;

/// One destination, as `segue.yaml` or the environment describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The name that people chose: `prod`.
    pub name: String,
    /// The environment's address, with or without the API path.
    pub url: String,
    /// The Entra tenant: a GUID or a verified domain.
    pub tenant_id: String,
    /// The application (client) id.
    pub client_id: String,
    /// Where the secret comes from.
    pub client_secret: SecretSource,
    /// Further applications that write to the same environment, each as a user of its own.
    pub others: Vec<Client>,
    /// The login host; follows from the address unless it is named.
    pub authority: Option<String>,
    /// Whether a push asks before it writes.
    pub production: bool,
}

/// One application of a destination that has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The application (client) id.
    pub client_id: String,
    /// Where the secret comes from.
    pub client_secret: SecretSource,
}

impl Connection {
    /// The same environment as each of the applications alone.
    pub fn each(&self) -> Vec<Self> {
        let alone = |client_id: &str, secret: &SecretSource| Self {
            client_id: client_id.to_owned(),
            client_secret: secret.clone(),
            others: Vec::new(),
            ..self.clone()
        };
        let others = self.others.iter();
        std::iter::once(alone(&self.client_id, &self.client_secret))
            .chain(others.map(|client| alone(&client.client_id, &client.client_secret)))
            .collect()
    }
}

/// Where a secret comes from; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file; its trailing line end is not part of the secret.
    File(PathBuf),
    /// The standard output of a command; its trailing line end is not part of the secret.
    Command(Vec<String>),
    /// A documented value that is no secret: the sandbox's.
    Published(&'static str),
}
