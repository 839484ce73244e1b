//! The token endpoint, the challenge, and who is asking.

use std::time::Duration;

use segue_emulator::{CLIENT_ID, CLIENT_SECRET, Options, Request, TENANT_ID};
use serde_json::json;

use crate::client::*;

const ORIGIN: &str = "http://127.0.0.1";

#[test]
fn a_token_is_given_for_the_documented_secret() {
    let client = Client::fresh();
    let answer = client.service.handle(&token_request(&good_form(ORIGIN)));
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.get("Content-Type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(answer.get("Cache-Control"), Some("no-store, no-cache"));
    assert_eq!(answer.get("Pragma"), Some("no-cache"));
    let mut body = json(&answer);
    let token = body["access_token"].take();
    assert!(token.as_str().unwrap().len() >= 32);
    assert_eq!(
        body,
        json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": null})
    );
}

#[test]
fn an_audience_may_end_with_a_slash() {
    let client = Client::fresh();
    let form = good_form("http://127.0.0.1/");
    assert_eq!(client.service.handle(&token_request(&form)).status, 200);
}

/// Tenant, form, status, `error`, number, a piece of the text.
const DENIALS: [(&str, &str, u16, &str, u32, &str); 12] = [
    (
        TENANT_ID,
        "client_secret=wrong",
        401,
        "invalid_client",
        7_000_215,
        "Invalid client secret provided.",
    ),
    (
        TENANT_ID,
        "client_secret=",
        401,
        "invalid_client",
        7_000_216,
        "'client_secret'",
    ),
    (
        TENANT_ID,
        "client_id=7c6d5f2e-0000-4000-8000-000000000000",
        400,
        "unauthorized_client",
        700_016,
        "was not found in the directory",
    ),
    (
        "7c6d5f2e-0000-4000-8000-000000000000",
        "",
        400,
        "invalid_request",
        90002,
        "not found",
    ),
    (
        "nowhere.example",
        "",
        400,
        "invalid_request",
        90002,
        "not found",
    ),
    (
        "nonsense",
        "",
        400,
        "invalid_request",
        900_023,
        "neither a valid DNS name",
    ),
    (
        TENANT_ID,
        "scope=user.read",
        400,
        "invalid_scope",
        70011,
        "is not valid",
    ),
    (
        TENANT_ID,
        "scope=http%3A%2F%2F127.0.0.1%2Fuser_impersonation",
        400,
        "invalid_scope",
        1_002_012,
        "/.default",
    ),
    (
        TENANT_ID,
        "scope=https%3A%2F%2Fother.crm4.dynamics.com%2F.default",
        400,
        "invalid_resource",
        500_011,
        "resource principal named https://other.crm4.dynamics.com was not found",
    ),
    (
        TENANT_ID,
        "scope=http%3A%2F%2F127.0.0.1%2Fapi%2Fdata%2Fv9.2%2F.default",
        400,
        "invalid_resource",
        500_011,
        "not found",
    ),
    (
        TENANT_ID,
        "grant_type=",
        400,
        "invalid_request",
        900_144,
        "'grant_type'",
    ),
    (
        TENANT_ID,
        "client_id=",
        400,
        "invalid_request",
        900_144,
        "'client_id'",
    ),
];

#[test]
fn a_denial_says_which_part_is_wrong() {
    let client = Client::fresh();
    for (tenant, change, status, error, number, text) in DENIALS {
        // A field that stands twice counts as written last.
        let form = format!("{}&{change}", good_form(ORIGIN));
        let request = Request::new("POST", &format!("/{tenant}/oauth2/v2.0/token")).body(form);
        let answer = client.service.handle(&request);
        assert_eq!(answer.status, status, "{change}");
        let body = json(&answer);
        assert_eq!(body["error"], error, "{change}");
        assert_eq!(body["error_codes"], json!([number]));
        let description = body["error_description"].as_str().unwrap();
        assert!(
            description.starts_with(&format!("AADSTS{number}: ")),
            "{description}"
        );
        assert!(description.contains(text), "{description}");
        for part in ["\r\nTrace ID: ", "\r\nCorrelation ID: ", "\r\nTimestamp: "] {
            assert!(description.contains(part), "{description}");
        }
        let uri = format!("https://login.microsoftonline.com/error?code={number}");
        assert_eq!(body["error_uri"], uri);
        for part in ["timestamp", "trace_id", "correlation_id"] {
            assert!(body[part].is_string(), "{part}");
        }
        assert!(!crate::client::text(&answer).contains(CLIENT_SECRET));
    }
}

#[test]
fn credentials_may_stand_in_the_header() {
    let client = Client::fresh();
    let scope = "grant_type=client_credentials&scope=http%3A%2F%2F127.0.0.1%2F.default";
    let sent = |credentials: &str, form: &str| {
        let request = token_request(form).header("Authorization", credentials);
        client.service.handle(&request)
    };
    // The application that every sandbox knows, with its secret.
    let good =
        "Basic NWU2MGUwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMGMxOnNlZ3VlLWVtdWxhdG9yLXNlY3JldA==";
    assert_eq!(sent(good, scope).status, 200);
    let wrong = format!("{scope}&client_secret=wrong");
    assert_eq!(json(&sent(good, &wrong))["error_codes"], json!([7_000_215]));
    for bad in ["Basic", "Basic *", "Basic Zm9v", "Bearer Zm9v"] {
        let answer = sent(bad, scope);
        assert_eq!(json(&answer)["error_codes"], json!([900_144]), "{bad}");
    }
}

#[test]
fn a_body_that_is_no_form_lacks_everything() {
    let client = Client::fresh();
    let answer = client
        .service
        .handle(&token_request(r#"{"grant_type":"client_credentials"}"#));
    assert_eq!(json(&answer)["error_codes"], json!([900_144]));
}

#[test]
fn without_a_good_token_a_client_is_told_where_to_get_one() {
    let client = Client::fresh();
    for header in [
        None,
        Some("Bearer nonsense"),
        Some("Basic abc"),
        Some("Bearer"),
    ] {
        let mut request = Request::new("GET", "/api/data/v9.2/");
        if let Some(header) = header {
            request = request.header("Authorization", header);
        }
        let answer = client.service.handle(&request);
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.get("WWW-Authenticate").unwrap(),
            format!(
                "Bearer authorization_uri={ORIGIN}/{TENANT_ID}/oauth2/authorize, \
                 resource_id={ORIGIN}/"
            )
        );
        assert!(answer.get("REQ_ID").is_some());
        assert!(answer.body.is_empty());
    }
}

#[test]
fn the_challenge_names_the_host_that_was_asked() {
    let client = Client::fresh();
    let request = Request::new("GET", "/api/data/v9.2/").header("Host", "localhost:5000");
    let answer = client.service.handle(&request);
    let challenge = answer.get("WWW-Authenticate").unwrap();
    assert!(
        challenge.ends_with("resource_id=http://localhost:5000/"),
        "{challenge}"
    );
}

#[test]
fn tokens_end() {
    let mut client = Client::with(Options {
        token_lifetime: Duration::from_mins(1),
        ..Options::default()
    });
    client.service.advance(Duration::from_secs(59));
    assert_eq!(client.get("WhoAmI").status, 200);
    client.service.advance(Duration::from_secs(2));
    assert_eq!(client.get("WhoAmI").status, 401);
    client.sign_in();
    assert_eq!(client.get("WhoAmI").status, 200);
    client.service.revoke_tokens();
    assert_eq!(client.get("WhoAmI").status, 401);
}

#[test]
fn who_am_i_is_a_get() {
    let client = Client::fresh();
    let answer = client.get("WhoAmI");
    assert_eq!(answer.status, 200);
    assert!(answer.get("x-ms-dop-hint").unwrap().parse::<u32>().is_ok());
    let other = client.get("accounts?$top=1");
    assert!(other.get("x-ms-dop-hint").unwrap().parse::<u32>().is_ok());
    let body = json(&answer);
    assert_eq!(
        body["@odata.context"],
        format!("{BASE}/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse")
    );
    assert_eq!(
        body["OrganizationId"],
        client.service.organization_id().to_string()
    );
    let user = body["UserId"].as_str().unwrap();
    let row = json(&client.get(&format!(
        "systemusers({user})?$select=applicationid,_businessunitid_value"
    )));
    assert_eq!(row["applicationid"], CLIENT_ID);
    assert_eq!(row["_businessunitid_value"], body["BusinessUnitId"]);

    let answer = client.post("WhoAmI", "{}");
    refused(
        &answer,
        404,
        "",
        &format!("No HTTP resource was found that matches the request URI '{BASE}/WhoAmI'."),
    );
}

#[test]
fn languages_are_told() {
    let options = segue_emulator::Options {
        language_code: 1031,
        ..segue_emulator::Options::default()
    };
    let client = Client::with(options);
    for (path, member) in [
        ("RetrieveAvailableLanguages", "LocaleIds"),
        (
            "RetrieveProvisionedLanguages()",
            "RetrieveProvisionedLanguages",
        ),
        (
            "RetrieveInstalledLanguagePacks()",
            "RetrieveInstalledLanguagePacks",
        ),
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(json(&answer)[member], json!([1033, 1031]), "{path}");
        assert_eq!(client.post(path, "{}").status, 404, "{path}");
    }
}

#[test]
fn a_function_that_is_not_served_is_not_there() {
    let client = Client::fresh();
    for path in [
        "FormatAddress(Line1='1',City='C')",
        "FormatAddress(Line1=@p1,City=@p2)?@p1='1'&@p2='C'",
        "Unheard()",
        "unheards(*)",
    ] {
        refused(
            &client.get(path),
            404,
            "0x8006088a",
            "Resource not found for the segment",
        );
    }
}

#[test]
fn three_versions_are_served() {
    let client = Client::fresh();
    for version in ["v9.0", "v9.1", "v9.2"] {
        let answer = client.send(Request::new("GET", &format!("/api/data/{version}/WhoAmI")));
        assert_eq!(answer.status, 200);
    }
    for target in [
        "/api/data/v8.2/WhoAmI",
        "/api/data/WhoAmI",
        "/api/nothing",
        "/api/data/v9.2x/WhoAmI",
    ] {
        let answer = client.send(Request::new("GET", target));
        refused(&answer, 404, "", "No HTTP resource was found");
    }
}

#[test]
fn the_service_document_lists_the_sets() {
    let client = Client::fresh();
    let body = json(&client.get(""));
    let contacts = json!({"name": "contacts", "kind": "EntitySet", "url": "contacts"});
    assert!(body["value"].as_array().unwrap().contains(&contacts));
    assert_eq!(body["@odata.context"], format!("{BASE}/$metadata"));
}

#[test]
fn definitions_are_served_in_requests_and_batches() {
    let client = Client::fresh();
    let path = "EntityDefinitions(LogicalName='contact')?$select=LogicalName,EntitySetName";
    let answer = client.get(path);
    assert_eq!(json(&answer)["EntitySetName"], "contacts");
    refused(
        &client.get("EntityDefinitions(LogicalName='nothing')"),
        404,
        "0x80041102",
        "",
    );
}

#[test]
fn the_organization_tells_its_language() {
    let client = Client::fresh();
    let rows = client.query("organizations?$select=languagecode");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["languagecode"], 1033);
    assert_eq!(
        rows[0]["organizationid"],
        client.service.organization_id().to_string()
    );
}
