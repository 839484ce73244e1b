//! Columns that hold files.

use segue_emulator::schema::Schema;
use segue_emulator::{Options, Response};
use serde_json::Value;

use crate::client::*;

const SCHEMA: &str =
    r#"{"table": "new_Paper", "name": "new_Name", "columns": {"new_Scan": "file(1)"}}"#;

fn options() -> Options {
    let mut schema = Schema::built_in().unwrap();
    schema.add_json(SCHEMA).unwrap();
    Options {
        schema: Some(schema),
        ..Options::default()
    }
}

/// A client, and the address of the column of a new row.
fn paper(client: &Client) -> (String, String) {
    let row = client.create("new_papers", r#"{"new_name": "n"}"#);
    let row = format!("new_papers({row})");
    let column = format!("{row}/new_scan");
    (row, column)
}

fn send(client: &Client, path: &str, headers: &[(&str, &str)], bytes: &[u8]) -> Response {
    let mut request = segue_emulator::Request::new("PATCH", &format!("/api/data/v9.2/{path}"))
        .header("Content-Type", "application/octet-stream")
        .body(bytes.to_vec());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    client.send(request)
}

const NAMED: [(&str, &str); 2] = [("x-ms-file-name", "a b.txt"), ("If-None-Match", "null")];

#[test]
fn a_file_is_uploaded_in_one_piece_and_downloaded() {
    let client = Client::with(options());
    let (row, column) = paper(&client);
    assert_eq!(client.get(&format!("{column}/$value")).status, 404);
    let answer = send(&client, &column, &NAMED, b"hello");
    assert_eq!(answer.status, 204, "{}", text(&answer));
    let read = json(&client.get(&format!("{row}?$select=new_scan,new_scan_name")));
    assert_eq!(read["new_scan_name"], "a b.txt");
    assert!(read["new_scan"].as_str().unwrap().len() == 36);
    let answer = client.get(&format!("{column}/$value"));
    assert_eq!((answer.status, &*answer.body), (200, &b"hello"[..]));
    assert_eq!(answer.get("Content-Type"), Some("application/octet-stream"));
    assert_eq!(answer.get("x-ms-file-name"), Some("a%20b.txt"));
    assert_eq!(answer.get("x-ms-file-size"), Some("5"));
    let told = client.get(&column);
    assert_eq!(json(&told)["value"], "aGVsbG8=");
    assert_eq!(told.get("x-ms-file-size"), Some("5"));
    let part = client.request("GET", &column, &[("Range", "bytes=0-1")], "");
    assert_eq!((part.status, &json(&part)["value"]), (206, &"aGU=".into()));
    let range = [("Range", "bytes=1-2")];
    let part = client.request("GET", &format!("{column}/$value"), &range, "");
    assert_eq!((part.status, &*part.body), (206, &b"el"[..]));
    assert_eq!(part.get("Content-Range"), Some("bytes 1-2/5"));
    assert_eq!(client.request("DELETE", &column, &[], "").status, 204);
    let read = json(&client.get(&format!("{row}?$select=new_scan,new_scan_name")));
    assert_eq!(
        (&read["new_scan"], &read["new_scan_name"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_file_is_uploaded_in_pieces() {
    let client = Client::with(options());
    let (_, column) = paper(&client);
    let begin = [("x-ms-transfer-mode", "chunked")];
    let answer = send(
        &client,
        &format!("{column}?x-ms-file-name=b.bin"),
        &begin,
        b"",
    );
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(answer.get("x-ms-chunk-size"), Some("4194304"));
    let address = answer.get("Location").unwrap();
    let address = address.strip_prefix(&format!("{BASE}/")).unwrap();
    let piece = |range: &str, bytes: &[u8]| {
        send(&client, address, &[("Content-Range", range)], bytes).status
    };
    assert_eq!(piece("bytes 0-2/5", b"abc"), 206);
    // Neither again nor with a gap, and not longer than it says.
    assert_eq!(piece("bytes 0-2/5", b"abc"), 400);
    assert_eq!(piece("bytes 4-4/5", b"e"), 400);
    assert_eq!(piece("bytes 3-4/5", b"def"), 400);
    assert_eq!(piece("bytes 3-4/5", b"de"), 204);
    assert_eq!(piece("bytes 3-4/5", b"de"), 400);
    assert_eq!(&*client.get(&format!("{column}/$value")).body, b"abcde");
}

#[test]
fn what_does_not_fit_is_refused() {
    let client = Client::with(options());
    let (row, column) = paper(&client);
    let long = send(&client, &column, &NAMED, &[0; 1025]);
    refused(&long, 413, "0x8004418a", "1024");
    refused(
        &send(&client, &column, &[], b"x"),
        400,
        "0x80040203",
        "file name",
    );
    let body = r#"{"new_scan": "aGVsbG8="}"#;
    refused(&client.patch(&row, body), 400, "0x80048d19", "new_scan");
    assert_eq!(client.request("POST", &column, &[], "").status, 405);
    let absent = "new_papers(00000000-0000-0000-0000-000000000001)/new_scan";
    assert_eq!(send(&client, absent, &NAMED, b"x").status, 404);
}

#[test]
fn a_data_file_keeps_files() {
    let folder = tempfile::tempdir().unwrap();
    let kept = || Options {
        data: Some(folder.path().join("environment.db")),
        ..options()
    };
    let client = Client::with(kept());
    let (_, column) = paper(&client);
    assert_eq!(send(&client, &column, &NAMED, b"first").status, 204);
    assert_eq!(send(&client, &column, &NAMED, b"second").status, 204);
    drop(client);
    let client = Client::with(kept());
    let read = || client.get(&format!("{column}/$value"));
    assert_eq!(&*read().body, b"second");
    assert_eq!(client.request("DELETE", &column, &[], "").status, 204);
    assert_eq!(read().status, 404);
}
