//! What goes wrong by chance, from a seed.

use segue_emulator::{Delivery, EmulatorError, Options, Service};

use crate::client::*;

fn troubled(chaos: &str) -> Client {
    seeded(chaos, 0)
}

fn seeded(chaos: &str, seed: u64) -> Client {
    Client::with(Options {
        chaos: chaos.parse().unwrap(),
        seed,
        ..Options::default()
    })
}

const PART: &str =
    "--batch_A\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n";

fn creates(names: impl IntoIterator<Item = String>) -> String {
    let parts = names.into_iter().map(|name| {
        format!(
            "{PART}POST /api/data/v9.2/accounts HTTP/1.1\r\n\
             Content-Type: application/json\r\n\r\n{{\"name\":\"{name}\"}}\r\n"
        )
    });
    parts.collect::<String>() + "--batch_A--\r\n"
}

#[test]
fn each_fault_of_a_request_is_answered_as_it_says() {
    let answer = |chaos: &str| troubled(chaos).post("accounts", "{}");
    let throttled = answer("429=1,retry-after=7");
    refused(&throttled, 429, "0x80072322", "");
    assert_eq!(throttled.get("Retry-After"), Some("7"));
    refused(&answer("500=1"), 500, "0x80040216", "unexpected");
    for (chaos, status) in [("502=1", 502), ("503=1", 503)] {
        let answer = answer(chaos);
        assert_eq!(answer.status, status);
        assert_eq!(answer.get("Content-Type"), Some("text/html"));
    }
    refused(&answer("op-429=1"), 429, "0x80072322", "");
    refused(&answer("op-500=1"), 500, "0x80040216", "");
    refused(&answer("deadlock=1"), 500, "0x80044150", "Sql Number: 1205");
}

#[test]
fn an_answer_is_lost_before_or_after_the_commit() {
    let lost = |chaos: &str| {
        let client = troubled(chaos);
        let delivery = client.post("accounts", "{}").delivery;
        (delivery, client.service.rows("account").len())
    };
    assert_eq!(lost("close-before=1"), (Delivery::Nothing, 0));
    assert_eq!(lost("close-after=1"), (Delivery::Nothing, 1));
    assert_eq!(lost("truncate=1"), (Delivery::HalfTheBody, 1));
    let late = Delivery::Late(std::time::Duration::from_secs(9));
    assert_eq!(lost("stall=1,stall-for=9"), (late, 1));
}

#[test]
fn the_answer_to_a_refused_request_is_lost_as_well() {
    let answer = troubled("close-after=1").post("accounts", "nonsense");
    assert_eq!((answer.status, answer.delivery), (400, Delivery::Nothing));
}

#[test]
fn reads_are_struck_as_well() {
    assert_eq!(troubled("503=1").get("WhoAmI").status, 503);
}

#[test]
fn a_revoked_token_is_challenged_and_a_new_one_is_good() {
    let mut client = seeded("revoke=0.5", 0);
    let mut revoked = 0;
    for _ in 0..20 {
        if client.get("WhoAmI").status == 401 {
            revoked += 1;
            assert_eq!(client.get("WhoAmI").status, 401);
            client.sign_in();
        }
    }
    assert!((3..18).contains(&revoked), "{revoked}");
}

#[test]
fn a_seed_repeats_a_run() {
    let run = |seed| {
        let client = seeded("429=0.1,500=0.1,close-after=0.1,deadlock=0.2", seed);
        let statuses = (0..50).map(|_| {
            let answer = client.post("accounts", "{}");
            (answer.status, answer.delivery)
        });
        let statuses: Vec<_> = statuses.collect();
        (statuses, client.service.rows("account").len())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn operations_of_a_batch_are_struck_one_by_one() {
    let client = troubled("deadlock=0.3");
    let body = creates((0..100).map(|number| number.to_string()));
    let answer = text(&client.batch(&[("Prefer", "odata.continue-on-error")], &body));
    let written = client.service.rows("account").len();
    let struck = answer.matches("Sql Number: 1205").count();
    assert_eq!(written + struck, 100);
    assert!((15..45).contains(&struck), "{struck}");
}

#[test]
fn a_business_rule_refuses_chosen_rows() {
    let client = troubled("rule=contact.lastname:Smith,rule=name:Smith & Co");
    let id = client.create("contacts", r#"{"lastname":"Lee"}"#);
    refused(
        &client.patch(&format!("contacts({id})"), r#"{"lastname":"Smith"}"#),
        400,
        "0x80040265",
        "'Smith' in the column 'lastname'",
    );
    refused(
        &client.post("contacts", r#"{"lastname":"Smith"}"#),
        400,
        "0x80040265",
        "",
    );
    let names = ["A", "Smith & Co", "B"].map(str::to_owned);
    let answer = client.batch(&[("Prefer", "odata.continue-on-error")], &creates(names));
    assert_eq!(text(&answer).matches("0x80040265").count(), 1);
    assert_eq!(client.service.rows("account").len(), 2);
    client.create("leads", r#"{"lastname":"Smith"}"#);
}

#[test]
fn a_rule_for_a_column_that_there_is_not_is_told() {
    let open = |chaos: &str| {
        let options = Options {
            chaos: chaos.parse().unwrap(),
            ..Options::default()
        };
        Service::open(options).map(drop)
    };
    for chaos in ["rule=lastnam:Smith", "rule=account.lastname:Smith"] {
        assert!(matches!(open(chaos), Err(EmulatorError::NoColumn { .. })));
    }
    assert!(open("rule=contact.lastname:Smith").is_ok());
}
