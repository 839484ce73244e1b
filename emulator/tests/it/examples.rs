//! Every exchange that the reference of the wire shows: request bytes in; status, headers and body
//! out.
//!
//! An example is a paragraph of a file under `examples/`:
//!
//! ```text
//! == 3.1 a title
//! -- before POST accounts {"name":"A"}        (any number; sent first, must succeed)
//! -- without prvCreateContact                 (the caller lacks it)
//! -- user missing                             (or disabled, or no-role)
//! -- requests 1                               (the limit of requests)
//! -- version accounts({1})                    (`{version}` is the tag of this row)
//! -- unsigned                                 (no token)
//! POST /api/data/v9.2/accounts HTTP/1.1
//! Content-Type: application/json
//!
//! {"name":"A"}
//! --> 204
//! OData-EntityId: {base}/accounts(…)
//! ! ETag                                      (must not be there)
//!
//! the body; none if nothing stands here
//! ```
//!
//! `…` stands for any text, `{base}` for the API's root, `{1}` to `{9}` for ids. Lines of a
//! multipart body end with CRLF, those of any other are one.

use std::sync::LazyLock;

use segue_emulator::schema::Schema;
use segue_emulator::{ClientOptions, Limits, Options, Privileges, Request, Response, UserState};

use crate::client::*;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let mut schema = Schema::built_in().unwrap();
    schema
        .add_json(include_str!("examples/schema.json"))
        .unwrap();
    schema
});

/// One paragraph.
struct Example {
    title: String,
    directives: Vec<String>,
    request: Vec<String>,
    answer: Vec<String>,
}

fn read(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut answers = false;
    for line in text.lines() {
        let line = filled(line);
        if let Some(title) = line.strip_prefix("== ") {
            answers = false;
            examples.push(Example {
                title: title.to_owned(),
                directives: Vec::new(),
                request: Vec::new(),
                answer: Vec::new(),
            });
            continue;
        }
        let Some(example) = examples.last_mut() else {
            continue;
        };
        if let Some(status) = line.strip_prefix("--> ") {
            answers = true;
            example.answer.push(status.to_owned());
        } else if answers {
            example.answer.push(line);
        } else if let Some(directive) = line.strip_prefix("-- ") {
            example.directives.push(directive.to_owned());
        } else {
            example.request.push(line);
        }
    }
    examples
}

fn filled(line: &str) -> String {
    let mut line = line.replace("{base}", BASE);
    for number in 1..10 {
        let id = format!("00000000-0000-0000-0000-00000000000{number}");
        line = line.replace(&format!("{{{number}}}"), &id);
    }
    line
}

/// Head and body, with the blank line between them gone.
fn halves(lines: &[String]) -> (&[String], &[String]) {
    let end = lines.iter().position(String::is_empty);
    let end = end.unwrap_or(lines.len());
    let mut body = lines.get(end + 1..).unwrap_or_default();
    while let [rest @ .., last] = body
        && last.is_empty()
    {
        body = rest;
    }
    (&lines[..end], body)
}

impl Example {
    fn client(&self) -> Client {
        let mut client = ClientOptions::default();
        let lacks = self.said("without");
        if !lacks.is_empty() {
            client.privileges = Privileges::AllBut(lacks);
        }
        let client = Client::with(Options {
            schema: Some(SCHEMA.clone()),
            clients: vec![client],
            limits: self.said("requests").first().map(|requests| Limits {
                requests: requests.parse().unwrap(),
                ..Limits::default()
            }),
            ..Options::default()
        });
        for before in self.said("before") {
            let mut words = before.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_default();
            let answer = client.request(word(), word(), &[], word());
            assert!(answer.status < 300, "{}: {}", self.title, text(&answer));
        }
        for state in self.said("user") {
            let user = client.service.client();
            match state.as_str() {
                "missing" => user.set_user(UserState::Missing).unwrap(),
                "disabled" => user.set_user(UserState::Disabled).unwrap(),
                _ => user.set_privileges(&Privileges::NoRole).unwrap(),
            }
        }
        client
    }

    fn said(&self, directive: &str) -> Vec<String> {
        let said = self.directives.iter();
        let said = said.filter_map(|said| said.strip_prefix(directive));
        said.map(|said| said.trim().to_owned()).collect()
    }

    fn request(&self) -> Request {
        let (head, body) = halves(&self.request);
        let mut words = head[0].splitn(2, ' ');
        let method = words.next().unwrap();
        let target = words.next().unwrap().strip_suffix(" HTTP/1.1").unwrap();
        let mut request = Request::new(method, target);
        for line in &head[1..] {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let is_multipart = head.iter().any(|line| line.contains("multipart/mixed"));
        let body = if is_multipart {
            body.join("\r\n") + "\r\n"
        } else {
            body.concat()
        };
        request.body(body)
    }

    /// What is wrong with the answer.
    fn fault(&self) -> Option<String> {
        let client = self.client();
        let version = self.said("version").first().map(|path| {
            let tag = client.get(path).get("ETag").unwrap().to_owned();
            move |text: &str| text.replace("{version}", &tag)
        });
        let fill = |text: &str| version.as_ref().map_or(text.to_owned(), |fill| fill(text));
        let mut request = self.request();
        for (_, value) in &mut request.headers {
            *value = fill(value);
        }
        let is_unsigned = self.directives.iter().any(|it| it == "unsigned");
        let is_signed = !is_unsigned && request.target.starts_with("/api/");
        let answer = if is_signed {
            client.send(request)
        } else {
            client.service.handle(&request)
        };
        let (head, body) = halves(&self.answer);
        if head[0] != answer.status.to_string() {
            return Some(format!("{} {}", answer.status, text(&answer)));
        }
        let mut lines = head[1..].iter().map(|line| fill(line));
        let wrong = lines.find(|line| !has_header(&answer, line));
        if let Some(wrong) = wrong {
            return Some(format!("not so: {wrong}\n{:?}", answer.headers));
        }
        let found = text(&answer);
        let is_multipart = found.contains("\r\n");
        let (wanted, found) = if is_multipart {
            (body.join("\n"), found.replace("\r\n", "\n"))
        } else {
            (body.concat(), found)
        };
        (!matches(wanted.trim_end(), found.trim_end())).then_some(found)
    }
}

fn has_header(answer: &Response, line: &str) -> bool {
    if let Some(absent) = line.strip_prefix("! ") {
        return answer.get(absent).is_none();
    }
    let (name, wanted) = line.split_once(": ").unwrap();
    let mut named = answer.headers.iter();
    named.any(|(known, value)| known.eq_ignore_ascii_case(name) && matches(wanted, value))
}

/// Whether a text is what a pattern with `…` says.
fn matches(pattern: &str, text: &str) -> bool {
    let pieces: Vec<&str> = pattern.split('…').collect();
    let [first, middle @ .., last] = pieces.as_slice() else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for piece in middle {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[track_caller]
fn all_hold(text: &str, count: usize) {
    let examples = read(text);
    let faults = examples.iter().filter_map(|example| {
        let fault = example.fault()?;
        Some(format!("== {}\n{fault}\n", example.title))
    });
    let faults: Vec<String> = faults.collect();
    assert!(
        faults.is_empty(),
        "{} wrong\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert_eq!(examples.len(), count);
}

#[test]
fn signing_in() {
    all_hold(include_str!("examples/1-authentication.txt"), 10);
}

#[test]
fn conventions() {
    all_hold(include_str!("examples/2-conventions.txt"), 31);
}

#[test]
fn rows() {
    all_hold(include_str!("examples/3-rows.txt"), 52);
}

#[test]
fn keys() {
    all_hold(include_str!("examples/4-keys.txt"), 5);
}

#[test]
fn batches() {
    all_hold(include_str!("examples/5-batch.txt"), 8);
}

#[test]
fn bulk_messages() {
    all_hold(include_str!("examples/6-bulk.txt"), 15);
}

#[test]
fn limits() {
    all_hold(include_str!("examples/7-limits.txt"), 1);
}

#[test]
fn definitions_and_values() {
    all_hold(include_str!("examples/8-definitions.txt"), 10);
}

#[test]
fn queries() {
    all_hold(include_str!("examples/10-queries.txt"), 4);
}

#[test]
fn errors() {
    all_hold(include_str!("examples/11-errors.txt"), 10);
}

#[test]
fn states() {
    all_hold(include_str!("examples/12-states.txt"), 12);
}
