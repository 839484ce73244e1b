//! The service protection limits, as a client meets them.

use std::time::Duration;

use segue_emulator::{ClientOptions, Limits, Options, Response};
use uuid::Uuid;

use crate::client::*;

fn limited(limits: Limits) -> Client {
    Client::with(Options {
        limits: Some(limits),
        ..Options::default()
    })
}

fn requests(requests: u32) -> Limits {
    Limits {
        requests,
        ..Limits::default()
    }
}

fn left(response: &Response) -> [&str; 2] {
    ["burst", "time"].map(|which| {
        let name = format!("x-ms-ratelimit-{which}-remaining-xrm-requests");
        response.get(&name).unwrap()
    })
}

#[test]
fn every_answer_tells_what_is_left() {
    let client = limited(Limits::default());
    assert_eq!(left(&client.get("WhoAmI")), ["5999", "1,200.00"]);
    assert_eq!(left(&client.get("nonsense")), ["5998", "1,200.00"]);
}

#[test]
fn without_limits_nothing_is_told_of_them() {
    let answer = Client::fresh().get("WhoAmI");
    assert_eq!(
        answer.get("x-ms-ratelimit-burst-remaining-xrm-requests"),
        None
    );
    assert_eq!(answer.get("Set-Cookie"), None);
}

#[test]
fn a_request_beyond_the_limit_is_refused_until_the_window_has_moved_on() {
    let client = limited(requests(2));
    client.create("accounts", "{}");
    client.create("accounts", "{}");
    let answer = client.post("accounts", "{}");
    refused(
        &answer,
        429,
        "0x80072322",
        "Number of requests exceeded the limit of 2 over time window of 300 seconds.",
    );
    let wait: u64 = answer.get("Retry-After").unwrap().parse().unwrap();
    assert!((300..=305).contains(&wait), "{wait}");
    assert_eq!(left(&answer)[0], "0");
    assert!(answer.get("REQ_ID").is_some());
    assert_eq!(client.service.counts().throttled, 1);
    assert_eq!(client.service.rows("account").len(), 2);

    client.service.advance(Duration::from_secs(wait));
    client.sign_in_again_and(|client| client.create("accounts", "{}"));
}

#[test]
fn a_batch_is_one_request() {
    let client = limited(requests(2));
    let part =
        "--batch_A\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let post =
        "POST /api/data/v9.2/accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}\r\n";
    let body = format!("{}--batch_A--\r\n", format!("{part}{post}").repeat(10));
    assert_eq!(client.batch(&[], &body).status, 200);
    assert_eq!(client.batch(&[], &body).status, 200);
    let answer = client.batch(&[], &body);
    refused(&answer, 429, "0x80072322", "Number of requests");
    let kind = answer.get("Content-Type").unwrap();
    assert!(kind.starts_with("application/json"), "{kind}");
    assert_eq!(client.service.rows("account").len(), 20);
}

#[test]
fn what_is_not_the_web_api_is_not_counted() {
    let client = limited(requests(1));
    for _ in 0..3 {
        let form = good_form(client.service.origin());
        assert_eq!(client.service.handle(&token_request(&form)).status, 200);
    }
    client.create("accounts", "{}");
}

#[test]
fn each_user_has_limits_of_its_own() {
    let mut client = limited(requests(1));
    let other = Uuid::from_u128(7);
    client
        .service
        .add_client(&ClientOptions {
            client_id: other,
            ..ClientOptions::default()
        })
        .unwrap();
    assert_eq!(client.get("WhoAmI").status, 200);
    assert_eq!(client.get("WhoAmI").status, 429);
    client.sign_in_as(other, segue_emulator::CLIENT_SECRET);
    assert_eq!(client.get("WhoAmI").status, 200);
}

#[test]
fn a_client_that_keeps_the_cookie_stays_on_one_server() {
    let client = limited(Limits {
        servers: 2,
        ..requests(20)
    });
    let cookie = client.get("WhoAmI").get("Set-Cookie").unwrap().to_owned();
    let (cookie, rest) = cookie.split_once("; ").unwrap();
    assert_eq!(rest, "path=/; HttpOnly");
    let stay = || client.request("GET", "WhoAmI", &[("Cookie", cookie)], "");
    for expected in (0..19).rev() {
        assert_eq!(left(&stay())[0], expected.to_string());
    }
    assert_eq!(stay().status, 429);
    // Without it the other server has its turn sooner or later.
    assert!((0..20).any(|_| client.get("WhoAmI").status == 200));
}

#[test]
fn execution_time_and_requests_under_way_have_codes_of_their_own() {
    let client = limited(Limits {
        execution: Duration::from_nanos(1),
        ..Limits::default()
    });
    client.get("WhoAmI");
    let answer = client.get("WhoAmI");
    refused(
        &answer,
        429,
        "0x80072321",
        "Combined execution time of incoming requests exceeded limit of",
    );
    assert!(answer.get("Retry-After").is_some());
    let client = limited(Limits {
        concurrent: 0,
        ..Limits::default()
    });
    let answer = client.get("WhoAmI");
    refused(
        &answer,
        429,
        "0x80072326",
        "Number of concurrent requests exceeded the limit of 0.",
    );
    assert_eq!(answer.get("Retry-After"), Some("1"));
}
