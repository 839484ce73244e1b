//! The destination that environment variables make, so that a container needs no file.

use super::super::MappingError;
use super::ENVIRONMENT;
use super::address;
use crate::model::{Connection, SecretSource};

const NEEDED: [&str; 4] = [
    "SEGUE_URL",
    "SEGUE_TENANT_ID",
    "SEGUE_CLIENT_ID",
    "SEGUE_CLIENT_SECRET",
];
const AUTHORITY: &str = "SEGUE_AUTHORITY";

/// Made when the four variables are set; half a destination is a mistake.
///
/// The secret alone is none: a file may name its variable.
pub(super) fn destination(
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Connection>, MappingError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let [url, tenant, client, secret] = NEEDED.map(set);
    let missing: Vec<&str> = NEEDED
        .iter()
        .zip([&url, &tenant, &client, &secret])
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| *name)
        .collect();
    let (Some(url), Some(tenant_id), Some(client_id), []) = (
        url.clone(),
        tenant.clone(),
        client.clone(),
        missing.as_slice(),
    ) else {
        if url.is_none() && tenant.is_none() && client.is_none() {
            return Ok(None);
        }
        return Err(MappingError::half_set(&missing));
    };
    let authority = set(AUTHORITY);
    for (name, value) in [("SEGUE_URL", Some(&url)), (AUTHORITY, authority.as_ref())] {
        if value.is_some_and(|value| address::check(value).is_err()) {
            return Err(MappingError::BadVariable { name });
        }
    }
    Ok(Some(Connection {
        name: ENVIRONMENT.to_owned(),
        url,
        tenant_id,
        client_id,
        client_secret: SecretSource::Env("SEGUE_CLIENT_SECRET".to_owned()),
        authority,
        production: false,
    }))
}
