//! `check`: the way to an environment, and what is told where it ends.

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::desk::{Desk, Ran, ran};

fn statuses(ran: &Ran) -> Vec<(String, String)> {
    let json = ran.json();
    let steps = json["steps"].as_array().unwrap();
    let text = |step: &Json, name: &str| step[name].as_str().unwrap().to_owned();
    let steps = steps.iter();
    steps
        .map(|step| (text(step, "step"), text(step, "status")))
        .collect()
}

/// The check with one variable changed; the step that fails, and what it says.
fn broken(desk: &Desk, variable: &str, value: &str) -> (String, String) {
    let ran = ran(desk.command(&["check", "--json"]).env(variable, value));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let steps = statuses(&ran);
    let (name, status) = steps.last().unwrap();
    assert_eq!(status, "failed", "{ran:?}");
    let json = ran.json();
    let last = json["steps"].as_array().unwrap().last().unwrap().clone();
    assert!(last["help"].is_string(), "{ran:?}");
    (name.clone(), last["what"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_connection_holds_at_every_step() {
    let desk = Desk::new().await;
    desk.write("a.csv", "number,name\nA1,Shop\n");
    desk.accounts("{ path: a.csv }", "");
    let ran = desk.run(&["check", "-m", "accounts.yaml", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for (name, status) in statuses(&ran) {
        assert_eq!(status, "ok", "{name}: {ran:?}");
    }
    assert_eq!(desk.run(&["check", "env"]).code, Some(0));
    assert_eq!(desk.run(&["check", "nowhere"]).code, Some(2));
    assert_eq!(desk.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_an_unknown_tenant_fail_at_the_token() {
    let desk = Desk::new().await;
    let (step, what) = broken(&desk, "SEGUE_CLIENT_SECRET", "wrong");
    assert_eq!(step, "token");
    assert!(what.contains("secret is wrong"), "{what}");
    let tenant = "00000000-0000-0000-0000-00000000abcd";
    let (step, what) = broken(&desk, "SEGUE_TENANT_ID", tenant);
    assert_eq!(step, "token");
    assert!(what.contains("no such tenant"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_serves_is_told() {
    let desk = Desk::new().await;
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    broken(&desk, "SEGUE_URL", &format!("http://127.0.0.1:{port}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_answers_html_is_no_environment() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 16_384];
            if stream.read(&mut asked).await.is_err() {
                continue;
            }
            let page = if asked.starts_with(b"POST") {
                r#"{"token_type":"Bearer","expires_in":3599,"access_token":"t"}"#
            } else {
                "<html>Welcome</html>"
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}",
                page.len()
            );
            let answer = format!("{head}\r\n\r\n{page}");
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    let desk = Desk::new().await;
    let mut command = desk.command(&["check", "--json"]);
    let ran = ran(command.env("SEGUE_URL", &url).env("SEGUE_AUTHORITY", &url));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(statuses(&ran).last().unwrap().0, "user", "{ran:?}");
    assert!(ran.out.contains("no Dataverse environment"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_the_check_before_its_first_step_is_told_to_machines_too() {
    let desk = Desk::new().await;
    desk.write("broken.yaml", "version: 1\nsource: [\n");
    for (arguments, told) in [
        (["-m", "broken.yaml"], "not YAML"),
        (["-m", "none.yaml"], "cannot be read"),
        (["--destination", "nowhere"], "no destination `nowhere`"),
    ] {
        let ran = desk.run(&[&["check", "--json"], arguments.as_slice()].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let json = ran.json();
        let message = json["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(told), "{ran:?}");
        assert_eq!(
            (&json["exit_code"], &json["steps"]),
            (&2.into(), &Json::Array(Vec::new()))
        );
    }
}
