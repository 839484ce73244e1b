//! Why an environment refuses: the cause behind a status, a code and a message, for people to act on.

use super::codes;
use super::said::Said;
use super::token::cause_of_sign_in;
use super::{DataverseError, RefusalCause};
use crate::model::{Cause, Failure, Fate, ServiceError};

impl DataverseError {
    /// The error that stands behind a refusal, so that a failure of a run can say what to do about it.
    pub fn from_service(error: ServiceError) -> Self {
        match cause_of_sign_in(&error.code) {
            Some(cause) => Self::SignIn { cause, error },
            None => Self::Refused {
                cause: cause_of(&error),
                error,
            },
        }
    }

    /// The error of an answer as a whole.
    pub(super) fn from_said(said: Said) -> Self {
        match said.cause(None) {
            Cause::Throttled { retry_after, .. } => Self::Unavailable {
                retry_after,
                error: said.error,
            },
            Cause::Transient if cause_of(&said.error) == RefusalCause::EnvironmentDisabled => {
                Self::from_service(said.error)
            }
            Cause::Transient => Self::Unavailable {
                retry_after: said.retry_after,
                error: said.error,
            },
            Cause::Row(_) | Cause::Credential | Cause::Contract if said.is_from_elsewhere() => {
                Self::Refused {
                    cause: RefusalCause::Interposed,
                    error: said.error,
                }
            }
            Cause::TooLarge | Cause::Row(_) | Cause::Credential | Cause::Contract => {
                Self::from_service(said.error)
            }
        }
    }

    /// The failure of a request, as far as triage needs it.
    pub(super) fn into_failure(self) -> Failure {
        let (fate, cause) = match &self {
            Self::Unanswered { .. } => (Fate::Lost, Cause::Transient),
            Self::Unreachable { .. } => (Fate::Refused, Cause::Transient),
            Self::Unavailable { retry_after, error } => {
                let throttled = error.status == 429 || retry_after.is_some();
                let cause = if throttled {
                    Cause::Throttled {
                        retry_after: *retry_after,
                        limit: codes::limit(codes::number(&error.code)),
                    }
                } else {
                    Cause::Transient
                };
                (Fate::Refused, cause)
            }
            Self::SignIn { .. } => (Fate::Refused, Cause::Credential),
            Self::Refused { cause, .. } if cause.is_about_the_user() => {
                (Fate::Refused, Cause::Credential)
            }
            Self::Refused { .. }
            | Self::Setting { .. }
            | Self::LoginHostUnknown { .. }
            | Self::Secret { .. }
            | Self::Client(_)
            | Self::NoSuchTable { .. }
            | Self::Key { .. }
            | Self::Unexpected { .. } => (Fate::Refused, Cause::Contract),
        };
        let error = self.service().cloned().unwrap_or_else(|| ServiceError {
            message: self.to_string(),
            ..ServiceError::default()
        });
        Failure { fate, cause, error }
    }
}

/// Source: Microsoft Learn, "Web service error codes"; the texts where a code is missing.
pub(super) fn cause_of(error: &ServiceError) -> RefusalCause {
    let text = error.message.as_str();
    match codes::number(&error.code).unwrap_or_default() {
        0x8007_2560 => return RefusalCause::NoApplicationUser,
        0x8004_2f09 => return RefusalCause::NoRole,
        0x8004_0225 => return RefusalCause::UserDisabled,
        0x8004_d24b => return RefusalCause::NoLicence,
        0x8007_2561 => return RefusalCause::ConditionalAccess,
        0x8004_f502 | 0x8004_f507 => return RefusalCause::SecuredColumn,
        0x8004_a104 => return RefusalCause::EnvironmentDisabled,
        _ => {}
    }
    if text.contains("is not a member of the organization") {
        RefusalCause::NoApplicationUser
    } else if text.contains("been assigned any roles") {
        RefusalCause::NoRole
    } else if text.contains("is either disabled or is not a member") {
        RefusalCause::UserDisabled
    } else if error.status == 401 {
        RefusalCause::TokenRejected
    } else if error.status == 403 || text.contains(" is missing prv") {
        RefusalCause::MissingPrivilege {
            privilege: between(text, " is missing ", " ").filter(|name| name.starts_with("prv")),
            table: between(text, " for entity '", "'"),
        }
    } else {
        RefusalCause::Contract
    }
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    Some(found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataverse::{DataverseErrorKind, SignInCause};

    fn error(status: u16, code: &str, message: &str) -> DataverseError {
        DataverseError::from_service(ServiceError {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        })
    }

    fn cause(status: u16, code: &str, message: &str) -> RefusalCause {
        match error(status, code, message) {
            DataverseError::Refused { cause, .. } => cause,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_refusal_is_told_by_its_cause() {
        for (status, code, message, expected) in [
            (
                403,
                "0x80072560",
                "The user is not a member of the organization.",
                RefusalCause::NoApplicationUser,
            ),
            (
                403,
                "",
                "The user is not a member of the organization.",
                RefusalCause::NoApplicationUser,
            ),
            (
                403,
                "0x80042F09",
                "The user has not been assigned any roles.",
                RefusalCause::NoRole,
            ),
            (
                403,
                "",
                "The user with id 1 hasn't been assigned any roles.",
                RefusalCause::NoRole,
            ),
            (
                403,
                "0x80040225",
                "The specified user is either disabled",
                RefusalCause::UserDisabled,
            ),
            (403, "0x8004d24b", "", RefusalCause::NoLicence),
            (401, "0x80072561", "", RefusalCause::ConditionalAccess),
            (401, "", "", RefusalCause::TokenRejected),
            (403, "0x8004f502", "", RefusalCause::SecuredColumn),
            (503, "0x8004a104", "", RefusalCause::EnvironmentDisabled),
            (
                404,
                "0x8006088a",
                "Resource not found for the segment 'x'.",
                RefusalCause::Contract,
            ),
        ] {
            assert_eq!(cause(status, code, message), expected, "{code} {message}");
        }
    }

    #[test]
    fn a_missing_privilege_is_named_with_its_table() {
        let error = error(
            403,
            "0x80040220",
            "Principal user (Id=1, type=8, roleCount=1) is missing prvCreateContact privilege (Id=2) on OTC=2 for entity 'contact' (LocalizedName='Contact'). context.Caller=1",
        );
        assert_eq!(error.kind(), DataverseErrorKind::Privilege);
        let text = error.to_string();
        assert!(
            text.starts_with(
                "the application user lacks the privilege `prvCreateContact` on table `contact`"
            ),
            "{text}"
        );
        assert!(text.contains("0x80040220"));
        assert_eq!(
            error.help(),
            "Grant `prvCreateContact` in a security role of the application user."
        );
        assert_eq!(
            cause(403, "0x80048405", "Access is denied."),
            RefusalCause::MissingPrivilege {
                privilege: None,
                table: None
            }
        );
    }

    #[test]
    fn a_failure_to_sign_in_is_recognised_again() {
        assert!(matches!(
            error(
                401,
                "AADSTS7000222",
                "AADSTS7000222: The provided client secret keys are expired."
            ),
            DataverseError::SignIn {
                cause: SignInCause::LapsedSecret,
                ..
            }
        ));
    }

    #[test]
    fn a_request_that_was_not_sent_is_refused_and_one_without_answer_lost() {
        let host = || "h".to_owned();
        let why = || "w".to_owned();
        let failure = DataverseError::Unreachable {
            host: host(),
            why: why(),
        }
        .into_failure();
        assert_eq!(
            (failure.fate, failure.cause),
            (Fate::Refused, Cause::Transient)
        );
        let failure = DataverseError::Unanswered {
            host: host(),
            why: why(),
        }
        .into_failure();
        assert_eq!(
            (failure.fate, failure.cause),
            (Fate::Lost, Cause::Transient)
        );
        assert_eq!(failure.error.status, 0);
        assert_eq!(failure.error.message, "h did not answer: w");
        let failure = error(401, "", "").into_failure();
        assert_eq!(
            (failure.fate, failure.cause),
            (Fate::Refused, Cause::Credential)
        );
        let failure = error(404, "", "").into_failure();
        assert_eq!(
            (failure.fate, failure.cause),
            (Fate::Refused, Cause::Contract)
        );
    }
}
