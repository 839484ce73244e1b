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

/// Source: Microsoft Learn, "`WhoAmI` function".
pub(super) async fn who(http: &Http) -> Result<Who, DataverseError> {
    let request = Request::Get {
        path: format!("{BASE}/WhoAmI"),
        prefer: None,
    };
    let answer = http.read_patiently(&request).await?;
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

#[cfg(test)]
mod tests {
    use super::super::DataverseErrorKind;
    use super::super::loopback::{Loopback, json, response};
    use super::*;

    const WHO: &str = r#"{"@odata.context":"x","BusinessUnitId":"00000000-0000-0000-0000-000000000003","UserId":"00000000-0000-0000-0000-000000000001","OrganizationId":"00000000-0000-0000-0000-000000000002"}"#;

    async fn refused(answer: Vec<u8>) -> DataverseError {
        let server = Loopback::environment(move |_, _| answer.clone()).await;
        who(&server.http()).await.unwrap_err()
    }

    #[tokio::test]
    async fn the_answer_names_user_organisation_clock_and_advice() {
        let server = Loopback::environment(|_, _| {
            response(
                "200 OK",
                "Date: Sat, 21 Nov 2026 03:33:38 GMT\r\nx-ms-dop-hint: 48\r\nSet-Cookie: ARRAffinity=1\r\n",
                WHO,
            )
        })
        .await;
        let http = server.http();
        let who = who(&http).await.unwrap();
        assert_eq!(who.user.0.as_u128(), 1);
        assert_eq!(who.organization.as_u128(), 2);
        assert_eq!(who.business_unit.as_u128(), 3);
        assert_eq!(who.service_time, "2026-11-21T03:33:38Z".parse().ok());
        assert_eq!(who.recommended_concurrency, Some(48));
        super::who(&http).await.unwrap();
        let asked = server.asked_of_environment();
        assert_eq!(asked[0].line, "GET /api/data/v9.2/WhoAmI HTTP/1.1");
        assert_eq!(asked[0].header("authorization"), Some("Bearer token-1"));
        assert_eq!(asked[0].header("accept"), Some("application/json"));
        assert_eq!(asked[0].header("odata-version"), Some("4.0"));
        let agent = asked[0].header("user-agent").unwrap();
        assert!(agent.starts_with("segue/"), "{agent}");
        assert_eq!(asked[1].header("cookie"), None);
    }

    #[tokio::test]
    async fn a_user_that_is_none_is_told_apart() {
        for (code, cause) in [
            ("0x80072560", RefusalCause::NoApplicationUser),
            ("0x80042f09", RefusalCause::NoRole),
            ("0x80040225", RefusalCause::UserDisabled),
        ] {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#);
            match refused(json("403 Forbidden", &body)).await {
                DataverseError::Refused { cause: got, .. } => assert_eq!(got, cause),
                other => panic!("{other}"),
            }
        }
    }

    #[tokio::test]
    async fn a_host_that_is_no_environment_is_told() {
        for answer in [
            response("404 Not Found", "", "<html><title>404</title>"),
            response("302 Found", "Location: http://evil.example/\r\n", ""),
            response("200 OK", "", "<html>Welcome"),
            json("400 Bad Request", "{}"),
        ] {
            let error = refused(answer).await;
            assert_eq!(error.kind(), DataverseErrorKind::Connection, "{error}");
            assert!(
                error
                    .to_string()
                    .starts_with("there is no Dataverse environment"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_token_that_stays_rejected_is_a_matter_of_credentials() {
        let server = Loopback::environment(|_, _| {
            response(
                "401 Unauthorized",
                "WWW-Authenticate: Bearer authorization_uri=http://evil.example/t/oauth2/authorize, resource_id=x\r\n",
                "",
            )
        })
        .await;
        let error = who(&server.http()).await.unwrap_err();
        assert_eq!(error.kind(), DataverseErrorKind::Credential);
        assert_eq!(server.asked_of_environment().len(), 2);
        assert_eq!(server.asked().len(), 4);
    }

    #[tokio::test]
    async fn a_wait_that_no_clock_can_tell_is_not_waited_for() {
        let server = Loopback::environment(|_, _| {
            let wait = "Retry-After: 18446744073709551615\r\n";
            response("429 Too Many Requests", wait, "")
        })
        .await;
        let error = who(&server.patient_http()).await.unwrap_err();
        assert_eq!(error.kind(), DataverseErrorKind::Unavailable);
        assert_eq!(server.asked_of_environment().len(), 1);
    }

    #[tokio::test]
    async fn an_environment_in_maintenance_is_unavailable() {
        let error = refused(json(
            "403 Forbidden",
            r#"{"error":{"code":"0x8004a104","message":"disabled"}}"#,
        ))
        .await;
        assert_eq!(error.kind(), DataverseErrorKind::Unavailable);
        assert!(
            error.to_string().contains("disabled or under maintenance"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn nobody_at_the_address_is_unreachable() {
        let server = Loopback::environment(|_, _| Vec::new()).await;
        let http = server.http();
        let error = who(&http).await.unwrap_err();
        assert!(
            matches!(error, DataverseError::Unanswered { .. }),
            "{error}"
        );
        drop(server);
        let error = who(&http).await.unwrap_err();
        assert!(
            matches!(
                error,
                DataverseError::Unreachable { .. } | DataverseError::Unanswered { .. }
            ),
            "{error}"
        );
    }
}
