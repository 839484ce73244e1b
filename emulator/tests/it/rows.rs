//! Creating, reading and deleting rows; single properties.

use serde_json::json;

use crate::client::*;

const ABSENT: &str = "00000000-0000-0000-0000-000000000001";

#[test]
fn a_created_row_is_read_back() {
    let client = Client::fresh();
    let body = r#"{"firstname":"Ann","lastname":"Lee","emailaddress1":"ann@x.example"}"#;
    let answer = client.post("contacts", body);
    assert_eq!(answer.status, 204);
    let headers: Vec<_> = answer.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(headers[..2], ["OData-Version", "OData-EntityId"]);
    let url = answer.get("OData-EntityId").unwrap();
    let path = url.strip_prefix(&format!("{BASE}/")).unwrap();
    let answer = client.get(&format!("{path}?$select=fullname,emailaddress1"));
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.get("Content-Type"),
        Some("application/json; odata.metadata=minimal; odata.streaming=true")
    );
    let row = json(&answer);
    assert_eq!(answer.get("ETag"), row["@odata.etag"].as_str());
    assert_eq!(
        row,
        json!({
            "@odata.context": format!("{BASE}/$metadata#contacts(fullname,emailaddress1)/$entity"),
            "@odata.etag": row["@odata.etag"],
            "fullname": "Ann Lee",
            "emailaddress1": "ann@x.example",
            "contactid": row["contactid"],
        })
    );
}

#[test]
fn a_created_row_can_be_represented() {
    let client = Client::fresh();
    let prefer = [("Prefer", "return=representation")];
    let answer = client.request(
        "POST",
        "contacts?$select=contactid",
        &prefer,
        r#"{"lastname":"Lee"}"#,
    );
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.get("Preference-Applied"),
        Some("return=representation")
    );
    assert_eq!(answer.get("OData-EntityId"), None);
    assert_eq!(
        json(&answer)["@odata.context"],
        format!("{BASE}/$metadata#contacts(contactid)/$entity")
    );
}

#[test]
fn the_service_fills_in_what_belongs_to_it() {
    let client = Client::fresh();
    client.create(
        "contacts",
        r#"{"lastname":"Lee","overriddencreatedon":"2001-02-03T04:05:06Z"}"#,
    );
    let me = json(&client.get("WhoAmI"));
    let row = &client.service.rows("contact")[0];
    for column in ["_createdby_value", "_modifiedby_value", "_ownerid_value"] {
        assert_eq!(row[column], me["UserId"], "{column}");
    }
    assert_eq!(row["_owningbusinessunit_value"], me["BusinessUnitId"]);
    assert_eq!(row["createdon"], "2001-02-03T04:05:06Z");
    assert!(row["modifiedon"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        (&row["statecode"], &row["statuscode"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(
        (&row["donotphone"], &row["followemail"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(row["preferredcontactmethodcode"], 1);
    assert_eq!(
        format!("W/\"{}\"", row["versionnumber"]),
        row["@odata.etag"].as_str().unwrap()
    );
}

#[test]
fn an_update_leaves_other_columns_and_moves_the_time() {
    let client = Client::fresh();
    let id = client.create(
        "contacts",
        r#"{"firstname":"Ann","lastname":"Lee","jobtitle":"X"}"#,
    );
    let before = client.service.rows("contact").remove(0);
    client.service.advance(std::time::Duration::from_secs(90));
    client.patch(
        &format!("contacts({id})"),
        r#"{"lastname":"Ray","jobtitle":null}"#,
    );
    let after = client.service.rows("contact").remove(0);
    assert_eq!(after["fullname"], "Ann Ray");
    assert_eq!(after["jobtitle"], json!(null));
    assert_eq!(after["createdon"], before["createdon"]);
    assert_ne!(after["modifiedon"], before["modifiedon"]);
}

#[test]
fn a_chosen_id_is_kept_and_taken_only_once() {
    let client = Client::fresh();
    let body = format!(r#"{{"contactid":"{ABSENT}","lastname":"Lee"}}"#);
    assert_eq!(client.create("contacts", &body), ABSENT);
    let answer = client.post("contacts", &body);
    refused(
        &answer,
        412,
        "0x80040237",
        "A record with matching key values already exists.",
    );
}

#[test]
fn new_ids_stand_in_the_order_of_creation() {
    let client = Client::fresh();
    let ids: Vec<_> = (0..50).map(|_| client.create("accounts", "{}")).collect();
    assert!(ids.is_sorted());
}

#[test]
fn names_are_case_sensitive() {
    let client = Client::fresh();
    for path in ["Accounts", "account", "Account", "nothing"] {
        let answer = client.get(path);
        refused(
            &answer,
            404,
            "0x8006088a",
            &format!("Resource not found for the segment '{path}'."),
        );
    }
    let answer = client.post("accounts", r#"{"Name":"A"}"#);
    refused(
        &answer,
        400,
        "0x0",
        "An error occurred while validating input parameters: Microsoft.Crm.CrmException: Invalid property 'Name' was found in entity 'Microsoft.Dynamics.CRM.account'. ---> ",
    );
    let answer = client.get("accounts?$select=Name");
    refused(
        &answer,
        400,
        "0x0",
        "Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.account'.",
    );
}

#[test]
fn an_unchanged_row_is_not_sent_again() {
    let client = Client::fresh();
    let id = client.create("accounts", r#"{"name":"A"}"#);
    let path = format!("accounts({id})");
    let tag = client.get(&path).get("ETag").unwrap().to_owned();
    let answer = client.request("GET", &path, &[("If-None-Match", &tag)], "");
    assert_eq!((answer.status, answer.body.len()), (304, 0));
    let annotated = [
        ("If-None-Match", tag.as_str()),
        ("Prefer", "odata.include-annotations=\"*\""),
    ];
    assert_eq!(client.request("GET", &path, &annotated, "").status, 200);
    client.patch(&path, "{}");
    assert_eq!(
        client
            .request("GET", &path, &[("If-None-Match", &tag)], "")
            .status,
        200
    );
}

#[test]
fn a_row_is_deleted_by_id_or_key() {
    let client = Client::fresh();
    let delete = |path: &str, headers: &[(&str, &str)]| client.request("DELETE", path, headers, "");
    let id = client.create("accounts", r#"{"accountnumber":"A"}"#);
    let path = format!("accounts({id})");
    refused(
        &delete(&path, &[("If-Match", "W/\"1\"")]),
        412,
        "0x80060882",
        "RowVersion",
    );
    let answer = delete(&path, &[("If-Match", "*")]);
    assert_eq!((answer.status, answer.get("OData-EntityId")), (204, None));
    refused(
        &delete(&path, &[]),
        404,
        "0x80040217",
        &format!("account With Id = {id} Does Not Exist"),
    );
    refused(
        &delete("accounts(accountnumber='A')", &[]),
        404,
        "0x80060891",
        "A record with the specified key values does not exist in account entity",
    );
    client.create("accounts", r#"{"accountnumber":"A"}"#);
    assert_eq!(delete("accounts(accountnumber='a ')", &[]).status, 204);
    assert!(client.service.rows("account").is_empty());
}

#[test]
fn a_method_must_fit_the_resource() {
    let client = Client::fresh();
    let id = client.create("accounts", "{}");
    for (method, path) in [
        ("PUT", format!("accounts({id})")),
        ("POST", format!("accounts({id})")),
        ("PATCH", "accounts".to_owned()),
        ("DELETE", "accounts".to_owned()),
        ("POST", "accounts/$count".to_owned()),
        ("POST", String::new()),
    ] {
        assert_eq!(
            client.request(method, &path, &[], "{}").status,
            405,
            "{method} {path}"
        );
    }
    refused(
        &client.get("accounts/nothing"),
        404,
        "0x8006088a",
        "'nothing'",
    );
    refused(&client.get("$batch"), 404, "", "No HTTP resource");
}

#[test]
fn one_property_is_read_written_and_cleared() {
    let client = Client::fresh();
    let id = client.create("accounts", r#"{"name":"A","description":"x"}"#);
    let path = |rest: &str| format!("accounts({id})/{rest}");
    let answer = client.get(&path("name"));
    assert_eq!(
        json(&answer),
        json!({"@odata.context": format!("{BASE}/$metadata#accounts({id})/name"), "value": "A"})
    );
    assert_eq!(
        client
            .request("PUT", &path("name"), &[], r#"{"value":"X"}"#)
            .status,
        204
    );
    assert_eq!(text(&client.get(&path("name/$value"))), "X");
    assert_eq!(
        client
            .request("DELETE", &path("description"), &[], "")
            .status,
        204
    );
    assert_eq!(client.get(&path("description")).status, 204);
    refused(
        &client.request("PUT", &path("name"), &[], r#"{"other":1}"#),
        400,
        "0x80048d19",
        "'value'",
    );
    refused(
        &client.get(&path("nothing")),
        404,
        "0x8006088a",
        "'nothing'",
    );
    refused(
        &client.get(&format!("accounts({ABSENT})/name")),
        404,
        "0x80040217",
        "",
    );
}

#[test]
fn a_cleared_system_column_is_refused() {
    let client = Client::fresh();
    let user = json(&client.get("WhoAmI"))["UserId"]
        .as_str()
        .unwrap()
        .to_owned();
    let answer = client.patch(&format!("systemusers({user})"), r#"{"domainname":null}"#);
    refused(&answer, 400, "0x80040203", "domainname");
    // What only business requires is not enforced.
    assert_eq!(client.post("contacts", "{}").status, 204);
}

#[test]
fn an_environment_keeps_the_rows_that_make_it_one() {
    let client = Client::fresh();
    let me = json(&client.get("WhoAmI"));
    for (set, id) in [
        ("systemusers", "UserId"),
        ("businessunits", "BusinessUnitId"),
        ("organizations", "OrganizationId"),
    ] {
        let path = format!("{set}({})", me[id].as_str().unwrap());
        let answer = client.request("DELETE", &path, &[], "");
        refused(&answer, 405, "0x80040227", "cannot be deleted");
    }
}

#[test]
fn an_environment_has_one_organization_and_one_root_unit() {
    let client = Client::fresh();
    let me = json(&client.get("WhoAmI"));
    let root = format!("businessunits({})", me["BusinessUnitId"].as_str().unwrap());
    let answer = client.post("organizations", r#"{"name":"B"}"#);
    refused(&answer, 400, "0x80100008", "'organization'");
    let answer = client.patch(
        "organizations(00000000-0000-0000-0000-000000000001)",
        r#"{"name":"B"}"#,
    );
    refused(&answer, 400, "0x80100008", "'organization'");
    let answer = client.post("businessunits", r#"{"name":"B"}"#);
    refused(&answer, 400, "0x80040205", "parent");
    let below = format!(r#"{{"name":"B","parentbusinessunitid@odata.bind":"{root}"}}"#);
    let branch = format!("businessunits({})", client.create("businessunits", &below));
    let answer = client.patch(&branch, r#"{"parentbusinessunitid":null}"#);
    refused(&answer, 400, "0x80040205", "parent");
    for parent in [&branch, &root] {
        let body = format!(r#"{{"parentbusinessunitid@odata.bind":"{parent}"}}"#);
        let answer = client.patch(&root, &body);
        refused(&answer, 400, "0x80040205", "parent");
    }
    let organization = format!("organizations({})", me["OrganizationId"].as_str().unwrap());
    client.patch(&organization, r#"{"basecurrencyid@odata.bind":null}"#);
    let kept = client.get(&format!("{organization}?$select=_basecurrencyid_value"));
    assert!(json(&kept)["_basecurrencyid_value"].is_string());
    assert_eq!(client.patch(&root, r#"{"name":"A"}"#).status, 204);
    assert_eq!(client.query("organizations").len(), 1);
    let roots = client.query("businessunits?$filter=_parentbusinessunitid_value%20eq%20null");
    assert_eq!(roots.len(), 1);
}

#[test]
fn elastic_rows_go_by_themselves_and_tell_a_session() {
    let client = Client::fresh();
    let body = r#"{"contoso_name": "a", "partitionid": "p", "ttlinseconds": 60}"#;
    let answer = client.post("contoso_sensordatas", body);
    assert_eq!(answer.status, 204, "{}", text(&answer));
    let token = answer.get("x-ms-session-token").unwrap().to_owned();
    client.create(
        "contoso_sensordatas",
        r#"{"contoso_name": "b", "partitionid": "p"}"#,
    );
    let headers = [("MSCRM.SessionToken", token.as_str())];
    let read = client.request(
        "GET",
        "contoso_sensordatas?$select=contoso_name",
        &headers,
        "",
    );
    assert_eq!(json(&read)["value"].as_array().unwrap().len(), 2);
    assert!(read.get("x-ms-session-token").is_some());
    client.service.advance(std::time::Duration::from_secs(61));
    let left = client.query("contoso_sensordatas?$select=contoso_name");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["contoso_name"], "b");
    assert_eq!(client.get("accounts").get("x-ms-session-token"), None);
}

#[test]
fn roles_and_solutions_are_there_as_samples_use_them() {
    let client = Client::fresh();
    let who = json(&client.get("WhoAmI"));
    let (user, unit) = (&who["UserId"], &who["BusinessUnitId"]);
    let user = user.as_str().unwrap();
    let roles = format!("systemusers({user})/systemuserroles_association");
    let held = client.query(&format!("{roles}?$select=name"));
    assert_eq!(held[0]["name"], "System Administrator");
    let body = format!(
        r#"{{"name":"Example","businessunitid@odata.bind":"businessunits({})"}}"#,
        unit.as_str().unwrap()
    );
    let answer = client.post("roles", &body);
    let role = answer.get("OData-EntityId").unwrap().to_owned();
    let body = format!(r#"{{"@odata.id":"{role}"}}"#);
    assert_eq!(client.post(&format!("{roles}/$ref"), &body).status, 204);
    assert_eq!(client.query(&format!("{roles}?$select=name")).len(), 2);
    let solution =
        client.query("solutions?$filter=uniquename%20eq%20'Default'&$expand=publisherid");
    assert_eq!(
        solution[0]["solutionid"],
        "fd140aaf-4df4-11dd-bd17-0019b9312238"
    );
    assert_eq!(solution[0]["publisherid"]["customizationprefix"], "new");
    let publisher = solution[0]["publisherid"]["publisherid"].as_str().unwrap();
    let body = format!(
        r#"{{"uniquename":"mine","friendlyname":"Mine","version":"1.0.0.0",
            "publisherid@odata.bind":"publishers({publisher})"}}"#
    );
    assert_eq!(client.post("solutions", &body).status, 204);
}
