//! States and reasons.

use serde_json::json;

use crate::client::*;

fn state(client: &Client, table: &str) -> (i64, i64) {
    let row = &client.service.rows(table)[0];
    (
        row["statecode"].as_i64().unwrap(),
        row["statuscode"].as_i64().unwrap(),
    )
}

#[test]
fn a_new_row_is_in_its_first_state_whatever_it_says() {
    let client = Client::fresh();
    client.create("contacts", r#"{"statecode":1}"#);
    assert_eq!(state(&client, "contact"), (0, 1));
    client.create("tasks", r#"{"statuscode":3}"#);
    assert_eq!(state(&client, "task"), (0, 3));
    let answer = client.post("tasks", r#"{"statecode":2,"statuscode":6}"#);
    refused(
        &answer,
        400,
        "0x80048408",
        "6 is not a valid status code for state code TaskState.Open",
    );
}

#[test]
fn state_and_reason_must_belong_together() {
    let client = Client::fresh();
    let id = client.create("contacts", "{}");
    let path = format!("contacts({id})");
    for (body, expected) in [
        (r#"{"statecode":1,"statuscode":2}"#, (1, 2)),
        (r#"{"statecode":0}"#, (0, 1)),
        (r#"{"statecode":1}"#, (1, 2)),
        (r#"{"statuscode":2}"#, (1, 2)),
        // Contacts take other changes while they are inactive.
        (r#"{"lastname":"Lee"}"#, (1, 2)),
    ] {
        assert_eq!(client.patch(&path, body).status, 204, "{body}");
        assert_eq!(state(&client, "contact"), expected, "{body}");
    }
    for body in [
        r#"{"statuscode":1}"#,
        r#"{"statecode":1,"statuscode":1}"#,
        r#"{"statecode":0,"statuscode":2}"#,
    ] {
        refused(
            &client.patch(&path, body),
            400,
            "0x80048408",
            "is not a valid status code for state code ContactState.",
        );
    }
    for body in [r#"{"statecode":5}"#, r#"{"statuscode":77}"#] {
        refused(
            &client.patch(&path, body),
            400,
            "0x80048408",
            "State code is invalid or state code is valid but status code is invalid for a \
             specified state code.",
        );
    }
    assert_eq!(state(&client, "contact"), (1, 2));
}

#[test]
fn won_lost_and_resolved_have_messages_of_their_own() {
    let client = Client::fresh();
    let id = client.create("opportunities", r#"{"name":"O"}"#);
    let path = format!("opportunities({id})");
    let answer = client.patch(&path, r#"{"statecode":1,"statuscode":3}"#);
    refused(
        &answer,
        400,
        "0x80100005",
        "This message can not be used to set the state of opportunity to won. In order to set state of opportunity to won, use the won message instead.",
    );
    refused(
        &client.patch(&path, r#"{"statecode":2,"statuscode":4}"#),
        400,
        "0x80100005",
        "to lost",
    );
    assert_eq!(
        client
            .patch(&path, r#"{"statecode":0,"statuscode":2}"#)
            .status,
        204
    );

    let account = client.create("accounts", "{}");
    let body =
        json!({"title": "C", "customerid_account@odata.bind": format!("accounts({account})")});
    let id = client.create("incidents", &body.to_string());
    let answer = client.patch(
        &format!("incidents({id})"),
        r#"{"statecode":1,"statuscode":5}"#,
    );
    refused(
        &answer,
        400,
        "0x80100005",
        "use the CloseIncidentRequest message instead.",
    );
}

#[test]
fn a_case_needs_a_customer_and_gets_a_number() {
    let client = Client::fresh();
    refused(
        &client.post("incidents", r#"{"title":"C"}"#),
        400,
        "0x80040203",
        "customerid",
    );
    let account = client.create("accounts", "{}");
    let body = json!({"customerid_account@odata.bind": format!("accounts({account})")});
    client.create("incidents", &body.to_string());
    let number = client.service.rows("incident")[0]["ticketnumber"].clone();
    assert!(number.as_str().unwrap().starts_with("CAS-"));
    let answer = client.patch("incidents(ticketnumber='X-1')", &body.to_string());
    assert_eq!(answer.status, 204);
    assert_eq!(client.service.rows("incident")[1]["ticketnumber"], "X-1");
}

#[test]
fn a_closed_activity_is_read_only_until_it_is_open_again() {
    let client = Client::fresh();
    let id = client.create("tasks", r#"{"subject":"T"}"#);
    let path = format!("tasks({id})");
    assert_eq!(
        client
            .patch(&path, r#"{"statecode":1,"statuscode":5,"subject":"U"}"#)
            .status,
        204
    );
    refused(
        &client.patch(&path, r#"{"subject":"V"}"#),
        400,
        "0x8004022e",
        "The object cannot be updated because it is read-only.",
    );
    assert_eq!(
        client
            .patch(&path, r#"{"statecode":0,"statuscode":2,"subject":"V"}"#)
            .status,
        204
    );
    assert_eq!(state(&client, "task"), (0, 2));

    let id = client.create("leads", r#"{"subject":"L","lastname":"Lee"}"#);
    let path = format!("leads({id})");
    assert_eq!(
        client
            .patch(&path, r#"{"statecode":2,"statuscode":4}"#)
            .status,
        204
    );
    refused(
        &client.patch(&path, r#"{"subject":"M"}"#),
        400,
        "0x80040230",
        "The object cannot be updated because it is inactive.",
    );
}
