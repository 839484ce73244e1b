//! `describe` and `completions`.

use crate::desk::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_by_name() {
    let desk = Desk::new().await;
    let ran = desk.run(&["describe"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("account"), "{}", ran.out);
    let json = desk.run(&["describe", "--json"]).json();
    let tables = json["tables"].as_array().unwrap();
    let contact = tables.iter().find(|table| table["table"] == "contact");
    assert_eq!(contact.unwrap()["entity_set"], "contacts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_tells_columns_keys_and_targets() {
    let desk = Desk::new().await;
    let ran = desk.run(&["describe", "contacts"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for word in ["emailaddress1", "at most 100", "active", "create, update"] {
        assert!(ran.out.contains(word), "no {word}: {}", ran.out);
    }
    let json = desk.run(&["describe", "contact", "--json"]).json();
    let column = |name: &str| {
        let columns = json["columns"].as_array().unwrap();
        let found = columns.iter().find(|column| column["column"] == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert_eq!(column("emailaddress1")["max_length"], 100);
    assert_eq!(column("gendercode")["type"], "choice");
    let targets = column("parentcustomerid")["targets"].to_string();
    assert!(targets.contains("account"), "{targets}");
    assert_eq!(json["keys"][0]["status"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_exist_is_told_with_close_names() {
    let desk = Desk::new().await;
    let ran = desk.run(&["describe", "contcat"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("contact"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_name_the_commands() {
    let desk = Desk::new().await;
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ran = desk.run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains("describe"), "{shell}");
    }
    assert_eq!(desk.run(&["completions", "dos"]).code, Some(2));
}
