//! Whatever comes in: never a panic, never a 500.

use std::sync::LazyLock;

use proptest::prelude::*;
use segue_emulator::Request;

use crate::client::*;

/// One environment for all cases: making one takes longer than asking it.
static CLIENT: LazyLock<Client> = LazyLock::new(Client::fresh);

fn method() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("GET"),
        Just("POST"),
        Just("PATCH"),
        Just("PUT"),
        Just("DELETE"),
        Just("X")
    ]
}

fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("contacts"),
        Just("accounts"),
        Just("("),
        Just(")"),
        Just("'"),
        Just("''"),
        Just("="),
        Just("emailaddress1"),
        Just("accountid"),
        Just("new_subscriptions"),
        Just(","),
        Just("%"),
        Just("%27"),
        Just("%C3"),
        Just("/"),
        Just("$ref"),
        Just("$count"),
        Just("$value"),
        Just("00000000-0000-0000-0000-000000000001"),
        Just("name"),
        Just("?"),
        Just("&"),
        Just("$filter="),
        Just("$select="),
        Just("$orderby="),
        Just("$top="),
        Just("$skiptoken="),
        Just(" eq "),
        Just(" and "),
        Just("not "),
        Just("contains("),
        Just("null"),
        Just("5"),
        Just("Microsoft.Dynamics.CRM.In(PropertyName='lastname',PropertyValues=[\"a\"])"),
        Just("é"),
        Just("\u{0}"),
        Just("WhoAmI"),
        Just("EntityDefinitions"),
        Just("@p"),
        Just("$1"),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn body() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("\"name\""),
        Just(":"),
        Just("\"x\""),
        Just(","),
        Just("null"),
        Just("1e999"),
        Just("-"),
        Just("1.5"),
        Just("[1]"),
        Just("\"revenue\""),
        Just("\"primarycontactid@odata.bind\""),
        Just("\"contacts(1)\""),
        Just("\"@odata.type\""),
        Just("\"statecode\""),
        Just("\"\\ud800\""),
        Just("\"$1\""),
        Just("\"ownerid\""),
        Just("99999999999999999999999999999999999999"),
        Just("\"_ownerid_value\""),
        Just("true"),
    ];
    prop_oneof![
        ".{0,40}",
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        prop::collection::vec(
            ("(name|revenue|numberofemployees|statecode|statuscode|primarycontactid@odata.bind|accountid|creditonhold|industrycode|lastusedincampaign|x|ownerid@odata.bind|sic)",
             "(null|1|-1|1\\.5|1e5|1e400|true|\"\"|\"x\"|\"contacts\\(emailaddress1='a'\\)\"|\\{\\}|\\[\\]|\"2024-01-01T00:00:00Z\"|79228162514264337593543950336)"),
            0..6
        ).prop_map(|members| {
            let members: Vec<_> = members.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
            format!("{{{}}}", members.join(","))
        }),
    ]
}

proptest! {
    #[test]
    fn any_request_is_answered(requests in prop::collection::vec((method(), path(), body()), 1..6)) {
        let client = &*CLIENT;
        for (method, path, body) in requests {
            let answer = client.request(method, &path, &[], &body);
            prop_assert_ne!(answer.status, 500, "{} {} {}", method, path, body);
            let line = format!("{method} /api/data/v9.2/{path} HTTP/1.1");
            let part = format!("--batch_A\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{line}\r\nContent-Type: application/json\r\n\r\n{body}\r\n--batch_A--\r\n");
            let answer = client.batch(&[], &part);
            prop_assert_ne!(answer.status, 500, "{}", part);
            prop_assert!(!text(&answer).contains("HTTP/1.1 500"), "{}", part);
        }
    }

    #[test]
    fn any_bytes_are_no_batch(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let client = &*CLIENT;
        let request = Request::new("POST", "/api/data/v9.2/$batch")
            .header("Content-Type", "multipart/mixed; boundary=b")
            .body(bytes);
        prop_assert_eq!(client.send(request).status, 400);
    }

    #[test]
    fn any_form_is_granted_or_denied(form in ".{0,80}", tenant in "[^/?]{0,20}") {
        let client = &*CLIENT;
        let target = format!("/{tenant}/oauth2/v2.0/token");
        let answer = client.service.handle(&Request::new("POST", &target).body(form));
        prop_assert!(matches!(answer.status, 400 | 401));
    }
}
