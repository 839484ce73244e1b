//! `$batch`.

use crate::client::*;

#[test]
fn a_keyed_upsert_in_a_batch_is_answered_byte_for_byte() {
    let client = Client::fresh();
    let body = "--batch_A\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        PATCH /api/data/v9.2/contacts(externaluseridentifier='1') HTTP/1.1\r\n\
        Content-Type: application/json\r\n\r\n{\"lastname\":\"Lee\"}\r\n--batch_A--\r\n";
    let answer = client.batch(&[], body);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let kind = answer.get("Content-Type").unwrap();
    let boundary = kind.strip_prefix("multipart/mixed; boundary=").unwrap();
    assert!(boundary.starts_with("batchresponse_"));
    assert_eq!(
        text(&answer),
        format!(
            "--{boundary}\r\nContent-Type: application/http\r\n\
             Content-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 204 No Content\r\n\
             OData-Version: 4.0\r\nLocation: {BASE}/contacts(externaluseridentifier='1')\r\n\
             OData-EntityId: {BASE}/contacts(externaluseridentifier='1')\r\n\r\n\r\n\
             --{boundary}--\r\n"
        )
    );
}
