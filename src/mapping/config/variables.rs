//! The destination that environment variables make, so that a container needs no file.

use super::super::MappingError;
use super::ENVIRONMENT;
use super::address::{self, Refusal};
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
/// The secret alone is none: a file may name its variable. An empty variable counts as not set.
pub(super) fn destination(
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Connection>, MappingError> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let authority = set(AUTHORITY);
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
        let others = [&url, &tenant, &client, &authority];
        if others.iter().all(|it| it.is_none()) {
            return Ok(None);
        }
        return Err(MappingError::half_set(&missing));
    };
    Ok(Some(Connection {
        name: ENVIRONMENT.to_owned(),
        url: checked("SEGUE_URL", &url, address::url)?,
        tenant_id: checked("SEGUE_TENANT_ID", &tenant_id, address::tenant)?,
        client_id: checked("SEGUE_CLIENT_ID", &client_id, address::client)?,
        client_secret: SecretSource::Env("SEGUE_CLIENT_SECRET".to_owned()),
        others: Vec::new(),
        authority: authority
            .map(|it| checked(AUTHORITY, &it, address::authority))
            .transpose()?,
        production: false,
    }))
}

fn checked(
    name: &'static str,
    value: &str,
    check: fn(&str) -> Result<String, Refusal>,
) -> Result<String, MappingError> {
    check(value.trim()).map_err(|refusal| MappingError::BadVariable {
        name,
        what: refusal.what,
        help: refusal.help,
    })
}
