//! Lookups: written by navigation property, read as `_x_value`.

use serde_json::json;

use crate::client::*;

const A: &str = "00000000-0000-0000-0000-00000000000a";
const C: &str = "00000000-0000-0000-0000-00000000000c";

fn with_rows() -> Client {
    let client = Client::fresh();
    client.create(
        "accounts",
        &format!(r#"{{"accountid":"{A}","accountnumber":"A%1","name":"Contoso"}}"#),
    );
    client.create(
        "contacts",
        &format!(r#"{{"contactid":"{C}","lastname":"Lee","emailaddress1":"a@x.example"}}"#),
    );
    client
}

fn parent(client: &Client) -> serde_json::Value {
    json(&client.get(&format!("contacts({C})?$select=_parentcustomerid_value")))["_parentcustomerid_value"].clone()
}

#[test]
fn a_bind_is_relative_rooted_or_absolute() {
    let client = with_rows();
    for bind in [
        format!("accounts({A})"),
        format!("/accounts({A})"),
        format!("{BASE}/accounts({A})"),
        format!("/api/data/v9.2/accounts({A})"),
        format!("accounts(accountid={A})"),
        // Percent triplets are not decoded here.
        "accounts(accountnumber='A%1')".to_owned(),
    ] {
        client.patch(
            &format!("contacts({C})"),
            r#"{"parentcustomerid_account":null}"#,
        );
        assert_eq!(parent(&client), json!(null));
        let body = json!({"parentcustomerid_account@odata.bind": bind}).to_string();
        let answer = client.patch(&format!("contacts({C})"), &body);
        assert_eq!(answer.status, 204, "{bind}: {}", text(&answer));
        assert_eq!(parent(&client), A, "{bind}");
    }
}

#[test]
fn one_navigation_property_replaces_its_siblings() {
    let client = with_rows();
    let path = format!("contacts({C})");
    client.patch(
        &path,
        &format!(r#"{{"parentcustomerid_account@odata.bind":"accounts({A})"}}"#),
    );
    client.patch(&path, &format!(r#"{{"parentcustomerid_account":null,"parentcustomerid_contact@odata.bind":"contacts({C})"}}"#));
    assert_eq!(parent(&client), C);
    for clear in [
        "parentcustomerid_account",
        "parentcustomerid_contact@odata.bind",
    ] {
        client.patch(
            &path,
            &format!(r#"{{"parentcustomerid_account@odata.bind":"accounts({A})"}}"#),
        );
        client.patch(&path, &format!(r#"{{"{clear}":null}}"#));
        assert_eq!(parent(&client), json!(null), "{clear}");
    }
}

const UNREADABLE: &str = "Bad Request - Error in query syntax.";

/// Bind string, status, code, a piece of the message.
const NOT_BOUND: &[(&str, u16, &str, &str)] = &[
    (
        "accounts(00000000-0000-0000-0000-0000000000ff)",
        404,
        "0x80040217",
        "account With Id = 00000000-0000-0000-0000-0000000000ff Does Not Exist",
    ),
    (
        "accounts(accountnumber='none')",
        404,
        "0x80060891",
        "A record with the specified key values does not exist in account entity",
    ),
    ("accounts(accountnumber='A%251')", 404, "0x80060891", ""),
    (
        "accounts(name='Contoso')",
        400,
        "0x80060888",
        "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.account'",
    ),
    (
        "accounts(accountnumber='a/b')",
        400,
        "0x80060888",
        UNREADABLE,
    ),
    (
        "accounts(accountnumber='a\\b')",
        400,
        "0x80060888",
        UNREADABLE,
    ),
    (
        "accounts(accountnumber='a#b')",
        400,
        "0x80060888",
        UNREADABLE,
    ),
    ("accounts", 400, "0x80060888", UNREADABLE),
    (
        "https://other.example/api/data/v9.2/accounts(1)",
        400,
        "0x80060888",
        UNREADABLE,
    ),
    ("", 404, "0x8006088a", ""),
    (
        "Accounts(00000000-0000-0000-0000-00000000000a)",
        404,
        "0x8006088a",
        "'Accounts'",
    ),
    (
        "contacts(00000000-0000-0000-0000-00000000000c)",
        400,
        "0x80048d19",
        "parentcustomerid_account",
    ),
];

#[test]
fn a_missing_target_fails_the_row() {
    let client = with_rows();
    for (target, status, code, message) in NOT_BOUND {
        let body = json!({"parentcustomerid_account@odata.bind": target}).to_string();
        refused(&client.post("contacts", &body), *status, code, message);
    }
    assert_eq!(client.service.rows("contact").len(), 1);
}

#[test]
fn a_lookup_is_not_a_value() {
    let client = with_rows();
    let path = format!("contacts({C})");
    for body in [
        format!(r#"{{"_parentcustomerid_value":"{A}"}}"#),
        format!(r#"{{"parentcustomerid":"{A}"}}"#),
        format!(r#"{{"originatingleadid":"{A}"}}"#),
    ] {
        let answer = client.patch(&path, &body);
        refused(
            &answer,
            400,
            "0x80060888",
            "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.",
        );
    }
}

#[test]
fn a_wrong_navigation_property_is_undeclared() {
    let client = with_rows();
    for name in ["parentcustomerid", "ParentCustomerId_account", "nothing"] {
        let body = json!({format!("{name}@odata.bind"): format!("accounts({A})")}).to_string();
        let answer = client.post("contacts", &body);
        refused(
            &answer,
            400,
            "0x80048d19",
            &format!(
                "Error identified in Payload provided by the user for Entity :'contacts', For more information on this error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : Microsoft.OData.ODataException: An undeclared property '{name}' which only has property annotations in the payload but no property value was found in the payload. In OData, only declared navigation properties and declared named streams can be represented as properties without values."
            ),
        );
    }
    let custom = format!(r#"{{"new_contactid@odata.bind":"contacts({C})"}}"#);
    refused(
        &client.post("new_subscriptions", &custom),
        400,
        "0x80048d19",
        "'new_contactid'",
    );
    let custom = custom.replace("new_contactid", "new_ContactId");
    assert_eq!(client.post("new_subscriptions", &custom).status, 204);
}

#[test]
fn nested_objects_are_refused_in_updates() {
    let client = with_rows();
    let body = r#"{"primarycontactid":{"lastname":"Smith"}}"#;
    let answer = client.patch(&format!("accounts({A})"), body);
    refused(
        &answer,
        400,
        "0x80060888",
        "Deep update of navigation properties is not allowed.",
    );
}

#[test]
fn the_owner_is_a_user_or_a_team_and_never_null() {
    let client = with_rows();
    let team = client.service.rows("team")[0]["teamid"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("accounts({A})");
    let answer = client.patch(
        &path,
        &format!(r#"{{"ownerid@odata.bind":"teams({team})"}}"#),
    );
    assert_eq!(answer.status, 204, "{}", text(&answer));
    assert_eq!(client.service.rows("account")[0]["_ownerid_value"], team);
    refused(
        &client.patch(&path, r#"{"ownerid@odata.bind":null}"#),
        400,
        "0x80040229",
        "The owner ID is invalid or missing.",
    );
    let answer = client.patch(&path, r#"{"ownerid@odata.bind":"teams(name='SEGUE')"}"#);
    assert_eq!(answer.status, 204, "{}", text(&answer));
}

#[test]
fn references_are_set_and_cleared_alone() {
    let client = with_rows();
    let path = format!("accounts({A})/primarycontactid/$ref");
    let body = format!(r#"{{"@odata.id":"contacts({C})"}}"#);
    assert_eq!(client.request("PUT", &path, &[], &body).status, 204);
    assert_eq!(
        client.service.rows("account")[0]["_primarycontactid_value"],
        C
    );
    assert_eq!(client.request("DELETE", &path, &[], "").status, 204);
    assert_eq!(
        client.service.rows("account")[0]["_primarycontactid_value"],
        json!(null)
    );
}

#[test]
fn annotations_tell_what_a_lookup_holds() {
    let client = with_rows();
    client.patch(
        &format!("contacts({C})"),
        &format!(r#"{{"parentcustomerid_account@odata.bind":"accounts({A})"}}"#),
    );
    let prefer = [("Prefer", "odata.include-annotations=\"*\"")];
    let answer = client.request(
        "GET",
        &format!("contacts({C})?$select=_parentcustomerid_value"),
        &prefer,
        "",
    );
    let row = json(&answer);
    assert_eq!(row["_parentcustomerid_value"], A);
    assert_eq!(
        row["_parentcustomerid_value@OData.Community.Display.V1.FormattedValue"],
        "Contoso"
    );
    assert_eq!(
        row["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"],
        "account"
    );
    assert_eq!(
        row["_parentcustomerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"],
        "parentcustomerid_account"
    );
}

#[test]
fn owners_and_parents_that_cannot_be_are_refused() {
    let client = Client::fresh();
    let me = json(&client.get("WhoAmI"));
    let unit = me["BusinessUnitId"].as_str().unwrap();
    let unit = format!("\"businessunitid@odata.bind\":\"businessunits({unit})\"");
    let access = client.create("teams", &format!(r#"{{"name":"A","teamtype":1,{unit}}}"#));
    let gone = client.create(
        "systemusers",
        &format!(r#"{{"domainname":"g@x.example","firstname":"G","lastname":"G","isdisabled":true,{unit}}}"#),
    );
    for (owner, code, message) in [
        (
            format!("teams({access})"),
            "0x80048340",
            "You cannot assign a record to the access team. You can assign a record to the owner team.",
        ),
        (
            format!("systemusers({gone})"),
            "0x8004022b",
            "The specified owner has been disabled.",
        ),
    ] {
        let body = format!(r#"{{"ownerid@odata.bind":"{owner}"}}"#);
        refused(&client.post("accounts", &body), 400, code, message);
    }
    let top = client.create("accounts", "{}");
    let below = format!(r#"{{"parentaccountid@odata.bind":"accounts({top})"}}"#);
    let below = client.create("accounts", &below);
    let around = format!(r#"{{"parentaccountid@odata.bind":"accounts({below})"}}"#);
    refused(
        &client.patch(&format!("accounts({top})"), &around),
        400,
        "0x80040507",
        "Creating this parental association would create a loop in Accounts hierarchy.",
    );
}

#[test]
fn a_contact_repeats_its_customer_by_table() {
    let client = with_rows();
    let body =
        format!(r#"{{"lastname":"Low","parentcustomerid_account@odata.bind":"accounts({A})"}}"#);
    let answer = client.post("contacts", &body);
    assert_eq!(answer.status, 204, "{}", text(&answer));
    let found = |filter: &str| client.query(&format!("contacts?$filter={filter}")).len();
    assert_eq!(found(&format!("_accountid_value%20eq%20{A}")), 1);
    let low = client.query("contacts?$select=_accountid_value&$filter=lastname%20eq%20'Low'");
    let path = format!("contacts({})", low[0]["contactid"].as_str().unwrap());
    let other = client.query("contacts?$select=contactid&$filter=lastname%20ne%20'Low'");
    let other = other[0]["contactid"].as_str().unwrap();
    let body = format!(r#"{{"parentcustomerid_contact@odata.bind":"contacts({other})"}}"#);
    assert_eq!(client.patch(&path, &body).status, 204);
    let row = json(&client.get(&path));
    assert_eq!(row["_accountid_value"], serde_json::Value::Null);
    assert_eq!(row["_parentcontactid_value"], other);
}

#[test]
fn a_column_that_repeats_another_has_no_navigation_property() {
    let client = with_rows();
    let told = client.get(
        "EntityDefinitions(LogicalName='contact')/ManyToOneRelationships?$select=ReferencingAttribute",
    );
    let told = text(&told);
    assert!(told.contains("\"parentcustomerid\""), "{told}");
    assert!(!told.contains("\"accountid\""), "{told}");
    let csdl = text(&client.get("$metadata"));
    assert!(csdl.contains("_accountid_value"));
    assert!(!csdl.contains("contact_parentcontactid_contact"));
}
