//! Enumerations that filters on definitions compare.
//!
//! The pages show members with their type before them. A member as plain text is taken as well,
//! because Microsoft's client for Python and many others send it so to the service; text that is no
//! member is refused. Source: Microsoft Learn, "Query table definitions using the Web API".

use super::refusal::Refusal;

/// The enumeration of a property; enumerations are compared only with their own members.
pub(super) fn of(path: &[String]) -> Option<&'static str> {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["AttributeType"] => Some("AttributeTypeCode"),
        ["OwnershipType"] => Some("OwnershipTypes"),
        ["RequiredLevel", "Value"] => Some("AttributeRequiredLevel"),
        ["EntityKeyIndexStatus"] => Some("EntityKeyIndexStatus"),
        ["RelationshipType"] => Some("RelationshipType"),
        ["SecurityTypes"] => Some("SecurityTypes"),
        ["OptionSetType"] => Some("OptionSetType"),
        _ => None,
    }
}

/// Refuses text that names no member.
pub(super) fn check_member(enumeration: &str, member: &str) -> Result<(), Refusal> {
    let members: &[&str] = match enumeration {
        "AttributeTypeCode" => &[
            "Boolean",
            "Customer",
            "DateTime",
            "Decimal",
            "Double",
            "Integer",
            "Lookup",
            "Memo",
            "Money",
            "Owner",
            "PartyList",
            "Picklist",
            "State",
            "Status",
            "String",
            "Uniqueidentifier",
            "CalendarRules",
            "Virtual",
            "BigInt",
            "ManagedProperty",
            "EntityName",
        ],
        "OwnershipTypes" => &[
            "None",
            "UserOwned",
            "TeamOwned",
            "BusinessOwned",
            "OrganizationOwned",
            "BusinessParented",
        ],
        "AttributeRequiredLevel" => &[
            "None",
            "SystemRequired",
            "ApplicationRequired",
            "Recommended",
        ],
        "EntityKeyIndexStatus" => &["Pending", "InProgress", "Active", "Failed"],
        "RelationshipType" => &["Default", "OneToManyRelationship", "ManyToManyRelationship"],
        "OptionSetType" => &["Picklist", "State", "Status", "Boolean"],
        _ => &[],
    };
    if members.contains(&member) {
        return Ok(());
    }
    Err(Refusal::enumeration(member))
}
