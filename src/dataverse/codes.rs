//! The service's error codes, as a table: which kind of failure a number stands for.
//!
//! Only what the number alone tells. Where the text or the status decides, [`said`](super::said) looks first.
//!
//! Source: Microsoft Learn, "Web service error codes"; names as published there.

use crate::model::Limit;

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Throttled,
    Transient,
    TooLarge,
    NotFound,
    DuplicateRecord,
    DuplicateKey,
    Row,
    Credential,
    Contract,
}

/// Reads `error.code` as a number: hexadecimal with or without `0x`, in any case, or a signed decimal number.
pub(super) fn number(code: &str) -> Option<u32> {
    let code = code.trim();
    if let Some(negative) = code.strip_prefix('-') {
        return Some(0u32.wrapping_sub(negative.parse::<u32>().ok()?));
    }
    let digits = code
        .strip_prefix("0x")
        .or_else(|| code.strip_prefix("0X"))
        .unwrap_or(code);
    u32::from_str_radix(digits, 16).ok()
}

/// What a number stands for, if the table knows it.
pub(super) fn class(number: u32) -> Option<Class> {
    CODES
        .binary_search_by_key(&number, |(code, _)| *code)
        .ok()
        .and_then(|at| CODES.get(at))
        .map(|(_, class)| *class)
}

/// Which limit a refusal for too much names.
pub(super) fn limit(number: Option<u32>) -> Limit {
    match number {
        // ThrottlingConcurrencyLimitExceededError
        Some(0x8007_2326) => Limit::Concurrency,
        // ThrottlingTimeExceededError
        Some(0x8007_2321) => Limit::Time,
        Some(_) | None => Limit::Window,
    }
}

/// Ascending.
const CODES: &[(u32, Class)] = &[
    (0x8004_0203, Class::Row),             // InvalidArgument
    (0x8004_0204, Class::Credential),      // InvalidUserAuth
    (0x8004_0205, Class::Row),             // InvalidParent
    (0x8004_020d, Class::Credential),      // InvalidAccessRights
    (0x8004_0216, Class::Transient),       // UnExpected
    (0x8004_0217, Class::NotFound),        // ObjectDoesNotExist
    (0x8004_0220, Class::Credential),      // PrivilegeDenied
    (0x8004_0224, Class::Transient),       // IsvUnExpected: a plug-in failed, worth another try
    (0x8004_0225, Class::Credential),      // unManagedidsusernotenabled
    (0x8004_0227, Class::Row),             // CannotDeleteDueToAssociation
    (0x8004_0228, Class::Row),             // CannotDeleteAsItIsReadOnly
    (0x8004_0229, Class::Row),             // InvalidOwnerID
    (0x8004_022b, Class::Row),             // unManagedidsownernotenabled
    (0x8004_022e, Class::Row),             // CannotUpdateBecauseItIsReadOnly
    (0x8004_0230, Class::Row),             // CannotUpdateObjectBecauseItIsInactive
    (0x8004_0231, Class::Row),             // PrincipalPrivilegeDenied: the new owner's, not ours
    (0x8004_0237, Class::DuplicateRecord), // DuplicateRecord
    (0x8004_0239, Class::Row),             // InvalidDateTime
    (0x8004_023a, Class::Contract),        // InvalidMetadata
    (0x8004_023e, Class::Transient),       // OpenCrmDBConnection
    (0x8004_0251, Class::Transient),       // TransactionNotStarted
    (0x8004_0252, Class::Transient),       // TransactionNotCommited
    (0x8004_0256, Class::Credential),      // CrmSecurityError
    (0x8004_0265, Class::Row),             // IsvAborted
    (0x8004_0277, Class::Credential),      // UnauthorizedAccess
    (0x8004_0278, Class::Row),             // InvalidCharactersInField
    (0x8004_032d, Class::Row),             // CannotAssignToDisabledBusiness
    (0x8004_0333, Class::Row),             // DuplicateRecordsFound
    (0x8004_0504, Class::Row),             // unManagedidsopportunityinvalidparent
    (0x8004_0507, Class::Row),             // AccountLoopBeingCreated
    (0x8004_0515, Class::Row),             // OpportunityIsAlreadyClosed
    (0x8004_1102, Class::Contract),        // QueryBuilderNoEntity
    (0x8004_1103, Class::Contract),        // QueryBuilderNoAttribute
    (0x8004_1a01, Class::Contract),        // unManagedidsxmlinvalidcreate
    (0x8004_1a02, Class::Contract),        // unManagedidsxmlinvalidupdate
    (0x8004_2f09, Class::Credential),      // UserNotAssignedRoles
    (0x8004_3af9, Class::Row),             // unManagedidsstatedoesnotexist
    (0x8004_4150, Class::Transient),       // unManagedidssqlerror: the SQL number decides
    (0x8004_4151, Class::Transient),       // unManagedidssqltimeouterror
    (0x8004_4171, Class::Transient),       // SandboxClientPluginTimeout
    (0x8004_4172, Class::Transient),       // SandboxHostPluginTimeout
    (0x8004_4173, Class::Transient),       // SandboxWorkerPluginTimeout
    (0x8004_418a, Class::TooLarge),        // RequestLengthTooLarge
    (0x8004_418d, Class::Transient),       // SandboxWorkerNotAvailable
    (0x8004_418e, Class::Transient),       // SandboxHostNotAvailable
    (0x8004_4302, Class::Credential),      // RequestIsNotAuthenticated
    (0x8004_431a, Class::Row),             // PicklistValueOutOfRange
    (0x8004_431c, Class::Row),             // BooleanOptionOutOfRange
    (0x8004_432f, Class::Row),             // IntegerValueOutOfRange
    (0x8004_4330, Class::Row),             // DecimalValueOutOfRange
    (0x8004_4331, Class::Row),             // StringLengthTooLong
    (0x8004_4354, Class::Contract),        // IncorrectAttributeValueType
    (0x8004_4411, Class::Row),             // IncidentIsAlreadyClosedOrCancelled
    (0x8004_5f01, Class::Row),             // unManagedidscalloutisvabort
    (0x8004_8306, Class::Credential),      // unManagedIdsAccessDenied
    (0x8004_8340, Class::Row),             // CannotAssignToAccessTeam
    (0x8004_8405, Class::Credential),      // AccessDenied
    (0x8004_8408, Class::Row),             // InvalidStateCodeStatusCode
    (0x8004_8cfc, Class::Row),             // InvalidCurrency
    (0x8004_8d0b, Class::Contract),        // link entities of elastic tables
    (0x8004_a001, Class::Throttled),       // CrmSqlGovernorDatabaseRequestDenied
    (0x8004_a101, Class::Credential),      // ExpiredAuthTicket
    (0x8004_a104, Class::Transient),       // OrganizationDisabled: moved or in maintenance
    (0x8004_a110, Class::Contract),        // CannotActOnBehalfOfAnotherUser
    (0x8004_d24b, Class::Credential),      // UserNotAssignedLicense
    (0x8004_e023, Class::Contract),        // AggregateQueryRecordLimitExceeded
    (0x8004_ed47, Class::Transient),       // AppLockTimeout
    (0x8004_f00e, Class::Row),             // InvalidStateTransition
    (0x8004_f502, Class::Contract),        // AttributePrivilegeCreateIsMissing
    (0x8004_f507, Class::Contract),        // AttributePermissionUpdateIsMissingDuringUpdate
    (0x8004_f854, Class::Row),             // StateTransitionActiveToResolve
    (0x8004_f855, Class::Row),             // and its siblings
    (0x8004_f856, Class::Row),
    (0x8004_f857, Class::Row),
    (0x8004_f858, Class::Row),
    (0x8005_f101, Class::Credential),      // AccessTokenExpired
    (0x8005_f103, Class::Throttled),       // taken as throttling by a public client in production
    (0x8006_0308, Class::Throttled),       // likewise
    (0x8006_0882, Class::Row),             // ConcurrencyVersionMismatch
    (0x8006_0883, Class::Contract),        // ConcurrencyVersionNotProvided
    (0x8006_0888, Class::Contract),        // query and URL errors; the text decides
    (0x8006_088d, Class::Contract),        // OptimisticConcurrencyNotEnabled
    (0x8006_088f, Class::Contract),        // InvalidEntityKeyOperation
    (0x8006_0890, Class::Contract),        // EntityKeyNotDefined
    (0x8006_0891, Class::NotFound),        // RecordNotFoundByEntityKey
    (0x8006_0892, Class::DuplicateKey),    // DuplicateRecordEntityKey
    (0x8007_2031, Class::Transient),       // WorkerProcessCrashFailure
    (0x8007_2321, Class::Throttled),       // ThrottlingTimeExceededError
    (0x8007_2322, Class::Throttled),       // ThrottlingBurstRequestLimitExceededError
    (0x8007_2323, Class::Throttled),       // AzureSqlDatabaseResourceLimitExceededError
    (0x8007_2324, Class::Throttled),       // AzureSqlMaxConcurrentWorkersLimitExceededError
    (0x8007_2325, Class::Contract), // AzureSqlDatabaseStorageQuotaExceededError: nothing fits any more
    (0x8007_2326, Class::Throttled), // ThrottlingConcurrencyLimitExceededError
    (0x8007_2491, Class::Contract), // ChangeTrackingNotEnabledForEntity
    (0x8007_2493, Class::Contract), // InvalidEntityLogicalName
    (0x8007_2560, Class::Credential), // UserNotMemberOfOrg
    (0x8007_2561, Class::Credential), // CAPolicyValidationFailedLateBind
    (0x8007_3001, Class::Row),      // CrmSQLCharLengthTooLong
    (0x8007_3002, Class::DuplicateRecord), // CrmSQLUniqueIndexOrConstraintViolation
    (0x8008_1111, Class::Transient), // SandboxWorkerPluginExecuteTimeout
    (0x8008_1116, Class::Throttled), // SandboxWorkerThrottleLimit
    (0x8010_0005, Class::Row),      // CannotUseOpportunitySetStateMessage
    (0x8010_0008, Class::Contract), // EntityTypeNotSupported
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_each_code_stands_once() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_code_is_read_in_every_spelling() {
        for code in [
            "0x80072322",
            "0X80072322",
            "80072322",
            " 0x80072322",
            "-2147015902",
        ] {
            assert_eq!(number(code), Some(0x8007_2322), "{code}");
        }
        assert_eq!(number("0x8006088A"), number("0x8006088a"));
        assert_eq!(number("0x0"), Some(0));
        assert_eq!(number(""), None);
        assert_eq!(number("Forbidden"), None);
    }

    #[test]
    fn a_known_code_has_its_class() {
        assert_eq!(class(0x8006_0892), Some(Class::DuplicateKey));
        assert_eq!(class(0x8007_2326), Some(Class::Throttled));
        assert_eq!(class(0x8004_0203), Some(Class::Row));
        assert_eq!(class(0x8010_0008), Some(Class::Contract));
        assert_eq!(class(0), None);
    }
}
