//! `GET /{set}?sql=SELECT …`.

use serde_json::{Value, json};

use crate::client::*;
use crate::query::encoded;

/// Three accounts, of which two have people.
fn world() -> Client {
    let client = Client::fresh();
    for (account, city, people) in [
        ("North", "Oslo", vec!["Ann", "Bob"]),
        ("South", "Rome", vec!["Cem"]),
        ("West", "Rome", vec![]),
    ] {
        let body = json!({"name": account, "address1_city": city, "revenue": 10});
        let id = client.create("accounts", &body.to_string());
        for (number, person) in people.into_iter().enumerate() {
            let body = json!({
                "firstname": person, "lastname": "Lee", "numberofchildren": number,
                "donotemail": number == 0,
                "parentcustomerid_account@odata.bind": format!("/accounts({id})"),
            });
            client.create("contacts", &body.to_string());
        }
    }
    client.create("contacts", r#"{"firstname":"Dan 50%","lastname":"O'Neil"}"#);
    client
}

fn answer(client: &Client, set: &str, sql: &str, prefer: &str) -> Value {
    let path = format!("{set}?sql={}", encoded(sql));
    let answer = client.request("GET", &path, &[("Prefer", prefer)], "");
    assert_eq!(answer.status, 200, "{sql}: {}", text(&answer));
    json(&answer)
}

fn rows(client: &Client, set: &str, sql: &str) -> Vec<Value> {
    let answer = answer(client, set, sql, "");
    answer["value"].as_array().unwrap().clone()
}

/// The values of a member, one after the other.
fn listed(client: &Client, set: &str, sql: &str, member: &str) -> String {
    let rows = rows(client, set, sql);
    let values = rows.iter().map(|row| row.get(member));
    let texts = values.map(|value| match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "-".to_owned(),
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_answer_is_that_of_a_query() {
    let client = world();
    let sql = "SELECT name \r\nFROM account AS a \r\nWHERE a.name LIKE 'North'";
    let body = answer(&client, "accounts", sql, "odata.include-annotations=\"*\"");
    let context = body["@odata.context"].as_str().unwrap();
    assert!(
        context.ends_with("$metadata#accounts(name,accountid)"),
        "{context}"
    );
    assert_eq!(body["@Microsoft.Dynamics.CRM.totalrecordcount"], -1);
    assert_eq!(
        body["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"],
        false
    );
    assert!(body["@Microsoft.Dynamics.CRM.globalmetadataversion"].is_string());
    let row = body["value"][0].as_object().unwrap();
    let members: Vec<&str> = row.keys().map(String::as_str).collect();
    assert_eq!(members.len(), 3, "{members:?}");
    assert!(row.contains_key("@odata.etag") && row.contains_key("accountid"));

    let sql = "SELECT a.name AS account_name FROM account AS a WHERE name = 'west'";
    let body = answer(&client, "accounts", sql, "odata.include-annotations=\"*\"");
    let row = &body["value"][0];
    assert_eq!(row["account_name"], "West");
    assert_eq!(
        row["account_name@OData.Community.Display.V1.AttributeName"],
        "name"
    );
}

#[test]
fn conditions_find_what_they_say() {
    let client = world();
    for (condition, expected) in [
        ("firstname = 'ann'", "Ann"),
        ("firstname <> 'Ann' AND lastname != 'O''Neil'", "Bob Cem"),
        ("numberofchildren >= 1", "Bob"),
        ("numberofchildren < 1", "Ann Cem"),
        ("numberofchildren > -1 AND numberofchildren <= 0", "Ann Cem"),
        ("donotemail = 1", "Ann Cem"),
        ("firstname LIKE '_nn' OR firstname LIKE 'B%'", "Ann Bob"),
        ("firstname LIKE '%50[%]'", "Dan 50%"),
        ("firstname NOT LIKE '%n%'", "Bob Cem"),
        ("firstname IN ('Ann', N'Cem')", "Ann Cem"),
        ("numberofchildren NOT IN (1)", "Ann Cem"),
        ("firstname BETWEEN 'B' AND 'D'", "Bob Cem"),
        ("numberofchildren IS NULL", "Dan 50%"),
        ("parentcustomerid IS NOT NULL", "Ann Bob Cem"),
        // Null neither equals nor differs.
        ("numberofchildren <> 0", "Bob"),
        ("numberofchildren = NULL", ""),
        (
            "(firstname = 'Ann' OR firstname = 'Bob') AND numberofchildren = 1",
            "Bob",
        ),
        (
            "firstname = 'Ann' OR firstname = 'Bob' AND numberofchildren = 0",
            "Ann",
        ),
        ("createdon > '2020-01-01' AND firstname = 'Ann'", "Ann"),
        ("[contact].[firstname] = 'Ann' -- all of them", "Ann"),
    ] {
        let sql = format!("select firstname from contact where {condition} order by firstname");
        let sql = sql.replace("-- all of them", "/* all of them */");
        assert_eq!(
            listed(&client, "contacts", &sql, "firstname"),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn tables_are_joined() {
    let client = world();
    let inner = "SELECT a.name, c.fullname FROM account AS a INNER JOIN contact AS c \
                 ON a.accountid = c.parentcustomerid ORDER BY c.firstname DESC";
    assert_eq!(
        listed(&client, "accounts", inner, "name"),
        "South North North"
    );
    assert_eq!(
        listed(&client, "accounts", inner, "fullname"),
        "Cem Lee Bob Lee Ann Lee"
    );
    let left = "SELECT a.name, c.firstname FROM account a LEFT JOIN contact c \
                ON c.parentcustomerid = a.accountid ORDER BY a.name, c.firstname";
    assert_eq!(
        listed(&client, "accounts", left, "firstname"),
        "Ann Bob Cem -"
    );
    // What is asked of both tables is asked of the joined rows.
    for (condition, expected) in [
        ("c.contactid IS NULL", "West"),
        ("c.contactid IS NULL OR a.name = 'South'", "South West"),
        ("c.firstname <> 'Ann'", "North South"),
        (
            "(c.firstname = 'Ann' OR a.name = 'West') AND a.address1_city = 'Rome'",
            "West",
        ),
    ] {
        let sql = left.replace("ORDER", &format!("WHERE {condition} ORDER"));
        assert_eq!(
            listed(&client, "accounts", &sql, "name"),
            expected,
            "{condition}"
        );
    }
    let own = "SELECT a.name, u.fullname AS owner, b.name AS unit FROM account a \
               JOIN systemuser u ON a.ownerid = u.systemuserid \
               JOIN businessunit b ON u.businessunitid = b.businessunitid";
    assert_eq!(rows(&client, "accounts", own).len(), 3);
    let teams = "SELECT a.name FROM account a JOIN team t ON a.ownerid = t.teamid";
    assert_eq!(rows(&client, "accounts", teams).len(), 0);
}

#[test]
fn rows_are_counted_and_summed_up() {
    let client = world();
    let all = "SELECT COUNT(*) AS n, SUM(revenue) AS s, AVG(revenue) AS a, MIN(name) AS least, \
               MAX(name) AS most FROM account";
    let found = rows(&client, "accounts", all);
    assert_eq!(
        found,
        [json!({"n": 3, "s": 30.0, "a": 10.0, "least": "North", "most": "West"})]
    );
    let groups = "SELECT address1_city, COUNT(*) AS n FROM account GROUP BY address1_city \
                  ORDER BY n DESC";
    assert_eq!(
        listed(&client, "accounts", groups, "address1_city"),
        "Rome Oslo"
    );
    let joined = "SELECT a.name, COUNT(c.contactid) AS n FROM account a LEFT JOIN contact c \
                  ON a.accountid = c.parentcustomerid GROUP BY a.name ORDER BY a.name";
    assert_eq!(
        listed(&client, "accounts", joined, "name"),
        "North South West"
    );
    assert_eq!(listed(&client, "accounts", joined, "n"), "2 1 0");
    let none = "SELECT COUNT(*) AS n FROM contact WHERE lastname = 'Nobody'";
    assert_eq!(listed(&client, "contacts", none, "n"), "0");
    let distinct = "SELECT DISTINCT a.address1_city FROM account AS a ORDER BY address1_city";
    let found = rows(&client, "accounts", distinct);
    assert_eq!(
        found,
        [
            json!({"address1_city": "Oslo"}),
            json!({"address1_city": "Rome"})
        ]
    );
}

#[test]
fn a_part_of_the_rows_comes_by_pages_by_top_or_by_offset() {
    let client = world();
    let sql = "SELECT firstname FROM contact ORDER BY firstname";
    let prefer = "odata.maxpagesize=3";
    let first = answer(&client, "contacts", sql, prefer);
    assert_eq!(first["value"].as_array().unwrap().len(), 3);
    let next = first["@odata.nextLink"].as_str().unwrap();
    let (_, path) = next.split_once("/api/data/v9.2/").unwrap();
    let last = client.request("GET", path, &[("Prefer", prefer)], "");
    let last = json(&last);
    assert_eq!(last["value"][0]["firstname"], "Dan 50%");
    assert_eq!(last.get("@odata.nextLink"), None);

    for (sql, expected) in [
        (
            "SELECT TOP 2 firstname FROM contact ORDER BY firstname",
            "Ann Bob",
        ),
        ("SELECT TOP 0 firstname FROM contact", ""),
        (
            "SELECT firstname FROM contact ORDER BY firstname OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY",
            "Bob Cem",
        ),
        (
            "SELECT firstname FROM contact ORDER BY firstname OFFSET 3 ROWS",
            "Dan 50%",
        ),
        (
            "SELECT DISTINCT TOP 1 lastname AS firstname FROM contact ORDER BY lastname",
            "Lee",
        ),
    ] {
        assert_eq!(
            listed(&client, "contacts", sql, "firstname"),
            expected,
            "{sql}"
        );
    }
}

/// Statements, and what the answer says of them.
const REFUSED: &[(&str, &str)] = &[
    ("", "Only a single SELECT"),
    ("DELETE FROM contact", "Only a single SELECT"),
    ("WITH x AS (SELECT 1) SELECT 1", "Only a single SELECT"),
    ("SELECT * FROM contact", "SELECT * isn't supported"),
    ("SELECT c.* FROM contact c", "SELECT * isn't supported"),
    ("SELECT firstname FROM contact; SELECT 1", "near ';'"),
    (
        "SELECT firstname FROM contact UNION SELECT 1",
        "'UNION' isn't",
    ),
    ("SELECT 1 FROM contact", "near '1'"),
    ("SELECT LEN(firstname) FROM contact", "The function 'len'"),
    ("SELECT SUM(*) AS s FROM contact", "The function 'sum'"),
    ("SELECT COUNT(*) FROM contact", "needs an alias"),
    (
        "SELECT COUNT(DISTINCT firstname) AS n FROM contact",
        "'DISTINCT' isn't",
    ),
    ("SELECT firstname FROM contact, account", "CROSS JOIN isn't"),
    (
        "SELECT firstname FROM contact CROSS JOIN account",
        "CROSS JOIN isn't",
    ),
    (
        "SELECT firstname FROM contact c RIGHT JOIN account a ON 1",
        "RIGHT JOIN isn't",
    ),
    (
        "SELECT firstname FROM contact c FULL OUTER JOIN account a ON 1",
        "FULL JOIN isn't",
    ),
    (
        "SELECT c.firstname FROM contact c JOIN account a ON c.firstname = c.lastname",
        "A join compares",
    ),
    (
        "SELECT ownerid FROM contact c JOIN account a ON c.parentcustomerid = a.accountid",
        "Ambiguous column name 'ownerid'",
    ),
    (
        "SELECT c.ownerid, a.name, c.lastname AS name FROM contact c JOIN account a ON c.parentcustomerid = a.accountid",
        "The column 'name' is there twice",
    ),
    (
        "SELECT firstname FROM contact c JOIN contact c ON c.contactid = c.contactid",
        "named twice",
    ),
    ("SELECT x.firstname FROM contact c", "There is no table 'x'"),
    (
        "SELECT firstname FROM contact WHERE 1 = 1",
        "compares a column with a literal",
    ),
    (
        "SELECT firstname FROM contact WHERE firstname = lastname",
        "compares a column with a literal",
    ),
    (
        "SELECT firstname FROM contact WHERE EXISTS (SELECT 1)",
        "'EXISTS' isn't",
    ),
    (
        "SELECT firstname FROM contact WHERE NOT firstname = 'a'",
        "'NOT' isn't",
    ),
    (
        "SELECT firstname FROM contact WHERE contactid IN (SELECT 1)",
        "Subqueries aren't",
    ),
    (
        "SELECT firstname FROM contact WHERE LEN(firstname) = 1",
        "The function 'len'",
    ),
    (
        "SELECT firstname FROM contact WHERE firstname",
        "ends too early",
    ),
    (
        "SELECT firstname FROM contact WHERE numberofchildren = 'x'",
        "",
    ),
    (
        "SELECT firstname FROM contact ORDER BY LEN(firstname)",
        "The function 'len'",
    ),
    (
        "SELECT lastname, COUNT(*) AS n FROM contact GROUP BY lastname HAVING COUNT(*) > 1",
        "'HAVING' isn't",
    ),
    (
        "SELECT firstname, COUNT(*) AS n FROM contact GROUP BY lastname",
        "Column 'firstname' is neither",
    ),
    (
        "SELECT COUNT(*) AS n FROM contact GROUP BY lastname",
        "isn't selected",
    ),
    (
        "SELECT COUNT(*) AS n FROM contact ORDER BY lastname",
        "neither a group nor a total",
    ),
    ("SELECT TOP 5001 firstname FROM contact", "at most 5000"),
    (
        "SELECT TOP 5 PERCENT firstname FROM contact",
        "'PERCENT' isn't",
    ),
    (
        "SELECT TOP 1 firstname FROM contact ORDER BY firstname OFFSET 1 ROWS",
        "TOP can't be used",
    ),
    (
        "SELECT firstname FROM contact OFFSET 1 ROWS",
        "OFFSET needs ORDER BY",
    ),
    (
        "SELECT firstname FROM contact WHERE firstname = 'open",
        "Incorrect syntax",
    ),
    (
        "SELECT name FROM account",
        "not that of the entity set 'contacts'",
    ),
];

#[test]
fn what_is_not_documented_is_refused() {
    let client = world();
    for (sql, message) in REFUSED {
        let answer = client.get(&format!("contacts?sql={}", encoded(sql)));
        assert_eq!(answer.status, 400, "{sql}: {}", text(&answer));
        assert!(text(&answer).contains(message), "{sql}: {}", text(&answer));
    }
    let deep = format!("SELECT firstname FROM contact WHERE {}", "(".repeat(3000));
    let answer = client.get(&format!("contacts?sql={}", encoded(&deep)));
    refused(&answer, 400, "0x80060888", "too deep");
    let unknown = encoded("SELECT nothing FROM contact");
    let answer = client.get(&format!("contacts?sql={unknown}"));
    refused(&answer, 400, "0x80041103", "Name = 'nothing'");
    let unknown = encoded("SELECT firstname FROM contact c JOIN nothing n ON c.contactid = n.id");
    let answer = client.get(&format!("contacts?sql={unknown}"));
    refused(&answer, 404, "0x80041102", "'nothing' was not found");
    let good = encoded("SELECT firstname FROM contact");
    let answer = client.get(&format!("contacts?sql={good}&$top=1"));
    refused(
        &answer,
        400,
        "0x80060888",
        "'$top' is not supported with sql",
    );
    let answer = client.get(&format!("contacts?sql={good}&$skiptoken=x"));
    refused(&answer, 400, "0x80060888", "paging cookie");
}

#[test]
fn elastic_tables_are_joined_with_nothing() {
    let client = world();
    let sql = "SELECT s.contoso_deviceid FROM contoso_sensordata s \
               JOIN systemuser u ON s.ownerid = u.systemuserid";
    let xml = "<fetch><entity name='contoso_sensordata'><link-entity name='systemuser' \
               from='systemuserid' to='ownerid'/></entity></fetch>";
    for (option, query) in [("sql", sql), ("fetchXml", xml)] {
        let path = format!("contoso_sensordatas?{option}={}", encoded(query));
        let answer = client.get(&path);
        refused(
            &answer,
            400,
            "0x80048d0b",
            "Link entities are not supported",
        );
    }
}
