//! Who we are in an environment: the first question of every run.

use jiff::Timestamp;
use reqwest::header::DATE;
use serde::Deserialize;
use uuid::Uuid;

use super::address::BASE;
use super::http::{Answer, Http, Request};
use super::{DataverseError, RefusalCause};
use crate::model::{Cause, RecordId, ServiceError};

/// What the environment says of itself and of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who {
    /// The `systemuserid` of the application user: whom `createdby` names.
    pub user: RecordId,
    /// The environment's organisation.
    pub organization: Uuid,
    /// The user's business unit.
    pub business_unit: Uuid,
    /// What the service's clock said, to the second.
    pub service_time: Option<Timestamp>,
    /// How many requests at a time the service recommends (`x-ms-dop-hint`).
    pub recommended_concurrency: Option<usize>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "UserId")]
    user: Uuid,
    #[serde(rename = "OrganizationId")]
    organization: Uuid,
    #[serde(rename = "BusinessUnitId")]
    business_unit: Uuid,
}

/// Source: Microsoft Learn, "WhoAmI function".
pub(super) async fn who(http: &Http) -> Result<Who, DataverseError> {
    let request = Request::Get {
        path: format!("{BASE}/WhoAmI"),
        prefer: None,
    };
    let answer = http.read(&request).await?;
    if answer.status != 200 {
        return Err(refusal(&answer));
    }
    let body: Body =
        serde_json::from_slice(&answer.body).map_err(|_| wrong_host(answer.said().error))?;
    Ok(Who {
        user: RecordId(body.user),
        organization: body.organization,
        business_unit: body.business_unit,
        service_time: answer.header(DATE).and_then(time),
        recommended_concurrency: answer
            .header("x-ms-dop-hint")
            .and_then(|hint| hint.trim().parse().ok()),
    })
}

/// Every environment knows this function: whoever does not is none.
fn refusal(answer: &Answer) -> DataverseError {
    let said = answer.said();
    match said.cause(None) {
        Cause::Row(_) | Cause::Contract | Cause::TooLarge => wrong_host(said.error),
        Cause::Throttled { .. } | Cause::Transient | Cause::Credential => {
            DataverseError::from_said(said)
        }
    }
}

fn wrong_host(error: ServiceError) -> DataverseError {
    DataverseError::Refused {
        cause: RefusalCause::WrongHost,
        error,
    }
}

/// `Sat, 21 Nov 2026 03:33:38 GMT`
fn time(date: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()
}
