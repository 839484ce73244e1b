//! The ways in which a request for definitions is refused.

use serde_json::json;

use super::Answer;

/// An error of the service.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refusal {
    /// A request that does not follow the grammar.
    pub(super) fn syntax(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: "0x80060888",
            message: message.into(),
        }
    }

    /// `$top` and the like.
    pub(super) fn option(name: &str) -> Self {
        Self::syntax(format!("The query parameter {name} is not supported"))
    }

    /// A property that the type does not have.
    pub(super) fn property(name: &str, type_name: &str) -> Self {
        Self {
            status: 400,
            code: "0x0",
            message: format!(
                "Could not find a property named '{name}' on type \
                 'Microsoft.Dynamics.CRM.{type_name}'."
            ),
        }
    }

    /// A comparison of two types.
    pub(super) fn types(left: &str, right: &str, operator: &str) -> Self {
        Self {
            status: 400,
            code: "0x0",
            message: format!(
                "A binary operator with incompatible types was detected. Found operand types \
                 '{left}' and '{right}' for operator kind '{operator}'."
            ),
        }
    }

    /// Text that names no member of an enumeration.
    pub(super) fn enumeration(text: &str) -> Self {
        Self {
            status: 400,
            code: "0x0",
            message: format!("The string '{text}' is not a valid enumeration type constant."),
        }
    }

    /// A key by a property that is not one.
    pub(super) fn key(type_name: &str) -> Self {
        let resource = format!("Microsoft.Dynamics.CRM.{type_name}");
        Self::syntax(format!(
            "The key in the request URI is not valid for resource '{resource}'. Ensure that the \
             names and number of key properties match the declared or alternate key properties \
             for the resource '{resource}'."
        ))
    }

    /// A stamp that is not the current one.
    pub(super) fn expired() -> Self {
        Self {
            status: 400,
            code: "0x80044352",
            message: "Version stamp associated with the client has expired. Please perform a full \
                      sync."
                .to_owned(),
        }
    }

    /// A path that leads nowhere.
    pub(super) fn segment(segment: &str) -> Self {
        Self {
            status: 404,
            code: "0x8006088a",
            message: format!("Resource not found for the segment '{segment}'."),
        }
    }

    /// A definition that does not exist; `kind` is `an entity`, `an attribute` and so on.
    pub(super) fn missing(type_name: &str, key: &str) -> Self {
        let (code, message) = match type_name {
            "EntityMetadata" => (
                "0x80041102",
                format!("Could not find an entity with name {key}."),
            ),
            "AttributeMetadata" => (
                "0x80041103",
                format!("Could not find an attribute with name {key}."),
            ),
            "OptionSetMetadataBase" => (
                "0x80040217",
                format!("Could not find an optionset with name {key}."),
            ),
            _ => (
                "0x80040217",
                format!("Could not find {type_name} with name {key}."),
            ),
        };
        Self {
            status: 404,
            code,
            message,
        }
    }
}

impl From<Refusal> for crate::refusal::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status, refusal.code, refusal.message)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let error = json!({"code": refusal.code, "message": refusal.message});
        Self {
            status: refusal.status,
            body: json!({"error": error}),
        }
    }
}
