//! Functions and actions in `$metadata`, with the types that they need.
//!
//! Source: Microsoft Learn, "Web API Action Reference", "Web API Function Reference".

use super::Document;

/// A function or an action, as CSDL writes it.
struct Operation {
    is_function: bool,
    name: &'static str,
    /// What it is bound to.
    bound: Option<(&'static str, &'static str)>,
    parameters: &'static [(&'static str, &'static str)],
    returns: Option<&'static str>,
}

const ROWS: &str = "Collection(mscrm.crmbaseentity)";

const fn bulk(name: &'static str, returns: Option<&'static str>) -> Operation {
    Operation {
        is_function: false,
        name,
        bound: Some(("entityset", ROWS)),
        parameters: &[("Targets", ROWS)],
        returns,
    }
}

const fn action(
    name: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    returns: Option<&'static str>,
) -> Operation {
    Operation {
        is_function: false,
        name,
        bound: None,
        parameters,
        returns,
    }
}

const fn function(
    name: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    returns: &'static str,
) -> Operation {
    Operation {
        is_function: true,
        name,
        bound: None,
        parameters,
        returns: Some(returns),
    }
}

const OPERATIONS: [Operation; 18] = [
    bulk("CreateMultiple", Some("mscrm.CreateMultipleResponse")),
    bulk("UpdateMultiple", None),
    bulk("UpsertMultiple", None),
    bulk("DeleteMultiple", None),
    Operation {
        is_function: false,
        name: "QualifyLead",
        bound: Some(("entity", "mscrm.lead")),
        parameters: &[
            ("CreateAccount", "Edm.Boolean"),
            ("CreateContact", "Edm.Boolean"),
            ("CreateOpportunity", "Edm.Boolean"),
            ("Status", "Edm.Int32"),
        ],
        returns: Some(ROWS),
    },
    action(
        "WinOpportunity",
        &[
            ("OpportunityClose", "mscrm.crmbaseentity"),
            ("Status", "Edm.Int32"),
        ],
        None,
    ),
    action(
        "LoseOpportunity",
        &[
            ("OpportunityClose", "mscrm.crmbaseentity"),
            ("Status", "Edm.Int32"),
        ],
        None,
    ),
    action(
        "CloseIncident",
        &[
            ("IncidentResolution", "mscrm.crmbaseentity"),
            ("Status", "Edm.Int32"),
        ],
        None,
    ),
    action(
        "BulkDelete",
        &[
            ("QuerySet", "Collection(mscrm.QueryBase)"),
            ("JobName", "Edm.String"),
            ("SendEmailNotification", "Edm.Boolean"),
            ("ToRecipients", ROWS),
            ("CCRecipients", ROWS),
            ("RecurrencePattern", "Edm.String"),
            ("StartDateTime", "Edm.DateTimeOffset"),
        ],
        Some("mscrm.BulkDeleteResponse"),
    ),
    action(
        "ReactivateEntityKey",
        &[
            ("EntityLogicalName", "Edm.String"),
            ("EntityKeyLogicalName", "Edm.String"),
        ],
        None,
    ),
    action("PublishAllXml", &[], None),
    action("PublishXml", &[("ParameterXml", "Edm.String")], None),
    action(
        "CreateEntities",
        &[("Entities", "Collection(mscrm.ComplexEntityMetadata)")],
        Some("mscrm.CreateEntitiesResponse"),
    ),
    function("WhoAmI", &[], "mscrm.WhoAmIResponse"),
    function("RetrieveVersion", &[], "mscrm.RetrieveVersionResponse"),
    function(
        "RetrieveTotalRecordCount",
        &[("EntityNames", "Collection(Edm.String)")],
        "mscrm.RetrieveTotalRecordCountResponse",
    ),
    function(
        "RetrieveCurrentOrganization",
        &[("AccessType", "mscrm.EndpointAccessType")],
        "mscrm.RetrieveCurrentOrganizationResponse",
    ),
    function(
        "RetrieveMetadataChanges",
        &[
            ("Query", "mscrm.EntityQueryExpression"),
            ("ClientVersionStamp", "Edm.String"),
            ("DeletedMetadataFilters", "mscrm.DeletedMetadataFilters"),
        ],
        "mscrm.RetrieveMetadataChangesResponse",
    ),
];

/// The types of parameters and answers: what is in them as far as clients read it; the others
/// are open.
const COMPLEX: [(&str, &[(&str, &str)]); 11] = [
    ("CreateMultipleResponse", &[("Ids", "Collection(Edm.Guid)")]),
    ("BulkDeleteResponse", &[("JobId", "Edm.Guid")]),
    ("CreateEntitiesResponse", &[]),
    (
        "WhoAmIResponse",
        &[
            ("BusinessUnitId", "Edm.Guid"),
            ("UserId", "Edm.Guid"),
            ("OrganizationId", "Edm.Guid"),
        ],
    ),
    ("RetrieveVersionResponse", &[("Version", "Edm.String")]),
    ("RetrieveTotalRecordCountResponse", &[]),
    ("RetrieveCurrentOrganizationResponse", &[]),
    (
        "RetrieveMetadataChangesResponse",
        &[("ServerVersionStamp", "Edm.String")],
    ),
    ("QueryBase", &[]),
    ("EntityQueryExpression", &[]),
    ("ComplexEntityMetadata", &[]),
];

const ENUMS: [(&str, &[&str]); 2] = [
    ("EndpointAccessType", &["Default", "Internet", "Intranet"]),
    (
        "DeletedMetadataFilters",
        &["Entity", "Attribute", "Relationship", "Label", "OptionSet"],
    ),
];

impl Document<'_> {
    pub(super) fn operations(&mut self) {
        for (name, properties) in COMPLEX {
            let open = if properties.is_empty() {
                " OpenType=\"true\""
            } else {
                ""
            };
            self.element(format_args!("<ComplexType Name=\"{name}\"{open}>"));
            for (property, kind) in properties {
                self.element(format_args!(
                    "<Property Name=\"{property}\" Type=\"{kind}\" />"
                ));
            }
            self.element(format_args!("</ComplexType>"));
        }
        for (name, members) in ENUMS {
            self.element(format_args!("<EnumType Name=\"{name}\">"));
            for (value, member) in members.iter().enumerate() {
                self.element(format_args!(
                    "<Member Name=\"{member}\" Value=\"{value}\" />"
                ));
            }
            self.element(format_args!("</EnumType>"));
        }
        for operation in &OPERATIONS {
            self.operation(operation);
        }
    }

    fn operation(&mut self, operation: &Operation) {
        let element = operation.element();
        let name = operation.name;
        let bound = match operation.bound {
            Some(_) => " IsBound=\"true\"",
            None => "",
        };
        self.element(format_args!("<{element} Name=\"{name}\"{bound}>"));
        for (name, kind) in operation.bound.iter().chain(operation.parameters) {
            self.element(format_args!(
                "<Parameter Name=\"{name}\" Type=\"{kind}\" Nullable=\"false\" />"
            ));
        }
        if let Some(kind) = operation.returns {
            self.element(format_args!(
                "<ReturnType Type=\"{kind}\" Nullable=\"false\" />"
            ));
        }
        self.element(format_args!("</{element}>"));
    }

    /// What is bound to nothing stands in the container.
    pub(super) fn imports(&mut self) {
        for operation in OPERATIONS.iter().filter(|it| it.bound.is_none()) {
            let (element, name) = (operation.element(), operation.name);
            self.element(format_args!(
                "<{element}Import Name=\"{name}\" \
                 {element}=\"Microsoft.Dynamics.CRM.{name}\" />"
            ));
        }
    }
}

impl Operation {
    fn element(&self) -> &'static str {
        if self.is_function {
            "Function"
        } else {
            "Action"
        }
    }
}
