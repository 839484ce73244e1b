//! What the results tell of how sending went, and that they are what their schema says.

use std::time::Duration;

use segue_emulator::{Fault, Limits, Options, ServiceTime};
use serde_json::Value as Json;

use crate::desk::{Desk, Ran, numbered};

/// What of a value is not as its schema says. Knows the words that the schema of results uses; a name that it does not
/// list counts as wrong, since every name is documented.
fn violations(whole: &Json, schema: &Json, value: &Json, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(name) = schema["$ref"].as_str() {
        let definition = whole.pointer(name.trim_start_matches('#'));
        found.extend(violations(whole, definition.unwrap(), value, place));
    }
    if !schema["type"].is_null() && !types(schema).any(|it| is_of(it, value)) {
        found.push(format!("{place}: {value} is not {}", schema["type"]));
    }
    let is_listed = |list: &Json| list.as_array().is_none_or(|list| list.contains(value));
    if !is_listed(&schema["enum"]) || (!schema["const"].is_null() && schema["const"] != *value) {
        found.push(format!("{place}: {value} is none of those allowed"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        found.push(format!("{place}: {number} < {least}"));
    }
    if let (Some(most), Some(items)) = (schema["maxItems"].as_u64(), value.as_array())
        && items.len() as u64 > most
    {
        found.push(format!("{place}: more than {most}"));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        let place = format!("{place}[{number}]");
        found.extend(violations(whole, &schema["items"], item, &place));
    }
    let Some(properties) = schema["properties"].as_object() else {
        return found;
    };
    let members = value.as_object().unwrap();
    for (name, member) in members {
        match properties.get(name) {
            Some(property) => {
                let place = format!("{place}.{name}");
                found.extend(violations(whole, property, member, &place));
            }
            None => found.push(format!("{place}.{name} is not in the schema")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if !members.contains_key(name.as_str().unwrap()) {
            found.push(format!("{place}.{name} is missing"));
        }
    }
    found
}

fn types(schema: &Json) -> impl Iterator<Item = &str> {
    let one = schema["type"].as_str();
    let several = schema["type"].as_array().into_iter().flatten();
    one.into_iter().chain(several.filter_map(Json::as_str))
}

fn is_of(name: &str, value: &Json) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// The only run's part about sending; the whole is as its schema says.
fn sending(ran: &Ran) -> Json {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/results.schema.json");
    let schema: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let results = ran.json();
    let wrong = violations(&schema, &schema, &results, "results");
    assert!(wrong.is_empty(), "{wrong:#?}");
    results["runs"][0]["sending"].clone()
}

/// How often and how many seconds a cause was waited for.
fn wait(sending: &Json, cause: &str) -> Option<(u64, f64)> {
    let waits = sending["waits"].as_array().unwrap();
    let wait = waits.iter().find(|wait| wait["cause"] == cause)?;
    Some((
        wait["times"].as_u64().unwrap(),
        wait["seconds"].as_f64().unwrap(),
    ))
}

fn numbers(list: &Json) -> Vec<u64> {
    let list = list.as_array().unwrap();
    list.iter().map(|number| number.as_u64().unwrap()).collect()
}

async fn desk(rows: usize, options: Options) -> Desk {
    let desk = Desk::with(options).await;
    desk.write("a.csv", numbered(rows));
    desk.accounts("{ path: a.csv }", "missing: delete\n");
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn results_tell_what_was_waited_for_and_how_long() {
    let desk = desk(1_000, Options::default()).await;
    let failing = Fault::Status {
        status: 503,
        body: "{}".to_owned(),
    };
    let throttled = Fault::Throttle { retry_after: 1 };
    desk.emulator
        .next_requests([Fault::Pass, failing, throttled]);
    let ran = desk.push(&["--concurrency", "1"]);
    assert_eq!(ran.rows("created"), 1_000, "{ran:?}");
    let sending = sending(&ran);
    assert_eq!(sending["rows"], 1_000);
    assert_eq!(sending["latency"]["requests"], 12);
    let (times, seconds) = wait(&sending, "requests_limit").unwrap();
    assert!(times == 1 && (0.9..10.0).contains(&seconds), "{sending}");
    let (times, seconds) = wait(&sending, "back_off").unwrap();
    assert!(times == 1 && (0.9..10.0).contains(&seconds), "{sending}");
    let seconds = sending["seconds"].as_f64().unwrap();
    let waited = ran.json()["runs"][0]["requests"]["waited"].clone();
    let waited = waited.as_f64().unwrap();
    assert!(0.9 <= waited && waited <= seconds, "{sending}");
    assert_eq!(ran.requests("throttled"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curve_holds_every_row_and_the_most_in_flight() {
    let time = ServiceTime {
        per_request: Duration::from_millis(20),
        per_row: Duration::ZERO,
    };
    let options = Options {
        service_time: Some(time),
        ..Options::default()
    };
    let desk = desk(2_000, options).await;
    let ran = desk.push(&["--concurrency", "3"]);
    let sending = sending(&ran);
    let rows = numbers(&sending["curve"]["rows"]);
    let in_flight = numbers(&sending["curve"]["in_flight"]);
    assert_eq!(rows.len(), in_flight.len());
    assert_eq!(rows.iter().sum::<u64>(), 2_000);
    let most = in_flight.iter().max().copied();
    assert_eq!(sending["most_in_flight"].as_u64(), most);
    assert!((1..=3).contains(&most.unwrap()));
    let of = |name: &str| sending["latency"][name].as_f64().unwrap();
    let latency = ["p50", "p90", "p99", "max"].map(of);
    assert!(latency.is_sorted() && latency[0] > 0.0, "{latency:?}");
    assert!(sending["rows_per_second"].as_f64().unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_throttled_before_the_vanished_were_removed_counts_too() {
    let desk = desk(30, Options::default()).await;
    desk.push(&[]);
    desk.write("a.csv", numbered(29) + "A31,new\n");
    let throttled = Fault::Throttle { retry_after: 1 };
    desk.emulator.next_requests([throttled]);
    let ran = desk.push(&[]);
    assert_eq!((ran.rows("created"), ran.rows("deleted")), (1, 1));
    assert_eq!(ran.requests("throttled"), 1);
    let sending = sending(&ran);
    assert_eq!(sending["rows"], 2);
    assert_eq!(wait(&sending, "requests_limit").unwrap().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_execution_time_is_told_as_such() {
    let limits = Limits {
        execution: Duration::from_millis(1),
        window: Duration::from_secs(1),
        ..Limits::default()
    };
    let options = Options {
        limits: Some(limits),
        ..Options::default()
    };
    let desk = desk(600, options).await;
    let ran = desk.push(&["--concurrency", "2"]);
    assert_eq!(ran.rows("created"), 600, "{ran:?}");
    let sending = sending(&ran);
    let (times, seconds) = wait(&sending, "time_limit").unwrap();
    assert!(times >= 1 && seconds > 0.0, "{sending}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_sends_nothing_says_so() {
    let desk = desk(3, Options::default()).await;
    desk.push(&[]);
    let sending = sending(&desk.push(&[]));
    assert_eq!(
        (&sending["rows"], &sending["waits"]),
        (&0.into(), &Json::Array(Vec::new()))
    );
    assert_eq!(sending["curve"]["in_flight"], Json::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_up_is_a_wait_of_its_own() {
    let desk = desk(3, Options::default()).await;
    let wanted = desk.read("accounts.yaml");
    desk.write("accounts.yaml", wanted + "write: { envelope: bulk }\n");
    let sending = sending(&desk.push(&[]));
    assert!(wait(&sending, "looking_up").unwrap().0 >= 1, "{sending}");
}
