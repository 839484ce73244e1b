//! PATCH: update, create, and what the conditions make of it.

use segue_emulator::{Options, ReadOnly};
use serde_json::json;

use crate::client::*;

const ABSENT: &str = "00000000-0000-0000-0000-000000000001";

#[test]
fn a_plain_patch_creates_the_row_with_exactly_that_id() {
    let client = Client::fresh();
    let answer = client.patch(&format!("accounts({ABSENT})"), r#"{"name":"A"}"#);
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.get("OData-EntityId").unwrap(),
        format!("{BASE}/accounts({ABSENT})")
    );
    assert_eq!(answer.get("OData-Version"), Some("4.0"));
    assert_eq!(answer.get("ETag"), None);
    assert!(answer.body.is_empty());
    assert_eq!(client.service.rows("account")[0]["accountid"], ABSENT);
}

/// The two addresses of one account, with what is said when it is absent.
fn addresses() -> [(String, &'static str, String); 2] {
    [
        (
            format!("accounts({ABSENT})"),
            "0x80040217",
            format!("account With Id = {ABSENT} Does Not Exist"),
        ),
        (
            "accounts(accountnumber='A1')".to_owned(),
            "0x80060891",
            "A record with the specified key values does not exist in account entity".to_owned(),
        ),
    ]
}

fn rename(client: &Client, path: &str, condition: &[(&str, &str)]) -> segue_emulator::Response {
    client.request("PATCH", path, condition, r#"{"name":"B"}"#)
}

#[test]
fn conditions_on_an_absent_row() {
    for (path, code, message) in addresses() {
        let client = Client::fresh();
        for condition in [("If-Match", "*"), ("If-Match", "W/\"5\"")] {
            refused(&rename(&client, &path, &[condition]), 404, code, &message);
        }
        assert_eq!(client.service.rows("account").len(), 0);
        let answer = rename(&client, &path, &[("If-None-Match", "*")]);
        assert_eq!(answer.status, 204);
        assert_eq!(client.service.rows("account").len(), 1);
    }
}

#[test]
fn conditions_on_a_row_that_is_there() {
    for (path, _, _) in addresses() {
        let client = Client::fresh();
        let body = format!(r#"{{"accountid":"{ABSENT}","accountnumber":"A1","name":"A"}}"#);
        client.create("accounts", &body);
        let taken = "A record with matching key values already exists.";
        let answer = rename(&client, &path, &[("If-None-Match", "*")]);
        refused(&answer, 412, "0x80040237", taken);
        for condition in [("If-Match", "*"), ("If-None-Match", "null")] {
            assert_eq!(rename(&client, &path, &[condition]).status, 204);
        }
        let row = json(&client.get(&path));
        let same = [("If-Match", row["@odata.etag"].as_str().unwrap())];
        assert_eq!(rename(&client, &path, &same).status, 204);
        let other = "The version of the existing record doesn't match the RowVersion property \
                     provided.";
        refused(&rename(&client, &path, &same), 412, "0x80060882", other);
    }
}

#[test]
fn a_version_that_is_none_is_refused() {
    let client = Client::fresh();
    let path = format!("accounts({ABSENT})");
    for tag in ["W/\"x\"", "5", "W/\"5\", W/\"6\""] {
        let answer = client.request("PATCH", &path, &[("If-Match", tag)], "{}");
        refused(&answer, 400, "0x80060888", "entity tag");
    }
}

#[test]
fn a_representation_tells_created_from_updated() {
    let client = Client::fresh();
    let prefer = [("Prefer", "return=representation")];
    let path = "accounts(accountnumber='A1')?$select=accountid";
    let answer = client.request("PATCH", path, &prefer, r#"{"name":"A"}"#);
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.get("Preference-Applied"),
        Some("return=representation")
    );
    assert_eq!(answer.get("OData-EntityId"), None);
    let body = json(&answer);
    let tag = body["@odata.etag"].as_str().unwrap();
    assert_eq!(answer.get("ETag"), Some(tag));
    let id = body["accountid"].as_str().unwrap();
    assert_eq!(
        body,
        json!({
            "@odata.context": format!("{BASE}/$metadata#accounts(accountid)/$entity"),
            "@odata.etag": tag,
            "accountid": id,
        })
    );
    let again = client.request("PATCH", path, &prefer, r#"{"name":"B"}"#);
    assert_eq!(again.status, 200);
    assert_eq!(json(&again)["accountid"], id);
    assert_ne!(json(&again)["@odata.etag"], tag);
}

#[test]
fn without_a_representation_the_address_is_the_one_that_was_asked() {
    let client = Client::fresh();
    let path = "new_subscriptions(new_plan=100000000,new_customernumber='O''Br%C3%AFan%2C%20(X)')";
    for _ in 0..2 {
        let answer = client.patch(path, "{}");
        assert_eq!(answer.status, 204, "{}", text(&answer));
        assert_eq!(
            answer.get("OData-EntityId").unwrap(),
            format!("{BASE}/{path}")
        );
    }
    let rows = client.service.rows("new_subscription");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["new_customernumber"], "O'Brïan, (X)");
    assert_eq!(rows[0]["new_plan"], 100_000_000);
}

#[test]
fn the_body_wins_over_the_url_on_create() {
    let client = Client::fresh();
    client.patch(
        "accounts(accountnumber='URL')",
        r#"{"accountnumber":"BODY"}"#,
    );
    assert_eq!(client.service.rows("account")[0]["accountnumber"], "BODY");
}

#[test]
fn key_columns_are_dropped_on_update() {
    let client = Client::fresh();
    client.patch("accounts(accountnumber='A1')", r#"{"name":"A"}"#);
    let answer = client.patch(
        "accounts(accountnumber='a1')",
        r#"{"accountnumber":"A2","name":"B"}"#,
    );
    assert_eq!(answer.status, 204);
    let row = &client.service.rows("account")[0];
    assert_eq!(
        (&row["accountnumber"], &row["name"]),
        (&json!("A1"), &json!("B"))
    );
    let last = client.service.journal().pop().unwrap();
    assert_eq!(json!(last.columns), json!({"name": "B"}));
}

#[test]
fn a_key_changes_through_the_id_or_another_key() {
    let client = Client::fresh();
    let id = client.create(
        "contacts",
        r#"{"externaluseridentifier":"1","emailaddress1":"a@x.example"}"#,
    );
    client.patch(
        &format!("contacts({id})"),
        r#"{"externaluseridentifier":"2"}"#,
    );
    client.patch(
        "contacts(emailaddress1='a@x.example')",
        r#"{"externaluseridentifier":"3"}"#,
    );
    assert_eq!(
        client.get("contacts(externaluseridentifier='1')").status,
        404
    );
    assert_eq!(
        client.get("contacts(externaluseridentifier='2')").status,
        404
    );
    assert_eq!(
        json(&client.get("contacts(externaluseridentifier='3')"))["contactid"],
        id
    );
}

#[test]
fn an_id_in_the_body_of_a_keyed_upsert_is_refused() {
    let client = Client::fresh();
    let body = format!(r#"{{"accountid":"{ABSENT}"}}"#);
    let answer = client.patch("accounts(accountnumber='A1')", &body);
    refused(&answer, 400, "0x80040203", "accountid");
    let other = "accounts(00000000-0000-0000-0000-000000000002)";
    refused(&client.patch(other, &body), 400, "0x80040203", "accountid");
    assert_eq!(
        client.patch(&format!("accounts({ABSENT})"), &body).status,
        204
    );
}

#[test]
fn an_empty_patch_counts_as_a_write() {
    let client = Client::fresh();
    let id = client.create("accounts", r#"{"name":"A"}"#);
    let before = client.service.rows("account")[0]["versionnumber"]
        .as_i64()
        .unwrap();
    assert_eq!(client.patch(&format!("accounts({id})"), "{}").status, 204);
    let after = client.service.rows("account")[0]["versionnumber"]
        .as_i64()
        .unwrap();
    assert!(after > before);
}

#[test]
fn read_only_columns_are_passed_over_or_refused() {
    let client = Client::fresh();
    let body = r#"{"name":"A","createdon":"2001-01-01T00:00:00Z","versionnumber":5,"@odata.etag":"W/\"5\"","name@OData.Community.Display.V1.FormattedValue":"x"}"#;
    client.create("accounts", body);
    let row = &client.service.rows("account")[0];
    assert_ne!(row["createdon"], "2001-01-01T00:00:00Z");
    assert_ne!(row["versionnumber"], 5);

    let strict = Client::with(Options {
        read_only: ReadOnly::Refuse,
        ..Options::default()
    });
    refused(
        &strict.post("accounts", body),
        400,
        "0x80041a01",
        "createdon",
    );
    let path = format!("accounts({ABSENT})");
    strict.patch(&path, "{}");
    refused(
        &strict.patch(&path, r#"{"createdon":null}"#),
        400,
        "0x80041a02",
        "createdon",
    );
}

#[test]
fn a_body_must_be_json_and_say_so() {
    let client = Client::fresh();
    let path = format!("accounts({ABSENT})");
    let text_plain = [("Content-Type", "text/plain")];
    let answer = client.request("PATCH", &path, &text_plain, "{}");
    assert_eq!(answer.status, 415);
    assert_eq!(client.request("POST", "accounts", &[], "").status, 415);
    for body in [
        "{",
        "[]",
        "1",
        "{\"name\":}",
        "{\"name\":\"A\"} x",
        "\u{feff}{}",
        "{\"a\":1,\"a\"}",
    ] {
        refused(
            &client.patch(&path, body),
            400,
            "0x80048d19",
            "Error identified in Payload provided by the user for Entity :'accounts'",
        );
    }
    let twice = client.patch(&path, r#"{"name":"A","name":"B"}"#);
    refused(
        &twice,
        400,
        "0x80048d19",
        "Multiple properties with the name 'name'",
    );
    assert_eq!(client.patch(&path, r#"{"name":"A"}"#).status, 204);
    let answer = client.request(
        "PATCH",
        &path,
        &[("Content-Type", "application/json; charset=utf-8")],
        "",
    );
    refused(&answer, 400, "0x80048d19", "");
}
