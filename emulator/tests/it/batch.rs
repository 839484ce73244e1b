//! `$batch`.

use segue_emulator::{FailedChangeSet, Fault, OperationFault, Options, Request};

use crate::client::*;

fn part(request: &str) -> String {
    format!(
        "--batch_A\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{request}\r\n"
    )
}

fn write(line: &str, headers: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
}

fn read(path: &str) -> String {
    format!("GET /api/data/v9.2/{path} HTTP/1.1\r\nAccept: application/json\r\n\r\n")
}

fn change_set(boundary: &str, requests: &[(&str, String)]) -> String {
    let parts: Vec<String> = requests
        .iter()
        .map(|(id, request)| {
            let id = if id.is_empty() {
                String::new()
            } else {
                format!("Content-ID: {id}\r\n")
            };
            format!(
                "--{boundary}\r\nContent-Type: application/http\r\n\
                 Content-Transfer-Encoding: binary\r\n{id}\r\n{request}\r\n"
            )
        })
        .collect();
    format!(
        "--batch_A\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n\
         {}--{boundary}--\r\n",
        parts.concat()
    )
}

fn whole(parts: &[String]) -> String {
    format!("{}--batch_A--\r\n", parts.concat())
}

fn create(name: &str) -> String {
    write(
        "POST /api/data/v9.2/accounts",
        "",
        &format!(r#"{{"name":"{name}"}}"#),
    )
}

/// Answers with random parts replaced: boundaries, ids, versions, `REQ_ID`.
fn shape(answer: &segue_emulator::Response) -> String {
    let mut body = text(answer);
    let boundary = answer
        .get("Content-Type")
        .unwrap()
        .split("boundary=")
        .nth(1)
        .unwrap();
    body = body.replace(boundary, "batchresponse");
    if let Some((_, rest)) = body.split_once("boundary=changesetresponse_") {
        let inner = format!("changesetresponse_{}", rest.get(..36).unwrap());
        body = body.replace(&inner, "changesetresponse");
    }
    let mut lines: Vec<String> = body.split("\r\n").map(str::to_owned).collect();
    for line in &mut lines {
        if line.starts_with("REQ_ID: ") {
            *line = "REQ_ID: x".to_owned();
        }
        if let Some(open) = line.find("accounts(0") {
            line.replace_range(open + 9..open + 45, "id");
        }
    }
    lines.join("\r\n")
}

const HEAD: &str = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n";

#[test]
fn a_batch_is_answered_byte_for_byte() {
    let client = Client::fresh();
    let body = whole(&[
        part(&write(
            "PATCH /api/data/v9.2/contacts(externaluseridentifier='1')",
            "",
            r#"{"lastname":"Lee"}"#,
        )),
        change_set(
            "changeset_B",
            &[
                ("1", create("A")),
                ("2", write("PATCH $1", "", r#"{"description":"x"}"#)),
            ],
        ),
        part(&read("accounts?$select=name&$top=1")),
    ]);
    let answer = client.batch(&[], &body);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(answer.get("OData-Version"), Some("4.0"));
    let kind = answer.get("Content-Type").unwrap();
    assert!(
        kind.starts_with("multipart/mixed; boundary=batchresponse_"),
        "{kind}"
    );
    let row = &client.service.rows("account")[0];
    let id = row["accountid"].as_str().unwrap();
    let tag = row["@odata.etag"].as_str().unwrap().replace('"', "\\\"");
    assert_eq!(
        (&row["name"], &row["description"]),
        (&"A".into(), &"x".into())
    );
    assert_eq!(
        shape(&answer),
        format!(
            "--batchresponse\r\n{HEAD}\r\nHTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\
             Location: {BASE}/contacts(externaluseridentifier='1')\r\n\
             OData-EntityId: {BASE}/contacts(externaluseridentifier='1')\r\n\r\n\r\n\
             --batchresponse\r\nContent-Type: multipart/mixed; boundary=changesetresponse\r\n\r\n\
             --changesetresponse\r\n{HEAD}Content-ID: 1\r\n\r\nHTTP/1.1 204 No Content\r\n\
             OData-Version: 4.0\r\nLocation: {BASE}/accounts(id)\r\n\
             OData-EntityId: {BASE}/accounts(id)\r\n\r\n\r\n\
             --changesetresponse\r\n{HEAD}Content-ID: 2\r\n\r\nHTTP/1.1 204 No Content\r\n\
             OData-Version: 4.0\r\nLocation: {BASE}/accounts(id)\r\n\
             OData-EntityId: {BASE}/accounts(id)\r\n\r\n\r\n--changesetresponse--\r\n\
             --batchresponse\r\n{HEAD}\r\nHTTP/1.1 200 OK\r\n\
             Content-Type: application/json; odata.metadata=minimal; odata.streaming=true\r\n\
             OData-Version: 4.0\r\n\r\n\
             {{\"@odata.context\":\"{BASE}/$metadata#accounts(name)\",\"value\":[\
             {{\"@odata.etag\":\"{tag}\",\"name\":\"A\",\"accountid\":\"{id}\"}}]}}\r\n\
             --batchresponse--\r\n"
        )
    );
}

#[test]
fn the_first_failure_stops_a_batch() {
    let client = Client::fresh();
    let long = "x".repeat(161);
    let body = whole(&[part(&create("A")), part(&create(&long)), part(&create("C"))]);
    let answer = client.batch(&[], &body);
    assert_eq!(answer.status, 400);
    let shape = shape(&answer);
    assert_eq!(shape.matches("--batchresponse\r\n").count(), 2);
    let error = format!(
        "--batchresponse\r\n{HEAD}\r\nHTTP/1.1 400 Bad Request\r\nREQ_ID: x\r\n\
         Content-Type: application/json; odata.metadata=minimal\r\nOData-Version: 4.0\r\n\r\n\
         {{\"error\":{{\"code\":\"0x80044331\",\"message\":\"A validation error occurred.  The \
         length of the 'name' attribute of the 'account' entity exceeded the maximum allowed \
         length of '160'.\"}}}}\r\n--batchresponse--\r\n"
    );
    assert!(shape.ends_with(&error), "{shape}");
    // What came before the failure stands.
    assert_eq!(client.service.rows("account").len(), 1);
}

#[test]
fn the_outer_status_is_that_of_the_failure() {
    let client = Client::fresh();
    let missing = "accounts(00000000-0000-0000-0000-000000000001)";
    let update = write(
        &format!("PATCH /api/data/v9.2/{missing}"),
        "If-Match: *\r\n",
        "{}",
    );
    assert_eq!(client.batch(&[], &whole(&[part(&update)])).status, 404);
    let create_only = write(
        "PATCH /api/data/v9.2/accounts(accountnumber='1')",
        "If-None-Match: *\r\n",
        "{}",
    );
    assert_eq!(
        client
            .batch(&[], &whole(&[part(&create_only), part(&create_only)]))
            .status,
        412
    );
}

#[test]
fn with_the_preference_a_batch_goes_on() {
    let client = Client::fresh();
    let long = "x".repeat(161);
    let sets = [("1", create("B")), ("2", create(&long))];
    let body = whole(&[
        part(&create(&long)),
        change_set("cs", &sets),
        part(&create("C")),
    ]);
    let answer = client.batch(&[("Prefer", "odata.continue-on-error")], &body);
    assert_eq!(answer.status, 200);
    let shape = shape(&answer);
    let found: Vec<_> = shape
        .lines()
        .filter(|line| line.starts_with("HTTP/1.1 "))
        .collect();
    assert_eq!(
        found,
        [
            "HTTP/1.1 400 Bad Request",
            "HTTP/1.1 400 Bad Request",
            "HTTP/1.1 204 No Content"
        ]
    );
    let rows = client.service.rows("account");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["name"], "C");
}

#[test]
fn a_change_set_is_whole_or_not_at_all() {
    for failed_change_set in [FailedChangeSet::Wrapped, FailedChangeSet::Plain] {
        let client = Client::with(Options {
            failed_change_set,
            ..Options::default()
        });
        client.create("accounts", r#"{"accountnumber":"1","name":"before"}"#);
        let before = client.service.rows("account");
        let body = whole(&[change_set(
            "cs",
            &[
                ("a", create("A")),
                (
                    "b",
                    write(
                        "PATCH /api/data/v9.2/accounts(accountnumber='1')",
                        "",
                        r#"{"name":"after"}"#,
                    ),
                ),
                (
                    "c",
                    write(
                        "POST /api/data/v9.2/accounts",
                        "",
                        r#"{"accountnumber":"1"}"#,
                    ),
                ),
                ("d", create("D")),
            ],
        )]);
        let answer = client.batch(&[], &body);
        assert_eq!(answer.status, 412);
        let body = shape(&answer);
        assert_eq!(body.matches("HTTP/1.1 ").count(), 1);
        let is_wrapped = failed_change_set == FailedChangeSet::Wrapped;
        assert_eq!(body.contains("Content-ID: c\r\n"), is_wrapped);
        assert_eq!(
            body.contains("--changesetresponse--\r\n--batchresponse--\r\n"),
            is_wrapped
        );
        assert_eq!(client.service.rows("account"), before);
        assert_eq!(client.service.journal().len(), 1);
        // The key that the set took and gave back is free.
        assert_eq!(
            client.patch("accounts(accountnumber='1')", "{}").status,
            204
        );
    }
}

#[test]
fn references_lead_to_parts_before_them() {
    let client = Client::fresh();
    let body = whole(&[change_set(
        "cs",
        &[
            ("1", create("A")),
            (
                "2",
                write(
                    "POST /api/data/v9.2/contacts",
                    "",
                    r#"{"lastname":"L","parentcustomerid_account@odata.bind":"$1"}"#,
                ),
            ),
            (
                "3",
                write("PUT $1/primarycontactid/$ref", "", r#"{"@odata.id":"$2"}"#),
            ),
        ],
    )]);
    let answer = client.batch(&[], &body);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let account = &client.service.rows("account")[0];
    let contact = &client.service.rows("contact")[0];
    assert_eq!(contact["_parentcustomerid_value"], account["accountid"]);
    assert_eq!(account["_primarycontactid_value"], contact["contactid"]);

    let text_of_missing = "Content-ID Reference: '$1' does not exist in the batch context.";
    for parts in [
        // Before its part, in another change set, and after a part that told no id.
        vec![change_set(
            "cs",
            &[("2", write("PATCH $1", "", "{}")), ("1", create("A"))],
        )],
        vec![
            change_set("cs", &[("1", create("A"))]),
            change_set("ct", &[("2", write("PATCH $1", "", "{}"))]),
        ],
        vec![change_set(
            "cs",
            &[
                (
                    "1",
                    write(
                        "POST /api/data/v9.2/accounts",
                        "Prefer: return=representation\r\n",
                        "{}",
                    ),
                ),
                ("2", write("PATCH $1", "", "{}")),
            ],
        )],
    ] {
        let answer = client.batch(&[], &whole(&parts));
        assert_eq!(answer.status, 400);
        assert!(text(&answer).contains(text_of_missing), "{}", text(&answer));
    }
}

#[test]
fn parts_can_be_represented() {
    let client = Client::fresh();
    let line = "PATCH /api/data/v9.2/accounts(accountnumber='1')?$select=accountid";
    let upsert = write(line, "Prefer: return=representation\r\n", "{}");
    let answer = client.batch(
        &[],
        &whole(&[part(&upsert), change_set("cs", &[("", upsert.clone())])]),
    );
    let body = text(&answer);
    assert!(body.contains("HTTP/1.1 201 Created\r\n"), "{body}");
    assert!(body.contains("HTTP/1.1 200 OK\r\n"), "{body}");
    assert!(!body.contains("OData-EntityId"), "{body}");
}

#[test]
fn request_lines_take_paths_and_urls_and_nothing_that_smuggles() {
    let client = Client::fresh();
    for line in [
        "POST /api/data/v9.2/accounts".to_owned(),
        format!("POST {BASE}/accounts"),
    ] {
        let answer = client.batch(&[], &whole(&[part(&write(&line, "", "{}"))]));
        assert_eq!(answer.status, 200, "{line}");
    }
    for line in [
        "PATCH /api/data/v9.2/accounts(accountnumber='a%2Fb')",
        "PATCH /api/data/v9.2/accounts(accountnumber='a/b')",
        "PATCH /api/data/v9.2/accounts(accountnumber='a#b')",
    ] {
        let answer = client.batch(&[], &whole(&[part(&write(line, "", "{}"))]));
        assert_eq!(answer.status, 400, "{line}");
        assert!(text(&answer).contains("Bad Request - Error in query syntax."));
    }
    let foreign = client.batch(
        &[],
        &whole(&[part(&write(
            "POST https://other.example/api/data/v9.2/accounts",
            "",
            "{}",
        ))]),
    );
    assert_eq!(foreign.status, 404);
    // Raw blanks in the target are its own: only the first and the last of a line divide it.
    let blank = write(
        "PATCH /api/data/v9.2/accounts(accountnumber='a b')",
        "",
        "{}",
    );
    assert_eq!(client.batch(&[], &whole(&[part(&blank)])).status, 200);
    assert_eq!(
        client
            .query("accounts?$filter=accountnumber%20eq%20'a%20b'")
            .len(),
        1
    );
    for line in [
        "POST  /api/data/v9.2/accounts",
        "POST /api/data/v9.2/accounts ",
        "POST",
    ] {
        let answer = client.batch(&[], &whole(&[part(&write(line, "", "{}"))]));
        refused(&answer, 400, "0x80048d19", "request line");
    }
    let nested = write("POST /api/data/v9.2/$batch", "", "{}");
    let answer = client.batch(&[], &whole(&[part(&nested)]));
    assert_eq!(answer.status, 400);
    assert_eq!(client.service.rows("account").len(), 3);
}

#[test]
fn change_sets_do_not_nest() {
    let client = Client::fresh();
    let inner = change_set("inner", &[("1", create("B"))]).replace("--batch_A", "--outer");
    let outer = format!(
        "--batch_A\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n{inner}--outer--\r\n"
    );
    let answer = client.batch(&[], &whole(&[outer]));
    refused(
        &answer,
        400,
        "0x80048d19",
        "Nested change sets are not supported.",
    );
    assert_eq!(client.service.rows("account").len(), 0);
}

#[test]
fn bare_line_feeds_are_read_before_two_more() {
    let client = Client::fresh();
    let set = change_set("cs", &[("1", create("B")), ("2", create("C"))]);
    let bare = whole(&[part(&create("A")), set, part(&read("accounts"))]).replace("\r\n", "\n");
    let answer = client.batch(&[], &format!("{bare}\n"));
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(client.service.rows("account").len(), 3);
}

#[test]
fn an_unreadable_batch_is_answered_as_json_and_does_nothing() {
    let client = Client::fresh();
    let good = whole(&[part(&create("A"))]);
    let unreadable = "System.ArgumentException: Stream was not readable.";
    for bad in [
        good.replace("\r\n", "\n"),
        good.trim_end().to_owned(),
        good.replace("--batch_A--", "--batch_A"),
        good.replace("batch_A", "batch_B"),
        good.replacen("\r\n\r\n", "\r\n", 1),
        String::new(),
    ] {
        let answer = client.batch(&[], &bad);
        refused(&answer, 400, "0x80048d19", unreadable);
        assert!(
            answer
                .get("Content-Type")
                .unwrap()
                .starts_with("application/json")
        );
    }
    let get_in_set = whole(&[change_set(
        "cs",
        &[("1", create("A")), ("2", read("accounts"))],
    )]);
    refused(
        &client.batch(&[], &get_in_set),
        400,
        "0x80048d19",
        "An invalid HTTP method 'GET' was detected for a request in a change set.",
    );
    let twice = whole(&[change_set("cs", &[("1", create("A")), ("1", create("B"))])]);
    refused(
        &client.batch(&[], &twice),
        400,
        "0x80048d19",
        "'1' was found more than once",
    );
    refused(
        &client.batch(
            &[],
            &good.replace("Transfer-Encoding: binary", "Transfer-Encoding: base64"),
        ),
        400,
        "0x80048d19",
        "must be binary",
    );
    let request = Request::new("POST", "/api/data/v9.2/$batch")
        .header("Content-Type", "application/json")
        .body("{}");
    refused(&client.send(request), 400, "0x80048d19", "multipart/mixed");
    assert!(client.service.rows("account").is_empty());
}

#[test]
fn a_boundary_may_be_bare() {
    let client = Client::fresh();
    let request = Request::new("POST", "/api/data/v9.2/$batch")
        .header(
            "Content-Type",
            "multipart/mixed;boundary=batch_A;charset=utf-8",
        )
        .body(whole(&[part(&create("A"))]));
    assert_eq!(client.send(request).status, 200);
}

#[test]
fn a_batch_has_at_most_so_many_operations() {
    let client = Client::with(Options {
        batch_operations: 3,
        ..Options::default()
    });
    let set = change_set("cs", &[("1", create("A")), ("2", create("B"))]);
    let ok = whole(&[set.clone(), part(&read("accounts"))]);
    assert_eq!(client.batch(&[], &ok).status, 200);
    let over = whole(&[set, part(&read("accounts")), part(&read("accounts"))]);
    refused(
        &client.batch(&[], &over),
        400,
        "0x80048d19",
        "The current batch message contains too many parts. Only batch messages with a maximum number of '3' query operations, including changeset operations, are allowed.",
    );
    let thousand = Client::fresh();
    assert_eq!(
        thousand
            .batch(&[], &whole(&vec![part(&read("accounts?$top=1")); 1000]))
            .status,
        200
    );
    assert_eq!(
        thousand
            .batch(&[], &whole(&vec![part(&read("accounts")); 1001]))
            .status,
        400
    );
}

#[test]
fn one_operation_can_be_made_to_fail() {
    let client = Client::fresh();
    let body = whole(&[
        part(&create("A")),
        change_set("cs", &[("1", create("B")), ("2", create("C"))]),
        part(&create("D")),
    ]);
    let prefer = [("Prefer", "odata.continue-on-error")];
    client.service.next_requests([
        Fault::Operation {
            index: 2,
            fault: OperationFault::Throttle { retry_after: 7 },
        },
        Fault::Operation {
            index: 3,
            fault: OperationFault::Unexpected,
        },
    ]);
    let answer = client.batch(&prefer, &body);
    let found = text(&answer);
    assert_eq!(answer.status, 200);
    assert!(
        found.contains("HTTP/1.1 429 Too Many Requests\r\n"),
        "{found}"
    );
    assert!(found.contains("Retry-After: 7\r\n"), "{found}");
    assert_eq!(client.service.rows("account").len(), 2);
    let found = text(&client.batch(&prefer, &body));
    assert!(
        found.contains("HTTP/1.1 500 Internal Server Error\r\n"),
        "{found}"
    );
    assert!(found.contains("0x80040216"));
    assert_eq!(client.service.rows("account").len(), 5);
}

#[test]
fn reads_in_a_batch_take_no_fault() {
    let client = Client::fresh();
    client
        .service
        .next_requests([Fault::Throttle { retry_after: 1 }]);
    assert_eq!(
        client.batch(&[], &whole(&[part(&read("accounts"))])).status,
        200
    );
    assert_eq!(client.batch(&[], &whole(&[part(&create("A"))])).status, 429);
}
