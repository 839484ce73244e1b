//! Why something could not be had from an environment, told by cause, each with what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::model::ServiceError;

/// Why something could not be had from an environment.
#[derive(Debug, thiserror::Error)]
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
    Client(#[source] reqwest::Error),
    /// No connection: nothing was sent.
    #[error("cannot connect to {host}: {why}")]
    Unreachable {
        /// The host that was called.
        host: String,
        /// What the network said.
        why: String,
    },
    /// A request was sent, and its answer did not come or was cut short.
    #[error("{host} did not answer: {why}")]
    Unanswered {
        /// The host that was called.
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

/// Why the login host gives no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInCause {
    /// AADSTS7000215
    WrongSecret,
    /// AADSTS7000222
    LapsedSecret,
    /// AADSTS7000216, AADSTS7000218, AADSTS900144
    MissingSecret,
    /// AADSTS700016
    UnknownClient,
    /// AADSTS7000112
    DisabledClient,
    /// AADSTS90002, AADSTS900023
    UnknownTenant,
    /// AADSTS500011, AADSTS70011, AADSTS1002012
    UnknownEnvironment,
    /// AADSTS53003 and its siblings
    ConditionalAccess,
    /// The address answers, but not as a login host does.
    NotALoginHost,
    /// Anything else: the message tells.
    Other,
}

/// Why the environment refuses a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalCause {
    /// 401, also with a fresh token.
    TokenRejected,
    /// `0x80072560`
    NoApplicationUser,
    /// `0x80042f09`
    NoRole,
    /// `0x80040225`
    UserDisabled,
    /// `0x8004d24b`
    NoLicence,
    /// `0x80072561`
    ConditionalAccess,
    /// `0x80040220` and its siblings
    MissingPrivilege {
        /// `prvCreateContact`, if the message names it.
        privilege: Option<String>,
        /// `contact`, if the message names it.
        table: Option<String>,
    },
    /// `0x8004f502`, `0x8004f507`
    SecuredColumn,
    /// `0x8004a104`
    EnvironmentDisabled,
    /// The host answers, but not as an environment does.
    WrongHost,
    /// The request does not fit the environment.
    Contract,
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
            Self::Unanswered { .. } => {
                Cow::Borrowed("Try again; if it stays so, raise the request time-out.")
            }
            Self::SignIn { cause, .. } => Cow::Borrowed(cause.help()),
            Self::Refused { cause, .. } => cause.help(),
            Self::Unavailable { retry_after, .. } => match retry_after {
                Some(wait) => Cow::Owned(format!("Try again in {} s.", wait.as_secs())),
                None => Cow::Borrowed("Try again later."),
            },
            Self::NoSuchTable { close, .. } => match close.first() {
                Some(name) => Cow::Owned(format!(
                    "Write `{name}`, the closest table, or look at `segue describe`."
                )),
                None => Cow::Borrowed("Look at `segue describe` for the tables there are."),
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
            Self::Client(_) | Self::Unreachable { .. } | Self::Unanswered { .. } => {
                DataverseErrorKind::Connection
            }
            Self::SignIn { .. } => DataverseErrorKind::Credential,
            Self::Refused { cause, .. } => cause.kind(),
            Self::Unavailable { .. } => DataverseErrorKind::Unavailable,
            Self::NoSuchTable { .. } | Self::Key { .. } | Self::Unexpected { .. } => {
                DataverseErrorKind::Contract
            }
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

impl fmt::Display for SignInCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongSecret => "the client secret is wrong",
            Self::LapsedSecret => "the client secret has expired",
            Self::MissingSecret => "no client secret arrived",
            Self::UnknownClient => "the tenant does not know this application",
            Self::DisabledClient => "the application is disabled in the tenant",
            Self::UnknownTenant => "there is no such tenant",
            Self::UnknownEnvironment => "the tenant has no environment at this address",
            Self::ConditionalAccess => "a conditional access policy blocks the application",
            Self::NotALoginHost => "the authority does not answer as a login host",
            Self::Other => "the login host refuses the application",
        })
    }
}

impl SignInCause {
    fn help(self) -> &'static str {
        match self {
            Self::WrongSecret => {
                "Use the secret's value, not its id: Entra admin center, App registrations, the application, Certificates & secrets."
            }
            Self::LapsedSecret => {
                "Make a new client secret: Entra admin center, App registrations, the application, Certificates & secrets."
            }
            Self::MissingSecret => "Check where `client_secret` points to.",
            Self::UnknownClient => {
                "Compare `client_id` with the Application (client) ID of the app registration, and `tenant_id` with its tenant."
            }
            Self::DisabledClient => {
                "Enable sign-in: Entra admin center, Enterprise applications, the application, Properties."
            }
            Self::UnknownTenant => {
                "Compare `tenant_id` with the Directory (tenant) ID in the Entra admin center; sovereign clouds have their own."
            }
            Self::UnknownEnvironment => {
                "Compare `url` with the environment's URL in the Power Platform admin center, and check that `tenant_id` is its tenant."
            }
            Self::ConditionalAccess => {
                "Have the tenant's administrator exempt the application: Entra admin center, Conditional Access, policies for workload identities."
            }
            Self::NotALoginHost => {
                "Correct `authority`, or leave it out for the clouds of Microsoft."
            }
            Self::Other => {
                "Read the message; its AADSTS number is explained at https://login.microsoftonline.com/error."
            }
        }
    }
}

impl fmt::Display for RefusalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TokenRejected => "the environment rejects the token",
            Self::NoApplicationUser => "the application is not a user of this environment",
            Self::NoRole => "the application user has no security role",
            Self::UserDisabled => "the application user or its business unit is disabled",
            Self::NoLicence => "the user has no licence",
            Self::ConditionalAccess => "a policy of the environment blocks this location",
            Self::MissingPrivilege { privilege, table } => {
                return missing_privilege(f, privilege.as_deref(), table.as_deref());
            }
            Self::SecuredColumn => "the application user may not write a secured column",
            Self::EnvironmentDisabled => "the environment is disabled or under maintenance",
            Self::WrongHost => "there is no Dataverse environment at this address",
            Self::Contract => "the environment does not accept the request",
        })
    }
}

fn missing_privilege(
    f: &mut fmt::Formatter<'_>,
    privilege: Option<&str>,
    table: Option<&str>,
) -> fmt::Result {
    match privilege {
        Some(privilege) => write!(f, "the application user lacks the privilege `{privilege}`")?,
        None => f.write_str("the application user lacks a privilege")?,
    }
    match table {
        Some(table) => write!(f, " on table `{table}`"),
        None => Ok(()),
    }
}

impl RefusalCause {
    fn help(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::TokenRejected => {
                "Compare `url` and `tenant_id` with the environment in the Power Platform admin center: a token is good for one environment."
            }
            Self::NoApplicationUser => {
                "Add the application: Power Platform admin center, the environment, Settings, Users + permissions, Application users, New app user."
            }
            Self::NoRole => {
                "Give it a role: Power Platform admin center, the environment, Settings, Users + permissions, Application users, Edit security roles."
            }
            Self::UserDisabled => {
                "Activate the application user and its business unit: Power Platform admin center, the environment, Settings, Users + permissions."
            }
            Self::NoLicence => "Use an application user: it needs no licence.",
            Self::ConditionalAccess => {
                "Have the administrator allow this address: Power Platform admin center, the environment, Settings, Privacy + Security."
            }
            Self::MissingPrivilege {
                privilege: Some(privilege),
                ..
            } => {
                return Cow::Owned(format!(
                    "Grant `{privilege}` in a security role of the application user."
                ));
            }
            Self::MissingPrivilege { .. } => {
                "Grant the application user a security role with this privilege."
            }
            Self::SecuredColumn => {
                "Add the application user to a column security profile, or take the column out of the mapping."
            }
            Self::EnvironmentDisabled => {
                "Look at the environment's state in the Power Platform admin center."
            }
            Self::WrongHost => {
                "Copy the environment's URL from the Power Platform admin center; mind the region, e.g. crm4 for Europe."
            }
            Self::Contract => "Read the service's message; it names what does not fit.",
        })
    }

    /// Whether another user, role or token would do, and another request would not.
    pub(super) fn is_about_the_user(&self) -> bool {
        match self {
            Self::TokenRejected
            | Self::NoApplicationUser
            | Self::NoRole
            | Self::UserDisabled
            | Self::NoLicence
            | Self::ConditionalAccess
            | Self::MissingPrivilege { .. } => true,
            Self::SecuredColumn | Self::EnvironmentDisabled | Self::WrongHost | Self::Contract => {
                false
            }
        }
    }

    fn kind(&self) -> DataverseErrorKind {
        match self {
            Self::TokenRejected
            | Self::NoApplicationUser
            | Self::UserDisabled
            | Self::NoLicence
            | Self::ConditionalAccess => DataverseErrorKind::Credential,
            Self::NoRole | Self::MissingPrivilege { .. } | Self::SecuredColumn => {
                DataverseErrorKind::Privilege
            }
            Self::EnvironmentDisabled => DataverseErrorKind::Unavailable,
            Self::WrongHost => DataverseErrorKind::Connection,
            Self::Contract => DataverseErrorKind::Contract,
        }
    }
}
