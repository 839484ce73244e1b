//! What a column takes, what it gives back, and how it refuses.

use segue_emulator::schema::Schema;
use segue_emulator::{EmptyText, Options};
use serde_json::json;

use crate::client::*;

fn kinds() -> Client {
    let mut schema = Schema::built_in().unwrap();
    schema
        .add_json(
            r#"{"table": "new_Thing", "set": "new_things", "columns": {
            "new_Text": "text(5)", "new_Memo": "memo(8)", "new_Whole": "integer(-10..10)",
            "new_Big": "bigint", "new_Decimal": "decimal(-100..100, 3)",
            "new_Double": "double(-100..100, 2)", "new_Money": "money(0..1000000, 2)",
            "new_Yes": "yes/no", "new_Date": "date", "new_Moment": "datetime",
            "new_Wall": "datetime-independent", "new_Guid": "guid",
            "new_Choice": {"type": "choice", "options": {"1": "One", "2": "Two", "3": "Three"}},
            "new_Choices": {"type": "choices", "options": {"1": "Swimming", "9": "Camping"}}}}"#,
        )
        .unwrap();
    Client::with(Options {
        schema: Some(schema),
        ..Options::default()
    })
}

/// Column, value as written, value as it reads back.
const STORED: &[(&str, &str, &str)] = &[
    ("new_text", r#""äöü€""#, r#""äöü€""#),
    ("new_text", r#""𝄞𝄞x""#, r#""𝄞𝄞x""#),
    ("new_text", r#"" a ""#, r#"" a ""#),
    ("new_text", r#""""#, "null"),
    ("new_text", "null", "null"),
    ("new_memo", r#""a\r\n\tb""#, r#""a\r\n\tb""#),
    ("new_whole", "-10", "-10"),
    ("new_big", "9007199254740993", "9007199254740993"),
    ("new_decimal", "1.2345", "1.235"),
    ("new_decimal", "5", "5.000"),
    ("new_decimal", "1.25e1", "12.500"),
    ("new_double", "1.005", "1.0"),
    ("new_double", "-1.555", "-1.56"),
    ("new_money", "1000.505", "1000.5100"),
    ("new_yes", "true", "true"),
    ("new_date", r#""2024-02-29""#, r#""2024-02-29""#),
    (
        "new_moment",
        r#""2024-05-01T12:00:00.999-08:00""#,
        r#""2024-05-01T20:00:00Z""#,
    ),
    (
        "new_moment",
        r#""2024-05-01T20:00:00""#,
        r#""2024-05-01T20:00:00Z""#,
    ),
    (
        "new_moment",
        r#""1753-01-01T00:00:00Z""#,
        r#""1753-01-01T00:00:00Z""#,
    ),
    (
        "new_moment",
        r#""9999-12-30T23:59:59Z""#,
        r#""9999-12-30T23:59:59Z""#,
    ),
    (
        "new_wall",
        r#""2024-05-01T12:00:00Z""#,
        r#""2024-05-01T12:00:00Z""#,
    ),
    (
        "new_guid",
        r#""7C6D5F2E-0000-4000-8000-000000000000""#,
        r#""7c6d5f2e-0000-4000-8000-000000000000""#,
    ),
    ("new_choice", "2", "2"),
    ("new_choices", r#""9, 1""#, r#""1,9""#),
    ("new_choices", r#""""#, "null"),
];

#[test]
fn values_are_stored_as_what_they_are() {
    let client = kinds();
    for (column, written, read) in STORED {
        let id = client.create("new_things", &format!(r#"{{"{column}":{written}}}"#));
        let body = text(&client.get(&format!("new_things({id})?$select={column}")));
        assert!(
            body.contains(&format!(r#""{column}":{read},"#)),
            "{written}: {body}"
        );
    }
}

#[test]
fn amounts_keep_their_zeros_and_digits() {
    let client = kinds();
    let id = client.create("new_things", r#"{"new_money":1000.5,"new_decimal":12.34}"#);
    let body = text(&client.get(&format!("new_things({id})?$select=new_money,new_decimal")));
    assert!(body.contains(r#""new_money":1000.5000"#), "{body}");
    assert!(body.contains(r#""new_decimal":12.340"#), "{body}");
    assert!(
        body.contains(r#""_transactioncurrencyid_value":""#),
        "{body}"
    );
    let row = &client.service.rows("new_thing")[0];
    assert_eq!(
        (&row["new_money_base"], &row["exchangerate"]),
        (&json!(1000.5), &json!(1.0))
    );
}

/// The OData layer refuses these before any column's rule; it never names the column.
const WRONG_KINDS: &[(&str, &str, &str)] = &[
    (
        "new_text",
        "5",
        "Cannot convert the literal '5' to the expected type 'Edm.String'.",
    ),
    (
        "new_text",
        "true",
        "Cannot convert the literal 'true' to the expected type 'Edm.String'.",
    ),
    (
        "new_text",
        r#"["a"]"#,
        "An unexpected 'StartArray' node was found when reading from the JSON reader. A 'PrimitiveValue' node was expected.",
    ),
    (
        "new_memo",
        r#"{"a": 1}"#,
        "An unexpected 'StartObject' node",
    ),
    (
        "new_whole",
        r#""5""#,
        "Cannot convert a value to target type 'Edm.Int32'",
    ),
    (
        "new_whole",
        "1.5",
        "Cannot convert the literal '1.5' to the expected type 'Edm.Int32'.",
    ),
    (
        "new_whole",
        "3000000000",
        "Cannot convert the literal '3000000000' to the expected type 'Edm.Int32'.",
    ),
    (
        "new_big",
        r#""5""#,
        "Cannot convert a value to target type 'Edm.Int64'",
    ),
    (
        "new_decimal",
        r#""1.5""#,
        "Cannot convert a value to target type 'Edm.Decimal' because of conflict between input format string/number and parameter 'IEEE754Compatible' false/true.",
    ),
    (
        "new_money",
        r#""1.5""#,
        "Cannot convert a value to target type 'Edm.Decimal'",
    ),
    (
        "new_money",
        "false",
        "Cannot convert the literal 'false' to the expected type 'Edm.Decimal'.",
    ),
    (
        "new_double",
        r#""""#,
        "Cannot convert the literal '' to the expected type 'Edm.Double'.",
    ),
    (
        "new_yes",
        "1",
        "Cannot convert the literal '1' to the expected type 'Edm.Boolean'.",
    ),
    (
        "new_yes",
        r#""Yes""#,
        "Cannot convert the literal 'Yes' to the expected type 'Edm.Boolean'.",
    ),
    (
        "new_date",
        r#""2024-05-01T00:00:00Z""#,
        "Cannot convert the literal '2024-05-01T00:00:00Z' to the expected type 'Edm.Date'.",
    ),
    (
        "new_date",
        r#""2024-02-30""#,
        "Cannot convert the literal '2024-02-30' to the expected type 'Edm.Date'.",
    ),
    ("new_date", "20240501", "to the expected type 'Edm.Date'."),
    (
        "new_moment",
        r#""2024-05-01""#,
        "to the expected type 'Edm.DateTimeOffset'.",
    ),
    (
        "new_moment",
        r#""yesterday""#,
        "Cannot convert the literal 'yesterday' to the expected type 'Edm.DateTimeOffset'.",
    ),
    (
        "new_guid",
        r#""{7c6d5f2e-0000-4000-8000-000000000000}""#,
        "to the expected type 'Edm.Guid'.",
    ),
    (
        "new_guid",
        r#""7c6d5f2e000040008000000000000000""#,
        "to the expected type 'Edm.Guid'.",
    ),
    (
        "new_choice",
        r#""One""#,
        "Cannot convert a value to target type 'Edm.Int32'",
    ),
    ("new_choices", "[1, 9]", "An unexpected 'StartArray' node"),
];

#[test]
fn json_kinds_must_fit() {
    let client = kinds();
    for (column, value, text) in WRONG_KINDS {
        let answer = client.post("new_things", &format!(r#"{{"{column}":{value}}}"#));
        refused(&answer, 400, "0x80048d19", text);
        let body = crate::client::text(&answer);
        assert!(!body.contains(column), "{body}");
        assert!(
            body.contains(
                "Error identified in Payload provided by the user for Entity :'new_things'"
            )
        );
    }
    assert!(client.service.rows("new_thing").is_empty());
}

/// Column, value, code, a piece of the message.
const OUTSIDE: &[(&str, &str, &str, &str)] = &[
    (
        "new_text",
        r#""123456""#,
        "0x80044331",
        "A validation error occurred.  The length of the 'new_text' attribute of the 'new_thing' entity exceeded the maximum allowed length of '5'.",
    ),
    // UTF-16 units count: each of these is two.
    (
        "new_text",
        r#""𝄞𝄞𝄞""#,
        "0x80044331",
        "exceeded the maximum allowed length of '5'.",
    ),
    ("new_memo", r#""123456789""#, "0x80044331", "'8'"),
    (
        "new_text",
        r#""a\u0000""#,
        "0x80040278",
        "The field 'new_text' contains one or more invalid characters.",
    ),
    ("new_memo", r#""a\u000b""#, "0x80040278", "'new_memo'"),
    ("new_text", r#""\u001f""#, "0x80040278", "'new_text'"),
    ("new_text", r#""\uffff""#, "0x80040278", "'new_text'"),
    (
        "new_whole",
        "11",
        "0x8004432f",
        "A validation error occurred.",
    ),
    ("new_whole", "-11", "0x8004432f", "'new_whole'"),
    ("new_decimal", "100.001", "0x80044330", "'new_decimal'"),
    ("new_double", "-100.5", "0x80044330", "'new_double'"),
    ("new_money", "-0.01", "0x80044330", "'new_money'"),
    (
        "new_choice",
        "99",
        "0x8004431a",
        "A validation error occurred. The value 99 of 'new_choice' on record of type 'new_thing' is outside the valid range. Accepted Values: 1,2,3",
    ),
    (
        "new_choices",
        r#""1,5""#,
        "0x8004431a",
        "Accepted Values: 1,9",
    ),
    (
        "new_choices",
        r#""Swimming""#,
        "0x8004431a",
        "Accepted Values: 1,9",
    ),
    ("new_choices", r#""1;9""#, "0x8004431a", ""),
    (
        "new_date",
        r#""1752-12-31""#,
        "0x80040239",
        "The date-time format is invalid, or value is outside the supported range.",
    ),
    ("new_moment", r#""1752-12-31T23:59:59Z""#, "0x80040239", ""),
    ("new_moment", r#""9999-12-31T00:00:00Z""#, "0x80040239", ""),
    (
        "new_moment",
        r#""9999-12-30T23:59:59-01:00""#,
        "0x80040239",
        "",
    ),
    (
        "new_moment",
        r#""9999-12-31T23:59:59-08:00""#,
        "0x80048d19",
        "",
    ),
];

#[test]
fn limits_are_those_of_the_column() {
    let client = kinds();
    for (column, value, code, text) in OUTSIDE {
        let answer = client.post("new_things", &format!(r#"{{"{column}":{value}}}"#));
        refused(&answer, 400, code, text);
    }
}

#[test]
fn a_switch_keeps_empty_texts() {
    let client = Client::with(Options {
        empty_text: EmptyText::Keep,
        ..Options::default()
    });
    client.create("accounts", r#"{"name":""}"#);
    assert_eq!(client.service.rows("account")[0]["name"], "");
}

#[test]
fn a_type_annotation_must_be_the_tables() {
    let client = kinds();
    for name in [
        "Microsoft.Dynamics.CRM.new_thing",
        "#Microsoft.Dynamics.CRM.new_thing",
    ] {
        assert_eq!(
            client
                .post("new_things", &json!({"@odata.type": name}).to_string())
                .status,
            204
        );
    }
    let answer = client.post(
        "new_things",
        r#"{"@odata.type":"Microsoft.Dynamics.CRM.account"}"#,
    );
    refused(
        &answer,
        400,
        "0x80048d19",
        "Microsoft.Dynamics.CRM.new_thing",
    );
}

#[test]
fn formatted_values_are_what_people_read() {
    let client = kinds();
    let id = client.create(
        "new_things",
        r#"{"new_choice":2,"new_choices":"1,9","new_yes":true,"new_whole":-7,"new_big":1234567,
            "new_money":1000.5,"new_decimal":-1.5,"new_double":2.5,"new_date":"2024-05-01",
            "new_moment":"2024-05-01T20:05:00Z","new_text":"x"}"#,
    );
    let prefer = [(
        "Prefer",
        "odata.include-annotations=\"OData.Community.Display.V1.FormattedValue\"",
    )];
    let row = json(&client.request("GET", &format!("new_things({id})"), &prefer, ""));
    for (column, text) in [
        ("new_choice", "Two"),
        ("new_choices", "Swimming; Camping"),
        ("new_yes", "Yes"),
        ("new_whole", "-7"),
        ("new_big", "1,234,567"),
        ("new_money", "$1,000.50"),
        ("new_decimal", "-1.500"),
        ("new_double", "2.50"),
        ("new_date", "5/1/2024"),
        ("new_moment", "5/1/2024 8:05 PM"),
        ("statecode", "Active"),
        ("_ownerid_value", "# segue"),
    ] {
        assert_eq!(
            row[format!("{column}@OData.Community.Display.V1.FormattedValue")],
            text,
            "{column}"
        );
    }
    let members = row.as_object().unwrap();
    assert!(!members.contains_key("new_text@OData.Community.Display.V1.FormattedValue"));
    assert!(!members.contains_key("_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"));
}
