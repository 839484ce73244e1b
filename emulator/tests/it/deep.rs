//! Rows that come with others, and rows that belong to others by collections.

use segue_emulator::{ClientOptions, Options, Privileges, Response};
use serde_json::json;

use crate::client::*;

const ID: &str = "00000000-0000-0000-0000-000000000001";
const TEAMS: &str = "teammembership_association";
const LEADS: &str = "accountleads_association";

fn put(client: &Client, method: &str, path: &str, target: &str) -> Response {
    client.request(method, path, &[], &json!({"@odata.id": target}).to_string())
}

fn delete(client: &Client, path: &str) -> Response {
    client.request("DELETE", path, &[], "")
}

#[test]
fn a_create_brings_rows_above_and_below() {
    let client = Client::fresh();
    let body = json!({
        "name": "A",
        "primarycontactid": {"lastname": "Smith", "parentcustomerid_account": {"name": "B"}},
        "opportunity_customer_accounts": [
            {"name": "One", "Opportunity_Tasks": [{"subject": "Call"}]},
            {"name": "Two"}
        ],
        "accountleads_association": [{"subject": "L", "lastname": "Lee"}]
    });
    let id = client.create("accounts", &body.to_string());
    let account = json(&client.get(&format!("accounts({id})")));
    let contact = &client.service.rows("contact")[0];
    assert_eq!(account["_primarycontactid_value"], contact["contactid"]);
    assert_ne!(contact["_parentcustomerid_value"], json!(null));
    assert_ne!(contact["_parentcustomerid_value"], json!(id));
    let opportunities = client.service.rows("opportunity");
    assert_eq!(opportunities.len(), 2);
    assert!(
        opportunities
            .iter()
            .all(|row| row["_customerid_value"] == id)
    );
    let task = &client.service.rows("task")[0];
    assert_eq!(
        task["_regardingobjectid_value"],
        opportunities[0]["opportunityid"]
    );
    let pair = &client.service.rows("accountleads")[0];
    assert_eq!(
        (&pair["accountid"], &pair["leadid"]),
        (&json!(id), &client.service.rows("lead")[0]["leadid"])
    );
}

#[test]
fn a_deep_insert_is_whole_or_not_at_all() {
    let client = Client::fresh();
    let body = json!({
        "name": "A",
        "primarycontactid": {"lastname": "Smith"},
        "opportunity_customer_accounts": [{"name": "One"}, {"name": "x".repeat(301)}]
    });
    refused(
        &client.post("accounts", &body.to_string()),
        400,
        "0x80044331",
        "'name'",
    );
    let body = json!({
        "accountid": client.create("accounts", "{}"),
        "primarycontactid": {"lastname": "Smith"},
    });
    refused(
        &client.post("accounts", &body.to_string()),
        412,
        "0x80040237",
        "",
    );
    for table in ["contact", "opportunity"] {
        assert!(client.service.rows(table).is_empty(), "{table}");
    }
    assert_eq!(client.service.journal().len(), 1);
}

#[test]
fn rows_in_rows_have_their_rules() {
    let client = Client::fresh();
    let id = client.create("accounts", "{}");
    let deep = "Deep update of navigation properties is not allowed.";
    for body in [
        r#"{"primarycontactid":{"lastname":"Smith"}}"#,
        r#"{"opportunity_customer_accounts":[{"name":"O"}]}"#,
        r#"{"opportunity_customer_accounts@odata.bind":[]}"#,
    ] {
        refused(
            &client.patch(&format!("accounts({id})"), body),
            400,
            "0x80060888",
            deep,
        );
        assert_eq!(client.patch(&format!("accounts({ID})"), body).status, 400);
    }
}

#[test]
fn rows_in_rows_are_read_as_rows() {
    let client = Client::fresh();
    for (body, code, told) in [
        (r#"{"primarycontactid":[{}]}"#, "0x80048d19", "Invalid JSON"),
        (
            r#"{"opportunity_customer_accounts":{}}"#,
            "0x80048d19",
            "must be a list",
        ),
        (
            r#"{"opportunity_customer_accounts":null}"#,
            "0x80048d19",
            "must be a list",
        ),
        (
            r#"{"opportunity_customer_accounts":[null]}"#,
            "0x80048d19",
            "Invalid JSON",
        ),
        (
            r#"{"ownerid":{"name":"x"}}"#,
            "0x80048d19",
            "cannot be told",
        ),
        (
            r#"{"primarycontactid":{"nothing":1}}"#,
            "0x0",
            "Invalid property 'nothing'",
        ),
        (r#"{"primarycontactid":5}"#, "0x80060888", "direct update"),
        (
            r#"{"opportunity_customer_accounts@odata.bind":"opportunities(1)"}"#,
            "0x80048d19",
            "must be a list",
        ),
    ] {
        refused(&client.post("accounts", body), 400, code, told);
    }
    let mut body = "{}".to_owned();
    for _ in 0..50 {
        body = format!(r#"{{"parentaccountid":{body}}}"#);
    }
    refused(
        &client.post("accounts", &body),
        400,
        "0x80060888",
        "depth limit",
    );
    assert!(client.service.rows("account").is_empty());
}

#[test]
fn a_create_binds_collections() {
    let client = Client::fresh();
    let task = client.create("tasks", "{}");
    let lead = client.create("leads", r#"{"subject":"L","lastname":"L"}"#);
    let body = json!({
        "Account_Tasks@odata.bind": [format!("tasks({task})")],
        "accountleads_association@odata.bind": [format!("/leads({lead})")]
    });
    let id = client.create("accounts", &body.to_string());
    assert_eq!(
        client.service.rows("task")[0]["_regardingobjectid_value"],
        id
    );
    assert_eq!(client.service.rows("accountleads")[0]["leadid"], lead);
    let wrong = json!({"Account_Tasks@odata.bind": [format!("leads({lead})")]}).to_string();
    refused(
        &client.post("accounts", &wrong),
        400,
        "0x80048d19",
        "not of the type",
    );
    let absent = json!({"Account_Tasks@odata.bind": [format!("tasks({ID})")]}).to_string();
    refused(
        &client.post("accounts", &absent),
        404,
        "0x80040217",
        "task With Id",
    );
}

#[test]
fn one_to_many_is_written_from_the_other_side() {
    let client = Client::fresh();
    let account = client.create("accounts", "{}");
    let opportunity = client.create("opportunities", r#"{"name":"O"}"#);
    let path = format!("accounts({account})/opportunity_customer_accounts");
    let customer = || client.service.rows("opportunity")[0]["_customerid_value"].clone();
    let target = format!("{BASE}/opportunities({opportunity})");
    assert_eq!(
        put(&client, "POST", &format!("{path}/$ref"), &target).status,
        204
    );
    assert_eq!(customer(), account);
    let out = delete(&client, &format!("{path}({opportunity})/$ref"));
    assert_eq!((out.status, customer()), (204, json!(null)));
    let again = delete(&client, &format!("{path}({opportunity})/$ref"));
    refused(&again, 404, "0x80040217", "opportunity With Id");

    assert_eq!(
        put(&client, "POST", &format!("{path}/$ref"), &target).status,
        204
    );
    let encoded = target.replace(':', "%3A").replace('/', "%2F");
    let out = delete(&client, &format!("{path}/$ref?$id={encoded}"));
    assert_eq!((out.status, customer()), (204, json!(null)));
}

#[test]
fn a_collection_takes_rows_of_its_type_by_absolute_urls() {
    let client = Client::fresh();
    let account = client.create("accounts", "{}");
    let opportunity = client.create("opportunities", r#"{"name":"O"}"#);
    let path = format!("accounts({account})/opportunity_customer_accounts");
    let target = format!("{BASE}/opportunities({opportunity})");
    let relative = format!("opportunities({opportunity})");
    let answer = put(&client, "POST", &format!("{path}/$ref"), &relative);
    refused(&answer, 400, "0x80048d19", "A relative URI value");
    let wrong = put(
        &client,
        "POST",
        &format!("{path}/$ref"),
        &format!("{BASE}/accounts({account})"),
    );
    refused(&wrong, 400, "0x80048d19", "not of the type");
    let read_only = format!(
        "systemusers({})/lk_opportunity_createdby/$ref",
        user(&client)
    );
    refused(
        &put(&client, "POST", &read_only, &target),
        400,
        "0x80041a02",
        "createdby",
    );
    for (method, path) in [
        ("PUT", format!("{path}/$ref")),
        ("DELETE", format!("{path}({opportunity})")),
        ("PATCH", format!("{path}({opportunity})")),
        ("POST", path.clone()),
        ("POST", format!("accounts({account})/primarycontactid/$ref")),
    ] {
        assert_eq!(
            put(&client, method, &path, &target).status,
            405,
            "{method} {path}"
        );
    }
    refused(
        &delete(&client, &format!("{path}/$ref")),
        400,
        "0x80060888",
        "query syntax",
    );
}

fn user(client: &Client) -> String {
    let user = client.service.client().user_id().unwrap();
    user.to_string()
}

#[test]
fn many_to_many_is_a_pair() {
    let client = Client::fresh();
    let account = client.create("accounts", "{}");
    let lead = client.create("leads", r#"{"subject":"L","lastname":"L"}"#);
    let from_account = format!("accounts({account})/{LEADS}");
    let from_lead = format!("leads({lead})/{LEADS}");
    let lead_url = format!("{BASE}/leads({lead})");
    let account_url = format!("{BASE}/accounts({account})");
    let pairs = || client.service.rows("accountleads").len();
    assert_eq!(
        put(&client, "POST", &format!("{from_account}/$ref"), &lead_url).status,
        204
    );
    for (path, target) in [(&from_account, &lead_url), (&from_lead, &account_url)] {
        let answer = put(&client, "POST", &format!("{path}/$ref"), target);
        refused(&answer, 412, "0x80040237", "Cannot insert duplicate key.");
    }
    assert_eq!(pairs(), 1);
    assert_eq!(client.query("accountleadscollection")[0]["leadid"], lead);
    assert_eq!(
        delete(&client, &format!("{from_lead}({account})/$ref")).status,
        204
    );
    assert_eq!(pairs(), 0);
    refused(
        &delete(&client, &format!("{from_lead}({account})/$ref")),
        404,
        "0x80040217",
        "",
    );
    put(&client, "POST", &format!("{from_lead}/$ref"), &account_url);
    assert_eq!(
        delete(&client, &format!("{from_account}/$ref?$id={lead_url}")).status,
        204
    );
    assert_eq!(pairs(), 0);
    let team = client.service.rows("team")[0]["teamid"]
        .as_str()
        .unwrap()
        .to_owned();
    let member = format!("{BASE}/systemusers({})", user(&client));
    let answer = put(
        &client,
        "POST",
        &format!("teams({team})/{TEAMS}/$ref"),
        &member,
    );
    assert_eq!(answer.status, 204, "{}", text(&answer));
}

#[test]
fn a_change_set_associates_what_it_made() {
    let client = Client::fresh();
    let part = |id: u8, line: &str, body: &str| {
        format!(
            "--set\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
             Content-ID: {id}\r\n\r\n{line} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n\
             {body}\r\n"
        )
    };
    let body = format!(
        "--batch_A\r\nContent-Type: multipart/mixed; boundary=set\r\n\r\n{}{}{}{}--set--\r\n--batch_A--\r\n",
        part(1, "POST /api/data/v9.2/accounts", "{}"),
        part(2, "POST /api/data/v9.2/contacts", "{}"),
        part(
            3,
            "POST $1/contact_customer_accounts/$ref",
            r#"{"@odata.id":"$2"}"#
        ),
        part(4, "PUT $1/primarycontactid/$ref", r#"{"@odata.id":"$2"}"#),
    );
    let answer = client.batch(&[], &body);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let (account, contact) = (
        &client.service.rows("account")[0],
        &client.service.rows("contact")[0],
    );
    assert_eq!(contact["_parentcustomerid_value"], account["accountid"]);
    assert_eq!(account["_primarycontactid_value"], contact["contactid"]);
}

#[test]
fn associations_ask_for_their_privileges() {
    for privilege in ["prvAppendAccount", "prvAppendToLead"] {
        let privileges = Privileges::AllBut(vec![privilege.to_owned()]);
        let client = Client::with(Options {
            clients: vec![ClientOptions {
                privileges,
                ..ClientOptions::default()
            }],
            ..Options::default()
        });
        let account = client.create("accounts", "{}");
        let lead = client.create("leads", r#"{"subject":"L","lastname":"L"}"#);
        let path = format!("accounts({account})/{LEADS}/$ref");
        let answer = put(&client, "POST", &path, &format!("{BASE}/leads({lead})"));
        refused(&answer, 403, "0x80040220", privilege);
        let body = format!(r#"{{"{LEADS}@odata.bind":["leads({lead})"]}}"#);
        refused(
            &client.post("accounts", &body),
            403,
            "0x80040220",
            privilege,
        );
        let body = format!(r#"{{"{LEADS}":[{{"subject":"L"}}]}}"#);
        refused(
            &client.post("accounts", &body),
            403,
            "0x80040220",
            privilege,
        );
    }
}

#[test]
fn a_delete_lets_go_of_what_points_to_the_row() {
    let client = Client::fresh();
    let contact = client.create("contacts", r#"{"lastname":"C"}"#);
    let body = json!({
        "primarycontactid@odata.bind": format!("contacts({contact})"),
        "accountleads_association": [{"subject": "L", "lastname": "L"}]
    });
    let account = client.create("accounts", &body.to_string());
    let case =
        json!({"title": "T", "customerid_contact@odata.bind": format!("contacts({contact})")});
    let case = client.create("incidents", &case.to_string());
    refused(
        &delete(&client, &format!("contacts({contact})")),
        405,
        "0x80040227",
        "The object you tried to delete is associated with another object",
    );
    let before = json(&client.get(&format!("accounts({account})")));
    assert_eq!(before["_primarycontactid_value"], contact);
    assert_eq!(delete(&client, &format!("incidents({case})")).status, 204);
    assert_eq!(delete(&client, &format!("contacts({contact})")).status, 204);
    let after = json(&client.get(&format!("accounts({account})")));
    assert_eq!(after["_primarycontactid_value"], json!(null));
    assert_ne!(after["@odata.etag"], before["@odata.etag"]);
    assert_eq!(client.service.rows("accountleads").len(), 1);
    assert_eq!(delete(&client, &format!("accounts({account})")).status, 204);
    assert!(client.service.rows("accountleads").is_empty());
    let path = format!("systemusers({})", user(&client));
    refused(&delete(&client, &path), 405, "0x80040227", "");
}

#[test]
fn single_properties_are_written_as_json() {
    let client = Client::fresh();
    let id = client.create("accounts", r#"{"name":"A","description":"D","revenue":5}"#);
    let path = |name: &str| format!("accounts({id})/{name}");
    let body = r#"{"value":"B"}"#;
    assert_eq!(client.request("PUT", &path("name"), &[], body).status, 204);
    let answer = client.get(&path("name"));
    let context = format!("{BASE}/$metadata#accounts({id})/name");
    assert_eq!(
        json(&answer),
        json!({"@odata.context": context, "value": "B"})
    );
    assert_eq!(text(&client.get(&path("name/$value"))), "B");
    assert_eq!(delete(&client, &path("description")).status, 204);
    assert_eq!(client.get(&path("description")).status, 204);
    let bare = client.request("PUT", &path("name"), &[("Content-Type", "text/plain")], "");
    assert_eq!(bare.status, 415);
    refused(
        &client.request("PUT", &path("name"), &[], "{}"),
        400,
        "0x80048d19",
        "'value'",
    );
    let lookup = client.request("PUT", &path("_primarycontactid_value"), &[], body);
    refused(&lookup, 400, "0x80060888", "direct update");
    refused(&client.get(&path("nothing")), 404, "0x8006088a", "nothing");
    refused(
        &client.request("PATCH", &path("name"), &[], body),
        405,
        "",
        "PATCH",
    );
    refused(
        &client.request("PUT", &path("name/$value"), &[], body),
        405,
        "",
        "PUT",
    );
}

#[test]
fn a_single_property_heeds_conditions() {
    let client = Client::fresh();
    let id = client.create("accounts", r#"{"name":"A"}"#);
    let path = format!("accounts({id})/name");
    let row = json(&client.get(&format!("accounts({id})")));
    let tag = row["@odata.etag"].as_str().unwrap();
    let put =
        |condition: (&str, &str)| client.request("PUT", &path, &[condition], r#"{"value":"B"}"#);
    assert_eq!(put(("If-Match", tag)).status, 204);
    refused(&put(("If-Match", tag)), 412, "0x80060882", "RowVersion");
    assert_eq!(put(("If-None-Match", "*")).status, 400);
    assert_eq!(put(("If-Match", "*")).status, 204);
}
