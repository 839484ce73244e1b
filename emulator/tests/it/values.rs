//! What a column takes, what it gives back, and how it refuses.

use segue_emulator::schema::Schema;
use segue_emulator::{EmptyText, Options};
use serde_json::{Value, json};

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

/// What a value reads back as.
fn stored(client: &Client, column: &str, value: &Value) -> Value {
    let id = client.create("new_things", &json!({ column: value }).to_string());
    json(&client.get(&format!("new_things({id})?$select={column}")))[column].clone()
}

#[test]
fn values_are_stored_as_what_they_are() {
    let client = kinds();
    for (column, written, read) in [
        (
            "new_text",
            json!("äöü€𝄞")
                .as_str()
                .map(|t| json!(&t[..t.len() - 4]))
                .unwrap(),
            json!("äöü€"),
        ),
        ("new_text", json!("𝄞𝄞x"), json!("𝄞𝄞x")),
        ("new_text", json!(" a "), json!(" a ")),
        ("new_text", json!(""), json!(null)),
        ("new_text", json!(null), json!(null)),
        ("new_memo", json!("a\r\n\tb"), json!("a\r\n\tb")),
        ("new_whole", json!(-10), json!(-10)),
        (
            "new_big",
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_993_i64),
        ),
        ("new_decimal", json!(1.2345), json!(1.235)),
        ("new_decimal", json!(5), json!(5.0)),
        ("new_double", json!(1.005), json!(1.0)),
        ("new_double", json!(-1.555), json!(-1.56)),
        ("new_money", json!(1000.505), json!(1000.51)),
        ("new_yes", json!(true), json!(true)),
        ("new_date", json!("2024-02-29"), json!("2024-02-29")),
        (
            "new_moment",
            json!("2024-05-01T12:00:00.999-08:00"),
            json!("2024-05-01T20:00:00Z"),
        ),
        (
            "new_moment",
            json!("2024-05-01T20:00:00"),
            json!("2024-05-01T20:00:00Z"),
        ),
        (
            "new_moment",
            json!("1753-01-01T00:00:00Z"),
            json!("1753-01-01T00:00:00Z"),
        ),
        (
            "new_wall",
            json!("2024-05-01T12:00:00Z"),
            json!("2024-05-01T12:00:00Z"),
        ),
        (
            "new_guid",
            json!("7C6D5F2E-0000-4000-8000-000000000000"),
            json!("7c6d5f2e-0000-4000-8000-000000000000"),
        ),
        ("new_choice", json!(2), json!(2)),
        ("new_choices", json!("9, 1"), json!("1,9")),
        ("new_choices", json!(""), json!(null)),
    ] {
        assert_eq!(
            stored(&client, column, &written),
            read,
            "{column} {written}"
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
#[test]
fn json_kinds_must_fit() {
    let client = kinds();
    for (column, value, text) in [
        (
            "new_text",
            json!(5),
            "Cannot convert the literal '5' to the expected type 'Edm.String'.",
        ),
        (
            "new_text",
            json!(true),
            "Cannot convert the literal 'true' to the expected type 'Edm.String'.",
        ),
        (
            "new_text",
            json!(["a"]),
            "An unexpected 'StartArray' node was found when reading from the JSON reader. A 'PrimitiveValue' node was expected.",
        ),
        (
            "new_memo",
            json!({"a": 1}),
            "An unexpected 'StartObject' node",
        ),
        (
            "new_whole",
            json!("5"),
            "Cannot convert a value to target type 'Edm.Int32'",
        ),
        (
            "new_whole",
            json!(1.5),
            "Cannot convert the literal '1.5' to the expected type 'Edm.Int32'.",
        ),
        (
            "new_whole",
            json!(3_000_000_000_i64),
            "Cannot convert the literal '3000000000' to the expected type 'Edm.Int32'.",
        ),
        (
            "new_big",
            json!("5"),
            "Cannot convert a value to target type 'Edm.Int64'",
        ),
        (
            "new_decimal",
            json!("1.5"),
            "Cannot convert a value to target type 'Edm.Decimal' because of conflict between input format string/number and parameter 'IEEE754Compatible' false/true.",
        ),
        (
            "new_money",
            json!("1.5"),
            "Cannot convert a value to target type 'Edm.Decimal'",
        ),
        (
            "new_money",
            json!(false),
            "Cannot convert the literal 'false' to the expected type 'Edm.Decimal'.",
        ),
        (
            "new_double",
            json!(""),
            "Cannot convert the literal '' to the expected type 'Edm.Double'.",
        ),
        (
            "new_yes",
            json!(1),
            "Cannot convert the literal '1' to the expected type 'Edm.Boolean'.",
        ),
        (
            "new_yes",
            json!("Yes"),
            "Cannot convert the literal 'Yes' to the expected type 'Edm.Boolean'.",
        ),
        (
            "new_date",
            json!("2024-05-01T00:00:00Z"),
            "Cannot convert the literal '2024-05-01T00:00:00Z' to the expected type 'Edm.Date'.",
        ),
        (
            "new_date",
            json!("2024-02-30"),
            "Cannot convert the literal '2024-02-30' to the expected type 'Edm.Date'.",
        ),
        (
            "new_date",
            json!(20_240_501),
            "to the expected type 'Edm.Date'.",
        ),
        (
            "new_moment",
            json!("2024-05-01"),
            "to the expected type 'Edm.DateTimeOffset'.",
        ),
        (
            "new_moment",
            json!("yesterday"),
            "Cannot convert the literal 'yesterday' to the expected type 'Edm.DateTimeOffset'.",
        ),
        (
            "new_guid",
            json!("{7c6d5f2e-0000-4000-8000-000000000000}"),
            "to the expected type 'Edm.Guid'.",
        ),
        (
            "new_guid",
            json!("7c6d5f2e000040008000000000000000"),
            "to the expected type 'Edm.Guid'.",
        ),
        (
            "new_choice",
            json!("One"),
            "Cannot convert a value to target type 'Edm.Int32'",
        ),
        (
            "new_choices",
            json!([1, 9]),
            "An unexpected 'StartArray' node",
        ),
    ] {
        let answer = client.post("new_things", &json!({ column: value }).to_string());
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

#[test]
fn limits_are_those_of_the_column() {
    let client = kinds();
    for (column, value, code, text) in [
        (
            "new_text",
            json!("123456"),
            "0x80044331",
            "A validation error occurred.  The length of the 'new_text' attribute of the 'new_thing' entity exceeded the maximum allowed length of '5'.",
        ),
        // UTF-16 units count: each of these is two.
        (
            "new_text",
            json!("𝄞𝄞𝄞"),
            "0x80044331",
            "exceeded the maximum allowed length of '5'.",
        ),
        ("new_memo", json!("123456789"), "0x80044331", "'8'"),
        (
            "new_text",
            json!("a\u{0}"),
            "0x80040278",
            "The field 'new_text' contains one or more invalid characters.",
        ),
        ("new_memo", json!("a\u{b}"), "0x80040278", "'new_memo'"),
        ("new_text", json!("\u{1f}"), "0x80040278", "'new_text'"),
        ("new_text", json!("\u{ffff}"), "0x80040278", "'new_text'"),
        (
            "new_whole",
            json!(11),
            "0x8004432f",
            "A validation error occurred.",
        ),
        ("new_whole", json!(-11), "0x8004432f", "'new_whole'"),
        ("new_decimal", json!(100.001), "0x80044330", "'new_decimal'"),
        ("new_double", json!(-100.5), "0x80044330", "'new_double'"),
        ("new_money", json!(-0.01), "0x80044330", "'new_money'"),
        (
            "new_choice",
            json!(99),
            "0x8004431a",
            "A validation error occurred. The value 99 of 'new_choice' on record of type 'new_thing' is outside the valid range. Accepted Values: 1,2,3",
        ),
        (
            "new_choices",
            json!("1,5"),
            "0x8004431a",
            "Accepted Values: 1,9",
        ),
        (
            "new_choices",
            json!("Swimming"),
            "0x8004431a",
            "Accepted Values: 1,9",
        ),
        ("new_choices", json!("1;9"), "0x8004431a", ""),
        (
            "new_date",
            json!("1752-12-31"),
            "0x80040239",
            "The date-time format is invalid, or value is outside the supported range.",
        ),
        (
            "new_moment",
            json!("1752-12-31T23:59:59Z"),
            "0x80040239",
            "",
        ),
        (
            "new_moment",
            json!("9999-12-31T23:59:59-08:00"),
            "0x80048d19",
            "",
        ),
    ] {
        let answer = client.post("new_things", &json!({ column: value }).to_string());
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
