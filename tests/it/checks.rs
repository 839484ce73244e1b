//! The way to a destination, and what is there.

use crate::desk::{Desk, numbered, ran};

#[tokio::test(flavor = "multi_thread")]
async fn each_step_has_a_tick_or_what_to_do() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    let well = desk.run(&["check", "-m", "accounts.yaml"]);
    assert_eq!(well.code, Some(0), "{well:?}");
    assert_eq!(well.out.matches('✓').count(), 6, "{}", well.out);

    for (variable, value, code, step) in [
        ("SEGUE_CLIENT_SECRET", "wrong", 3, "sign-in"),
        ("SEGUE_TENANT_ID", "contoso.com", 3, "sign-in"),
        (
            "SEGUE_CLIENT_ID",
            "00000000-0000-0000-0000-0000000000ff",
            3,
            "sign-in",
        ),
        ("SEGUE_URL", "http://127.0.0.1:9", 3, "sign-in"),
        ("SEGUE_AUTHORITY", "http://127.0.0.1:9", 3, "connection"),
    ] {
        let mut command = desk.command(&["check", "--json"]);
        let failed = ran(command.env(variable, value));
        assert_eq!(failed.code, Some(code), "{variable}: {failed:?}");
        let json = failed.json();
        let last = json["steps"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(
            (&last["step"], &last["ok"]),
            (&step.into(), &false.into()),
            "{last}"
        );
        assert!(
            last["error"]["help"]
                .as_str()
                .is_some_and(|help| !help.is_empty()),
            "{last}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_described_with_keys_and_options() {
    let desk = Desk::new().await;
    let all = desk.run(&["describe"]);
    assert!(
        all.out.contains("account") && all.out.contains("new_subscriptions"),
        "{all:?}"
    );
    let contact = desk.run(&["describe", "contact"]);
    assert!(
        contact.out.contains("[emailaddress1]  active"),
        "{}",
        contact.out
    );
    assert!(contact.out.contains("1 Male, 2 Female"), "{}", contact.out);
    let json = desk.run(&["describe", "contact", "--json"]).json();
    let columns = json["columns"].as_array().unwrap();
    let customer = columns
        .iter()
        .find(|it| it["name"] == "parentcustomerid")
        .unwrap();
    assert_eq!(
        customer["targets"],
        serde_json::json!(["account", "contact"])
    );
    assert_eq!(desk.run(&["describe", "contct"]).code, Some(2));
}
