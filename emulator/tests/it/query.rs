//! Queries of many rows.

use serde_json::{Value, json};

use crate::client::*;

fn people() -> Client {
    let client = Client::fresh();
    for (number, (first, last, income, choice)) in [
        ("Ann", "O'Brien", 1000, 1),
        ("Bob", "lee", 2000, 2),
        ("Cäcilie", "Lee", 3000, 1),
        ("dora", "Ray", 4000, 2),
        ("Eve", "50% Off", 5000, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({
            "firstname": first, "lastname": last, "annualincome": income, "gendercode": choice,
            "externaluseridentifier": format!("K{number}"), "numberofchildren": number,
            "birthdate": format!("200{number}-01-01"),
        });
        client.create("contacts", &body.to_string());
    }
    client.create("contacts", r#"{"firstname":"Nil"}"#);
    client
}

pub(crate) fn names(rows: &[Value]) -> String {
    let names: Vec<_> = rows
        .iter()
        .map(|row| row["firstname"].as_str().unwrap())
        .collect();
    names.join(" ")
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

const FILTERS: &[(&str, &str)] = &[
    ("lastname eq 'O''Brien'", "Ann"),
    ("lastname eq 'LEE'", "Bob Cäcilie"),
    ("firstname eq 'cacilie  '", "Cäcilie"),
    ("lastname ne 'Lee'", "Ann dora Eve Nil"),
    ("lastname eq null", "Nil"),
    ("lastname ne null", "Ann Bob Cäcilie dora Eve"),
    ("annualincome gt 3000", "dora Eve"),
    (
        "annualincome ge 3000.00 and annualincome lt 5000",
        "Cäcilie dora",
    ),
    ("annualincome le 1000 or numberofchildren eq 4", "Ann Eve"),
    (
        "not (gendercode eq 1) and not contains(firstname,'o')",
        "Nil",
    ),
    ("not contains(firstname,'o')", "Ann Cäcilie Eve Nil"),
    (
        "gendercode eq 1 and (lastname eq 'Lee' or lastname eq 'Ray')",
        "Cäcilie",
    ),
    ("startswith(firstname,'D')", "dora"),
    ("endswith(firstname,'E')", "Cäcilie Eve"),
    ("contains(lastname,'50[%]')", "Eve"),
    ("contains(lastname,'_ra_')", ""),
    ("birthdate ge 2003-01-01", "dora Eve"),
    (
        "createdon lt 9999-12-31T23:59:59Z and gendercode eq 2",
        "Bob dora",
    ),
    (
        "createdon gt 2020-01-01T00:00:00Z and gendercode eq 2",
        "Bob dora",
    ),
    ("donotphone eq false and firstname eq 'Ann'", "Ann"),
    ("firstname lt 'C'", "Ann Bob"),
    ("lastname eq firstname", ""),
    (
        "Microsoft.Dynamics.CRM.In(PropertyName='lastname',PropertyValues=[\"Ray\",\"O'Brien\",\"lee\"])",
        "Ann Bob Cäcilie dora",
    ),
    (
        "Microsoft.Dynamics.CRM.In(PropertyName='lastname',PropertyValues=['Ray','O''Brien', \"lee\" ])",
        "Ann Bob Cäcilie dora",
    ),
    (
        "Microsoft.Dynamics.CRM.In(PropertyName='lastname',PropertyValues=[])",
        "",
    ),
    (
        "Microsoft.Dynamics.CRM.In(PropertyName='externaluseridentifier',PropertyValues=[\"k1\",\"K3\",\"none\",\"k1\"])",
        "Bob dora",
    ),
    (
        "Microsoft.Dynamics.CRM.In(PropertyName='numberofchildren',PropertyValues=[\"0\",\"2\"]) and gendercode eq 1",
        "Ann Cäcilie",
    ),
    (
        "externaluseridentifier eq 'K4' or externaluseridentifier eq 'K0'",
        "Ann Eve",
    ),
    ("externaluseridentifier eq 'K4' and gendercode eq 2", ""),
    (
        "(((statecode eq 0)))and(gendercode eq 1)",
        "Ann Cäcilie Eve",
    ),
];

#[test]
fn filters_find_what_they_say() {
    let client = people();
    for (filter, expected) in FILTERS {
        let rows = client.query(&format!(
            "contacts?$select=firstname&$filter={}",
            encoded(filter)
        ));
        assert_eq!(names(&rows), *expected, "{filter}");
    }
}

#[test]
fn filters_find_ids_owners_and_aliases() {
    let client = people();
    let me = json(&client.get("WhoAmI"))["UserId"]
        .as_str()
        .unwrap()
        .to_owned();
    let id = client.service.rows("contact")[2]["contactid"]
        .as_str()
        .unwrap()
        .to_owned();
    for (query, expected) in [
        (format!("$filter=contactid eq {id}"), 1),
        (format!("$filter=_ownerid_value eq {me}"), 6),
        (format!("$filter=_ownerid_value eq '{me}'"), 6),
        ("$filter=lastname eq @p&@p='Lee'".to_owned(), 2),
        ("$filter=annualincome gt @p&@p=3000".to_owned(), 2),
        (
            "$filter=Microsoft.Dynamics.CRM.In(PropertyName=@n,PropertyValues=@v)".to_owned(),
            0,
        ),
    ] {
        let answer = client.get(&format!("contacts?{}", query.replace(' ', "%20")));
        if expected == 0 {
            assert_eq!(answer.status, 400);
        } else {
            assert_eq!(
                json(&answer)["value"].as_array().unwrap().len(),
                expected,
                "{query}"
            );
        }
    }
}

const WRONG: &[(&str, &str, &str)] = &[
    (
        "$select=nothing",
        "0x0",
        "Could not find a property named 'nothing' on type 'Microsoft.Dynamics.CRM.contact'.",
    ),
    ("$select=parentcustomerid", "0x0", "'parentcustomerid'"),
    (
        "$filter=nothing eq 1",
        "0x0",
        "Could not find a property named 'nothing'",
    ),
    ("$orderby=nothing", "0x0", "'nothing'"),
    ("$filter=contains(nothing,'a')", "0x0", "'nothing'"),
    ("$filter=lastname", "0x80060888", ""),
    (
        "$filter=lastname eq",
        "0x80060888",
        "Syntax error at position 11 in 'lastname eq'.",
    ),
    ("$filter=lastname is 'x'", "0x80060888", "Syntax error"),
    ("$filter=lastname eq 'x' and", "0x80060888", "Syntax error"),
    ("$filter=lastname eq 'x", "0x80060888", "Syntax error"),
    ("$filter=(lastname eq 'x'", "0x80060888", "Syntax error"),
    ("$filter=lastname eq 5", "0x80060888", "'5'"),
    ("$filter=annualincome eq 'x'", "0x80060888", "'x'"),
    ("$filter=numberofchildren eq 1.5", "0x80060888", "'1.5'"),
    (
        "$filter=",
        "0x0",
        "The value for OData query '$filter' cannot be empty.",
    ),
    ("$select=%20", "0x0", "'$select' cannot be empty."),
    (
        "$filter=lastname eq 'a'&$top=1&$filter=lastname eq 'b'",
        "0x0",
        "Query option '$filter' was specified more than once, but it must be specified at most once.",
    ),
    (
        "$expand=parentcustomerid_account($select=name;$select=name)",
        "0x0",
        "'$select' was specified more than once",
    ),
    (
        "$count=True",
        "0x0",
        "Invalid value 'True' for $count query option found.",
    ),
    (
        "$filter=Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue=0)",
        "0x80060888",
        "The value '0' is not one that 'LastXDays' takes.",
    ),
    (
        "$filter=Microsoft.Dynamics.CRM.NextXYears(PropertyName='createdon',PropertyValue=9999)",
        "0x80060888",
        "The value '9999' is not one that 'NextXYears' takes.",
    ),
    ("$orderby=lastname sideways", "0x80060888", ""),
    (
        "$top=many",
        "0x0",
        "Invalid value 'many' for $top query option found. The $top query option requires a non-negative integer value.",
    ),
    ("$top=1,0", "0x0", "Invalid value '1,0' for $top"),
    ("$top=-1", "0x0", "Invalid value '-1' for $top"),
    ("$top=0", "0x0", "Invalid value for $top query option."),
    (
        "$skip=5",
        "0x80060888",
        "Skip Clause is not supported in CRM",
    ),
    ("$nothing=1", "0x80060888", "'$nothing'"),
    ("$skiptoken=x", "0x80060888", "cookie"),
];

#[test]
fn wrong_queries_are_told() {
    let client = people();
    for (query, code, text) in WRONG {
        let answer = client.get(&format!("contacts?{}", query.replace(' ', "%20")));
        refused(&answer, 400, code, text);
    }
    let deep = format!(
        "$filter={}lastname%20eq%20null{}",
        "(".repeat(2000),
        ")".repeat(2000)
    );
    refused(
        &client.get(&format!("contacts?{deep}")),
        400,
        "0x80060888",
        "Syntax error",
    );
    let unheard = "$filter=Microsoft.Dynamics.CRM.Unheard(PropertyName='ownerid')";
    assert_eq!(client.get(&format!("contacts?{unheard}")).status, 501);
}

#[test]
fn rows_come_in_the_order_that_is_asked() {
    let client = people();
    for (order, expected) in [
        ("firstname", "Ann Bob Cäcilie dora Eve Nil"),
        ("firstname desc", "Nil Eve dora Cäcilie Bob Ann"),
        ("lastname,firstname desc", "Nil Eve Cäcilie Bob Ann dora"),
        (
            "gendercode desc,annualincome asc",
            "Bob dora Ann Cäcilie Eve Nil",
        ),
    ] {
        let path = format!(
            "contacts?$select=firstname&$orderby={}",
            order.replace(' ', "%20")
        );
        assert_eq!(names(&client.query(&path)), expected, "{order}");
        let path = format!("{path}&$top=2");
        assert_eq!(names(&client.query(&path)).split(' ').count(), 2);
    }
}

#[test]
fn aliases_name_properties_too() {
    let client = people();
    let rows = client.query(
        "contacts?$select=firstname&$filter=contains(@p1,'o')%20and%20@p2%20ge%20@p3\
         &$orderby=@p4%20asc,@p1%20desc&@p1=firstname&@p2=gendercode&@p3=1&@p4=lastname",
    );
    assert_eq!(names(&rows), "Bob dora");
    for query in [
        "$filter=@p%20eq%201",
        "$filter=@p%20eq%201&@p=nocolumn",
        "$orderby=@p",
    ] {
        assert_eq!(
            client.get(&format!("contacts?{query}")).status,
            400,
            "{query}"
        );
    }
}

#[test]
fn pages_follow_each_other() {
    let client = people();
    for query in [
        "",
        "&$orderby=firstname%20desc",
        "&$filter=lastname%20ne%20null",
    ] {
        let whole = names(&client.query(&format!("contacts?$select=firstname{query}")));
        let prefer = [("Prefer", "odata.maxpagesize=2")];
        let mut path = format!("contacts?$select=firstname&$count=true{query}");
        let mut found = Vec::new();
        loop {
            let answer = json(&client.request("GET", &path, &prefer, ""));
            let page = answer["value"].as_array().unwrap();
            assert!((1..=2).contains(&page.len()));
            assert!(answer["@odata.count"].as_u64().unwrap() >= 5);
            found.push(names(page));
            let Some(next) = answer["@odata.nextLink"].as_str() else {
                break;
            };
            path = next.strip_prefix(&format!("{BASE}/")).unwrap().to_owned();
        }
        assert_eq!(found.join(" "), whole, "{query}");
    }
}

#[test]
fn a_page_is_found_by_its_number() {
    let client = people();
    let page = |number: &str, order: &str| {
        let cookie = encoded(&format!(
            "<cookie pagenumber=\"{number}\" istracking=\"False\" />"
        ));
        let path = format!("contacts?$select=firstname{order}&$skiptoken={cookie}");
        client.request("GET", &path, &[("Prefer", "odata.maxpagesize=2")], "")
    };
    for order in ["", "&$orderby=firstname"] {
        let mut seen = String::new();
        for number in ["1", "2", "3"] {
            let rows = json(&page(number, order))["value"]
                .as_array()
                .unwrap()
                .clone();
            seen = format!("{seen} {}", names(&rows));
        }
        assert_eq!(seen.trim(), "Ann Bob Cäcilie dora Eve Nil", "{order}");
        assert_eq!(json(&page("9", order))["value"], serde_json::json!([]));
        // The page after it begins where it ends.
        let link = json(&page("2", order))["@odata.nextLink"].clone();
        let rest = client.query(&link.as_str().unwrap().replace(&format!("{BASE}/"), ""));
        assert_eq!(names(&rest), "Eve Nil", "{order}");
    }
    for wrong in ["0", "-1", "x", "99999999999"] {
        assert_eq!(page(wrong, "").status, 400, "{wrong}");
    }
}

#[test]
fn top_ends_the_query() {
    let client = people();
    let answer = json(&client.get("contacts?$top=2"));
    assert_eq!(answer["value"].as_array().unwrap().len(), 2);
    assert_eq!(answer["@odata.nextLink"], json!(null));
    assert_eq!(
        answer["@odata.context"],
        format!("{BASE}/$metadata#contacts")
    );
    let prefer = [("Prefer", "odata.maxpagesize=3")];
    let answer = json(&client.request("GET", "contacts?$top=2", &prefer, ""));
    assert_eq!(answer["value"].as_array().unwrap().len(), 3);
    assert_eq!(
        client
            .request("GET", "contacts", &[("Prefer", "odata.maxpagesize=0")], "")
            .status,
        400
    );
}

#[test]
fn counts_come_with_a_byte_order_mark() {
    let client = people();
    let answer = client.get("contacts/$count");
    assert_eq!((answer.status, text(&answer).as_str()), (200, "\u{feff}6"));
    assert_eq!(answer.get("Content-Type"), Some("text/plain"));
    assert_eq!(
        text(&client.get("contacts/$count?$filter=gendercode%20eq%201")),
        "\u{feff}3"
    );
    let prefer = [(
        "Prefer",
        "odata.include-annotations=\"Microsoft.Dynamics.CRM.*\"",
    )];
    let body = json(&client.request("GET", "contacts?$count=true&$top=1", &prefer, ""));
    assert_eq!(body["@odata.count"], 6);
    assert_eq!(body["@Microsoft.Dynamics.CRM.totalrecordcount"], 6);
    assert_eq!(
        body["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"],
        false
    );
}

#[test]
fn the_version_of_the_definitions_is_told() {
    let client = people();
    let term = "Microsoft.Dynamics.CRM.globalmetadataversion";
    let id = client.service.rows("contact")[0]["contactid"]
        .as_str()
        .unwrap()
        .to_owned();
    for path in ["contacts?$top=1".to_owned(), format!("contacts({id})")] {
        let prefer = format!("odata.include-annotations=\"{term}\"");
        let body = json(&client.request("GET", &path, &[("Prefer", &prefer)], ""));
        assert!(
            body[format!("@{term}")]
                .as_str()
                .unwrap()
                .parse::<u32>()
                .is_ok(),
            "{body}"
        );
        assert_eq!(json(&client.get(&path)).get(format!("@{term}")), None);
    }
}

#[test]
fn a_query_with_special_characters_finds_what_a_key_cannot() {
    let client = Client::fresh();
    client.create("accounts", r#"{"accountnumber":"M&M+/?:*%\\<>#"}"#);
    let filter = encoded("accountnumber eq 'M&M+/?:*%\\<>#'");
    assert_eq!(
        client
            .query(&format!("accounts?$filter={filter}&$select=accountid"))
            .len(),
        1
    );
}

#[test]
fn a_long_url_is_refused() {
    let client = Client::fresh();
    let filter = format!("accounts?$filter=name%20eq%20'{}'", "x".repeat(33_000));
    assert_eq!(client.get(&filter).status, 414);
}

#[test]
fn a_delta_link_leads_to_what_has_changed() {
    let client = Client::fresh();
    let ids: Vec<String> = (0..4)
        .map(|n| client.create("accounts", &format!(r#"{{"name":"A{n}"}}"#)))
        .collect();
    let track = [("Prefer", "odata.track-changes,odata.maxpagesize=3")];
    let read = |path: &str| {
        let answer = client.request("GET", path, &track, "");
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
        assert_eq!(
            answer.get("Preference-Applied"),
            Some("odata.track-changes")
        );
        json(&answer)
    };
    let behind = |page: &serde_json::Value, member: &str| {
        let link = page[member].as_str().unwrap().to_owned();
        link.strip_prefix(&format!("{BASE}/")).unwrap().to_owned()
    };
    let first = read("accounts?$select=name");
    assert!(first.get("@odata.deltaLink").is_none());
    // Comes between two pages: the next delta must tell of it.
    client.request(
        "PATCH",
        &format!("accounts({})", ids[0]),
        &[],
        r#"{"name":"B0"}"#,
    );
    let last = read(&behind(&first, "@odata.nextLink"));
    assert!(last.get("@odata.nextLink").is_none());
    let delta = behind(&last, "@odata.deltaLink");

    client.request("DELETE", &format!("accounts({})", ids[1]), &[], "");
    client.create("contacts", r#"{"lastname":"L"}"#);
    client.create("accounts", r#"{"name":"new"}"#);
    let page = read(&delta);
    let context = page["@odata.context"].as_str().unwrap();
    assert!(
        context.ends_with("$metadata#accounts(name)/$delta"),
        "{context}"
    );
    let rows = page["value"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "{page}");
    assert_eq!([&rows[0]["name"], &rows[1]["name"]], ["B0", "new"]);
    assert_eq!(rows[2]["id"].as_str().unwrap(), ids[1]);
    assert_eq!(rows[2]["reason"], "deleted");
    let context = rows[2]["@odata.context"].as_str().unwrap();
    assert!(context.ends_with("$metadata#accounts/$deletedEntity"));
    let counted = client.get(&delta.replace("accounts?", "accounts/$count?"));
    assert!(text(&counted).ends_with('3'), "{}", text(&counted));
    let page = read(&behind(&page, "@odata.deltaLink"));
    assert_eq!(page["value"].as_array().unwrap().len(), 0);
}

#[test]
fn changes_are_tracked_only_in_plain_queries() {
    let client = Client::fresh();
    let track = [("Prefer", "odata.track-changes")];
    for option in [
        "filter=name%20eq%20null",
        "orderby=name",
        "expand=ownerid",
        "top=1",
    ] {
        let answer = client.request("GET", &format!("accounts?${option}"), &track, "");
        let name = option.split('=').next().unwrap();
        let message = format!(
            "The \"${name}\" query parameter isn't supported when Change Tracking is enabled."
        );
        assert_eq!(answer.status, 400);
        assert_eq!(json(&answer)["error"]["message"], message);
    }
    for token in [
        "x",
        "1",
        "1!2!3",
        "1000000!0!00000000-0000-0000-0000-000000000000",
    ] {
        let answer = client.get(&format!("accounts?$deltatoken={token}"));
        assert_eq!(answer.status, 400, "{token}");
    }
    let answer = client.request("GET", "sdkmessagefilters", &track, "");
    refused(
        &answer,
        400,
        "0x80072491",
        "isn't enabled for change tracking",
    );
}

/// Accounts below each other, `a` above all, each with a contact of the same name.
fn family() -> (Client, [String; 3]) {
    let client = Client::fresh();
    let mut above = String::new();
    let ids = ["a", "b", "c"].map(|name| {
        let contact = client.create("contacts", &format!(r#"{{"lastname": "{name}"}}"#));
        let parent = if above.is_empty() {
            String::new()
        } else {
            format!(r#", "parentaccountid@odata.bind": "accounts({above})""#)
        };
        let body = format!(
            r#"{{"name": "{name}", "primarycontactid@odata.bind": "contacts({contact})"{parent}}}"#
        );
        above = client.create("accounts", &body);
        above.clone()
    });
    (client, ids)
}

fn named(rows: &[Value]) -> String {
    let names = rows.iter().map(|row| row["name"].as_str().unwrap());
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_are_ordered_by_those_that_lookups_lead_to() {
    let (client, _) = family();
    client.create("accounts", r#"{"name": "alone"}"#);
    for (order, expected) in [
        ("primarycontactid/lastname", "alone a b c"),
        ("primarycontactid/lastname%20desc", "c b a alone"),
        (
            "parentaccountid/primarycontactid/lastname,name%20desc",
            "alone a b c",
        ),
    ] {
        let path = format!("accounts?$select=name&$orderby={order}");
        assert_eq!(named(&client.query(&path)), expected, "{order}");
    }
    for wrong in [
        "primarycontactid/nothing",
        "nothing/name",
        "ownerid/fullname",
        "/",
    ] {
        let answer = client.get(&format!("accounts?$orderby={wrong}"));
        assert_eq!(answer.status, 400, "{wrong}");
    }
}

#[test]
fn functions_follow_a_hierarchy() {
    let (client, [first, second, third]) = family();
    for (function, id, expected) in [
        ("Under", &first, "b c"),
        ("UnderOrEqual", &second, "b c"),
        ("Above", &third, "a b"),
        ("AboveOrEqual", &second, "a b"),
        ("NotUnder", &second, "a b"),
    ] {
        let condition = format!(
            "Microsoft.Dynamics.CRM.{function}(PropertyName='accountid',PropertyValue='{id}')"
        );
        let path = format!("accounts?$select=name&$orderby=name&$filter={condition}");
        assert_eq!(named(&client.query(&path)), expected, "{function}");
    }
    let lookup = format!(
        "Microsoft.Dynamics.CRM.Under(PropertyName='parentaccountid',PropertyValue='{first}')"
    );
    assert_eq!(
        named(&client.query(&format!("accounts?$select=name&$filter={lookup}"))),
        "c"
    );
    let flat = "Microsoft.Dynamics.CRM.Under(PropertyName='leadid',PropertyValue='00000000-0000-0000-0000-000000000001')";
    refused(
        &client.get(&format!("leads?$filter={flat}")),
        400,
        "0x80040203",
        "hierarchy",
    );
    // A circle that writes let through is walked once.
    let circle = format!(r#"{{"parentaccountid@odata.bind": "accounts({third})"}}"#);
    if client.patch(&format!("accounts({first})"), &circle).status == 204 {
        let all = format!(
            "Microsoft.Dynamics.CRM.Above(PropertyName='accountid',PropertyValue='{first}')"
        );
        client.query(&format!("accounts?$select=name&$filter={all}"));
    }
}

#[test]
fn functions_know_the_teams_of_the_caller() {
    let client = Client::fresh();
    let user = client.service.client().user_id().unwrap();
    let unit = client.query("businessunits?$select=businessunitid")[0]["businessunitid"].clone();
    let team = format!(
        r#"{{"name": "T", "businessunitid@odata.bind": "businessunits({})"}}"#,
        unit.as_str().unwrap()
    );
    let team = client.create("teams", &team);
    let member = format!(r#"{{"@odata.id": "{BASE}/systemusers({user})"}}"#);
    let path = format!("teams({team})/teammembership_association/$ref");
    assert_eq!(client.post(&path, &member).status, 204);
    client.create("accounts", r#"{"name": "mine"}"#);
    let body = format!(r#"{{"name": "ours", "ownerid@odata.bind": "teams({team})"}}"#);
    client.create("accounts", &body);
    for (function, expected) in [
        ("EqualUserTeams", "ours"),
        ("EqualUserOrUserTeams", "mine ours"),
        ("EqualUserOrUserHierarchy", "mine"),
        ("EqualUserOrUserHierarchyAndTeams", "mine ours"),
    ] {
        let path = format!(
            "accounts?$select=name&$orderby=name&$filter=\
             Microsoft.Dynamics.CRM.{function}(PropertyName='ownerid')"
        );
        assert_eq!(named(&client.query(&path)), expected, "{function}");
    }
    let xml = "<fetch><entity name='account'><attribute name='name'/><filter>\
               <condition attribute='ownerid' operator='eq-userteams'/></filter></entity></fetch>";
    let xml = xml.replace(' ', "%20").replace('#', "%23");
    assert_eq!(
        named(&client.query(&format!("accounts?fetchXml={xml}"))),
        "ours"
    );
}

#[test]
fn functions_know_fiscal_years_and_periods() {
    let client = Client::fresh();
    for day in ["2023-12-31", "2024-02-01", "2024-05-01"] {
        let body = format!(r#"{{"lastname": "{day}", "birthdate": "{day}"}}"#);
        client.create("contacts", &body);
    }
    for (function, expected) in [
        (
            "InFiscalYear(PropertyName='birthdate',PropertyValue=2024)",
            2,
        ),
        (
            "InFiscalPeriod(PropertyName='birthdate',PropertyValue=4)",
            1,
        ),
        (
            "InFiscalPeriodAndYear(PropertyName='birthdate',PropertyValue1=2,PropertyValue2=2024)",
            1,
        ),
        (
            "InOrAfterFiscalPeriodAndYear(PropertyName='birthdate',PropertyValue1=1,PropertyValue2=2024)",
            2,
        ),
        (
            "InOrBeforeFiscalPeriodAndYear(PropertyName='birthdate',PropertyValue1=1,PropertyValue2=2024)",
            2,
        ),
        ("ThisFiscalYear(PropertyName='createdon')", 3),
        ("NextFiscalPeriod(PropertyName='createdon')", 0),
    ] {
        let path = format!("contacts?$select=lastname&$filter=Microsoft.Dynamics.CRM.{function}");
        assert_eq!(client.query(&path).len(), expected, "{function}");
    }
    let wrong = "InFiscalPeriod(PropertyName='birthdate',PropertyValue=5)";
    let answer = client.get(&format!("contacts?$filter=Microsoft.Dynamics.CRM.{wrong}"));
    assert_eq!(answer.status, 400);
}
