//! Many rows of one table in one request.

use segue_emulator::{ClientOptions, EffectKind, Options, Privileges, RepeatedTargets, Response};
use serde_json::{Value, json};

use crate::client::*;

const ID: &str = "00000000-0000-0000-0000-000000000001";
const OTHER: &str = "00000000-0000-0000-0000-000000000002";
const SENSORS: &str = "contoso_sensordatas";

/// A body of targets of one table.
fn targets(table: &str, rows: &[Value]) -> String {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        row["@odata.type"] = json!(format!("Microsoft.Dynamics.CRM.{table}"));
    }
    json!({ "Targets": rows }).to_string()
}

fn contacts(client: &Client, message: &str, rows: &[Value]) -> Response {
    let path = format!("contacts/Microsoft.Dynamics.CRM.{message}");
    client.post(&path, &targets("contact", rows))
}

fn sensors(client: &Client, message: &str, rows: &[Value]) -> Response {
    let prefer = [("Prefer", "odata.include-annotations=\"*\"")];
    let path = format!("{SENSORS}/Microsoft.Dynamics.CRM.{message}");
    client.request("POST", &path, &prefer, &targets("contoso_sensordata", rows))
}

fn names(client: &Client) -> Vec<Value> {
    let rows = client.service.rows("contact");
    let mut names: Vec<_> = rows.iter().map(|row| row["lastname"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    names
}

#[test]
fn creates_tell_their_ids_in_order() {
    let client = Client::fresh();
    let rows = [
        json!({"contactid": OTHER, "lastname": "A"}),
        json!({"lastname": "B"}),
        json!({"contactid": ID, "lastname": "C"}),
    ];
    let answer = contacts(&client, "CreateMultiple", &rows);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let body = json(&answer);
    let shape = "$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse";
    assert_eq!(body["@odata.context"], format!("{BASE}/{shape}"));
    let ids = body["Ids"].as_array().unwrap();
    assert_eq!((&ids[0], &ids[2]), (&json!(OTHER), &json!(ID)));
    let second = client.get(&format!("contacts({})", ids[1].as_str().unwrap()));
    assert_eq!(json(&second)["lastname"], "B");
}

#[test]
fn updates_and_upserts_answer_without_a_body() {
    let client = Client::fresh();
    client.create(
        "contacts",
        &json!({"contactid": ID, "lastname": "A"}).to_string(),
    );
    let answer = contacts(
        &client,
        "UpdateMultiple",
        &[json!({"contactid": ID, "lastname": "B"})],
    );
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.get("OData-Version"), Some("4.0"));
    let rows = [
        json!({"contactid": ID, "lastname": "C"}),
        json!({"contactid": OTHER, "lastname": "D"}),
        json!({"@odata.id": "contacts(emailaddress1='e@x.example')", "lastname": "E"}),
        json!({"lastname": "F"}),
    ];
    let answer = contacts(&client, "UpsertMultiple", &rows);
    assert_eq!(
        (answer.status, answer.body.len()),
        (204, 0),
        "{}",
        text(&answer)
    );
    assert_eq!(names(&client), ["C", "D", "E", "F"]);
    let by_key = json(&client.get("contacts(emailaddress1='e@x.example')"));
    assert_eq!(by_key["lastname"], "E");
    let renamed = json!({"@odata.id": "contacts(emailaddress1='E@x.example')", "lastname": "G"});
    assert_eq!(contacts(&client, "UpdateMultiple", &[renamed]).status, 204);
    assert_eq!(names(&client), ["C", "D", "F", "G"]);
}

#[test]
fn one_bad_row_fails_all_of_a_standard_table() {
    let client = Client::fresh();
    client.create(
        "contacts",
        &json!({"contactid": ID, "lastname": "A"}).to_string(),
    );
    let good = json!({"lastname": "B"});
    let long = json!({"lastname": "x".repeat(51)});
    let taken = json!({"contactid": ID});
    for (message, bad, status, code, told) in [
        ("CreateMultiple", &long, 400, "0x80044331", "'lastname'"),
        (
            "CreateMultiple",
            &taken,
            412,
            "0x80040237",
            "Cannot insert duplicate key.",
        ),
        ("UpsertMultiple", &long, 400, "0x80044331", "'lastname'"),
    ] {
        let answer = contacts(&client, message, &[good.clone(), bad.clone()]);
        refused(&answer, status, code, told);
        assert_eq!(names(&client), ["A"]);
    }
    let known = json!({"contactid": ID, "lastname": "B"});
    let missing = json!({"contactid": OTHER, "lastname": "B"});
    let answer = contacts(&client, "UpdateMultiple", &[known.clone(), missing]);
    let told = format!("Contact With Ids = {OTHER} Do Not Exist");
    refused(&answer, 404, "0x80040217", &told);
    let missing = json!({"@odata.id": "contacts(emailaddress1='no@x.example')"});
    let answer = contacts(&client, "UpdateMultiple", &[known, missing]);
    refused(&answer, 404, "0x80060891", "specified key values");
    assert_eq!(names(&client), ["A"]);
    assert_eq!(client.service.journal().len(), 1);
}

#[test]
fn a_key_column_in_the_body_fails_only_creates() {
    let client = Client::fresh();
    let rows = [json!({
        "@odata.id": "contacts(emailaddress1='a@x.example')",
        "emailaddress1": "a@x.example",
        "lastname": "A"
    })];
    let answer = contacts(&client, "UpsertMultiple", &rows);
    refused(&answer, 400, "0x80040216", "An unexpected error occurred.");
    client.create("contacts", r#"{"emailaddress1":"a@x.example"}"#);
    assert_eq!(contacts(&client, "UpsertMultiple", &rows).status, 204);
    assert_eq!(names(&client), ["A"]);
}

#[test]
fn no_row_stands_twice_in_a_request() {
    let client = Client::fresh();
    client.create(
        "contacts",
        &json!({"contactid": ID, "emailaddress1": "café@x.example"}).to_string(),
    );
    let by_id = json!({"contactid": ID});
    let by_key = json!({"@odata.id": "contacts(emailaddress1='CAFE@x.example')"});
    for message in ["UpdateMultiple", "UpsertMultiple"] {
        let answer = contacts(&client, message, &[by_id.clone(), by_key.clone()]);
        refused(&answer, 400, "0x80040203", "stands twice");
    }
    let new = json!({"@odata.id": "contacts(emailaddress1='new@x.example')"});
    let answer = contacts(&client, "UpsertMultiple", &[new.clone(), new]);
    refused(&answer, 400, "0x80040203", "stands twice");
    assert_eq!(client.service.rows("contact").len(), 1);
}

#[test]
fn the_last_target_of_a_row_counts_where_that_is_chosen() {
    let client = Client::with(Options {
        repeated_targets: RepeatedTargets::LastWins,
        ..Options::default()
    });
    let row = |name: &str| json!({"@odata.id": "contacts(emailaddress1='a@x.example')", "lastname": name});
    assert_eq!(
        contacts(&client, "UpsertMultiple", &[row("A"), row("B")]).status,
        204
    );
    assert_eq!(names(&client), ["B"]);
}

#[test]
fn a_request_must_be_what_the_message_takes() {
    let client = Client::fresh();
    let path = "contacts/Microsoft.Dynamics.CRM.CreateMultiple";
    let typed = |row: &str| {
        format!(r#"{{"Targets":[{{"@odata.type":"Microsoft.Dynamics.CRM.contact",{row}}}]}}"#)
    };
    for (body, told) in [
        ("{}".to_owned(), "is missing or not of its type"),
        (r#"{"Targets":[]}"#.to_owned(), "at least one row"),
        (
            r#"{"Targets":{}}"#.to_owned(),
            "is missing or not of its type",
        ),
        (r#"{"Targets":[1]}"#.to_owned(), "Invalid JSON"),
        (r#"{"targets":[]}"#.to_owned(), "The parameter 'targets'"),
        (r#"{"Targets":[{}]}"#.to_owned(), "no '@odata.type'"),
        (
            r#"{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.account"}]}"#.to_owned(),
            "not assignable to the expected type",
        ),
        (typed(r#""@odata.id":"contacts(1)""#), ""),
        (typed(r#""@odata.id":"accounts(accountnumber='1')""#), ""),
        ("x".to_owned(), "Invalid JSON"),
    ] {
        let answer = client.post(path, &body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(text(&answer).contains(told), "{body}: {}", text(&answer));
    }
    let deep = typed(r#""parentcustomerid_account":{"name":"A"}"#);
    refused(&client.post(path, &deep), 400, "0x80060888", "Deep insert");
    refused(&client.get(path), 404, "", "No HTTP resource was found");
    let unknown = "contacts/Microsoft.Dynamics.CRM.CreateMany";
    refused(&client.post(unknown, "{}"), 404, "0x8006088a", "CreateMany");
    let nameless = contacts(&client, "UpdateMultiple", &[json!({"lastname": "A"})]);
    refused(
        &nameless,
        400,
        "0x80040203",
        "neither 'contactid' nor '@odata.id'",
    );
}

#[test]
fn a_table_without_the_message_says_so() {
    let client = Client::fresh();
    let body = targets("team", &[json!({"name": "T"})]);
    let answer = client.post("teams/Microsoft.Dynamics.CRM.UpsertMultiple", &body);
    let told = "UpsertMultiple is not enabled on the entity team";
    refused(&answer, 400, "0x80100008", told);
    let answer = contacts(&client, "DeleteMultiple", &[json!({"contactid": ID})]);
    refused(
        &answer,
        501,
        "",
        "DeleteMultiple has not yet been implemented.",
    );
}

#[test]
fn clients_learn_which_table_takes_which_message() {
    let client = Client::fresh();
    let taken = |message: &str, table: &str| {
        let messages = client.query(&format!("sdkmessages?$filter=name eq '{message}'"));
        let id = messages[0]["sdkmessageid"].as_str().unwrap().to_owned();
        let filter = format!("_sdkmessageid_value eq {id} and primaryobjecttypecode eq '{table}'");
        !client
            .query(&format!("sdkmessagefilters?$filter={filter}"))
            .is_empty()
    };
    for (message, table, expected) in [
        ("CreateMultiple", "contact", true),
        ("UpsertMultiple", "lead", true),
        ("UpdateMultiple", "new_subscription", true),
        ("CreateMultiple", "team", false),
        ("DeleteMultiple", "contact", false),
        ("DeleteMultiple", "contoso_sensordata", true),
        ("Create", "team", true),
        ("Create", "teammembership", false),
        ("Retrieve", "teammembership", true),
    ] {
        assert_eq!(taken(message, table), expected, "{message} {table}");
    }
}

#[test]
fn rows_of_the_service_are_not_written() {
    let client = Client::fresh();
    let refuse = |method: &str, path: &str, verb: &str| {
        let answer = client.request(method, path, &[], "{}");
        let told = format!("The '{verb}' method does not support entities of type");
        refused(&answer, 400, "0x80100008", &told);
    };
    refuse("POST", "teammemberships", "Create");
    refuse("POST", "asyncoperations", "Create");
    refuse("PATCH", &format!("sdkmessages({ID})"), "Update");
    refuse("DELETE", &format!("sdkmessagefilters({ID})"), "Delete");
}

#[test]
fn an_elastic_table_takes_what_it_can() {
    let client = Client::fresh();
    let rows = [
        json!({"contoso_deviceid": "a"}),
        json!({"contoso_sensordataid": ID, "contoso_deviceid": "x".repeat(101)}),
        json!({"contoso_sensordataid": OTHER, "partitionid": "p", "contoso_deviceid": "b"}),
        json!({"contoso_sensordataid": OTHER, "partitionid": "p"}),
    ];
    let answer = sensors(&client, "CreateMultiple", &rows);
    refused(&answer, 400, "0x80044331", "contoso_deviceid");
    let name = "@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails";
    let details = json(&answer)["error"][name].as_str().unwrap().to_owned();
    let details: Value = serde_json::from_str(&details).unwrap();
    assert_eq!(
        details,
        json!([
            {"RequestIndex": 1, "Id": ID, "StatusCode": 400},
            {"RequestIndex": 3, "Id": OTHER, "StatusCode": 412},
        ])
    );
    assert_eq!(client.service.rows("contoso_sensordata").len(), 2);
    let path = format!("{SENSORS}/Microsoft.Dynamics.CRM.CreateMultiple");
    let plain = client.post(&path, &targets("contoso_sensordata", &rows[1..2]));
    assert_eq!(json(&plain)["error"].as_object().unwrap().len(), 2);
}

#[test]
fn an_elastic_upsert_replaces_and_an_update_does_not() {
    let client = Client::fresh();
    let key = format!("{SENSORS}(contoso_sensordataid={ID},partitionid='p')");
    let row = |column: &str| {
        let row = json(&client.get(&key));
        row[column].clone()
    };
    let first = json!({"@odata.id": key, "contoso_deviceid": "a", "contoso_sensortype": "t"});
    assert_eq!(sensors(&client, "UpsertMultiple", &[first]).status, 204);
    let named = |more: Value| {
        let mut named = json!({"contoso_sensordataid": ID, "partitionid": "p"});
        named
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        named
    };
    let update = named(json!({"contoso_deviceid": "b"}));
    assert_eq!(sensors(&client, "UpdateMultiple", &[update]).status, 204);
    assert_eq!(
        (row("contoso_deviceid"), row("contoso_sensortype")),
        (json!("b"), json!("t"))
    );
    let upsert = named(json!({"contoso_deviceid": "c"}));
    assert_eq!(sensors(&client, "UpsertMultiple", &[upsert]).status, 204);
    assert_eq!(
        (row("contoso_deviceid"), row("contoso_sensortype")),
        (json!("c"), json!(null))
    );
    let gone = named(json!({}));
    assert_eq!(
        sensors(&client, "DeleteMultiple", std::slice::from_ref(&gone)).status,
        204
    );
    assert_eq!(client.get(&key).status, 404);
    let told = "With Ids =";
    refused(
        &sensors(&client, "DeleteMultiple", &[gone]),
        404,
        "0x80040217",
        told,
    );
}

#[test]
fn privileges_are_asked_of_every_row() {
    let lacking = |privilege: &str| {
        let client = ClientOptions {
            privileges: Privileges::AllBut(vec![privilege.to_owned()]),
            ..ClientOptions::default()
        };
        Client::with(Options {
            clients: vec![client],
            ..Options::default()
        })
    };
    let new = json!({"lastname": "A"});
    let client = lacking("prvCreateContact");
    for message in ["CreateMultiple", "UpsertMultiple"] {
        let answer = contacts(&client, message, std::slice::from_ref(&new));
        refused(&answer, 403, "0x80040220", "prvCreateContact");
    }
    let client = lacking("prvWriteContact");
    let known = json!({"contactid": ID});
    assert_eq!(
        contacts(&client, "UpsertMultiple", std::slice::from_ref(&known)).status,
        204
    );
    for message in ["UpdateMultiple", "UpsertMultiple"] {
        let answer = contacts(&client, message, &[new.clone(), known.clone()][1..]);
        refused(&answer, 403, "0x80040220", "prvWriteContact");
    }
    let client = lacking("prvDeletecontoso_SensorData");
    let row = json!({"contoso_sensordataid": ID});
    assert_eq!(
        sensors(&client, "CreateMultiple", std::slice::from_ref(&row)).status,
        200
    );
    let answer = sensors(&client, "DeleteMultiple", &[row]);
    refused(&answer, 403, "0x80040220", "prvDeletecontoso_SensorData");
}

#[test]
fn a_change_set_holds_bulk_messages_too() {
    let client = Client::fresh();
    let part = |id: u8, row: Value| {
        let body = targets("contact", &[row]);
        format!(
            "--set\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
             Content-ID: {id}\r\n\r\n\
             POST /api/data/v9.2/contacts/Microsoft.Dynamics.CRM.CreateMultiple HTTP/1.1\r\n\
             Content-Type: application/json\r\n\r\n{body}\r\n"
        )
    };
    let whole = |parts: &str| {
        format!(
            "--batch_A\r\nContent-Type: multipart/mixed; boundary=set\r\n\r\n{parts}--set--\r\n\
             --batch_A--\r\n"
        )
    };
    let good = part(1, json!({"lastname": "A"}));
    let bad = part(2, json!({"lastname": "x".repeat(51)}));
    let answer = client.batch(&[], &whole(&(good.clone() + &bad)));
    assert_eq!(answer.status, 400);
    assert!(client.service.rows("contact").is_empty());
    let answer = client.batch(&[], &whole(&good));
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert!(text(&answer).contains("CreateMultipleResponse"));
    let effects = client.service.journal();
    assert_eq!((effects.len(), effects[0].kind), (1, EffectKind::Create));
}
