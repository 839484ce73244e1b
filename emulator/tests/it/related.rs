//! Queries across lookups and collections, query functions, and aggregates.

use serde_json::{Value, json};

use crate::client::*;
use crate::query::{encoded, names};

/// Two accounts with people, one of them alone.
struct World {
    client: Client,
    north: String,
    south: String,
    ann: String,
}

fn world() -> World {
    let client = Client::fresh();
    let north = client.create("accounts", r#"{"name":"North","numberofemployees":5}"#);
    let south = client.create("accounts", r#"{"name":"South","numberofemployees":7}"#);
    let person = |first: &str, account: Option<&str>, income: i32, interests: Option<&str>| {
        let mut body = json!({"firstname": first, "lastname": "Lee", "annualincome": income});
        if let Some(account) = account {
            body["parentcustomerid_account@odata.bind"] = json!(format!("/accounts({account})"));
        }
        if let Some(interests) = interests {
            body["new_interests"] = json!(interests);
        }
        client.create("contacts", &body.to_string())
    };
    let ann = person("Ann", Some(&north), 1000, Some("100000000,100000001"));
    person("Bob", Some(&north), 2000, Some("100000002"));
    person("Cem", Some(&south), 4000, None);
    person("Dan", None, 500, None);
    let body = format!(r#"{{"primarycontactid@odata.bind":"/contacts({ann})"}}"#);
    assert_eq!(
        client.patch(&format!("accounts({north})"), &body).status,
        204
    );
    World {
        client,
        north,
        south,
        ann,
    }
}

impl World {
    fn get(&self, path: &str) -> Value {
        let answer = self.client.get(&path.replace(' ', "%20"));
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
        json(&answer)
    }

    fn people(&self, filter: &str) -> String {
        let filter = encoded(filter);
        names(
            &self
                .client
                .query(&format!("contacts?$select=firstname&$filter={filter}")),
        )
    }

    fn accounts(&self, filter: &str) -> Vec<Value> {
        let filter = encoded(filter);
        self.client
            .query(&format!("accounts?$select=name&$filter={filter}"))
            .iter()
            .map(|row| row["name"].clone())
            .collect()
    }
}

#[test]
fn filters_reach_over_lookups() {
    let world = world();
    for (filter, expected) in [
        ("parentcustomerid_account/name eq 'north'", "Ann Bob"),
        ("parentcustomerid_account/name ne null", "Ann Bob Cem"),
        ("parentcustomerid_account/name eq null", "Dan"),
        ("contains(parentcustomerid_account/name,'out')", "Cem"),
        (
            "parentcustomerid_account/primarycontactid/firstname eq 'Ann' and annualincome gt 1000",
            "Bob",
        ),
        (
            "not (parentcustomerid_account/numberofemployees gt 5)",
            "Ann Bob Dan",
        ),
        ("parentcustomerid_contact/firstname eq 'x'", ""),
    ] {
        assert_eq!(world.people(filter), expected, "{filter}");
    }
    let id = &world.ann;
    assert_eq!(
        world.accounts(&format!("primarycontactid/contactid eq {id}")),
        ["North"]
    );
    assert_eq!(
        world.accounts(&format!("_primarycontactid_value eq {id}")),
        ["North"]
    );
}

#[test]
fn filters_ask_any_and_all_of_a_collection() {
    let world = world();
    for (filter, expected) in [
        (
            "contact_customer_accounts/any(c:c/firstname eq 'Bob')",
            vec!["North"],
        ),
        (
            "contact_customer_accounts/any(c:c/annualincome gt 500)",
            vec!["North", "South"],
        ),
        ("contact_customer_accounts/any()", vec!["North", "South"]),
        (
            "contact_customer_accounts/all(c:c/annualincome ge 2000)",
            vec!["South"],
        ),
        (
            "not contact_customer_accounts/any(c:contains(c/firstname,'e'))",
            vec!["North"],
        ),
        (
            "name eq 'North' and contact_customer_accounts/any(o:o/parentcustomerid_account/name eq 'North')",
            vec!["North"],
        ),
    ] {
        assert_eq!(world.accounts(filter), expected, "{filter}");
    }
    let answer = world
        .client
        .get("accounts?$filter=contact_customer_accounts/any(c:firstname%20eq%20'x')");
    refused(&answer, 400, "0x80060888", "Syntax error");
    let answer = world
        .client
        .get("accounts?$filter=nothing/any(c:c/x%20eq%20'x')");
    refused(&answer, 400, "0x0", "'nothing'");
}

/// What stands behind `Microsoft.Dynamics.CRM.`, and who is found.
const FUNCTIONS: &[(&str, &str)] = &[
    (
        "NotIn(PropertyName='firstname',PropertyValues=[\"Ann\",\"Bob\"])",
        "Cem Dan",
    ),
    (
        "In(PropertyName='firstname',PropertyValues=[\"Ann\"]) or firstname eq 'Dan'",
        "Ann Dan",
    ),
    (
        "Between(PropertyName='annualincome',PropertyValues=[\"1000\",\"2000\"])",
        "Ann Bob",
    ),
    (
        "NotBetween(PropertyName='annualincome',PropertyValues=[\"1000\",\"2000\"])",
        "Cem Dan",
    ),
    (
        "ContainValues(PropertyName='new_interests',PropertyValues=[\"100000001\",\"100000002\"])",
        "Ann Bob",
    ),
    (
        "ContainValues(PropertyName='new_interests',PropertyValues=[\"100000001\"])",
        "Ann",
    ),
    (
        "DoesNotContainValues(PropertyName='new_interests',PropertyValues=[\"100000001\"])",
        "Bob Cem Dan",
    ),
    ("Today(PropertyName='createdon')", "Ann Bob Cem Dan"),
    ("Yesterday(PropertyName='createdon')", ""),
    (
        "LastXDays(PropertyName='createdon',PropertyValue=7)",
        "Ann Bob Cem Dan",
    ),
    (
        "LastXHours(PropertyName='createdon',PropertyValue='1')",
        "Ann Bob Cem Dan",
    ),
    ("NextXDays(PropertyName='birthdate',PropertyValue=7)", ""),
    (
        "OlderThanXYears(PropertyName='createdon',PropertyValue=1)",
        "",
    ),
    (
        "OnOrAfter(PropertyName='createdon',PropertyValue='2020-01-01')",
        "Ann Bob Cem Dan",
    ),
    (
        "OnOrBefore(PropertyName='createdon',PropertyValue=2020-01-01)",
        "",
    ),
    ("EqualUserId(PropertyName='ownerid')", "Ann Bob Cem Dan"),
    ("NotEqualUserId(PropertyName='ownerid')", ""),
];

const UNREADABLE: &[&str] = &[
    "NotIn(PropertyName='firstname',PropertyValues=['Ann)",
    "LastXDays(PropertyName='firstname',PropertyValue=7)",
    "LastXDays(PropertyName='createdon',PropertyValue=x)",
    "Between(PropertyName='annualincome',PropertyValues=[\"1000\"])",
    "ContainValues(PropertyName='firstname',PropertyValues=[\"1\"])",
    "Today(Nothing='createdon')",
    "Today(PropertyName='nothing')",
    "Today(PropertyName='createdon'",
];

#[test]
fn functions_of_dataverse_filter() {
    let world = world();
    for (function, expected) in FUNCTIONS {
        let filter = format!("Microsoft.Dynamics.CRM.{function}");
        assert_eq!(world.people(&filter), *expected, "{filter}");
    }
    for function in UNREADABLE {
        let filter = encoded(&format!("Microsoft.Dynamics.CRM.{function}"));
        let answer = world.client.get(&format!("contacts?$filter={filter}"));
        assert_eq!(answer.status, 400, "{function}");
    }
    let aliased = "contacts?$select=firstname&$filter=Microsoft.Dynamics.CRM.In(PropertyName=@p1,\
                   PropertyValues=@p2)&@p1='firstname'&@p2=[\"Ann\",\"Cem\"]";
    assert_eq!(names(&world.client.query(aliased)), "Ann Cem");
}

#[test]
fn a_lookup_is_expanded() {
    let world = world();
    let body = world.get(&format!(
        "accounts({})?$select=name&$expand=primarycontactid($select=fullname;$expand=parentcustomerid_account($select=name))",
        world.north
    ));
    let context = body["@odata.context"].as_str().unwrap();
    let shape = "accounts(name,primarycontactid(fullname,parentcustomerid_account(name)))/$entity";
    assert!(context.ends_with(shape), "{context}");
    let contact = &body["primarycontactid"];
    assert_eq!(contact["fullname"], "Ann Lee");
    assert_eq!(contact["contactid"], world.ann.as_str());
    assert!(contact["@odata.etag"].is_string());
    assert_eq!(contact.get("lastname"), None);
    assert_eq!(contact["parentcustomerid_account"]["name"], "North");
    let rows =
        world.get("accounts?$select=name&$expand=primarycontactid($select=fullname)&$orderby=name");
    assert_eq!(rows["value"][0]["primarycontactid"]["fullname"], "Ann Lee");
    assert_eq!(rows["value"][1]["primarycontactid"], Value::Null);
}

#[test]
fn a_collection_is_expanded() {
    let world = world();
    let expand = "contact_customer_accounts($select=firstname;$filter=annualincome ge 1000;$orderby=firstname desc;$top=1)";
    let rows = world.get(&format!(
        "accounts?$select=name&$expand={expand}&$orderby=name"
    ));
    let first = |place: usize| {
        names(
            rows["value"][place]["contact_customer_accounts"]
                .as_array()
                .unwrap(),
        )
    };
    assert_eq!((first(0).as_str(), first(1).as_str()), ("Bob", "Cem"));
    assert_eq!(
        rows["value"][0].get("contact_customer_accounts@odata.nextLink"),
        None
    );
    let body = world.get(&format!(
        "accounts({})?$expand=contact_customer_accounts($select=firstname),primarycontactid($select=fullname)",
        world.north
    ));
    assert_eq!(
        names(body["contact_customer_accounts"].as_array().unwrap()),
        "Ann Bob"
    );
    assert_eq!(body["name"], "North");
    let annotated = world.client.request(
        "GET",
        "contacts?$select=firstname&$expand=parentcustomerid_account($select=statecode)&$top=1",
        &[("Prefer", "odata.include-annotations=\"*\"")],
        "",
    );
    let state = &json(&annotated)["value"][0]["parentcustomerid_account"];
    assert_eq!(
        state["statecode@OData.Community.Display.V1.FormattedValue"],
        "Active"
    );
}

#[test]
fn an_expanded_collection_has_pages() {
    let world = world();
    let path = "accounts?$select=name&$expand=contact_customer_accounts($select=firstname;$orderby=firstname desc)&$orderby=name";
    let prefer = [("Prefer", "odata.maxpagesize=1")];
    let body = json(
        &world
            .client
            .request("GET", &path.replace(' ', "%20"), &prefer, ""),
    );
    let row = &body["value"][0];
    assert_eq!(
        names(row["contact_customer_accounts"].as_array().unwrap()),
        "Bob"
    );
    let next = row["contact_customer_accounts@odata.nextLink"]
        .as_str()
        .unwrap();
    let next = next.strip_prefix(&format!("{BASE}/")).unwrap();
    assert!(next.starts_with(&format!(
        "accounts({})/contact_customer_accounts?",
        world.north
    )));
    let body = json(&world.client.request("GET", next, &prefer, ""));
    assert_eq!(names(body["value"].as_array().unwrap()), "Ann");
    assert_eq!(body.get("@odata.nextLink"), None);
}

#[test]
fn what_cannot_be_expanded_is_refused() {
    let world = world();
    let many = vec!["primarycontactid"; 16].join(",");
    for (query, code, message) in [
        ("nothing", "0x0", "'nothing'"),
        ("primarycontactid($select=nothing)", "0x0", "'nothing'"),
        ("primarycontactid($top=1)", "0x80060888", "'$top'"),
        (
            "contact_customer_accounts($count=true)",
            "0x80060888",
            "'$count'",
        ),
        (
            "contact_customer_accounts($select=firstname",
            "0x80060888",
            "syntax",
        ),
        (many.as_str(), "0x80060888", "15"),
    ] {
        let answer = world.client.get(&format!("accounts?$expand={query}"));
        refused(&answer, 400, code, message);
    }
}

#[test]
fn related_rows_are_read_behind_a_row() {
    let world = world();
    let (north, south) = (&world.north, &world.south);
    let body = world.get(&format!(
        "accounts({north})/primarycontactid?$select=fullname"
    ));
    assert_eq!(body["fullname"], "Ann Lee");
    assert!(
        body["@odata.context"]
            .as_str()
            .unwrap()
            .ends_with("#contacts(fullname)/$entity")
    );
    assert_eq!(
        world
            .client
            .get(&format!("accounts({south})/primarycontactid"))
            .status,
        204
    );
    let body = world.get(&format!("accounts({north})/primarycontactid/$ref"));
    assert_eq!(body["@odata.id"], format!("{BASE}/contacts({})", world.ann));
    let path = format!("accounts({north})/contact_customer_accounts");
    let body = world.get(&format!(
        "{path}?$select=firstname&$filter=annualincome gt 1000&$count=true"
    ));
    assert_eq!(names(body["value"].as_array().unwrap()), "Bob");
    assert_eq!(body["@odata.count"], 1);
    assert_eq!(
        text(&world.client.get(&format!("{path}/$count"))),
        "\u{feff}2"
    );
    let body = world.get(&format!("{path}/$ref"));
    assert_eq!(body["value"].as_array().unwrap().len(), 2);
    assert_eq!(
        body["value"][0]["@odata.id"],
        format!("{BASE}/contacts({})", world.ann)
    );
}

#[test]
fn rows_are_counted_and_summed_in_groups() {
    let world = world();
    let body = world.get(
        "contacts?$apply=groupby((statecode,_parentcustomerid_value),aggregate($count as people,\
         annualincome with sum as total,annualincome with average as mean,annualincome with max as most))",
    );
    let rows = body["value"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let north = &rows[0];
    assert_eq!(north["_parentcustomerid_value"], world.north.as_str());
    assert_eq!(north["people"], 2);
    assert_eq!(north["total"].as_f64(), Some(3000.0));
    assert_eq!(north["mean"].as_f64(), Some(1500.0));
    assert_eq!(north["most"].as_f64(), Some(2000.0));
    let body = world.get("contacts?$apply=filter(annualincome gt 500)/aggregate($count as n,lastname with countdistinct as families)");
    assert_eq!(body["value"], json!([{"n": 3, "families": 1}]));
    let body = world.get("contacts?$apply=groupby((lastname))");
    assert_eq!(body["value"], json!([{"lastname": "Lee"}]));
    let context = body["@odata.context"].as_str().unwrap();
    assert!(context.ends_with("/$metadata#contacts"), "{context}");
    for wrong in [
        "groupby((nothing))",
        "groupby((createdon))",
        "aggregate(firstname with sum as total)",
        "aggregate(annualincome with most as total)",
        "groupby((lastname)",
        "concat(x)",
        "",
    ] {
        let path = format!("contacts?$apply={}", encoded(wrong));
        assert_eq!(world.client.get(&path).status, 400, "{wrong}");
    }
    assert_eq!(
        world
            .client
            .get("contacts?$apply=groupby((lastname))&$top=1&$orderby=lastname")
            .status,
        400
    );
}

#[test]
fn reads_stand_in_batches() {
    let world = world();
    let body = "--batch_A\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
                GET accounts?$select=name&$filter=name ne 'x y'&$expand=primarycontactid($select=fullname)&$orderby=name asc HTTP/1.1\r\n\
                Prefer: odata.maxpagesize=1\r\n\r\n\r\n--batch_A--\r\n";
    let answer = world.client.batch(&[], body);
    let text = text(&answer);
    assert_eq!(answer.status, 200, "{text}");
    assert!(text.contains("\"fullname\":\"Ann Lee\""), "{text}");
    assert!(text.contains("@odata.nextLink"), "{text}");
}

#[test]
fn an_owner_is_a_principal_and_has_but_its_id() {
    let client = Client::fresh();
    let id = client.create("contacts", r#"{"lastname":"L"}"#);
    let me = client.get("WhoAmI");
    let me: serde_json::Value = serde_json::from_str(text(&me).as_str()).unwrap();
    for path in [
        format!("contacts({id})?$expand=ownerid"),
        format!("contacts({id})?$select=lastname&$expand=ownerid($select=ownerid)"),
        format!("contacts?$filter=contactid eq {id}&$expand=ownerid"),
    ] {
        let answer = client.get(&path.replace(' ', "%20"));
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
        let row: serde_json::Value = serde_json::from_str(&text(&answer)).unwrap();
        let row = row.get("value").map_or(&row, |rows| &rows[0]);
        let owner = &row["ownerid"];
        assert_eq!(owner["@odata.type"], "#Microsoft.Dynamics.CRM.systemuser");
        assert_eq!(owner["ownerid"], me["UserId"]);
        assert!(owner["@odata.etag"].is_string());
        assert_eq!(owner.as_object().unwrap().len(), 3);
    }
    let owner = client.get(&format!("contacts({id})/ownerid"));
    assert!(text(&owner).contains("$metadata#principals/$entity"));
    let address = client.get(&format!("contacts({id})/ownerid/$ref"));
    let user = me["UserId"].as_str().unwrap();
    assert!(text(&address).contains(&format!("/systemusers({user})")));
    for path in [
        "contacts?$expand=ownerid($select=fullname)".to_owned(),
        "contacts?$expand=ownerid($expand=businessunitid)".to_owned(),
        "contacts?$filter=ownerid/fullname%20eq%20'x'".to_owned(),
        format!("contacts({id})/ownerid?$select=fullname"),
    ] {
        assert_eq!(client.get(&path).status, 400, "{path}");
    }
}

#[test]
fn the_owning_user_or_the_owning_team_repeats_the_owner() {
    let client = Client::fresh();
    let id = client.create("contacts", r#"{"lastname":"L"}"#);
    let columns = "_ownerid_value,_owninguser_value,_owningteam_value";
    let path = format!("contacts({id})?$select={columns}&$expand=owninguser($select=fullname)");
    let read = |path: &str| -> serde_json::Value {
        let answer = client.get(&path.replace(' ', "%20"));
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
        serde_json::from_str(&text(&answer)).unwrap()
    };
    let row = read(&path);
    assert_eq!(row["_owninguser_value"], row["_ownerid_value"]);
    assert!(row["_owningteam_value"].is_null());
    assert!(row["owninguser"]["fullname"].is_string());
    let user = row["_ownerid_value"].as_str().unwrap();
    let found = read(&format!(
        "contacts?$filter=_owninguser_value eq {user} and owninguser/systemuserid eq {user}"
    ));
    assert_eq!(found["value"].as_array().unwrap().len(), 1);

    let unit = read("WhoAmI")["BusinessUnitId"]
        .as_str()
        .unwrap()
        .to_owned();
    let team = client.create(
        "teams",
        &format!(r#"{{"name":"T","businessunitid@odata.bind":"businessunits({unit})"}}"#),
    );
    let body = format!(r#"{{"ownerid@odata.bind":"teams({team})"}}"#);
    let answer = client.request("PATCH", &format!("contacts({id})"), &[], &body);
    assert_eq!(answer.status, 204, "{}", text(&answer));
    let row = read(&format!(
        "contacts({id})?$expand=ownerid,owningteam($select=name)"
    ));
    assert!(row["_owninguser_value"].is_null());
    assert_eq!(row["_owningteam_value"].as_str().unwrap(), team);
    assert_eq!(row["owningteam"]["name"], "T");
    assert_eq!(
        row["ownerid"]["@odata.type"],
        "#Microsoft.Dynamics.CRM.team"
    );
    let write = r#"{"owninguser@odata.bind":"systemusers(00000000-0000-0000-0000-000000000001)"}"#;
    let answer = client.request("PATCH", &format!("contacts({id})"), &[], write);
    assert!((400..500).contains(&answer.status), "{}", text(&answer));
}

#[test]
fn a_second_slash_behind_the_root_is_passed_over() {
    let client = Client::fresh();
    let account = client.create("accounts", r#"{"name":"A"}"#);
    let contact = client.create("contacts", r#"{"lastname":"C"}"#);
    let path = format!("accounts({account})/contact_customer_accounts");
    let body = format!(r#"{{"@odata.id":"{BASE}//contacts({contact})"}}"#);
    let answer = client.post(&format!("/{path}/$ref"), &body);
    assert_eq!(answer.status, 204, "{}", text(&answer));
    assert_eq!(client.query(&path).len(), 1);
}
