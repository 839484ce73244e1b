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
        Just("Microsoft.Dynamics.CRM.CreateMultiple"),
        Just("Microsoft.Dynamics.CRM.UpsertMultiple"),
        Just("Microsoft.Dynamics.CRM.QualifyLead"),
        Just("contoso_sensordatas"),
        Just("contact_customer_accounts"),
        Just("accountleads_association"),
        Just("primarycontactid"),
        Just("$id="),
        Just("leads"),
        Just("teammemberships"),
        Just("WinOpportunity"),
        Just("BulkDelete"),
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

/// Where bodies of many shapes are read.
fn writing_path() -> impl Strategy<Value = String> {
    let known = "00000000-0000-0000-0000-000000000001";
    let paths = [
        "accounts".to_owned(),
        "contacts/Microsoft.Dynamics.CRM.CreateMultiple".to_owned(),
        "contacts/Microsoft.Dynamics.CRM.UpdateMultiple".to_owned(),
        "contacts/Microsoft.Dynamics.CRM.UpsertMultiple".to_owned(),
        "contoso_sensordatas/Microsoft.Dynamics.CRM.UpsertMultiple".to_owned(),
        "contoso_sensordatas/Microsoft.Dynamics.CRM.DeleteMultiple".to_owned(),
        format!("accounts({known})/contact_customer_accounts/$ref"),
        format!("accounts({known})/accountleads_association/$ref"),
        format!("leads({known})/Microsoft.Dynamics.CRM.QualifyLead"),
        "WinOpportunity".to_owned(),
        "CloseIncident".to_owned(),
        "BulkDelete".to_owned(),
    ];
    prop::sample::select(paths.to_vec())
}

/// The words of bodies that actions, bulk messages and deep inserts read.
const NAMES: [&str; 32] = [
    "Targets",
    "@odata.type",
    "@odata.id",
    "contactid",
    "accountid",
    "lastname",
    "emailaddress1",
    "contoso_sensordataid",
    "partitionid",
    "primarycontactid",
    "primarycontactid@odata.bind",
    "parentcustomerid_account",
    "contact_customer_accounts",
    "contact_customer_accounts@odata.bind",
    "accountleads_association",
    "Status",
    "OpportunityClose",
    "opportunityid@odata.bind",
    "IncidentResolution",
    "CreateAccount",
    "CreateContact",
    "CreateOpportunity",
    "QuerySet",
    "EntityName",
    "Criteria",
    "Conditions",
    "Filters",
    "AttributeName",
    "Operator",
    "Values",
    "Value",
    "Type",
];

/// JSON of the words that those bodies are made of, nested at random.
fn nested() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let id = "00000000-0000-0000-0000-000000000001";
    let leaves = vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(3),
        json!(1e300),
        json!(""),
        json!("x"),
        json!(id),
        json!("$1"),
        json!(format!("contacts({id})")),
        json!(format!("{BASE}/contacts({id})")),
        json!("contacts(emailaddress1='a@x.example')"),
        json!("Microsoft.Dynamics.CRM.contact"),
        json!("Microsoft.Dynamics.CRM.contoso_sensordata"),
        json!("contact"),
        json!("In"),
        json!("2024-05-01T00:00:00Z"),
        json!("System.Guid"),
    ];
    let name = prop::sample::select(NAMES.to_vec());
    prop::sample::select(leaves).prop_recursive(5, 40, 6, move |inner| {
        let members = prop::collection::vec((name.clone(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            members.prop_map(|members| {
                let members = members.into_iter();
                Value::Object(
                    members
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// A batch of every kind of part.
const GOOD_BATCH: &str = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nPATCH /api/data/v9.2/contacts(emailaddress1='f@x.example') HTTP/1.1\r\nContent-Type: application/json\r\nIf-None-Match: null\r\n\r\n{\"lastname\":\"Lee\"}\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\nPOST /api/data/v9.2/accounts HTTP/1.1\r\nContent-Type: application/json\r\nPrefer: return=minimal\r\n\r\n{\"name\":\"A\",\"primarycontactid\":{\"lastname\":\"S\"}}\r\n--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 2\r\n\r\nPOST $1/contact_customer_accounts/$ref HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"@odata.id\":\"http://127.0.0.1/api/data/v9.2/contacts(emailaddress1='f@x.example')\"}\r\n--c--\r\n--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nPOST /api/data/v9.2/contacts/Microsoft.Dynamics.CRM.UpsertMultiple HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"Targets\":[{\"@odata.type\":\"Microsoft.Dynamics.CRM.contact\",\"@odata.id\":\"contacts(emailaddress1='g@x.example')\"}]}\r\n--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET /api/data/v9.2/accounts?$top=1&$select=name HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n--b--\r\n";

/// One change of some bytes: where, how many go, what comes.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let pieces = [
        "",
        "\r\n",
        "\n",
        "--b",
        "--c",
        "--",
        "--b--\r\n",
        "$1",
        "\"",
        "{",
        "}",
        "'",
        "%",
        "\0",
        "Content-ID: 1\r\n",
        "GET",
        "HTTP/1.1",
        "\u{e9}",
        ": ",
        ";",
    ];
    let piece = prop::sample::select(pieces.map(|piece| piece.as_bytes().to_vec()).to_vec());
    let bytes = prop_oneof![piece, prop::collection::vec(any::<u8>(), 0..4)];
    (any::<prop::sample::Index>(), 0..30_usize, bytes)
}

#[test]
fn the_batch_that_is_mutated_is_good() {
    let client = Client::fresh();
    let request = Request::new("POST", "/api/data/v9.2/$batch")
        .header("Content-Type", "multipart/mixed; boundary=b")
        .body(GOOD_BATCH);
    let answer = client.send(request);
    assert_eq!(answer.status, 200, "{}", text(&answer));
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
    fn any_nested_body_is_answered(path in writing_path(), body in nested()) {
        let client = &*CLIENT;
        let answer = client.post(&path, &body.to_string());
        prop_assert_ne!(answer.status, 500, "{} {}", path, body);
    }

    #[test]
    fn any_target_is_answered(
        message in "(Create|Update|Upsert)Multiple",
        rows in prop::collection::vec(nested(), 1..4),
    ) {
        let client = &*CLIENT;
        let mut rows = rows;
        for row in &mut rows {
            if let Some(row) = row.as_object_mut() {
                let kind = "Microsoft.Dynamics.CRM.contact".into();
                row.insert("@odata.type".to_owned(), kind);
            }
        }
        let body = serde_json::json!({ "Targets": rows }).to_string();
        let path = format!("contacts/Microsoft.Dynamics.CRM.{message}");
        let answer = client.post(&path, &body);
        prop_assert_ne!(answer.status, 500, "{} {}", path, body);
    }

    #[test]
    fn any_mutated_batch_is_answered(mutations in prop::collection::vec(mutation(), 1..4)) {
        let client = &*CLIENT;
        let mut bytes = GOOD_BATCH.as_bytes().to_vec();
        for (at, gone, new) in mutations {
            let start = at.index(bytes.len().max(1)).min(bytes.len());
            let end = (start + gone).min(bytes.len());
            bytes.splice(start..end, new);
        }
        let request = Request::new("POST", "/api/data/v9.2/$batch")
            .header("Content-Type", "multipart/mixed; boundary=b")
            .body(bytes.clone());
        let answer = client.send(request);
        let body = String::from_utf8_lossy(&answer.body);
        let is_fault = answer.status == 500 || body.contains("HTTP/1.1 500");
        prop_assert!(!is_fault, "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_form_is_granted_or_denied(form in ".{0,80}", tenant in "[^/?]{0,20}") {
        let client = &*CLIENT;
        let target = format!("/{tenant}/oauth2/v2.0/token");
        let answer = client.service.handle(&Request::new("POST", &target).body(form));
        prop_assert!(matches!(answer.status, 400 | 401));
    }
}

/// Options and what stands in them, well formed and not.
const OPTIONS: &[&str] = &[
    "$filter=",
    "$expand=",
    "$apply=",
    "$orderby=",
    "$select=",
    "$top=1",
    "$count=true",
    "&",
    ";",
    ",",
    "(",
    ")",
    "'",
    "''",
    "\"",
    "[",
    "]",
    "=",
    "/",
    " ",
    "@p",
    "@p='x'",
    "null",
    "5",
    "2024-01-01",
    " eq ",
    " ne ",
    " and ",
    " or ",
    "not ",
    "primarycontactid",
    "primarycontactid/fullname",
    "contact_customer_accounts",
    "contact_customer_accounts/any(",
    "c:",
    "c/firstname",
    "name",
    "numberofemployees",
    "revenue",
    "createdon",
    "contains(",
    "$select=name",
    "$expand=primarycontactid",
    "groupby((name)",
    "aggregate(",
    "revenue with sum as s",
    "$count as n",
    "filter(",
    "concat(",
    "Microsoft.Dynamics.CRM.",
    "LastXDays(",
    "Between(",
    "PropertyName=",
    "PropertyValue=7",
    "PropertyValues=[\"1\",\"2\"]",
    "'createdon'",
    "é",
];

fn options() -> impl Strategy<Value = String> {
    let words = prop::sample::select(OPTIONS);
    prop::collection::vec(words, 0..16).prop_map(|words| words.concat())
}

/// Documents of `FetchXML`, well formed and not.
const DOCUMENTS: &[&str] = &[
    "<fetch>",
    "<fetch aggregate='true'>",
    "<fetch count='1' page='2'>",
    "</fetch>",
    "<entity name='account'>",
    "</entity>",
    "<attribute name='name'/>",
    "<attribute name='revenue' alias='r' aggregate='sum'/>",
    "<attribute name='name' alias='g' groupby='true'/>",
    "<order attribute='name'/>",
    "<order alias='r'/>",
    "<filter type='or'>",
    "</filter>",
    "<condition attribute='name' operator='",
    "like' value='a%'/>",
    "last-x-days' value='7'/>",
    "in'><value>1</value></condition>",
    "null'/>",
    "<link-entity name='contact' from='parentcustomerid' to='accountid' link-type='outer'>",
    "</link-entity>",
    "<all-attributes/>",
    "&amp;",
    "&",
    "<!--",
    "-->",
    "é",
];

fn documents() -> impl Strategy<Value = String> {
    let words = prop::sample::select(DOCUMENTS);
    prop::collection::vec(words, 0..12).prop_map(|words| words.concat())
}

/// A refusal, or 501 for what is not served.
fn is_told(status: u16) -> bool {
    status < 500 || status == 501
}

proptest! {
    #[test]
    fn any_query_is_answered_or_refused(options in options()) {
        let answer = CLIENT.get(&format!("accounts?{options}"));
        prop_assert!(is_told(answer.status), "{options}: {}", text(&answer));
    }

    #[test]
    fn any_document_is_answered_or_refused(document in documents()) {
        let whole = format!("<fetch><entity name='account'>{document}</entity></fetch>");
        for xml in [document, whole] {
            let xml = crate::query::encoded(&xml);
            let answer = CLIENT.get(&format!("accounts?fetchXml={xml}"));
            prop_assert!(is_told(answer.status), "{xml}: {}", text(&answer));
        }
    }
}

#[test]
fn no_query_is_too_deep() {
    let far = "primarycontactid/parentcustomerid_account/".repeat(700);
    let expand = "primarycontactid($expand=parentcustomerid_account($expand=".repeat(400);
    let nested = "contact_customer_accounts/any(c:c/parentcustomerid_account/".repeat(400);
    let links = "<link-entity name='account' from='accountid' to='parentaccountid'>".repeat(300);
    for query in [
        format!("$filter={far}name%20eq%20'x'"),
        format!("$filter={}name%20eq%20'x'", "not%20".repeat(4000)),
        format!("$filter={nested}"),
        format!("$expand={expand}"),
        format!("$expand={}", "(".repeat(20_000)),
        format!("$apply={}", "filter(".repeat(3_000)),
        format!(
            "fetchXml=<fetch><entity%20name='account'>{}",
            links.replace(' ', "%20")
        ),
    ] {
        let answer = CLIENT.get(&format!("accounts?{query}"));
        assert_eq!(answer.status, 400, "{query:.40}");
    }
}

/// The requests of the examples: method, target below the API's root, headers, body.
static EXAMPLES: LazyLock<Vec<Example>> = LazyLock::new(|| {
    let files = [
        include_str!("examples/2-conventions.txt"),
        include_str!("examples/3-rows.txt"),
        include_str!("examples/4-keys.txt"),
        include_str!("examples/5-batch.txt"),
        include_str!("examples/6-bulk.txt"),
        include_str!("examples/8-definitions.txt"),
        include_str!("examples/10-queries.txt"),
        include_str!("examples/12-states.txt"),
    ];
    let exchanges = files.iter().flat_map(|file| file.split("\n== "));
    let requests = exchanges.flat_map(|exchange| exchange.split("\n-->"));
    requests.filter_map(example).collect()
});

#[derive(Debug, Clone)]
struct Example {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn example(text: &str) -> Option<Example> {
    let text = text
        .replace("{base}", BASE)
        .replace("{1}", "00000000-0000-0000-0000-000000000001");
    let start = text.lines().position(|line| line.ends_with(" HTTP/1.1"))?;
    let mut lines = text.lines().skip(start);
    let (method, rest) = lines.next()?.split_once(' ')?;
    let path = rest
        .strip_prefix("/api/data/v9.2/")?
        .strip_suffix(" HTTP/1.1")?;
    let mut headers = Vec::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        headers.push((name.to_owned(), value.to_owned()));
    }
    Some(Example {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: lines.collect::<Vec<_>>().join("\r\n"),
    })
}

/// Changes some characters of a text.
fn mutated(text: &str, mutations: &[(prop::sample::Index, usize, Vec<u8>)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, gone, new) in mutations {
        let start = at.index(bytes.len() + 1).min(bytes.len());
        let end = (start + gone % 8).min(bytes.len());
        bytes.splice(start..end, new.iter().copied());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn the_examples_that_are_mutated_are_many() {
    assert!(EXAMPLES.len() > 80, "{}", EXAMPLES.len());
}

proptest! {
    #[test]
    fn any_mutated_example_is_answered(
        example in any::<prop::sample::Index>(),
        path in prop::collection::vec(mutation(), 0..3),
        body in prop::collection::vec(mutation(), 0..3),
    ) {
        let example = example.get(&EXAMPLES);
        let path = mutated(&example.path, &path);
        let mut request = Request::new(&example.method, &format!("/api/data/v9.2/{path}"))
            .body(mutated(&example.body, &body));
        for (name, value) in &example.headers {
            request = request.header(name, value);
        }
        let answer = CLIENT.send(request);
        prop_assert!(is_told(answer.status), "{example:?} {path}: {}", text(&answer));
    }

    #[test]
    fn any_definition_is_taken_or_refused(
        path in prop::sample::select(DEFINITIONS),
        method in prop::sample::select(&["POST", "PUT", "DELETE"][..]),
        body in definition(),
    ) {
        let answer = DEFINED.request(method, path, &[], &body.to_string());
        prop_assert!(is_told(answer.status), "{method} {path} {body}: {}", text(&answer));
    }
}

/// Of its own: its tables come and go.
static DEFINED: LazyLock<Client> = LazyLock::new(Client::fresh);

const DEFINITIONS: &[&str] = &[
    "EntityDefinitions",
    "EntityDefinitions(LogicalName='new_a')",
    "EntityDefinitions(LogicalName='new_a')/Attributes",
    "EntityDefinitions(LogicalName='new_a')/Attributes(LogicalName='new_b')",
    "EntityDefinitions(LogicalName='new_a')/Keys",
    "EntityDefinitions(LogicalName='new_a')/Keys(LogicalName='new_k')",
    "EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='ownerid')",
    "RelationshipDefinitions",
    "RelationshipDefinitions(SchemaName='new_r')",
    "GlobalOptionSetDefinitions",
    "GlobalOptionSetDefinitions(Name='new_c')",
    "CreateEntities",
    "ReactivateEntityKey",
];

const KINDS: &[&str] = &[
    "EntityMetadata",
    "StringAttributeMetadata",
    "DecimalAttributeMetadata",
    "PicklistAttributeMetadata",
    "BooleanAttributeMetadata",
    "DateTimeAttributeMetadata",
    "MoneyAttributeMetadata",
    "OneToManyRelationshipMetadata",
    "ManyToManyRelationshipMetadata",
    "OptionSetMetadata",
    "",
];

/// The members of definitions, each with values that fit and values that do not.
fn definition() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    let kind = prop::sample::select(KINDS);
    let name = prop::sample::select(vec!["new_A", "new_B", "new_K", "new_R", "", "A", "new_é"]);
    let number = prop::sample::select(vec![
        json!(null),
        json!(0),
        json!(5),
        json!(-1),
        json!(4000),
        json!(1e300),
        json!("5"),
        json!(1.5),
    ]);
    let text = json!({"LocalizedLabels": [{"Label": "L", "LanguageCode": 1033}]});
    let label = prop::sample::select(vec![text.clone(), json!(null), json!({}), json!("L")]);
    let options = prop::sample::select(vec![
        json!([{"Value": 1, "Label": text}, {"Value": 1, "Label": text}]),
        json!([{"Value": 2, "Label": text}]),
        json!([]),
        json!(null),
    ]);
    (
        kind,
        name.clone(),
        name,
        number.clone(),
        number,
        label,
        options,
    )
        .prop_map(|(kind, name, column, least, most, label, options)| {
            let column = json!({
                "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
                "SchemaName": column, "IsPrimaryName": true, "DisplayName": label,
            });
            let mut body = json!({
                "@odata.type": format!("#Microsoft.Dynamics.CRM.{kind}"),
                "SchemaName": name, "Name": name.to_lowercase(), "DisplayName": label,
                "Attributes": [column], "MaxLength": most, "MinValue": least,
                "MaxValue": most, "Precision": least, "OptionSet": {"Options": options},
                "Options": options, "KeyAttributes": [name.to_lowercase(), "new_b"],
                "Lookup": column, "ReferencedEntity": "account",
                "ReferencingEntity": "new_a", "Entity1LogicalName": "new_a",
                "Entity2LogicalName": "contact", "EntityLogicalName": "new_a",
                "EntityKeyLogicalName": "new_k",
            });
            body["Entities"] = json!([body.clone()]);
            body
        })
}
