//! What the service answers when it refuses: status, code, message and the annotations.
//!
//! Texts and codes stand here so that they are read beside each other; when they are given is
//! decided elsewhere. Source: Microsoft Learn, "Compose HTTP requests and handle errors" and "Web
//! service error codes".

use uuid::Uuid;

/// A refused request or operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// `@Microsoft.PowerApps.CDS.ErrorDetails.…`, given only when annotations are asked for.
    pub(crate) details: Vec<(&'static str, String)>,
    pub(crate) retry_after: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
            retry_after: None,
        }
    }

    /// A body that cannot be read against the model.
    pub(crate) fn payload(set: &str, inner: &str) -> Self {
        Self::new(
            400,
            "0x80048d19",
            format!(
                "Error identified in Payload provided by the user for Entity :'{set}', For more \
                 information on this error please follow this help link \
                 https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : {inner}"
            ),
        )
    }

    pub(crate) fn odata_payload(set: &str, inner: &str) -> Self {
        Self::payload(set, &format!("Microsoft.OData.ODataException: {inner}"))
    }

    /// A navigation property that is not declared; case matters.
    pub(crate) fn undeclared(set: &str, property: &str) -> Self {
        Self::odata_payload(
            set,
            &format!(
                "An undeclared property '{property}' which only has property annotations in the \
                 payload but no property value was found in the payload. In OData, only declared \
                 navigation properties and declared named streams can be represented as \
                 properties without values."
            ),
        )
    }

    pub(crate) fn unknown_property(table: &str, property: &str) -> Self {
        Self::new(
            400,
            "0x0",
            format!(
                "An error occurred while validating input parameters: Microsoft.Crm.CrmException: \
                 Invalid property '{property}' was found in entity \
                 'Microsoft.Dynamics.CRM.{table}'. ---> Microsoft.OData.ODataException: Does not \
                 support untyped value in non-open type."
            ),
        )
    }

    pub(crate) fn unknown_column(table: &str, property: &str) -> Self {
        Self::new(
            400,
            "0x0",
            format!(
                "Could not find a property named '{property}' on type \
                 'Microsoft.Dynamics.CRM.{table}'."
            ),
        )
    }

    pub(crate) fn reference_as_value() -> Self {
        Self::new(
            400,
            "0x80060888",
            "CRM do not support direct update of Entity Reference properties, Use Navigation \
             properties instead.",
        )
    }

    pub(crate) fn query_syntax() -> Self {
        Self::new(400, "0x80060888", "Bad Request - Error in query syntax.")
    }

    pub(crate) fn wrong_key(table: &str) -> Self {
        Self::new(
            400,
            "0x80060888",
            format!(
                "The key in the request URI is not valid for resource \
                 'Microsoft.Dynamics.CRM.{table}'. Ensure that the names and number of key \
                 properties match the declared or alternate key properties for the resource \
                 'Microsoft.Dynamics.CRM.{table}'."
            ),
        )
    }

    pub(crate) fn no_segment(segment: &str) -> Self {
        Self::new(
            404,
            "0x8006088a",
            format!("Resource not found for the segment '{segment}'."),
        )
    }

    pub(crate) fn no_resource(uri: &str) -> Self {
        Self::new(
            404,
            "",
            format!("No HTTP resource was found that matches the request URI '{uri}'."),
        )
    }

    pub(crate) fn wrong_method(method: &str) -> Self {
        Self::new(
            405,
            "",
            format!("The requested resource does not support http method '{method}'."),
        )
    }

    pub(crate) fn no_such_row(table: &str, id: Uuid) -> Self {
        Self::new(
            404,
            "0x80040217",
            format!("{table} With Id = {id} Does Not Exist"),
        )
    }

    pub(crate) fn no_row_with_key(table: &str) -> Self {
        Self::new(
            404,
            "0x80060891",
            format!("A record with the specified key values does not exist in {table} entity"),
        )
    }

    pub(crate) fn duplicate_record() -> Self {
        Self::new(
            412,
            "0x80040237",
            "A record with matching key values already exists.",
        )
    }

    /// The same in the words of the database.
    pub(crate) fn duplicate_insert() -> Self {
        Self::new(412, "0x80040237", "Cannot insert duplicate key.")
    }

    /// `pairs` are the key's columns and the values that are taken.
    /// `dump` shows the row that was to be written, not the one that stands there.
    pub(crate) fn duplicate_key(
        key: &str,
        columns: &str,
        pairs: &[(&str, String)],
        dump: String,
    ) -> Self {
        let attributes = pairs.iter().map(|(column, value)| {
            let value = xml_escaped(value);
            format!("<{column}>{value}</{column}>")
        });
        let attributes: String = attributes.collect();
        let attributes = format!("<DuplicateAttributes>{attributes}</DuplicateAttributes>");
        let mut refusal = Self::new(
            412,
            "0x80060892",
            format!(
                "Entity Key {key} violated. A record with the same value for {columns} already \
                 exists. A duplicate record cannot be created. Select one or more unique values \
                 and try again."
            ),
        );
        refusal.details = vec![
            ("0", key.to_owned()),
            ("1", columns.to_owned()),
            ("DuplicateAttributes", attributes),
            ("DuplicateEntity", dump),
        ];
        refusal
    }

    pub(crate) fn version_mismatch() -> Self {
        Self::new(
            412,
            "0x80060882",
            "The version of the existing record doesn't match the RowVersion property provided.",
        )
    }

    /// `If-None-Match` where it has no meaning: a version on a write, anything on a delete.
    pub(crate) fn unfit_condition() -> Self {
        Self::new(
            400,
            "0x80060888",
            "The If-None-Match header with this value is not supported for this request.",
        )
    }

    /// A row that others need.
    pub(crate) fn associated() -> Self {
        let message = "The object you tried to delete is associated with another object and \
                       cannot be deleted.";
        Self::new(405, "0x80040227", message)
    }

    /// A state or a reason that is no option, which is told otherwise than of a choice.
    pub(crate) fn of_state(self) -> Self {
        if self.code != "0x8004431a" {
            return self;
        }
        let message = "State code is invalid or state code is valid but status code is invalid \
                       for a specified state code.";
        Self::new(400, "0x80048408", message)
    }

    /// Rows of elastic tables are joined with no others.
    pub(crate) fn unlinked() -> Self {
        Self::new(400, "0x80048d0b", "Link entities are not supported")
    }

    pub(crate) fn unavailable(message: &str) -> Self {
        Self::new(503, "0x8004a001", message)
    }

    /// What Dataverse has and this emulator has not.
    pub(crate) fn not_served(what: &str) -> Self {
        Self::new(
            501,
            "0x80100008",
            format!("This emulator does not serve {what}."),
        )
    }
}

pub(crate) fn xml_escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_key_names_columns_and_values() {
        let refusal = Refusal::duplicate_key(
            "Email",
            "Email",
            &[("emailaddress1", "a&b".into())],
            String::new(),
        );
        assert_eq!(refusal.status, 412);
        assert_eq!(
            refusal.details[2].1,
            "<DuplicateAttributes><emailaddress1>a&amp;b</emailaddress1></DuplicateAttributes>"
        );
    }
}
