//! Definitions that clients change while the environment runs.

use std::time::Duration;

use segue_emulator::{Options, Privileges, Response};
use serde_json::{Value, json};

use crate::client::*;

const VISITS: &str = "EntityDefinitions(LogicalName='new_visit')";
const CREATE_VISIT: &str = "CreateEntities";

fn label(text: &str) -> Value {
    json!({"@odata.type": "Microsoft.Dynamics.CRM.Label", "LocalizedLabels": [
        {"@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": text, "LanguageCode": 1033}]})
}

fn column(kind: &str, name: &str, more: &Value) -> Value {
    let mut column = json!({
        "@odata.type": format!("Microsoft.Dynamics.CRM.{kind}AttributeMetadata"),
        "SchemaName": name, "DisplayName": label(name), "RequiredLevel": {"Value": "None"},
    });
    for (member, value) in more.as_object().unwrap() {
        column[member] = value.clone();
    }
    column
}

fn visit() -> Value {
    json!({"@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata", "SchemaName": "new_Visit",
        "DisplayName": label("Visit"), "DisplayCollectionName": label("Visits"),
        "OwnershipType": "UserOwned", "IsActivity": false, "HasNotes": true, "HasActivities": false,
        "Attributes": [column("String", "new_Name", &json!({"IsPrimaryName": true, "MaxLength": 100}))]})
}

#[track_caller]
fn done(answer: &Response) {
    assert!(answer.status < 300, "{} {}", answer.status, text(answer));
}

fn with_visits() -> Client {
    let client = Client::fresh();
    done(&client.post("EntityDefinitions", &visit().to_string()));
    client
}

fn add(client: &Client, kind: &str, name: &str, more: &Value) -> Response {
    let body = column(kind, name, more).to_string();
    client.post(&format!("{VISITS}/Attributes"), &body)
}

fn definition(client: &Client, path: &str) -> Value {
    let answer = client.get(path);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    json(&answer)
}

#[test]
fn definitions_are_counted() {
    let client = Client::fresh();
    let found = definition(&client, "EntityDefinitions?$select=LogicalName&$count=true");
    let many = found["value"].as_array().unwrap().len();
    assert_eq!(found["@odata.count"], json!(many));
    let found = definition(
        &client,
        "EntityDefinitions(LogicalName='account')/Keys?$select=LogicalName&$count=true",
    );
    assert!(found["@odata.count"].is_u64(), "{found}");
}

#[test]
fn a_new_table_takes_rows_at_once() {
    let client = Client::fresh();
    let answer = client.post("EntityDefinitions", &visit().to_string());
    assert_eq!(answer.status, 204, "{}", text(&answer));
    let table = definition(&client, VISITS);
    let id = table["MetadataId"].as_str().unwrap();
    let address = format!("{BASE}/EntityDefinitions({id})");
    assert_eq!(answer.get("OData-EntityId"), Some(address.as_str()));
    assert_eq!(table["EntitySetName"], "new_visits");
    assert_eq!(table["PrimaryIdAttribute"], "new_visitid");
    assert_eq!(table["PrimaryNameAttribute"], "new_name");
    assert_eq!(table["DisplayName"]["UserLocalizedLabel"]["Label"], "Visit");
    let row = client.create("new_visits", r#"{"new_name": "first"}"#);
    let read = json(&client.get(&format!("new_visits({row})?$select=new_name")));
    assert_eq!(read["new_name"], "first");
    let supported = "sdkmessagefilters?$select=sdkmessagefilterid&$filter=sdkmessageid/name eq \
                     'UpsertMultiple' and primaryobjecttypecode eq 'new_visit'";
    assert_eq!(client.query(supported).len(), 1);
}

#[test]
fn columns_of_every_type_are_added() {
    let client = with_visits();
    let options = json!({"OptionSet": {"IsGlobal": false, "Options": [
        {"Value": 1, "Label": label("Good")}, {"Label": label("Bad")}]}});
    let wide =
        json!({"MinValue": -100_000_000_000.0, "MaxValue": 100_000_000_000.0, "Precision": 2});
    for (kind, name, more) in [
        (
            "String",
            "new_Code",
            json!({"MaxLength": 20, "FormatName": {"Value": "Text"}}),
        ),
        ("Memo", "new_Notes", json!({"MaxLength": 4000})),
        (
            "Integer",
            "new_Rating",
            json!({"MinValue": 1, "MaxValue": 5, "Format": "None"}),
        ),
        ("BigInt", "new_Big", json!({})),
        ("Decimal", "new_Share", wide.clone()),
        ("Double", "new_Weight", wide),
        ("Money", "new_Cost", json!({"PrecisionSource": 2})),
        (
            "DateTime",
            "new_Day",
            json!({"Format": "DateOnly", "DateTimeBehavior": {"Value": "DateOnly"}}),
        ),
        ("DateTime", "new_When", json!({"Format": "DateAndTime"})),
        ("Picklist", "new_Mood", options.clone()),
        ("MultiSelectPicklist", "new_Moods", options),
        (
            "Boolean",
            "new_Done",
            json!({"DefaultValue": true, "OptionSet": {
            "TrueOption": {"Value": 1, "Label": label("Done")},
            "FalseOption": {"Value": 0, "Label": label("Open")}}}),
        ),
    ] {
        let answer = add(&client, kind, name, &more);
        assert_eq!(answer.status, 204, "{name}: {}", text(&answer));
        assert!(
            answer
                .get("OData-EntityId")
                .unwrap()
                .contains("/Attributes(")
        );
    }
    values_of_every_type_are_kept(&client);
}

fn values_of_every_type_are_kept(client: &Client) {
    let row = client.create(
        "new_visits",
        r#"{"new_name": "n", "new_code": "c", "new_notes": "m", "new_rating": 5, "new_share": 1.25,
            "new_weight": 0.5, "new_cost": 10, "new_day": "2024-05-01",
            "new_when": "2024-05-01T10:00:00Z", "new_mood": 100000001, "new_moods": "1"}"#,
    );
    let read = json(&client.get(&format!("new_visits({row})")));
    assert_eq!(read["new_mood"], 100_000_001);
    assert_eq!(read["new_done"], true);
    assert_eq!(read["new_cost_base"], json!(10.0));
    let body = r#"{"new_rating": 6}"#;
    refused(
        &client.patch(&format!("new_visits({row})"), body),
        400,
        "0x8004432f",
        "",
    );
}

#[test]
fn several_tables_come_by_one_action_or_not_at_all() {
    let client = Client::fresh();
    let mut first = visit();
    first["@odata.type"] = "Microsoft.Dynamics.CRM.ComplexEntityMetadata".into();
    first["Attributes"][0]["@odata.type"] =
        "Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata".into();
    let mut second = first.clone();
    second["SchemaName"] = "new_City".into();
    let body = json!({"Entities": [first, second]}).to_string();
    done(&client.post(CREATE_VISIT, &body));
    assert_eq!(
        definition(&client, "EntityDefinitions(LogicalName='new_city')")["EntitySetName"],
        "new_cities"
    );
    let mut third = second;
    third["SchemaName"] = "new_Third".into();
    let body = json!({"Entities": [third, visit()]}).to_string();
    refused(
        &client.post(CREATE_VISIT, &body),
        400,
        "0x80047010",
        "already exists",
    );
    assert_eq!(
        client
            .get("EntityDefinitions(LogicalName='new_third')")
            .status,
        404
    );
}

#[test]
fn what_a_customizer_may_not_define_is_refused() {
    let client = with_visits();
    let mut table = visit();
    table["SchemaName"] = "Visit".into();
    let post = |body: &Value| client.post("EntityDefinitions", &body.to_string());
    refused(&post(&table), 400, "0x80044366", "customization prefix");
    refused(&post(&visit()), 400, "0x80047010", "already exists");
    table["SchemaName"] = "new_Other".into();
    table["Attributes"] = json!([]);
    refused(&post(&table), 400, "0x80044355", "PrimaryName");
    let again = add(&client, "String", "new_Name", &json!({}));
    refused(&again, 400, "0x80047013", "already exists");
    refused(
        &add(&client, "Lookup", "new_X", &json!({})),
        400,
        "0x80048d19",
        "RelationshipDefinitions",
    );
    refused(
        &add(&client, "Unheard", "new_X", &json!({})),
        400,
        "0x80048d19",
        "Unheard",
    );
    let long = add(&client, "String", "new_Long", &json!({"MaxLength": 4001}));
    refused(&long, 400, "0x8004023a", "length");
    for (method, path) in [
        ("PATCH", VISITS),
        ("DELETE", "EntityDefinitions"),
        ("PUT", "EntityDefinitions"),
        ("POST", VISITS),
    ] {
        let answer = client.request(method, path, &[], "{}");
        assert!(
            (400..500).contains(&answer.status),
            "{method} {path} {}",
            text(&answer)
        );
    }
}

#[test]
fn what_the_service_or_others_need_stays() {
    let client = with_visits();
    let gone = |path: &str| client.request("DELETE", path, &[("If-Match", "*")], "");
    let contact = "EntityDefinitions(LogicalName='contact')";
    refused(&gone(contact), 400, "0x8004f032", "Delete");
    let column = format!("{contact}/Attributes(LogicalName='firstname')");
    refused(&gone(&column), 400, "0x8004f032", "");
    let name = format!("{VISITS}/Attributes(LogicalName='new_name')");
    refused(&gone(&name), 400, "0x80047002", "");
    refused(
        &gone("EntityDefinitions(LogicalName='new_none')"),
        404,
        "0x80041102",
        "",
    );
}

#[test]
fn dropped_columns_and_tables_are_gone_and_may_come_again() {
    let client = with_visits();
    done(&add(
        &client,
        "String",
        "new_Code",
        &json!({"MaxLength": 20}),
    ));
    done(&add(
        &client,
        "String",
        "new_Other",
        &json!({"MaxLength": 20}),
    ));
    let row = client.create(
        "new_visits",
        r#"{"new_name": "n", "new_code": "c", "new_other": "o"}"#,
    );
    let gone = |path: &str| client.request("DELETE", path, &[("If-Match", "*")], "");
    let code = format!("{VISITS}/Attributes(LogicalName='new_code')");
    assert_eq!(gone(&code).status, 204);
    let read = json(&client.get(&format!("new_visits({row})")));
    assert_eq!(read.get("new_code"), None);
    assert_eq!(read["new_other"], "o");
    done(&add(&client, "Integer", "new_Code", &json!({})));
    let read = json(&client.get(&format!("new_visits({row})")));
    assert_eq!(read["new_code"], Value::Null);
    done(&client.patch(&format!("new_visits({row})"), r#"{"new_code": 5}"#));
    assert_eq!(gone(VISITS).status, 204);
    refused(&client.get("new_visits"), 404, "0x8006088a", "new_visits");
    done(&client.post("EntityDefinitions", &visit().to_string()));
    assert!(client.query("new_visits").is_empty());
    let told = client.service.journal();
    assert!(told.iter().any(|entry| entry.id.to_string() == row));
}

#[test]
fn limits_and_labels_are_changed_by_the_whole_definition() {
    let client = with_visits();
    done(&add(
        &client,
        "String",
        "new_Code",
        &json!({"MaxLength": 20}),
    ));
    let path = format!("{VISITS}/Attributes(LogicalName='new_code')");
    let typed = format!("{path}/Microsoft.Dynamics.CRM.StringAttributeMetadata");
    let mut body = definition(&client, &typed);
    body["@odata.type"] = "Microsoft.Dynamics.CRM.StringAttributeMetadata".into();
    body["MaxLength"] = 40.into();
    body["DisplayName"] = label("Number");
    let answer = client.request(
        "PUT",
        &path,
        &[("MSCRM.MergeLabels", "true")],
        &body.to_string(),
    );
    assert_eq!(answer.status, 204, "{}", text(&answer));
    let changed = definition(&client, &typed);
    assert_eq!(changed["MaxLength"], 40);
    assert_eq!(
        changed["DisplayName"]["UserLocalizedLabel"]["Label"],
        "Number"
    );
    body["@odata.type"] = "Microsoft.Dynamics.CRM.MemoAttributeMetadata".into();
    refused(
        &client.request("PUT", &path, &[], &body.to_string()),
        400,
        "0x8004023a",
        "type",
    );
    let mut table = definition(&client, VISITS);
    table["DisplayName"] = label("Call");
    done(&client.request("PUT", VISITS, &[], &table.to_string()));
    let label = &definition(&client, VISITS)["DisplayName"]["UserLocalizedLabel"]["Label"];
    assert_eq!(label, "Call");
}

fn lookup(delete: &str) -> Value {
    json!({"@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": "new_account_visit", "ReferencedEntity": "account",
        "ReferencingEntity": "new_visit", "ReferencedAttribute": "accountid",
        "CascadeConfiguration": {"Assign": "NoCascade", "Delete": delete, "Merge": "NoCascade",
            "Reparent": "NoCascade", "Share": "NoCascade", "Unshare": "NoCascade"},
        "Lookup": {"@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata",
            "SchemaName": "new_AccountId", "DisplayName": label("Account"),
            "RequiredLevel": {"Value": "ApplicationRequired"}}})
}

#[test]
fn a_relationship_brings_its_lookup_and_its_collection() {
    let client = with_visits();
    let account = client.create("accounts", r#"{"name": "A"}"#);
    let answer = client.post("RelationshipDefinitions", &lookup("RemoveLink").to_string());
    assert_eq!(answer.status, 204, "{}", text(&answer));
    let found = client.query("RelationshipDefinitions?$filter=SchemaName eq 'new_account_visit'");
    assert_eq!(
        found[0]["ReferencingEntityNavigationPropertyName"],
        "new_AccountId"
    );
    let address = answer.get("OData-EntityId").unwrap();
    assert!(address.contains(found[0]["MetadataId"].as_str().unwrap()));
    let body = format!(r#"{{"new_name": "n", "new_AccountId@odata.bind": "accounts({account})"}}"#);
    client.create("new_visits", &body);
    let expanded = json(&client.get(&format!(
        "accounts({account})?$expand=new_account_visit($select=new_name)"
    )));
    assert_eq!(expanded["new_account_visit"][0]["new_name"], "n");
    let path = "RelationshipDefinitions(SchemaName='new_account_visit')";
    assert_eq!(client.request("DELETE", path, &[], "").status, 204);
    let body = format!(r#"{{"new_name": "m", "new_AccountId@odata.bind": "accounts({account})"}}"#);
    refused(
        &client.post("new_visits", &body),
        400,
        "0x80048d19",
        "new_AccountId",
    );
    done(&client.request("DELETE", &format!("accounts({account})"), &[], ""));
}

#[test]
fn a_delete_cascades_where_the_relationship_says_so() {
    for (delete, status, left) in [
        ("RemoveLink", 204, 1),
        ("Restrict", 405, 1),
        ("Cascade", 204, 0),
    ] {
        let client = with_visits();
        done(&client.post("RelationshipDefinitions", &lookup(delete).to_string()));
        let account = client.create("accounts", r#"{"name": "A"}"#);
        let body =
            format!(r#"{{"new_name": "n", "new_AccountId@odata.bind": "accounts({account})"}}"#);
        client.create("new_visits", &body);
        let answer = client.request("DELETE", &format!("accounts({account})"), &[], "");
        assert_eq!(answer.status, status, "{delete}");
        assert_eq!(client.query("new_visits").len(), left, "{delete}");
    }
}

#[test]
fn rows_that_delete_each_other_go_once() {
    let client = with_visits();
    let mut to_self = lookup("Cascade");
    to_self["SchemaName"] = "new_visit_visit".into();
    to_self["ReferencedEntity"] = "new_visit".into();
    to_self["Lookup"]["SchemaName"] = "new_ParentId".into();
    done(&client.post("RelationshipDefinitions", &to_self.to_string()));
    let first = client.create("new_visits", r#"{"new_name": "1"}"#);
    let bind =
        |to: &str| format!(r#"{{"new_name": "x", "new_ParentId@odata.bind": "new_visits({to})"}}"#);
    let second = client.create("new_visits", &bind(&first));
    done(&client.patch(&format!("new_visits({first})"), &bind(&second)));
    done(&client.request("DELETE", &format!("new_visits({first})"), &[], ""));
    assert!(client.query("new_visits").is_empty());
}

#[test]
fn rows_are_paired_by_a_new_relationship_of_many_to_many() {
    let client = with_visits();
    let body = json!({"@odata.type": "Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata",
        "SchemaName": "new_visit_contact", "IntersectEntityName": "new_visit_contact",
        "Entity1LogicalName": "new_visit", "Entity2LogicalName": "contact"});
    done(&client.post("RelationshipDefinitions", &body.to_string()));
    let visit = client.create("new_visits", r#"{"new_name": "n"}"#);
    let contact = client.create("contacts", r#"{"lastname": "L"}"#);
    let target = json!({"@odata.id": format!("{BASE}/contacts({contact})")}).to_string();
    done(&client.post(
        &format!("new_visits({visit})/new_visit_contact/$ref"),
        &target,
    ));
    let found = client.query(&format!(
        "new_visits({visit})/new_visit_contact?$select=lastname"
    ));
    assert_eq!(found[0]["lastname"], "L");
    let gone = |path: &str| client.request("DELETE", path, &[], "");
    refused(&gone(VISITS), 400, "0x8004f01f", "new_visit_contact");
    done(&gone(
        "RelationshipDefinitions(SchemaName='new_visit_contact')",
    ));
    done(&gone(VISITS));
}

#[test]
fn global_choices_are_made_used_changed_and_removed() {
    let client = with_visits();
    let choice = |options: &Value| {
        json!({"@odata.type": "Microsoft.Dynamics.CRM.OptionSetMetadata", "Name": "new_mood",
            "DisplayName": label("Mood"), "IsGlobal": true, "OptionSetType": "Picklist",
            "Options": options})
        .to_string()
    };
    let two = json!([{"Value": 1, "Label": label("Good")}, {"Value": 2, "Label": label("Bad")}]);
    done(&client.post("GlobalOptionSetDefinitions", &choice(&json!([two[0]]))));
    let set = "GlobalOptionSetDefinitions(Name='new_mood')";
    let id = definition(&client, set)["MetadataId"].clone();
    let bind = format!("/GlobalOptionSetDefinitions({})", id.as_str().unwrap());
    done(&add(
        &client,
        "Picklist",
        "new_Mood",
        &json!({"GlobalOptionSet@odata.bind": bind}),
    ));
    done(&client.request("PUT", set, &[], &choice(&two)));
    client.create("new_visits", r#"{"new_name": "n", "new_mood": 2}"#);
    let gone = |path: &str| client.request("DELETE", path, &[], "");
    refused(&gone(set), 400, "0x80048417", "new_visit");
    done(&gone(&format!(
        "{VISITS}/Attributes(LogicalName='new_mood')"
    )));
    done(&gone(set));
    assert_eq!(client.get(set).status, 404);
}

fn key(client: &Client, columns: &Value) -> Response {
    let body = json!({"@odata.type": "Microsoft.Dynamics.CRM.EntityKeyMetadata",
        "SchemaName": "new_Code_Key", "DisplayName": label("Code"), "KeyAttributes": columns});
    client.post(&format!("{VISITS}/Keys"), &body.to_string())
}

fn status(client: &Client) -> Value {
    let key = definition(
        client,
        &format!("{VISITS}/Keys(LogicalName='new_code_key')"),
    );
    key["EntityKeyIndexStatus"].clone()
}

#[test]
fn a_new_key_cannot_be_used_until_its_index_is_built() {
    let client = with_visits();
    done(&add(
        &client,
        "String",
        "new_Code",
        &json!({"MaxLength": 20}),
    ));
    let answer = key(&client, &json!(["new_code"]));
    assert_eq!(answer.status, 204, "{}", text(&answer));
    // Clients take the first GUID of this address for that of the key.
    let address = answer.get("OData-EntityId").unwrap();
    assert!(
        address.starts_with(&format!("{BASE}/{VISITS}/Keys(")),
        "{address}"
    );
    assert_eq!(status(&client), "Pending");
    let row = "new_visits(new_code='a')";
    let upsert = || client.patch(row, r#"{"new_name": "n"}"#);
    refused(
        &upsert(),
        400,
        "0x80060888",
        "The key in the request URI is not valid",
    );
    client.service.advance(Duration::from_secs(1));
    assert_eq!(status(&client), "Active");
    done(&upsert());
    done(&upsert());
    assert_eq!(client.query("new_visits").len(), 1);
    let twin = client.post("new_visits", r#"{"new_name": "n", "new_code": "A"}"#);
    refused(&twin, 412, "0x80060892", "Entity Key Code violated");
    let gone = client.request(
        "DELETE",
        &format!("{VISITS}/Attributes(LogicalName='new_code')"),
        &[],
        "",
    );
    refused(&gone, 400, "0x8004f01f", "new_code_key");
    done(&client.request(
        "DELETE",
        &format!("{VISITS}/Keys(LogicalName='new_code_key')"),
        &[],
        "",
    ));
    refused(
        &upsert(),
        400,
        "0x80060888",
        "The key in the request URI is not valid",
    );
    client.create("new_visits", r#"{"new_name": "n", "new_code": "A"}"#);
}

#[test]
fn a_key_over_duplicates_fails_and_is_reactivated_once_they_are_gone() {
    let client = with_visits();
    done(&add(
        &client,
        "String",
        "new_Code",
        &json!({"MaxLength": 20}),
    ));
    client.create("new_visits", r#"{"new_name": "n", "new_code": "a"}"#);
    let twin = client.create("new_visits", r#"{"new_name": "n", "new_code": "A"}"#);
    done(&key(&client, &json!(["new_code"])));
    let body = json!({"EntityLogicalName": "new_visit", "EntityKeyLogicalName": "new_code_key"});
    let reactivate = || client.post("ReactivateEntityKey", &body.to_string());
    refused(
        &reactivate(),
        400,
        "0x80060897",
        "only supported for failed job",
    );
    client.service.advance(Duration::from_secs(1));
    assert_eq!(status(&client), "Failed");
    done(&client.request("DELETE", &format!("new_visits({twin})"), &[], ""));
    assert_eq!(reactivate().status, 204);
    assert_eq!(status(&client), "Pending");
    client.service.advance(Duration::from_secs(1));
    assert_eq!(status(&client), "Active");
    assert_eq!(client.get("new_visits(new_code='a')").status, 200);
}

#[test]
fn keys_that_cannot_be_are_refused() {
    let client = with_visits();
    done(&add(&client, "Memo", "new_Notes", &json!({})));
    refused(
        &key(&client, &json!(["new_none"])),
        400,
        "0x80041103",
        "new_none",
    );
    refused(
        &key(&client, &json!(["new_notes"])),
        400,
        "0x8004023a",
        "cannot hold",
    );
    refused(&key(&client, &json!([])), 400, "0x8004023a", "columns");
    done(&key(&client, &json!(["new_name"])));
    refused(
        &key(&client, &json!(["new_name"])),
        400,
        "0x80060893",
        "already exists",
    );
}

#[test]
fn definitions_change_inside_a_batch_but_not_in_a_change_set() {
    let client = Client::fresh();
    let part = |line: &str, body: &str| {
        format!(
            "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\n\
             {line} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}\r\n"
        )
    };
    let define = part(
        "POST /api/data/v9.2/EntityDefinitions",
        &visit().to_string(),
    );
    let set = format!(
        "--batch_A\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n{define}--c--\r\n--batch_A--\r\n"
    );
    let answer = client.batch(&[], &set);
    assert_eq!(answer.status, 400);
    assert!(text(&answer).contains("cannot be changed in a change set"));
    let row = part("POST /api/data/v9.2/new_visits", r#"{"new_name": "n"}"#);
    let row = row.replace("Content-ID: 1", "Content-ID: 2");
    let both = format!("--batch_A\r\n{define}--batch_A\r\n{row}--batch_A--\r\n");
    let answer = client.batch(&[], &both);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(client.query("new_visits").len(), 1);
}

#[test]
fn a_customizer_needs_the_privilege() {
    let client = Client::fresh();
    let names = ["prvReadContact".to_owned()].to_vec();
    client
        .service
        .client()
        .set_privileges(&Privileges::Only(names))
        .unwrap();
    let answer = client.post("EntityDefinitions", &visit().to_string());
    refused(&answer, 403, "0x80040220", "prvCreateEntity");
    assert_eq!(client.post("PublishAllXml", "{}").status, 403);
}

#[test]
fn a_data_file_keeps_what_was_defined() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options {
        data: Some(folder.path().join("environment.db")),
        ..Options::default()
    };
    let row = {
        let client = Client::with(options());
        done(&client.post("EntityDefinitions", &visit().to_string()));
        done(&add(&client, "String", "new_Gone", &json!({})));
        done(&add(
            &client,
            "String",
            "new_Code",
            &json!({"MaxLength": 20}),
        ));
        let row = client.create(
            "new_visits",
            r#"{"new_name": "n", "new_code": "c", "new_gone": "g"}"#,
        );
        let path = format!("{VISITS}/Attributes(LogicalName='new_gone')");
        done(&client.request("DELETE", &path, &[], ""));
        done(&key(&client, &json!(["new_code"])));
        row
    };
    let client = Client::with(options());
    let read = json(&client.get("new_visits(new_code='c')"));
    assert_eq!(read["new_visitid"], row.as_str());
    assert_eq!(read["new_name"], "n");
    assert_eq!(read.get("new_gone"), None);
    done(&client.request("DELETE", VISITS, &[], ""));
    drop(client);
    let client = Client::with(options());
    assert_eq!(client.get("new_visits").status, 404);
    done(&client.post("EntityDefinitions", &visit().to_string()));
    assert!(client.query("new_visits").is_empty());
}

#[test]
fn single_options_come_and_go() {
    let client = with_visits();
    let options = json!({"OptionSet": {"Options": [{"Value": 1, "Label": label("Good")}]}});
    done(&add(&client, "Picklist", "new_Mood", &options));
    let at = json!({"EntityLogicalName": "new_visit", "AttributeLogicalName": "new_mood"});
    let send = |message: &str, value: Option<i32>, text: &str| {
        let mut body = at.clone();
        body["Label"] = label(text);
        if let Some(value) = value {
            body["Value"] = value.into();
        }
        client.post(message, &body.to_string())
    };
    assert_eq!(
        json(&send("InsertOptionValue", Some(2), "Bad"))["NewOptionValue"],
        2
    );
    assert_eq!(
        json(&send("InsertOptionValue", None, "Other"))["NewOptionValue"],
        100_000_000
    );
    assert_eq!(send("UpdateOptionValue", Some(2), "Worse").status, 204);
    assert_eq!(send("DeleteOptionValue", Some(1), "").status, 204);
    for (message, value) in [("InsertOptionValue", 2), ("DeleteOptionValue", 1)] {
        refused(
            &send(message, Some(value), "x"),
            400,
            "0x80048d19",
            "option",
        );
    }
    let path = format!(
        "{VISITS}/Attributes(LogicalName='new_mood')/\
         Microsoft.Dynamics.CRM.PicklistAttributeMetadata?$expand=OptionSet"
    );
    let set = &definition(&client, &path)["OptionSet"]["Options"];
    let values = set.as_array().unwrap().iter().map(|it| it["Value"].clone());
    assert_eq!(values.collect::<Vec<_>>(), [json!(2), json!(100_000_000)]);
    assert_eq!(set[0]["Label"]["UserLocalizedLabel"]["Label"], "Worse");
}

#[test]
fn what_a_delete_does_is_changed() {
    let client = with_visits();
    done(&client.post("RelationshipDefinitions", &lookup("RemoveLink").to_string()));
    let path = "RelationshipDefinitions(SchemaName='new_account_visit')";
    done(&client.request("PUT", path, &[], &lookup("Restrict").to_string()));
    let account = client.create("accounts", r#"{"name": "A"}"#);
    let body = format!(r#"{{"new_name": "n", "new_AccountId@odata.bind": "accounts({account})"}}"#);
    client.create("new_visits", &body);
    let answer = client.request("DELETE", &format!("accounts({account})"), &[], "");
    refused(&answer, 405, "0x80040227", "associated");
}

#[test]
fn options_are_ordered_and_named_anew() {
    let client = with_visits();
    let options = json!({"@odata.type": "Microsoft.Dynamics.CRM.OptionSetMetadata", "IsGlobal": false,
        "OptionSetType": "Picklist",
        "Options": [{"Value": 1, "Label": label("A")}, {"Value": 2, "Label": label("B")}]});
    done(&add(
        &client,
        "Picklist",
        "new_Mood",
        &json!({"OptionSet": options}),
    ));
    done(&add(
        &client,
        "Boolean",
        "new_Paid",
        &json!({"DefaultValue": true}),
    ));
    let act = |action: &str, column: &str, more: Value| {
        let mut body = json!({"EntityLogicalName": "new_visit", "AttributeLogicalName": column});
        for (member, value) in more.as_object().unwrap() {
            body[member] = value.clone();
        }
        client.post(action, &body.to_string())
    };
    done(&act("OrderOption", "new_mood", json!({"Values": [2, 1]})));
    for wrong in [json!([1]), json!([1, 1]), json!([1, 2, 3]), json!(null)] {
        let answer = act("OrderOption", "new_mood", json!({"Values": wrong}));
        refused(&answer, 400, "0x80048d19", "");
    }
    let cast = "Microsoft.Dynamics.CRM.PicklistAttributeMetadata";
    let path = format!("{VISITS}/Attributes(LogicalName='new_mood')/{cast}?$expand=OptionSet");
    let found = definition(&client, &path);
    assert_eq!(found["OptionSet"]["Options"][0]["Value"], 2);

    done(&act(
        "UpdateOptionValue",
        "new_paid",
        json!({"Value": 1, "Label": label("Paid")}),
    ));
    let cast = "Microsoft.Dynamics.CRM.BooleanAttributeMetadata";
    let path = format!("{VISITS}/Attributes(LogicalName='new_paid')/{cast}?$expand=OptionSet");
    let found = definition(&client, &path);
    let shown = &found["OptionSet"]["TrueOption"]["Label"]["UserLocalizedLabel"]["Label"];
    assert_eq!(shown, "Paid");
    assert_eq!(found["DefaultValue"], true);
    let wrong = act(
        "UpdateOptionValue",
        "new_paid",
        json!({"Value": 2, "Label": label("x")}),
    );
    assert_eq!(wrong.status, 400);
}

#[test]
fn a_state_gets_another_reason() {
    let client = with_visits();
    let insert = |body: Value| client.post("InsertStatusValue", &body.to_string());
    let mut body = json!({"EntityLogicalName": "new_visit", "AttributeLogicalName": "statuscode",
        "Label": label("Frozen"), "StateCode": 1});
    let answer = insert(body.clone());
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let reason = json(&answer)["NewOptionValue"].clone();
    let id = client.create("new_visits", r#"{"new_name":"A"}"#);
    let row = format!("new_visits({id})");
    let frozen = json!({"statecode": 1, "statuscode": reason}).to_string();
    assert_eq!(client.patch(&row, &frozen).status, 204);
    body["Value"] = reason;
    assert_eq!(insert(body.clone()).status, 400);
    body["Value"] = json!(7);
    body["StateCode"] = json!(9);
    assert_eq!(insert(body).status, 400);
}

fn shared_lookup(client: &Client, action: &str, name: &str, to: [&str; 2]) -> Response {
    let relationships = to.map(|to| {
        json!({"@odata.type": "Microsoft.Dynamics.CRM.ComplexOneToManyRelationshipMetadata",
            "SchemaName": format!("{name}_{to}"), "ReferencedEntity": to,
            "ReferencingEntity": "new_visit"})
    });
    let body = json!({"OneToManyRelationships": relationships, "Lookup": {
        "@odata.type": "Microsoft.Dynamics.CRM.ComplexLookupAttributeMetadata",
        "SchemaName": name, "DisplayName": label("Shared")}});
    client.post(action, &body.to_string())
}

#[test]
fn a_lookup_leads_to_several_tables() {
    let client = with_visits();
    let make = |action: &str, name: &str, to: [&str; 2]| shared_lookup(&client, action, name, to);
    let answer = make(
        "CreatePolymorphicLookupAttribute",
        "new_Item",
        ["lead", "account"],
    );
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let told = json(&answer);
    assert_eq!(told["RelationshipIds"].as_array().unwrap().len(), 2);
    let path = format!(
        "{VISITS}/Attributes({})?$select=LogicalName",
        told["AttributeId"].as_str().unwrap()
    );
    assert_eq!(definition(&client, &path)["LogicalName"], "new_item");
    done(&make(
        "CreateCustomerRelationships",
        "new_Customer",
        ["account", "contact"],
    ));

    let account = client.create("accounts", r#"{"name":"A"}"#);
    let body = json!({"new_name": "V", "new_Item_account@odata.bind": format!("accounts({account})"),
        "new_Customer_account@odata.bind": format!("accounts({account})")});
    client.create("new_visits", &body.to_string());
    let rows = client.query("new_visits?$expand=new_Item_account($select=name)");
    assert_eq!(rows[0]["new_Item_account"]["name"], "A");
    assert_eq!(rows[0]["_new_customer_value"], account);

    for (action, name, to) in [
        (
            "CreateCustomerRelationships",
            "new_Other",
            ["account", "lead"],
        ),
        (
            "CreatePolymorphicLookupAttribute",
            "new_Other",
            ["account", "account"],
        ),
        (
            "CreatePolymorphicLookupAttribute",
            "new_Item",
            ["contact", "team"],
        ),
        (
            "CreatePolymorphicLookupAttribute",
            "Bare",
            ["contact", "team"],
        ),
    ] {
        let answer = make(action, name, to);
        assert_eq!(answer.status, 400, "{action} {name}");
    }
    assert_eq!(client.post("CreateCustomerRelationships", "{}").status, 400);
    assert_eq!(client.get("CreateCustomerRelationships").status, 404);
}

#[test]
fn tables_tell_whether_they_can_be_related() {
    let client = with_visits();
    for (action, table, can) in [
        ("CanBeReferenced", "new_visit", true),
        ("CanBeReferenced", "teammembership", false),
        ("CanBeReferencing", "contact", true),
        ("CanManyToMany", "new_visit", true),
        ("CanManyToMany", "sdkmessage", false),
    ] {
        let body = json!({"EntityName": table}).to_string();
        let answer = client.post(action, &body);
        assert_eq!(json(&answer)[action], can, "{action} {table}");
        assert_eq!(client.get(action).status, 404);
    }
    let unknown = client.post("CanManyToMany", r#"{"EntityName":"nothing"}"#);
    refused(&unknown, 404, "0x80041102", "nothing");
    for function in [
        "GetValidManyToMany()",
        "GetValidReferencingEntities(ReferencedEntityName=@p1)?@p1='account'",
        "GetValidReferencedEntities(ReferencingEntityName='account')",
    ] {
        let names = definition(&client, function)["EntityNames"].clone();
        let names = names.as_array().unwrap();
        assert!(names.contains(&json!("new_visit")), "{function}");
        assert!(!names.contains(&json!("teammembership")), "{function}");
    }
}
