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
    assert_eq!(config.destinations(), [embedded()]);
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

/// The problems as `7:20 SG0203 title`.
fn told(result: Result<Config, Problems>) -> Vec<String> {
    let data = result.expect_err("the file is not right").to_json();
    let line = |it: &serde_json::Value| {
        let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
        let (code, title) = (text("code"), text("title"));
        format!("{}:{} {code} {title}", it["line"], it["column"])
    };
    data.as_array().unwrap().iter().map(line).collect()
}

/// The only problem of the destination `prod` with another line in place of the one that begins alike.
fn one(line: &str) -> String {
    let name = line.split(':').next().unwrap_or_default();
    let start = format!("    {name}:");
    let lines: Vec<&str> = PROD.lines().filter(|it| !it.starts_with(&start)).collect();
    let told = told(with(&format!("{}\n    {line}\n", lines.join("\n"))));
    assert_eq!(told.len(), 1, "{told:#?}");
    told[0].clone()
}

#[test]
fn a_bad_address_shows_its_place() {
    for (line, expected) in [
        (
            "url: contoso",
            "7:10 SG0203 `url` does not begin with `https://`",
        ),
        (
            "url: https://a.example?x=1",
            "7:10 SG0203 `url` holds more than a host",
        ),
        (
            "url: https://a.example/#x",
            "7:10 SG0203 `url` holds more than a host",
        ),
        (
            "url: https://me:x@a.example",
            "7:10 SG0203 `url` holds a user or a password",
        ),
        (
            "url: https://a.example/main.aspx",
            "7:10 SG0203 `url` goes on behind the origin of an environment",
        ),
        (
            "authority: http://login.example",
            "8:16 SG0202 `authority` has no TLS: the secret and the rows could be read on the way",
        ),
        (
            "authority: https://login.example/contoso.com",
            "8:16 SG0203 `authority` goes on behind the login host",
        ),
        (
            "tenant_id: common",
            "7:16 SG0008 `tenant_id` is neither a GUID nor a domain",
        ),
        (
            "tenant_id: .",
            "7:16 SG0008 `tenant_id` is neither a GUID nor a domain",
        ),
        ("client_id: segue", "7:16 SG0008 `client_id` is not a GUID"),
        ("client_id: []", "7:16 SG0006 `client_id` takes one text"),
        (
            "production: yes",
            "8:17 SG0008 `production` cannot be `yes`",
        ),
    ] {
        assert_eq!(one(line), expected);
    }
}

#[test]
fn a_secret_that_names_no_place_is_told() {
    for (line, expected) in [
        (
            "client_secret:",
            "7:5 SG0006 `client_secret` says where the secret is",
        ),
        (
            "client_secret: {}",
            "7:20 SG0008 `client_secret` comes from one place",
        ),
        (
            "client_secret: { env: A, file: b }",
            "7:20 SG0008 `client_secret` comes from one place",
        ),
        (
            "client_secret: { vault: a }",
            "7:22 SG0004 there is no such setting",
        ),
        (
            "client_secret: { env: a-b }",
            "7:27 SG0008 the setting does not take this value",
        ),
        (
            "client_secret: { command: [] }",
            "7:31 SG0008 `command` names a program",
        ),
        (
            "client_secret: { command: pass show crm | head -1 }",
            "7:31 SG0008 `command` is split at blanks alone",
        ),
        (
            "client_secret: { file: ~/secret }",
            "7:28 SG0008 `file` cannot begin with `~`",
        ),
    ] {
        assert_eq!(one(line), expected);
    }
}

#[test]
fn the_ways_to_give_a_secret_are_named() {
    let problems = with(&PROD.replace("{ env: SECRET }", "hunter2")).unwrap_err();
    let shown = problems.render(Paint::Plain);
    for way in [
        "{ env: ",
        "{ file: ",
        "{ command: ",
        "client_secret: *******",
    ] {
        assert!(shown.contains(way), "{way} {shown}");
    }
}

#[test]
fn a_command_with_a_path_is_found_from_the_file() {
    let config = with(&PROD.replace("{ env: SECRET }", "{ command: ./give secret }")).unwrap();
    let [Destination::Dataverse(prod)] = config.destinations() else {
        panic!("{config:?}")
    };
    let SecretSource::Command(words) = &prod.client_secret else {
        panic!("{prod:?}")
    };
    assert_eq!(Path::new(&words[0]), Path::new("/etc/segue/./give"));
    assert_eq!(words[1], "secret");
}

const SEVERAL: &str = "  prod:
    url: https://contoso.crm4.dynamics.com
    tenant_id: contoso.com
    clients:
      - { client_id: 00000000-0000-0000-0000-0000000000c1, client_secret: { env: FIRST } }
      - { client_id: 00000000-0000-0000-0000-0000000000c2, client_secret: { file: second } }
";

#[test]
fn a_destination_may_have_several_applications() {
    let config = with(SEVERAL).unwrap();
    let [Destination::Dataverse(prod)] = config.destinations() else {
        panic!("{config:?}")
    };
    let each = prod.each();
    let ids: Vec<&str> = each.iter().map(|it| it.client_id.as_str()).collect();
    assert!(ids[0].ends_with("c1") && ids[1].ends_with("c2"), "{ids:?}");
    assert_eq!(each[0].client_secret, SecretSource::Env("FIRST".to_owned()));
    let file = SecretSource::File("/etc/segue/second".into());
    assert_eq!(each[1].client_secret, file);
    assert!(each.iter().all(|it| it.others.is_empty()));
}

#[test]
fn what_is_wrong_with_several_applications_is_told_at_its_place() {
    for (from, to, expected) in [
        (
            "{ env: FIRST }",
            "hunter2",
            "7:75 SG0201 a secret does not belong in the file",
        ),
        (
            "c2,",
            "c1,",
            "8:9 SG0008 `clients` names an application twice",
        ),
        (
            "client_id: 00000000-0000-0000-0000-0000000000c1, ",
            "",
            "7:11 SG0007 `client_id` is missing",
        ),
        (
            "client_secret: { file",
            "secrets: { file",
            "8:60 SG0004 there is no setting `secrets` here",
        ),
    ] {
        let told = told(with(&SEVERAL.replacen(from, to, 1)));
        assert!(told.iter().any(|it| it == expected), "{told:#?}");
    }
    let nobody = SEVERAL.lines().take(3).collect::<Vec<_>>().join("\n");
    let none = told(with(&format!("{nobody}\n    clients: []\n")));
    assert_eq!(none, ["6:14 SG0006 `clients` takes a list of applications"]);
    let both = told(with(&format!("{SEVERAL}    client_id: x\n")));
    assert_eq!(
        both,
        ["9:5 SG0011 `client_id` is said by each of `clients`"]
    );
}

#[test]
fn a_name_that_the_state_or_the_environment_uses_is_taken() {
    for name in ["env", "runs", "locks", ".hidden", "a b", "\"\""] {
        assert!(
            told(with(&format!("  {name}: {{ sandbox: {{}} }}\n")))[0].starts_with("3:3 SG0008")
        );
    }
}

#[test]
fn a_sandbox_may_have_a_name_and_a_file_of_its_own() {
    let config = with("  try: { sandbox: { data: rows.db } }\n  sandbox:\n    sandbox:\n").unwrap();
    let data = Some(PathBuf::from("/etc/segue/rows.db"));
    let name = "try".to_owned();
    assert_eq!(
        config.destinations()[0],
        Destination::Sandbox { name, data }
    );
    assert_eq!(config.destinations()[1], embedded());
}

#[test]
fn the_name_of_the_sandbox_can_be_given_away() {
    let config = with(&PROD.replace("prod", "sandbox")).unwrap();
    let chosen = config.choose(Some("sandbox"), None).unwrap();
    assert!(matches!(chosen, Destination::Dataverse(_)), "{chosen:?}");
    let chosen = with(PROD).unwrap().choose(Some("sandbox"), None);
    assert_eq!(chosen.unwrap(), embedded());
}

#[test]
fn a_flag_wins_over_the_mapping_and_the_mapping_over_the_environment() {
    let text = "version: 1\ndestination: prod\nsource: { path: a.csv }\ntarget: { table: contact, key: a }\ncolumns: { a: a }\n";
    let mapping = Mapping::parse(Path::new("contacts.yaml"), text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.yaml");
    std::fs::write(&file, format!("version: 1\ndestinations:\n{PROD}")).unwrap();
    let named = Path::new("other.yaml");
    let config = Config::find(folder.path(), Some(named), &variables(ALL)).unwrap();
    let choose = |wanted| {
        config
            .choose(wanted, Some(&mapping))
            .unwrap()
            .name()
            .to_owned()
    };
    assert_eq!(choose(Some("sandbox")), "sandbox");
    assert_eq!(choose(None), "prod");
    assert_eq!(choose(Some("")), "prod");
    assert_eq!(config.file(), Some(file.as_path()));
}

#[test]
fn a_variable_that_cannot_be_used_is_named_and_not_repeated() {
    const BAD: &[&[(&str, &str)]] = &[
        &[
            ("SEGUE_URL", "https://me:hunter2@contoso.crm.dynamics.com"),
            ALL[1],
            ALL[2],
            ALL[3],
        ],
        &[ALL[0], ("SEGUE_TENANT_ID", "hunter2"), ALL[2], ALL[3]],
        &[ALL[0], ALL[1], ("SEGUE_CLIENT_ID", "hunter2"), ALL[3]],
        &[
            ALL[0],
            ALL[1],
            ALL[2],
            ALL[3],
            ("SEGUE_AUTHORITY", "http://hunter2.example"),
        ],
    ];
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "SEGUE_URL",
        "SEGUE_TENANT_ID",
        "SEGUE_CLIENT_ID",
        "SEGUE_AUTHORITY",
    ];
    for (pairs, name) in BAD.iter().zip(names) {
        let error = Config::find(folder.path(), None, &variables(pairs)).unwrap_err();
        let shown = format!("{error} {}", error.help());
        assert!(
            shown.contains(name) && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

#[test]
fn an_authority_alone_is_half_a_destination() {
    let folder = tempfile::tempdir().unwrap();
    let alone = variables(&[
        ("SEGUE_AUTHORITY", "https://login.example"),
        ("SEGUE_URL", " "),
    ]);
    let error = Config::find(folder.path(), None, &alone)
        .unwrap_err()
        .to_string();
    assert!(error.contains("SEGUE_URL"), "{error}");
}

#[test]
fn an_empty_file_and_one_that_is_no_text_are_told() {
    assert_eq!(codes_of(parse("")), ["SG0012"]);
    assert_eq!(codes_of(parse("# nothing\n")), ["SG0012"]);
    assert!(parse("\u{feff}version: 1\n").is_ok());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(NAME), b"client_secret: hunter2 \xe9\n").unwrap();
    let error = Config::find(folder.path(), None, &nothing).unwrap_err();
    let MappingError::Problems(problems) = error else {
        panic!()
    };
    assert_eq!(problems.problems[0].code, codes::NOT_TEXT);
    assert!(!format!("{problems:?}").contains("hunter2"));
}

#[test]
fn a_folder_in_the_place_of_the_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(NAME)).unwrap();
    let error = Config::find(folder.path(), None, &nothing).unwrap_err();
    assert!(matches!(error, MappingError::Io { .. }), "{error}");
}

#[test]
fn what_is_unknown_gets_the_closest_name() {
    let shown = with(&PROD.replace("url:", "ulr:"))
        .unwrap_err()
        .render(Paint::Plain);
    assert!(shown.contains("did you mean `url`?"), "{shown}");
    let twice = with(&format!("{PROD}{PROD}"));
    assert_eq!(told(twice), ["8:3 SG0005 `prod` is set twice"]);
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
    fn no_text_makes_it_panic(
        text in "[a-c:{}\\[\\]\"'&*!,|>~\t\n -é]{0,80}",
        any in any::<String>(),
    ) {
        for text in [text, any] {
            seen(&text);
            seen(&format!("version: 1\ndestinations:\n{text}"));
            seen(&format!("version: 1\ndestinations:\n{PROD}{text}"));
        }
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
