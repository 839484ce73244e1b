//! Keys that a URL cannot carry arrive, each at its own record.

use crate::desk::Desk;

/// Hundreds of keys: every ASCII character that can be printed and some others, at the beginning, in the middle and
/// at the end. Cases and trailing blanks are left out, they are one key to the service.
fn odd() -> Vec<String> {
    let ascii = (0x21..0x7f_u8).map(char::from);
    let others = ['ß', '雪', '🚲', '\u{a0}', '\u{2028}', '\u{81}', '\t'];
    let mut keys = Vec::new();
    for (place, odd) in ascii.chain(others).enumerate() {
        if odd.is_ascii_uppercase() {
            continue;
        }
        keys.push(format!("{odd}b{place}"));
        keys.push(format!("m{odd}{place}"));
        keys.push(format!("e{place}{odd}."));
    }
    keys.extend(
        [
            "o'brien+test@example.org",
            "a/b?c=d&e=f#g",
            "100%",
            "%2F",
            "..",
            "../accounts",
            "$metadata",
            "(x='1')",
            "a,accountnumber='b'",
            "--batch\r\nContent-Type: text/plain\r\n\r\nDELETE /api",
            "x\r\n\r\n{\"name\":\"smuggled\"}",
        ]
        .map(str::to_owned),
    );
    keys
}

fn extract(keys: &[String], name: &str) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let lines = keys
        .iter()
        .map(|key| format!("{},{}\n", quoted(key), quoted(&format!("{name} {key}"))));
    format!("number,name\n{}", lines.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_odd_keys_arrive_and_are_updated_where_they_are() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    let text = desk.read("accounts.yaml").replace(
        "  accountnumber: number",
        "  accountnumber: { from: number, trim: false }",
    );
    desk.write("accounts.yaml", text);
    let keys: Vec<String> = odd().into_iter().filter(|key| key.len() <= 20).collect();
    assert!(keys.len() > 200);
    desk.write("a.csv", extract(&keys, "old"));
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.code, ran.rows("created")),
        (Some(0), keys.len() as u64),
        "{}",
        ran.rejects()
    );
    desk.write("a.csv", extract(&keys, "new"));
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.code, ran.rows("updated")),
        (Some(0), keys.len() as u64),
        "{ran:?}"
    );
    let rows = desk.emulator.rows("account");
    assert_eq!(rows.len(), keys.len());
    for row in rows {
        let number = row["accountnumber"].as_str().unwrap();
        assert_eq!(row["name"], format!("new {number}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_of_records_that_are_there_already_are_found() {
    let desk = Desk::new().await;
    desk.accounts("{ path: a.csv }", "");
    let keys = ["a/b", "50% off", "x&y=z", "q?#", "o''k", "c:d\\e+f"].map(str::to_owned);
    desk.write("a.csv", extract(&keys, "old"));
    assert_eq!(desk.push(&[]).rows("created"), 6);
    // Another machine has no ledger of it.
    std::fs::remove_dir_all(desk.path(".segue")).unwrap();
    desk.write("a.csv", extract(&keys, "new"));
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.rows("updated"), ran.rows("created")),
        (6, 0),
        "{ran:?}"
    );
    assert_eq!(desk.emulator.rows("account").len(), 6);
}
