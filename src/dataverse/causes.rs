//! What can be behind a refusal, of the login host and of the environment, each with the way out.

use std::borrow::Cow;
use std::fmt;

use super::DataverseErrorKind;

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
    /// Somebody between here and the environment answers in its place.
    Interposed,
    /// The request does not fit the environment.
    Contract,
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
    pub(super) fn help(self) -> &'static str {
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
            Self::Interposed => "something else answers in the environment's place",
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
    pub(super) fn help(&self) -> Cow<'static, str> {
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
            Self::Interposed => {
                "Have whoever looks after the network let requests to the environment through its proxy or firewall; if there is maintenance, try again later."
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
            Self::SecuredColumn
            | Self::EnvironmentDisabled
            | Self::WrongHost
            | Self::Interposed
            | Self::Contract => false,
        }
    }

    pub(super) fn kind(&self) -> DataverseErrorKind {
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
            Self::WrongHost | Self::Interposed => DataverseErrorKind::Connection,
            Self::Contract => DataverseErrorKind::Contract,
        }
    }
}
