//! Actions: states with messages of their own, qualified leads, jobs that delete.

use segue_emulator::{ClientOptions, Options, Privileges, Response};
use serde_json::{Value, json};

use crate::client::*;

const ID: &str = "00000000-0000-0000-0000-000000000001";

fn state(client: &Client, table: &str) -> (Value, Value) {
    let row = &client.service.rows(table)[0];
    (row["statecode"].clone(), row["statuscode"].clone())
}

fn close(client: &Client, action: &str, status: i32, id: &str) -> Response {
    let (parameter, table, set) = match action {
        "CloseIncident" => ("IncidentResolution", "incident", "incidents"),
        _ => ("OpportunityClose", "opportunity", "opportunities"),
    };
    let activity = json!({
        "@odata.type": format!("Microsoft.Dynamics.CRM.{}", parameter.to_lowercase()),
        "subject": "Done",
        format!("{table}id@odata.bind"): format!("{set}({id})"),
    });
    client.post(
        action,
        &json!({"Status": status, parameter: activity}).to_string(),
    )
}

fn case(client: &Client) -> String {
    let account = client.create("accounts", "{}");
    let body =
        json!({"title": "C", "customerid_account@odata.bind": format!("accounts({account})")});
    client.create("incidents", &body.to_string())
}

#[test]
fn opportunities_are_won_and_lost() {
    for (action, status, expected) in [
        ("WinOpportunity", 3, (1, 3)),
        ("WinOpportunity", -1, (1, 3)),
        ("LoseOpportunity", 5, (2, 5)),
        ("LoseOpportunity", -1, (2, 4)),
    ] {
        let client = Client::fresh();
        let id = client.create("opportunities", r#"{"name":"O"}"#);
        let answer = close(&client, action, status, &id);
        assert_eq!(
            (answer.status, answer.body.len()),
            (204, 0),
            "{}",
            text(&answer)
        );
        let expected = (json!(expected.0), json!(expected.1));
        assert_eq!(state(&client, "opportunity"), expected, "{action}");
        let activity = &client.query("opportunitycloses")[0];
        assert_eq!(
            (&activity["subject"], &activity["_opportunityid_value"]),
            (&json!("Done"), &json!(id))
        );
        let again = close(&client, action, status, &id);
        refused(
            &again,
            400,
            "0x80040515",
            "The opportunity is already closed.",
        );
        let path = format!("opportunities({id})");
        let locked = client.patch(&path, r#"{"name":"P"}"#);
        refused(&locked, 400, "0x80040230", "inactive");
        assert_eq!(
            client
                .patch(&path, r#"{"statecode":0,"statuscode":1}"#)
                .status,
            204
        );
        assert_eq!(close(&client, action, status, &id).status, 204);
    }
}

#[test]
fn an_action_takes_only_what_it_knows() {
    let client = Client::fresh();
    let id = client.create("opportunities", r#"{"name":"O"}"#);
    let status = close(&client, "WinOpportunity", 4, &id);
    refused(
        &status,
        400,
        "0x80048408",
        "4 is not a valid status code for state code OpportunityState.Won",
    );
    refused(
        &close(&client, "WinOpportunity", 3, ID),
        404,
        "0x80040217",
        "opportunity With Id",
    );
    for (body, code, told) in [
        ("{}", "0x80048d19", "'Status'"),
        (
            r#"{"Status":"3","OpportunityClose":{}}"#,
            "0x80048d19",
            "'Status'",
        ),
        (r#"{"Status":3}"#, "0x80048d19", "'OpportunityClose'"),
        (
            r#"{"Status":3,"OpportunityClose":{}}"#,
            "0x80040203",
            "opportunityid",
        ),
        (
            r#"{"Status":3,"OpportunityClose":{"nothing":1}}"#,
            "0x0",
            "Invalid property",
        ),
        (
            r#"{"Status":3,"Other":1}"#,
            "0x80048d19",
            "not a valid parameter",
        ),
    ] {
        refused(&client.post("WinOpportunity", body), 400, code, told);
    }
    refused(&client.get("WinOpportunity"), 404, "", "No HTTP resource");
    refused(
        &client.post("winopportunity", "{}"),
        404,
        "0x8006088a",
        "winopportunity",
    );
    assert_eq!(state(&client, "opportunity"), (json!(0), json!(1)));
    assert!(client.service.rows("opportunityclose").is_empty());
}

#[test]
fn a_case_is_closed_when_nothing_under_it_is_open() {
    let client = Client::fresh();
    let id = case(&client);
    let regarding =
        json!({"regardingobjectid_incident_task@odata.bind": format!("incidents({id})")});
    let task = client.create("tasks", &regarding.to_string());
    let told = "The case cannot be closed because it has open activities.";
    refused(
        &close(&client, "CloseIncident", 5, &id),
        400,
        "0x8004440a",
        told,
    );
    client.patch(
        &format!("tasks({task})"),
        r#"{"statecode":1,"statuscode":5}"#,
    );
    assert_eq!(close(&client, "CloseIncident", 5, &id).status, 204);
    assert_eq!(state(&client, "incident"), (json!(1), json!(5)));
    let again = close(&client, "CloseIncident", 5, &id);
    refused(&again, 400, "0x80044411", "Already Closed or Canceled");
    let canceled = close(&client, "CloseIncident", 6, &case(&client));
    refused(&canceled, 400, "0x80048408", "IncidentState.Resolved");
}

#[test]
fn a_case_waits_for_its_children() {
    let client = Client::fresh();
    let parent = case(&client);
    let child = case(&client);
    let body = json!({"parentcaseid@odata.bind": format!("incidents({parent})")}).to_string();
    assert_eq!(
        client.patch(&format!("incidents({child})"), &body).status,
        204
    );
    refused(
        &close(&client, "CloseIncident", 5, &parent),
        400,
        "0x8004f456",
        "child cases",
    );
    assert_eq!(close(&client, "CloseIncident", 1000, &child).status, 204);
    assert_eq!(close(&client, "CloseIncident", 5, &parent).status, 204);
}

#[test]
fn actions_ask_for_privileges_and_leave_nothing_when_refused() {
    let privileges = Privileges::AllBut(vec!["prvWriteOpportunity".to_owned()]);
    let client = Client::with(Options {
        clients: vec![ClientOptions {
            privileges,
            ..ClientOptions::default()
        }],
        ..Options::default()
    });
    let id = client.create("opportunities", r#"{"name":"O"}"#);
    let answer = close(&client, "WinOpportunity", 3, &id);
    refused(&answer, 403, "0x80040220", "prvWriteOpportunity");
    assert!(client.service.rows("opportunityclose").is_empty());
}

#[test]
fn a_lead_is_qualified_into_rows() {
    let client = Client::fresh();
    let body = r#"{"subject":"Bikes","firstname":"Ann","lastname":"Lee","companyname":"Contoso","emailaddress1":"ann@x.example","address1_city":"Bern"}"#;
    let id = client.create("leads", body);
    let path = format!("leads({id})/Microsoft.Dynamics.CRM.QualifyLead");
    let body = r#"{"CreateAccount":true,"CreateContact":true,"CreateOpportunity":true,"Status":3}"#;
    let answer = client.post(&path, body);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let made = json(&answer)["value"].clone();
    let types: Vec<&str> = made
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["@odata.type"].as_str().unwrap())
        .collect();
    let expected =
        ["account", "contact", "opportunity"].map(|it| format!("#Microsoft.Dynamics.CRM.{it}"));
    assert_eq!(types, expected);
    assert_eq!(made[0]["name"], "Contoso");
    assert_eq!(
        (&made[1]["fullname"], &made[1]["address1_city"]),
        (&json!("Ann Lee"), &json!("Bern"))
    );
    assert_eq!(made[1]["_parentcustomerid_value"], made[0]["accountid"]);
    assert_eq!(
        (&made[2]["name"], &made[2]["_originatingleadid_value"]),
        (&json!("Bikes"), &json!(id))
    );
    assert_eq!(state(&client, "lead"), (json!(1), json!(3)));
    refused(&client.post(&path, body), 400, "0x80040230", "inactive");
    refused(&client.get(&path), 404, "", "No HTTP resource");
    refused(&client.post(&path, "{}"), 400, "0x80048d19", "'Status'");

    let id = client.create("leads", r#"{"subject":"S","lastname":"L"}"#);
    let path = format!("leads({id})/Microsoft.Dynamics.CRM.QualifyLead");
    let body =
        r#"{"CreateAccount":false,"CreateContact":false,"CreateOpportunity":false,"Status":3}"#;
    assert_eq!(json(&client.post(&path, body))["value"], json!([]));
}

fn job(table: &str, criteria: &Value) -> String {
    json!({
        "QuerySet": [{
            "@odata.type": "Microsoft.Dynamics.CRM.QueryExpression",
            "EntityName": table,
            "ColumnSet": {"AllColumns": false, "Columns": []},
            "Criteria": criteria,
        }],
        "JobName": "Clean up",
        "SendEmailNotification": false,
        "ToRecipients": [],
        "CCRecipients": [],
        "RecurrencePattern": "",
        "StartDateTime": "2024-05-01T00:00:00Z",
    })
    .to_string()
}

fn names(client: &Client) -> Vec<String> {
    let rows = client.service.rows("contact");
    let names = rows
        .iter()
        .map(|row| row["lastname"].as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_job_deletes_the_rows_of_its_query() {
    let client = Client::fresh();
    let ids = ["A", "B", "C", "O'D"]
        .map(|name| client.create("contacts", &json!({"lastname": name}).to_string()));
    let body = json!({"customerid_contact@odata.bind": format!("contacts({})", ids[0])});
    client.create("incidents", &body.to_string());
    let values: Vec<Value> = ids[..2]
        .iter()
        .map(|id| json!({"Value": id, "Type": "System.Guid"}))
        .collect();
    let criteria = json!({"FilterOperator": "And", "Conditions": [
        {"AttributeName": "contactid", "Operator": "In", "Values": values}
    ]});
    let answer = client.post("BulkDelete", &job("contact", &criteria));
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let body = json(&answer);
    assert_eq!(
        body["@odata.context"],
        format!("{BASE}/$metadata#Microsoft.Dynamics.CRM.BulkDeleteResponse")
    );
    // A customer of a case stays.
    assert_eq!(names(&client), ["A", "C", "O'D"]);
    let job_id = body["JobId"].as_str().unwrap();
    let polled = json(&client.get(&format!(
        "asyncoperations({job_id})?$select=statecode,statuscode"
    )));
    assert_eq!(
        (&polled["statecode"], &polled["statuscode"]),
        (&json!(3), &json!(30))
    );
    let operation = &client.query(&format!(
        "bulkdeleteoperations?$filter=_asyncoperationid_value eq {job_id}"
    ))[0];
    assert_eq!(
        (&operation["successcount"], &operation["failurecount"]),
        (&json!(1), &json!(1))
    );

    let criteria = json!({"FilterOperator": "Or", "Filters": [{"Conditions": [
        {"AttributeName": "lastname", "Operator": "Equal", "Values": [{"Value": "O'D", "Type": "System.String"}]},
        {"AttributeName": "statecode", "Operator": "Equal", "Values": [{"Value": 0, "Type": "System.Int32"}]},
        {"AttributeName": "parentcustomerid", "Operator": "Null"}
    ]}]});
    assert_eq!(
        client.post("BulkDelete", &job("contact", &criteria)).status,
        200
    );
    assert_eq!(names(&client), ["A", "C"]);
}

#[test]
fn a_job_that_cannot_be_read_is_refused() {
    let client = Client::fresh();
    client.create("contacts", r#"{"lastname":"A"}"#);
    let condition = |column: &str, operator: &str, value: &Value| {
        let values = json!([value]);
        json!({"Conditions": [{"AttributeName": column, "Operator": operator, "Values": values}]})
    };
    let guid = |text: &str| json!({"Value": text, "Type": "System.Guid"});
    for (table, criteria, status, code) in [
        ("nothing", json!({}), 404, "0x80041102"),
        ("sdkmessage", json!({}), 400, "0x80100008"),
        (
            "contact",
            condition("nothing", "Equal", &guid(ID)),
            400,
            "0x80041103",
        ),
        (
            "contact",
            condition("contactid", "Equal", &guid("x y")),
            400,
            "0x80048d19",
        ),
        (
            "contact",
            condition("contactid", "Equal", &guid("x")),
            400,
            "0x80060888",
        ),
        (
            "contact",
            condition("contactid", "Equal", &json!(ID)),
            400,
            "0x80048d19",
        ),
        (
            "contact",
            condition("contactid", "Unheard", &guid(ID)),
            501,
            "0x80100008",
        ),
    ] {
        refused(
            &client.post("BulkDelete", &job(table, &criteria)),
            status,
            code,
            "",
        );
    }
    let incomplete = json!({"QuerySet": [], "JobName": "x"}).to_string();
    refused(
        &client.post("BulkDelete", &incomplete),
        400,
        "0x80048d19",
        "missing",
    );
    assert_eq!(names(&client), ["A"]);
    assert!(client.service.rows("asyncoperation").is_empty());
}
