//! `FetchXML` in the URL.

use serde_json::{Value, json};

use crate::client::*;
use crate::query::{encoded, names};

fn world() -> Client {
    let client = Client::fresh();
    for (account, people) in [
        ("North", vec!["Ann", "Bob"]),
        ("South", vec!["Cem"]),
        ("West", vec![]),
    ] {
        let id = client.create("accounts", &json!({"name": account}).to_string());
        for (number, person) in people.into_iter().enumerate() {
            let body = json!({
                "firstname": person, "lastname": "Lee", "numberofchildren": number, "gendercode": 2,
                "parentcustomerid_account@odata.bind": format!("/accounts({id})"),
            });
            client.create("contacts", &body.to_string());
        }
    }
    client
}

fn ask(client: &Client, set: &str, xml: &str) -> Value {
    let prefer = [("Prefer", "odata.include-annotations=\"*\"")];
    let path = format!("{set}?fetchXml={}", encoded(xml));
    let answer = client.request("GET", &path, &prefer, "");
    assert_eq!(answer.status, 200, "{xml}: {}", text(&answer));
    json(&answer)
}

fn people(client: &Client, condition: &str) -> String {
    let xml = format!(
        "<fetch><entity name='contact'><attribute name='firstname'/><order attribute='firstname'/>\
         <filter>{condition}</filter></entity></fetch>"
    );
    names(ask(client, "contacts", &xml)["value"].as_array().unwrap())
}

#[test]
fn conditions_find_what_they_say() {
    let client = world();
    for (condition, expected) in [
        (
            "<condition attribute='firstname' operator='eq' value='ann'/>",
            "Ann",
        ),
        (
            "<condition attribute='firstname' operator='ne' value='Ann'/>",
            "Bob Cem",
        ),
        (
            "<condition attribute='numberofchildren' operator='ge' value='1'/>",
            "Bob",
        ),
        (
            "<condition attribute='firstname' operator='like' value='%e%'/>",
            "Cem",
        ),
        (
            "<condition attribute='firstname' operator='not-like' value='%e%'/>",
            "Ann Bob",
        ),
        (
            "<condition attribute='firstname' operator='begins-with' value='b'/>",
            "Bob",
        ),
        (
            "<condition attribute='firstname' operator='in'><value>Ann</value><value>Cem</value></condition>",
            "Ann Cem",
        ),
        (
            "<condition attribute='jobtitle' operator='null'/>",
            "Ann Bob Cem",
        ),
        ("<condition attribute='jobtitle' operator='not-null'/>", ""),
        (
            "<condition attribute='donotemail' operator='eq' value='0'/>",
            "Ann Bob Cem",
        ),
        (
            "<condition attribute='createdon' operator='last-x-days' value='7'/>",
            "Ann Bob Cem",
        ),
        (
            "<condition attribute='createdon' operator='today'/>",
            "Ann Bob Cem",
        ),
        (
            "<condition attribute='ownerid' operator='eq-userid'/>",
            "Ann Bob Cem",
        ),
        (
            "<filter type='or'><condition attribute='firstname' operator='eq' value='Ann'/>\
             <condition attribute='firstname' operator='eq' value='Bob'/></filter>\
             <condition attribute='gendercode' operator='eq' value='2'/>",
            "Ann Bob",
        ),
    ] {
        assert_eq!(people(&client, condition), expected, "{condition}");
    }
}

#[test]
fn linked_rows_stand_beside_their_row() {
    let client = world();
    let xml = |kind: &str| {
        format!(
            "<fetch><entity name='account'><attribute name='name'/><order attribute='name'/>\
             <link-entity name='contact' from='parentcustomerid' to='accountid' alias='c' link-type='{kind}'>\
             <attribute name='firstname'/><attribute name='gendercode' alias='gender'/>\
             <order attribute='firstname' descending='true'/></link-entity></entity></fetch>"
        )
    };
    let body = ask(&client, "accounts", &xml("inner"));
    let rows = body["value"].as_array().unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (&row["name"], &row["c.firstname"]))
        .collect();
    assert_eq!(
        json!(found),
        json!([["North", "Bob"], ["North", "Ann"], ["South", "Cem"]])
    );
    assert_eq!(rows[0]["gender"], 2);
    assert_eq!(
        rows[0]["gender@OData.Community.Display.V1.FormattedValue"],
        "Female"
    );
    assert!(rows[0]["accountid"].is_string() && rows[0]["@odata.etag"].is_string());
    let body = ask(&client, "accounts", &xml("outer"));
    let last = &body["value"][3];
    assert_eq!(
        (&last["name"], last.get("c.firstname")),
        (&json!("West"), None)
    );
    let distinct = "<fetch distinct='true'><entity name='account'><attribute name='name'/>\
        <link-entity name='contact' from='parentcustomerid' to='accountid'/></entity></fetch>";
    assert_eq!(
        ask(&client, "accounts", distinct)["value"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn pages_come_with_cookies() {
    let client = world();
    let page = |attributes: &str| {
        let xml = format!(
            "<fetch count='2' returntotalrecordcount='true' {attributes}><entity name='contact'>\
             <attribute name='firstname'/><order attribute='firstname'/></entity></fetch>"
        );
        ask(&client, "contacts", &xml)
    };
    let first = page("page='1'");
    assert_eq!(names(first["value"].as_array().unwrap()), "Ann Bob");
    assert_eq!(first["@Microsoft.Dynamics.CRM.morerecords"], true);
    assert_eq!(first["@Microsoft.Dynamics.CRM.totalrecordcount"], 3);
    let cookie = first["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"]
        .as_str()
        .unwrap();
    assert!(
        cookie.starts_with("<cookie pagenumber=\"2\" pagingcookie=\"%253Ccookie%2520page"),
        "{cookie}"
    );
    let second = page("page='2' paging-cookie='&lt;cookie page=&quot;1&quot;&gt;&lt;/cookie&gt;'");
    assert_eq!(names(second["value"].as_array().unwrap()), "Cem");
    assert_eq!(second["@Microsoft.Dynamics.CRM.morerecords"], false);
    assert_eq!(
        second.get("@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"),
        None
    );
}

#[test]
fn aggregates_have_their_aliases() {
    let client = world();
    let xml = "<fetch aggregate='true'><entity name='contact'>\
        <attribute name='contactid' aggregate='count' alias='people'/>\
        <attribute name='numberofchildren' aggregate='sum' alias='children'/>\
        <order alias='people' descending='true'/>\
        <link-entity name='account' from='accountid' to='parentcustomerid' alias='a'>\
        <attribute name='name' groupby='true' alias='account'/></link-entity></entity></fetch>";
    assert_eq!(
        ask(&client, "contacts", xml)["value"],
        json!([
            {"people": 2, "children": 1, "account": "North"},
            {"people": 1, "children": 0, "account": "South"},
        ])
    );
}

#[test]
fn what_cannot_be_fetched_is_refused() {
    let client = world();
    let entity = |inner: &str| format!("<fetch><entity name='contact'>{inner}</entity></fetch>");
    for (xml, status, message) in [
        ("<fetch>".to_owned(), 400, "Invalid XML."),
        ("<fetch/>".to_owned(), 400, "exactly one entity"),
        (
            "<fetch><entity name='account'/></fetch>".to_owned(),
            400,
            "entity set 'contacts'",
        ),
        (
            "<fetch top='1' count='2'><entity name='contact'/></fetch>".to_owned(),
            400,
            "top",
        ),
        (
            entity("<attribute name='nothing'/>"),
            400,
            "Name = 'nothing'",
        ),
        (
            entity("<link-entity name='nothing' from='a' to='b'/>"),
            404,
            "'nothing'",
        ),
        (
            entity("<filter><condition attribute='firstname' operator='eq'/></filter>"),
            400,
            "one value",
        ),
        (
            entity(
                "<filter><condition attribute='numberofchildren' operator='eq' value='x'/></filter>",
            ),
            400,
            "'x'",
        ),
        (
            entity(
                "<filter><condition attribute='contactid' operator='under' value='x'/></filter>",
            ),
            400,
            "'x'",
        ),
        (
            entity("<filter><condition attribute='contactid' operator='eq-unheard'/></filter>"),
            501,
            "eq-unheard",
        ),
        (
            entity("<attribute name='firstname' aggregate='count' alias='n'/>"),
            400,
            "alias",
        ),
    ] {
        let answer = client.get(&format!("contacts?fetchXml={}", encoded(&xml)));
        assert_eq!(answer.status, status, "{xml}: {}", text(&answer));
        assert!(text(&answer).contains(message), "{xml}: {}", text(&answer));
    }
}

#[test]
fn kept_queries_are_run_by_their_id() {
    let client = Client::fresh();
    for name in ["A", "B", "C", "D"] {
        client.create("accounts", &format!(r#"{{"name":"{name}"}}"#));
    }
    let views = "savedqueries?$select=savedqueryid&$filter=name%20eq%20'Active%20Accounts'";
    let views = client.query(views);
    let view = views[0]["savedqueryid"].as_str().unwrap();
    let prefer = [("Prefer", "odata.maxpagesize=3")];
    let first = client.request("GET", &format!("accounts?savedQuery={view}"), &prefer, "");
    let first = json(&first);
    assert_eq!(first["value"].as_array().unwrap().len(), 3);
    let next = first["@odata.nextLink"].as_str().unwrap();
    let next = next.strip_prefix(&format!("{BASE}/")).unwrap();
    let rest = json(&client.request("GET", next, &prefer, ""));
    assert_eq!(rest["value"][0]["name"], "D");
    assert!(rest["@odata.nextLink"].is_null());

    let fetch = "<fetch><entity name='account'><attribute name='name' /><filter>\
                 <condition attribute='name' operator='gt' value='B' /></filter></entity></fetch>";
    let body = serde_json::json!({"name": "Mine", "returnedtypecode": "account", "querytype": 0,
        "fetchxml": fetch});
    let mine = client.create("userqueries", &body.to_string());
    assert_eq!(client.query(&format!("accounts?userQuery={mine}")).len(), 2);

    let absent = "00000000-0000-0000-0000-000000000001";
    for (query, status) in [
        (format!("accounts?savedQuery={absent}"), 404),
        (format!("accounts?savedQuery={mine}"), 404),
        ("accounts?savedQuery=x".to_owned(), 400),
        (format!("contacts?savedQuery={view}"), 400),
        (format!("accounts?savedQuery={view}&$skiptoken=x"), 400),
    ] {
        assert_eq!(client.get(&query).status, status, "{query}");
    }
}
