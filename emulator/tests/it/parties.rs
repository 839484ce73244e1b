//! Parties of activities.

use serde_json::{Value, json};

use crate::client::*;

const ID: &str = "00000000-0000-0000-0000-000000000001";

fn user(client: &Client) -> String {
    client.service.client().user_id().unwrap().to_string()
}

fn email(client: &Client) -> String {
    let contact = client.create("contacts", r#"{"lastname":"Lee"}"#);
    let body = json!({"subject": "Hi", "email_activity_parties": [
        {"partyid_systemuser@odata.bind": format!("systemusers({})", user(client)), "participationtypemask": 1},
        {"partyid_contact@odata.bind": format!("contacts({contact})"), "participationtypemask": 2},
        {"addressused": "raw@x.example", "participationtypemask": 3}
    ]});
    client.create("emails", &body.to_string())
}

fn parties(client: &Client) -> Vec<Value> {
    let rows = client.service.rows("activityparty");
    let mut masks: Vec<Value> = rows
        .iter()
        .map(|row| row["participationtypemask"].clone())
        .collect();
    masks.sort_by_key(Value::as_i64);
    masks
}

#[test]
fn parties_come_with_their_activity_and_go_with_it() {
    let client = Client::fresh();
    let id = email(&client);
    assert_eq!(parties(&client), [1, 2, 3]);
    let filter = format!("activityparties?$filter=_activityid_value eq {id}");
    assert_eq!(client.query(&filter).len(), 3);
    let answer = client.request("DELETE", &format!("emails({id})"), &[], "");
    assert_eq!(answer.status, 204);
    assert!(parties(&client).is_empty());
}

#[test]
fn parties_are_replaced_as_a_whole() {
    let client = Client::fresh();
    let id = email(&client);
    let path = format!("emails({id})/email_activity_parties");
    let put = |body: &Value| client.request("PUT", &path, &[], &body.to_string());
    let answer =
        put(&json!({"value": [{"addressused": "b@x.example", "participationtypemask": 4}]}));
    assert_eq!(
        (answer.status, answer.body.len()),
        (204, 0),
        "{}",
        text(&answer)
    );
    assert_eq!(parties(&client), [4]);
    let unknown = put(&json!({"value": [{"participationtypemask": 12}]}));
    refused(&unknown, 400, "0x8004431a", "participationtypemask");
    refused(&put(&json!({"value": {}})), 400, "0x80048d19", "list");
    assert_eq!(parties(&client), [4]);
    let closed = r#"{"statecode":1,"statuscode":2}"#;
    assert_eq!(client.patch(&format!("emails({id})"), closed).status, 204);
    refused(&put(&json!({"value": []})), 400, "0x8004022e", "read-only");
}

#[test]
fn parties_are_not_written_by_themselves() {
    let client = Client::fresh();
    let answer = client.post("activityparties", "{}");
    let told = "does not support entities of type 'activityparty'";
    refused(&answer, 400, "0x80100008", told);
    let id = email(&client);
    let deep = r#"{"email_activity_parties":[]}"#;
    refused(
        &client.patch(&format!("emails({id})"), deep),
        400,
        "0x80060888",
        "Deep update",
    );
    let other = client.request(
        "PUT",
        &format!("emails({ID})/email_activity_parties"),
        &[],
        "{}",
    );
    assert_eq!(other.status, 404);
}

#[test]
fn activities_are_regarding_rows() {
    let client = Client::fresh();
    let account = client.create("accounts", "{}");
    for (set, activity) in [
        ("phonecalls", "phonecall"),
        ("appointments", "appointment"),
        ("emails", "email"),
    ] {
        let bind = format!("regardingobjectid_account_{activity}@odata.bind");
        let owner = format!("ownerid_{activity}@odata.bind");
        let body = json!({"subject": "S", bind: format!("accounts({account})"), owner: format!("systemusers({})", user(&client))});
        client.create(set, &body.to_string());
        assert_eq!(
            client.service.rows(activity)[0]["_regardingobjectid_value"],
            account
        );
    }
}
