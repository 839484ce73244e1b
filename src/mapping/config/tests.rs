use proptest::prelude::*;

use super::*;
use crate::mapping::Paint;
use crate::model::SecretSource;

const PROD: &str = "  prod:
    url: https://contoso.crm4.dynamics.com
    tenant_id: 00000000-0000-0000-0000-0000000000a1
    client_id: 00000000-0000-0000-0000-0000000000c1
    client_secret: { env: SECRET }
";

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse(Path::new("/etc/segue/segue.yaml"), text)
}

fn with(lines: &str) -> Result<Config, Problems> {
    parse(&format!("version: 1\ndestinations:\n{lines}"))
}

fn codes_of(result: Result<Config, Problems>) -> Vec<String> {
    let problems = result.expect_err("the file is not right").problems;
    problems.iter().map(|it| it.code.to_string()).collect()
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn variables(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    |name| {
        let found = pairs.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

const ALL: &[(&str, &str)] = &[
    ("SEGUE_URL", "https://contoso.crm.dynamics.com"),
    ("SEGUE_TENANT_ID", "contoso.com"),
    ("SEGUE_CLIENT_ID", "00000000-0000-0000-0000-0000000000c1"),
    ("SEGUE_CLIENT_SECRET", "s3cret-of-the-environment"),
];

#[test]
fn a_destination_is_read_whole() {
    let config = with(&format!(
        "{PROD}    production: true\n    authority: https://login.example\n"
    ))
    .unwrap();
    let [Destination::Dataverse(prod)] = config.destinations() else {
        panic!("{config:?}")
    };
    assert_eq!((prod.name.as_str(), prod.production), ("prod", true));
    assert_eq!(prod.client_secret, SecretSource::Env("SECRET".to_owned()));
    assert_eq!(prod.authority.as_deref(), Some("https://login.example"));
    assert_eq!(config.state(), Path::new("/etc/segue/.segue"));
}

#[test]
fn secrets_come_from_files_and_commands_too() {
    for (written, expected) in [
        (
            "{ file: secret.txt }",
            SecretSource::File("/etc/segue/secret.txt".into()),
        ),
        (
            "{ command: pass show crm }",
            SecretSource::Command(["pass", "show", "crm"].map(str::to_owned).to_vec()),
        ),
        (
            "{ command: [a b, c] }",
            SecretSource::Command(["a b", "c"].map(str::to_owned).to_vec()),
        ),
    ] {
        let config = with(&PROD.replace("{ env: SECRET }", written)).unwrap();
        let [Destination::Dataverse(prod)] = config.destinations() else {
            panic!("{config:?}")
        };
        assert_eq!(prod.client_secret, expected);
    }
}

#[test]
fn a_literal_secret_is_refused_and_not_shown() {
    for written in [
        "hunter2",
        "\"hunter2\"",
        "[hunter2]",
        "|\n      hunter2",
        "{ value: hunter2 }",
    ] {
        let problems = with(&PROD.replace("{ env: SECRET }", written)).unwrap_err();
        let shown = problems.render(Paint::Plain);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!format!("{problems:?}{}", problems.to_json()).contains("hunter2"));
    }
    let told = codes_of(with(&PROD.replace("{ env: SECRET }", "hunter2")));
    assert_eq!(told, ["SG0201"]);
    let broken = parse("version: 1\nclient_secret: hunter2 ]: [\n").unwrap_err();
    assert!(!broken.render(Paint::Plain).contains("hunter2"));
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = PROD
        .replace("https://", "http://")
        .replace("client_id: 0", "client_id: x")
        .replace("tenant_id", "tenant");
    assert_eq!(
        codes_of(with(&text)),
        ["SG0007", "SG0202", "SG0004", "SG0008"]
    );
    assert_eq!(codes_of(with("  a: { sandbox: {}, url: x }\n")), ["SG0011"]);
    assert_eq!(codes_of(with("  a/b: { sandbox: {} }\n")), ["SG0008"]);
    assert_eq!(
        codes_of(parse("version: 2\nsources: {}\n")),
        ["SG0008", "SG0009"]
    );
}

#[test]
fn without_a_file_there_is_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::find(folder.path(), None, &nothing).unwrap();
    assert_eq!(config.choose(None, None).unwrap(), embedded());
    assert_eq!(config.state(), folder.path().join(".segue"));
    assert!(config.choose(Some("prod"), None).is_err());
}

#[test]
fn the_nearest_file_is_found_above() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(
        folder.path().join("segue.yaml"),
        "version: 1\nstate: kept\n",
    )
    .unwrap();
    let config = Config::find(&deep, None, &nothing).unwrap();
    assert_eq!(config.base(), folder.path());
    assert_eq!(config.state(), folder.path().join("kept"));
    let named = Config::find(&deep, Some(Path::new("nowhere.yaml")), &nothing);
    assert!(matches!(named, Err(MappingError::Io { .. })));
}

#[test]
fn the_environment_makes_a_destination_that_wins() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("segue.yaml"),
        format!("version: 1\ndestinations:\n{PROD}"),
    )
    .unwrap();
    let config = Config::find(folder.path(), None, &variables(ALL)).unwrap();
    assert_eq!(config.choose(None, None).unwrap().name(), "env");
    assert_eq!(config.choose(Some("prod"), None).unwrap().name(), "prod");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn half_a_destination_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let error = Config::find(folder.path(), None, &variables(&ALL[..2])).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("SEGUE_CLIENT_ID") && told.contains("SEGUE_CLIENT_SECRET"),
        "{told}"
    );
    assert!(Config::find(folder.path(), None, &variables(&ALL[3..])).is_ok());
}

#[test]
fn several_destinations_must_be_chosen_from() {
    let config = with(&format!("{PROD}{}", PROD.replace("prod", "test"))).unwrap();
    let told = config.choose(None, None).unwrap_err().to_string();
    assert!(told.contains("`prod`") && told.contains("`test`"), "{told}");
}

#[test]
fn an_unknown_destination_of_a_mapping_shows_its_place() {
    let text = "version: 1\ndestination: prdo\nsource: { path: a.csv }\ntarget: { table: contact, key: a }\ncolumns: { a: a }\n";
    let mapping = Mapping::parse(Path::new("contacts.yaml"), text).unwrap();
    let Err(MappingError::Problems(problems)) = with(PROD).unwrap().choose(None, Some(&mapping))
    else {
        panic!()
    };
    let shown = problems.render(Paint::Plain);
    assert!(
        shown.contains("contacts.yaml:2:14") && shown.contains("did you mean `prod`?"),
        "{shown}"
    );
}

/// Ways in which a secret gets into a file, right or wrong YAML, `§` being the secret.
const LEAKS: &[&str] = &[
    "    client_secret: §\n",
    "    client_secret:§\n",
    "    client_secret §\n",
    "    client_secret = §\n",
    "    client_secret: '§'\n",
    "    client_secret: \"§\"\n",
    "    client_secret:\n      §\n",
    "    client_secret:\n      - §\n",
    "    client_secret: |\n      §\n",
    "    client_secret: |2-\n      a\n\n      §\n",
    "    client_secret: >-\n      §\n",
    "    client_secret: \"a\n      §\"\n",
    "    client_secret: \"a\n §\"\n",
    "    client_secret: \"a\nS\n",
    "    client_secret: 'it''s\n §\n",
    "    client_secret: { § }\n",
    "    client_secret: { §: §, §: § }\n",
    "    client_secret: { value: § }\n",
    "    client_secret: { value: { env: § } }\n",
    "    client_secret: { env: § }\n",
    "    client_secret: { env: [§] }\n",
    "    client_secret: {\n      value: § }\n",
    "    client_secret:\n      env: X\n      value: §\n",
    "    client_secret: { env: X }\n    client_secret: §\n",
    "    client_secret: [§, §]\n",
    "    client_secret: &§ §\n",
    "    client_secret: *§\n",
    "    client_secret: !§ §\n",
    "    client_secret: ${§}\n",
    "    client_secret: {{ § }}\n",
    "    ? client_secret\n    : §\n",
    "    \"client_secret\": §\n",
    "    \"client_secret\"\n    : §\n",
    "    \"client\\u005fsecret\": §\n",
    "    client-secret: §\n",
    "    Client_Secret : §\n",
    "    client_secert: §\n",
    "    secret: §\n",
    "    password: §\n",
    "    clients: [{ client_id: x, client_secret: § }]\n",
    "    clients:\n      - client_id: x\n        client_secret: §\n",
    "    clients: { client_secret: § }\n",
    "    url: https://me:§@contoso.crm4.dynamics.com\n",
    "    url: me:§@contoso.crm4.dynamics.com\n",
    "    url: AuthType=ClientSecret;ClientSecret=§;Url=https://contoso.crm4.dynamics.com\n",
    "    authority: https://§@login.example\n",
    "    sandbox: {}\n    client_secret: §\n",
    "    production: 7 # client_secret: §\n",
    "    production: [\n    client_secret: §\n",
    "    sandbox: { client_secret: { env: X }, password: §, data: [ }\n",
];

/// What people and programs would see of the problems of a text.
fn seen(text: &str) -> String {
    match parse(text) {
        Ok(config) => format!("{config:?}"),
        Err(problems) => format!(
            "{}\n{}\n{problems}\n{problems:?}",
            problems.render(Paint::Plain),
            problems.to_json()
        ),
    }
}

fn leak(shape: &str, secret: &str) -> String {
    let lines = PROD.replace("    client_secret: { env: SECRET }\n", "");
    let shape = shape.replace('§', secret);
    format!("version: 1\ndestinations:\n{lines}{shape}    tenant: x\n")
}

#[test]
fn no_way_of_writing_a_secret_shows_it() {
    let leaking: Vec<&str> = LEAKS
        .iter()
        .filter(|shape| seen(&leak(shape, "hun~er2")).contains("hun~er2"))
        .copied()
        .collect();
    assert!(leaking.is_empty(), "{leaking:#?}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-c:{}\\[\\]\"'&*!,|>~\t\n -é]{0,80}") {
        parse(&text).ok();
        with(&text).ok();
    }

    #[test]
    fn a_secret_is_never_shown(
        shape in proptest::sample::select(LEAKS),
        secret in "[A-Za-z0-9]{4}[~.][A-Za-z0-9~._-]{4,70}",
        cut in 0_usize..700,
        put in "[a:{}\\[\\]\"'&*!,|>~\t\n -é]{0,3}",
    ) {
        let text = leak(shape, &secret);
        // The lines above are changed, not the name of the secret: without it nobody could tell that it is one.
        let before = text.find("client_id").unwrap_or(0);
        let (head, tail) = text.split_at(text.floor_char_boundary(cut.min(before)));
        for text in [format!("{head}{put}{tail}"), format!("{text}{put}")] {
            let shown = seen(&text);
            prop_assert!(!shown.contains(secret.split_at(5).0), "{text}\n{shown}");
        }
    }
}
