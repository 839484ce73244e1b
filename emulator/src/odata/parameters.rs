//! The parameters of an action, as its body holds them.
//!
//! Source: Microsoft Learn, "Use Web API actions".

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::odata::payload::Members;
use crate::refusal::Refusal;

/// The parameters of one call.
pub(crate) struct Parameters<'a> {
    operation: &'static str,
    members: Members<'a>,
}

impl<'a> Parameters<'a> {
    /// Reads a body that may have these parameters and no others.
    pub(crate) fn read(
        operation: &'static str,
        body: &'a [u8],
        known: &[&str],
    ) -> Result<Self, Refusal> {
        let members = Members::read(operation, body)?;
        let mut seen: Vec<&str> = Vec::with_capacity(members.0.len());
        for (name, _) in &members.0 {
            if name.starts_with('@') {
                continue;
            }
            if !known.contains(&&**name) || seen.contains(&&**name) {
                let inner = format!(
                    "The parameter '{name}' in the request payload is not a valid parameter for \
                     the operation '{operation}'."
                );
                return Err(Refusal::odata_payload(operation, &inner));
            }
            seen.push(name);
        }
        Ok(Self { operation, members })
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let mut members = self.members.0.iter();
        members
            .find(|(known, _)| known == name)
            .map(|(_, value)| *value)
    }

    /// A parameter that must be there.
    pub(crate) fn get<T: Deserialize<'a>>(&self, name: &str) -> Result<T, Refusal> {
        let value = self.raw(name).map(RawValue::get);
        value
            .and_then(|value| serde_json::from_str(value).ok())
            .ok_or_else(|| {
                let operation = self.operation;
                let inner = format!(
                    "The parameter '{name}' of the operation '{operation}' is missing or not of \
                     its type."
                );
                Refusal::odata_payload(operation, &inner)
            })
    }
}
