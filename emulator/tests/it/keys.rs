//! Keys in URLs and alternate keys as indexes.

use segue_emulator::Options;
use segue_emulator::schema::Schema;
use serde_json::json;

use crate::client::*;

const ID: &str = "00000000-0000-0000-0000-000000000001";

#[test]
fn a_row_has_several_addresses() {
    let client = Client::fresh();
    client.create(
        "contacts",
        &format!(r#"{{"contactid":"{ID}","emailaddress1":"o'b@x.example"}}"#),
    );
    for key in [
        ID.to_owned(),
        format!("contactid={ID}"),
        "emailaddress1='o''b@x.example'".to_owned(),
        "emailaddress1=%27o%27%27b%40x.example%27".to_owned(),
        "emailaddress1='O''B@X.EXAMPLE'".to_owned(),
    ] {
        assert_eq!(
            json(&client.get(&format!("contacts({key})")))["contactid"],
            ID,
            "{key}"
        );
    }
}

#[test]
fn users_and_teams_are_named_by_the_id_of_an_owner() {
    let client = Client::fresh();
    let user = json(&client.get("WhoAmI"))["UserId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        client.get(&format!("systemusers(ownerid={user})")).status,
        200
    );
    let answer = client.get(&format!("systemusers(systemuserid={user})"));
    refused(
        &answer,
        400,
        "0x80060888",
        "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.systemuser'.",
    );
}

#[test]
fn a_composite_key_is_written_in_any_order_but_whole() {
    let client = Client::fresh();
    client.patch(
        "new_subscriptions(new_customernumber='7',new_plan=100000001)",
        "{}",
    );
    assert_eq!(
        client
            .get("new_subscriptions(new_plan=100000001,new_customernumber='7')")
            .status,
        200
    );
    for key in [
        "new_customernumber='7'",
        "new_plan=100000001",
        "new_customernumber='7',new_plan=100000001,new_name='x'",
        "new_customernumber='7',new_customernumber='7'",
        "new_Plan=100000001,new_customernumber='7'",
        "",
    ] {
        let answer = client.get(&format!("new_subscriptions({key})"));
        refused(
            &answer,
            400,
            "0x80060888",
            "Ensure that the names and number of key properties match the declared or alternate key properties for the resource",
        );
    }
}

#[test]
fn unreadable_keys_are_refused() {
    let client = Client::fresh();
    for key in [
        "accountnumber=@p)?@p='x'",
        "accountnumber=5)",
        "accountnumber=null)",
        "accountnumber='x)",
        "accountnumber='x''",
        "accountnumber='x' )",
        "accountnumber = 'x')",
        "anonymous)",
        "{00000000-0000-0000-0000-000000000001})",
        "'00000000-0000-0000-0000-000000000001')",
        "accountnumber='x')y",
        "accountnumber='%FF')",
        "accountnumber='a#b')",
        "",
    ] {
        let answer = client.get(&format!("accounts({key}"));
        refused(
            &answer,
            400,
            "0x80060888",
            "Bad Request - Error in query syntax.",
        );
    }
    let answer = client.get("new_subscriptions(new_customernumber='7',new_plan='100000001')");
    refused(
        &answer,
        400,
        "0x80060888",
        "Bad Request - Error in query syntax.",
    );
}

#[test]
fn special_characters_never_work_in_a_url() {
    let client = Client::fresh();
    for character in [
        "/", "<", ">", "*", "%25", "&", ":", "\\", "?", "+", "%2F", "%3C", "%3A", "%26", "%2B",
        "%3F", "%0D%0A",
    ] {
        let answer = client.patch(&format!("accounts(accountnumber='a{character}b')"), "{}");
        refused(
            &answer,
            400,
            "0x80060888",
            "Bad Request - Error in query syntax.",
        );
    }
    for character in [
        "#", "@", "$", "=", ",", "(", ")", ";", "\"", "[", "|", "ß", "日",
    ] {
        let encoded = percent(character);
        let answer = client.patch(&format!("accounts(accountnumber='a{encoded}b')"), "{}");
        assert_eq!(answer.status, 204, "{character}");
    }
}

fn percent(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    bytes.concat()
}

#[test]
fn equal_is_what_the_collation_holds_for_equal() {
    let client = Client::fresh();
    client.create("accounts", r#"{"accountnumber":"Café"}"#);
    for same in ["café", "CAFE", "Cafe%20%20", "cafe%CC%81"] {
        assert_eq!(
            client
                .get(&format!("accounts(accountnumber='{same}')"))
                .status,
            200,
            "{same}"
        );
    }
    assert_eq!(client.get("accounts(accountnumber='%20cafe')").status, 404);

    let swedish = Client::with(Options {
        language_code: 1053,
        ..Options::default()
    });
    swedish.create("accounts", r#"{"accountnumber":"Café"}"#);
    assert_eq!(swedish.get("accounts(accountnumber='CAFÉ ')").status, 200);
    assert_eq!(swedish.get("accounts(accountnumber='cafe')").status, 404);
    assert_eq!(
        swedish.query("organizations?$select=languagecode")[0]["languagecode"],
        1053
    );
}

#[test]
fn a_taken_key_is_refused_and_named_when_asked() {
    let client = Client::fresh();
    client.create("contacts", r#"{"emailaddress1":"a&b@x.example"}"#);
    let id = client.create("contacts", "{}");
    let text = "Entity Key Email violated. A record with the same value for Email already exists. A duplicate record cannot be created. Select one or more unique values and try again.";
    let body = r#"{"emailaddress1":"A&B@X.example "}"#;
    refused(&client.post("contacts", body), 412, "0x80060892", text);
    let annotations = [(
        "Prefer",
        "odata.include-annotations=\"Microsoft.PowerApps.CDS.ErrorDetails*\"",
    )];
    for (method, path) in [
        ("POST", "contacts".to_owned()),
        ("PATCH", format!("contacts({id})")),
    ] {
        let plain = client.request(method, &path, &[], body);
        assert_eq!(json(&plain)["error"].as_object().unwrap().len(), 2);
        let answer = client.request(method, &path, &annotations, body);
        refused(&answer, 412, "0x80060892", text);
        let error = &json(&answer)["error"];
        let detail =
            |name: &str| error[format!("@Microsoft.PowerApps.CDS.ErrorDetails.{name}")].clone();
        assert_eq!((detail("0"), detail("1")), (json!("Email"), json!("Email")));
        assert_eq!(
            detail("DuplicateAttributes"),
            "<DuplicateAttributes><emailaddress1>A&amp;B@X.example </emailaddress1></DuplicateAttributes>"
        );
    }
    assert_eq!(client.service.rows("contact").len(), 2);
}

#[test]
fn null_in_any_column_exempts_the_row() {
    let client = Client::fresh();
    for _ in 0..2 {
        client.create("contacts", r#"{"emailaddress1":null}"#);
        client.create("contacts", r#"{"emailaddress1":""}"#);
        client.create("new_subscriptions", r#"{"new_customernumber":"7"}"#);
        client.create("new_subscriptions", r#"{"new_plan":100000001}"#);
    }
    let body = r#"{"new_customernumber":"7","new_plan":100000001}"#;
    client.create("new_subscriptions", body);
    let answer = client.post("new_subscriptions", body);
    refused(
        &answer,
        412,
        "0x80060892",
        "the same value for Customer Number, Plan already exists",
    );
}

#[test]
fn a_key_is_free_again_when_its_row_lets_go() {
    let client = Client::fresh();
    let id = client.create("contacts", r#"{"emailaddress1":"a@x.example"}"#);
    client.patch(
        &format!("contacts({id})"),
        r#"{"emailaddress1":"b@x.example"}"#,
    );
    client.create("contacts", r#"{"emailaddress1":"a@x.example"}"#);
    client.request("DELETE", &format!("contacts({id})"), &[], "");
    client.create("contacts", r#"{"emailaddress1":"b@x.example"}"#);
    let same = client.patch(
        "contacts(emailaddress1='a@x.example')",
        r#"{"lastname":"x"}"#,
    );
    assert_eq!(same.status, 204);
}

#[test]
fn only_an_active_key_counts() {
    let mut schema = Schema::built_in().unwrap();
    schema
        .add_json(
            r#"{"table": "Account", "columns": {}, "keys": {
            "new_sic_key": {"columns": ["sic"], "status": "pending"},
            "new_stock_key": {"columns": ["stockexchange"], "status": "failed"}}}"#,
        )
        .unwrap();
    let client = Client::with(Options {
        schema: Some(schema),
        ..Options::default()
    });
    for column in ["sic", "stockexchange"] {
        let answer = client.get(&format!("accounts({column}='1')"));
        refused(
            &answer,
            400,
            "0x80060888",
            "The key in the request URI is not valid",
        );
        client.create("accounts", &format!(r#"{{"{column}":"1"}}"#));
        client.create("accounts", &format!(r#"{{"{column}":"1"}}"#));
    }
}

#[test]
fn keys_hold_numbers_dates_and_lookups() {
    let mut schema = Schema::built_in().unwrap();
    schema
        .add_json(
            r#"{"table": "new_Visit", "set": "new_visits", "columns": {
            "new_Number": "integer", "new_Price": "decimal(0..1000, 2)", "new_Day": "date",
            "new_ContactId": "lookup(contact)"},
            "keys": {"new_a_key": ["new_number"], "new_b_key": ["new_price"],
                "new_c_key": ["new_day", "new_contactid"]}}"#,
        )
        .unwrap();
    let client = Client::with(Options {
        schema: Some(schema),
        ..Options::default()
    });
    client.create("contacts", &format!(r#"{{"contactid":"{ID}"}}"#));
    let lookup = format!("new_visits(new_day=2024-05-01,_new_contactid_value={ID})");
    for key in [
        "new_visits(new_number=-5)",
        "new_visits(new_price=1.50)",
        &lookup,
    ] {
        for _ in 0..2 {
            assert_eq!(client.patch(key, "{}").status, 204, "{key}");
        }
    }
    let rows = client.service.rows("new_visit");
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["new_number"], -5);
    assert_eq!(rows[2]["_new_contactid_value"], ID);
    assert_eq!(client.get("new_visits(new_price=1.5)").status, 200);
    let clash = client.post("new_visits", r#"{"new_number":-5}"#);
    refused(
        &clash,
        412,
        "0x80060892",
        "the same value for Number already exists",
    );
}

#[test]
fn a_key_in_a_url_has_the_limits_of_its_columns_when_it_creates() {
    let client = Client::fresh();
    let long = format!("accounts(accountnumber='{}')", "x".repeat(21));
    refused(
        &client.patch(&long, "{}"),
        400,
        "0x80044331",
        "'accountnumber'",
    );
    assert_eq!(client.patch(&long, r#"{"accountnumber":"x"}"#).status, 204);
    let option = "new_subscriptions(new_customernumber='1',new_plan=7)";
    refused(
        &client.patch(option, "{}"),
        400,
        "0x8004431a",
        "Accepted Values",
    );
    let empty = "accounts(accountnumber='')";
    refused(
        &client.patch(empty, "{}"),
        400,
        "0x8006088f",
        "'accountnumber'",
    );
    assert_eq!(client.service.rows("account").len(), 1);
}

#[test]
fn a_key_may_be_a_lookup_a_date_or_a_decimal() {
    let mut schema = Schema::built_in().unwrap();
    schema
        .add_json(
            r#"{"table": "new_Visit", "columns": {"new_When": "date", "new_Cost": "decimal(0..1000, 2)", "new_Where": "lookup(account)"},
                "keys": {"new_a": ["new_when", "new_cost"], "new_b": ["new_where"]}}"#,
        )
        .unwrap();
    let client = Client::with(Options {
        schema: Some(schema),
        ..Options::default()
    });
    assert_eq!(
        client
            .patch("new_visits(new_when=2024-05-01,new_cost=1.50)", "{}")
            .status,
        204
    );
    assert_eq!(
        client
            .get("new_visits(new_cost=1.5,new_when=2024-05-01)")
            .status,
        200
    );
    let high = client.patch("new_visits(new_when=2024-05-01,new_cost=1001)", "{}");
    refused(&high, 400, "0x80044330", "new_cost");
    let by_lookup = format!("new_visits(_new_where_value={ID})");
    refused(
        &client.patch(&by_lookup, "{}"),
        404,
        "0x80040217",
        "account With Id",
    );
    client.create("accounts", &json!({"accountid": ID}).to_string());
    assert_eq!(client.patch(&by_lookup, "{}").status, 204);
    let found = json(&client.get(&by_lookup));
    assert_eq!(found["_new_where_value"], ID);
    refused(
        &client.get(&format!("new_visits(new_where={ID})")),
        400,
        "0x80060888",
        "",
    );
}

#[test]
fn a_key_that_is_not_active_is_no_key() {
    for status in ["pending", "in-progress", "failed"] {
        let mut schema = Schema::built_in().unwrap();
        let json = format!(
            r#"{{"table": "account", "columns": {{"new_Code": "text(10)"}}, "keys": {{"new_k": {{"columns": ["new_code"], "status": "{status}"}}}}}}"#
        );
        schema.add_json(&json).unwrap();
        let client = Client::with(Options {
            schema: Some(schema),
            ..Options::default()
        });
        let told = "Ensure that the names and number of key properties match";
        refused(
            &client.patch("accounts(new_code='1')", "{}"),
            400,
            "0x80060888",
            told,
        );
        refused(
            &client.post(
                "accounts",
                r#"{"ownerid@odata.bind":"teams(new_code='1')"}"#,
            ),
            400,
            "0x80060888",
            told,
        );
        for name in ["A", "B"] {
            client.create(
                "accounts",
                &json!({"name": name, "new_code": "1"}).to_string(),
            );
        }
    }
}

#[test]
fn a_violated_key_shows_the_row_that_was_to_be_written() {
    let client = Client::fresh();
    client.create("accounts", r#"{"name": "first", "accountnumber": "N"}"#);
    let all = [("Prefer", "odata.include-annotations=\"*\"")];
    let body = r#"{"name": "second & last", "accountnumber": "n"}"#;
    let answer = client.request("POST", "accounts", &all, body);
    refused(&answer, 412, "0x80060892", "Entity Key");
    let error = &json(&answer)["error"];
    let details =
        |name: &str| error[format!("@Microsoft.PowerApps.CDS.ErrorDetails.{name}")].clone();
    let dump = details("DuplicateEntity").as_str().unwrap().to_owned();
    let user = client.service.client().user_id().unwrap();
    let first = dump
        .split("<Id>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    assert_eq!(first, user.to_string());
    assert!(dump.contains("second &amp; last"), "{dump}");
    assert_eq!(details("0"), "Account Number");
}
