//! No secret in sight: neither in what a run prints nor in what it leaves behind, at the most verbose level.

use std::path::Path;

use segue_emulator::CLIENT_SECRET;

use crate::desk::{Desk, Ran, numbered};

/// Whether something is a secret: the client's, in any of the forms in which it travels, or a token.
fn tells(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    let forms = [
        CLIENT_SECRET,
        "client_secret=",
        "Bearer ey",
        "access_token\":\"",
    ];
    forms.into_iter().find(|form| text.contains(form))
}

fn search(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path);
        } else {
            let told = tells(&std::fs::read(&path).unwrap());
            assert_eq!(told, None, "{}", path.display());
        }
    }
}

fn keeps(ran: &Ran) {
    assert_eq!(tells(ran.out.as_bytes()), None, "{}", ran.out);
    assert_eq!(tells(ran.err.as_bytes()), None, "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_no_secret_however_it_ends() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(20));
    desk.accounts("{ path: a.csv }", "");
    let loud = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command.env("SEGUE_LOG", "trace").arg("-vvv");
        crate::desk::ran(&mut command)
    };
    let ran = loud(&["push", "-m", "accounts.yaml", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.err.contains("TRACE") || ran.err.contains("DEBUG"),
        "it is not verbose: {}",
        ran.err
    );
    keeps(&ran);
    keeps(&loud(&["get", "account", "accountnumber=A1", "--json"]));
    keeps(&loud(&["validate", "-m", "accounts.yaml"]));

    // A token that is refused, a secret that is wrong, an environment that is not there.
    desk.emulator.revoke_tokens();
    keeps(&loud(&["push", "-m", "accounts.yaml"]));
    for (name, value) in [
        ("SEGUE_CLIENT_SECRET", "wrong-but-still-a-secret"),
        ("SEGUE_URL", "http://127.0.0.1:9/"),
    ] {
        let mut command = desk.command(&["push", "-m", "accounts.yaml", "-vvv", "--json"]);
        let ran = crate::desk::ran(command.env(name, value));
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(!format!("{ran:?}").contains("wrong-but-still-a-secret"));
        assert!(ran.err.contains("help:"), "{}", ran.err);
        keeps(&ran);
    }
    search(&desk.path(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_file_is_refused_and_masked() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "");
    desk.write(
        "segue.yaml",
        "version: 1\ndestinations:\n  crm: { url: https://contoso.crm.dynamics.com, tenant_id: contoso.com, \
         client_id: 00000000-0000-0000-0000-0000000000c1, client_secret: hunter2 }\n",
    );
    let ran = desk.push(&[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("SG0201"), "{}", ran.err);
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
}
