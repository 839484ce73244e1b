//! Why something could not be had from an environment, told by cause, each with what to do about it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::{RefusalCause, SignInCause};
use crate::model::ServiceError;

/// Why something could not be had from an environment.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DataverseError {
    /// A setting of the connection cannot be used.
    #[error("`{setting}: {value}` cannot be used: {why}")]
    Setting {
        /// As `segue.yaml` names it.
        setting: &'static str,
        /// As it is written there.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The address belongs to no cloud whose login host is known.
    #[error("which login host belongs to `{host}` is not known")]
    LoginHostUnknown {
        /// The host of the environment's address.
        host: String,
    },
    /// The client secret cannot be had from where the connection says it is.
    #[error("the client secret cannot be read from {from}: {why}")]
    Secret {
        /// The variable, file or command.
        from: String,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] Arc<reqwest::Error>),
    /// No connection: nothing was sent.
    #[error("cannot connect to {host}: {why}")]
    Unreachable {
        /// The host that was called, with its port where the address names one.
        host: String,
        /// What the network said.
        why: String,
    },
    /// A request was sent, and its answer did not come or was cut short.
    #[error("{host} did not answer: {why}")]
    Unanswered {
        /// The host that was called, with its port where the address names one.
        host: String,
        /// What the network said.
        why: String,
    },
    /// The login host gives no token.
    #[error("signing in failed, {cause} ({error})")]
    SignIn {
        /// What is wrong.
        cause: SignInCause,
        /// What the login host said.
        error: ServiceError,
    },
    /// The environment refuses the request.
    #[error("{cause} ({error})")]
    Refused {
        /// What is wrong.
        cause: RefusalCause,
        /// What the service said.
        error: ServiceError,
    },
    /// The login host or the service cannot answer now.
    #[error("the service is not available now ({error})")]
    Unavailable {
        /// How long it wants to be left alone, if it said so.
        retry_after: Option<Duration>,
        /// What it said.
        error: ServiceError,
    },
    /// The environment has no such table.
    #[error("there is no table `{name}` in this environment")]
    NoSuchTable {
        /// As asked for.
        name: String,
        /// Logical names that look alike, the closest first.
        close: Vec<String>,
    },
    /// A key that does not fit the table.
    #[error("{why}")]
    Key {
        /// What is wrong with it.
        why: String,
        /// What would be right.
        help: String,
    },
    /// An answer that is not what the service's pages promise.
    #[error("the answer about {about} cannot be read: {why}")]
    Unexpected {
        /// What had been asked for.
        about: String,
        /// What is missing or wrong.
        why: String,
    },
}

/// What kind of error it is; tells the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataverseErrorKind {
    /// A setting is wrong, nothing was sent (exit 2).
    Configuration,
    /// There is no connection (exit 3).
    Connection,
    /// No token, or nobody in the environment whom it stands for (exit 3).
    Credential,
    /// The user may not do that (exit 3).
    Privilege,
    /// The request does not fit the environment: no such table, column or key (exit 2).
    Contract,
    /// It may work later as it is (exit 75).
    Unavailable,
}

impl DataverseError {
    /// What the operator does next: one imperative sentence, sometimes a second one.
    pub fn help(&self) -> Cow<'static, str> {
        match self {
            Self::Setting { setting, .. } => {
                Cow::Owned(format!("Correct `{setting}` of the destination."))
            }
            Self::LoginHostUnknown { .. } => Cow::Borrowed(
                "Check the address, or name the login host in `authority`, e.g. https://login.microsoftonline.com.",
            ),
            Self::Secret { .. } => {
                Cow::Borrowed("Put the value of the client secret there, and nothing else.")
            }
            Self::Client(_) => Cow::Borrowed(
                "Check that the system's certificates are installed, or name them in SSL_CERT_FILE.",
            ),
            Self::Unreachable { why, .. } => unreachable_help(why),
            Self::Unanswered { .. } => Cow::Borrowed(
                "Try again; if it stays so, look at the network and the proxies on the way.",
            ),
            Self::SignIn { cause, .. } => Cow::Borrowed(cause.help()),
            Self::Refused { cause, .. } => cause.help(),
            Self::Unavailable { retry_after, .. } => match retry_after {
                Some(wait) => Cow::Owned(format!("Try again in {} s.", wait.as_secs())),
                None => Cow::Borrowed("Try again later."),
            },
            Self::NoSuchTable { close, .. } => match close.split_first() {
                Some((name, [])) => Cow::Owned(format!("Write `{name}`, the closest table.")),
                Some((name, others)) => Cow::Owned(format!(
                    "Write `{name}`, the closest table, or one of {}.",
                    others.join(", ")
                )),
                None => Cow::Borrowed(
                    "Write the table's logical name: Power Apps, Tables, the table, Tools, Copy logical name.",
                ),
            },
            Self::Key { help, .. } => Cow::Owned(help.clone()),
            Self::Unexpected { .. } => Cow::Borrowed(
                "Check that `url` is the address of a Dataverse environment; if it is, please report this.",
            ),
        }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> DataverseErrorKind {
        match self {
            Self::Setting { .. } | Self::LoginHostUnknown { .. } | Self::Secret { .. } => {
                DataverseErrorKind::Configuration
            }
            Self::Client(_)
            | Self::Unreachable { .. }
            | Self::Unanswered { .. }
            | Self::Unexpected { .. } => DataverseErrorKind::Connection,
            Self::SignIn { .. } => DataverseErrorKind::Credential,
            Self::Refused { cause, .. } => cause.kind(),
            Self::Unavailable { .. } => DataverseErrorKind::Unavailable,
            Self::NoSuchTable { .. } | Self::Key { .. } => DataverseErrorKind::Contract,
        }
    }

    /// What the login host or the service said, if it said anything.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            Self::SignIn { error, .. }
            | Self::Refused { error, .. }
            | Self::Unavailable { error, .. } => Some(error),
            Self::Setting { .. }
            | Self::LoginHostUnknown { .. }
            | Self::Secret { .. }
            | Self::Client(_)
            | Self::Unreachable { .. }
            | Self::Unanswered { .. }
            | Self::NoSuchTable { .. }
            | Self::Key { .. }
            | Self::Unexpected { .. } => None,
        }
    }
}

fn unreachable_help(why: &str) -> Cow<'static, str> {
    let why = why.to_ascii_lowercase();
    Cow::Borrowed(if why.contains("dns") || why.contains("lookup address") {
        "Check the spelling and the region of the host in `url`: its name does not resolve."
    } else if why.contains("certificate") || why.contains("tls") {
        "Install the certificate of your proxy or server, or name it in SSL_CERT_FILE."
    } else {
        "Check `url`, the network and the proxy settings (HTTPS_PROXY, NO_PROXY)."
    })
}
