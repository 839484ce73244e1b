//! Who may not: each cause is named by `check` and by `push`, with exit 3 and what to do.

use segue_emulator::{Fault, Privileges, Service, UserState};

use crate::desk::{Desk, Ran, numbered};

async fn desk() -> Desk {
    let desk = Desk::new().await;
    desk.write("a.csv", "number,name\nA1,Shop\n");
    desk.accounts("{ path: a.csv }", "");
    desk
}

/// The last step of the check, which failed.
fn failed(ran: &Ran) -> (String, String) {
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let json = ran.json();
    let step = json["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(step["status"], "failed", "{ran:?}");
    assert!(step["help"].as_str().unwrap().len() > 10, "{ran:?}");
    let text = |name: &str| step[name].as_str().unwrap().to_owned();
    (text("step"), text("what"))
}

/// Both commands stop with exit 3 and say why; nothing is written.
async fn refused(change: impl FnOnce(&Service), step: &str, why: &str) {
    let desk = desk().await;
    change(&desk.emulator);
    let ran = desk.run(&["check", "-m", "accounts.yaml", "--json"]);
    let (at, what) = failed(&ran);
    assert_eq!(at, step, "{ran:?}");
    assert!(what.contains(why), "{what}");
    let ran = desk.push(&[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains(why), "{why}: {}", ran.err);
    assert!(ran.err.contains("help: "), "{}", ran.err);
    assert_eq!(ran.json()["exit_code"], 3);
    assert_eq!(desk.emulator.rows("account").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_enter_is_told_why() {
    let unregistered = "the application is not a user of this environment";
    refused(
        |service| service.client().set_user(UserState::Missing).unwrap(),
        "user",
        unregistered,
    )
    .await;
    let disabled = "the application user or its business unit is disabled";
    refused(
        |service| service.client().set_user(UserState::Disabled).unwrap(),
        "user",
        disabled,
    )
    .await;
    let no_role = |service: &Service| {
        let client = service.client();
        client.set_privileges(&Privileges::NoRole).unwrap();
    };
    refused(no_role, "user", "the application user has no security role").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_gets_no_token_is_told_why() {
    let expired = "the client secret has expired";
    refused(|service| service.client().lapse_secret(), "token", expired).await;
    let wrong = "the client secret is wrong";
    refused(|service| service.client().set_secret("x"), "token", wrong).await;
    let disabled = "the application is disabled in the tenant";
    refused(
        |service| service.client().disable_application(),
        "token",
        disabled,
    )
    .await;
    let unknown = "the tenant does not know this application";
    refused(|service| service.client().forget(), "token", unknown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_privilege_is_named_with_its_table() {
    for privilege in ["prvCreateAccount", "prvReadAccount"] {
        let revoke = |service: &Service| service.client().revoke_privilege(privilege).unwrap();
        refused(revoke, "privileges", privilege).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_that_are_missing_are_told_at_once() {
    let desk = desk().await;
    let client = desk.emulator.client();
    client.revoke_privilege("prvCreateAccount").unwrap();
    client.revoke_privilege("prvWriteAccount").unwrap();
    let ran = desk.run(&["check", "-m", "accounts.yaml", "--json"]);
    let (_, what) = failed(&ran);
    let both = "prvCreateAccount on table `account`, prvWriteAccount on table `account`";
    assert!(what.contains(both), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_needs_append_here_and_append_to_there() {
    let desk = Desk::new().await;
    desk.write("a.csv", "number,name,company\nC1,Ann,A1\n");
    desk.write(
        "people.yaml",
        "version: 1\nsource: { path: a.csv }\ntarget: { table: contact, key: [externaluseridentifier] }\n\
         columns:\n  externaluseridentifier: number\n  lastname: name\n  \
         parentcustomerid: { lookup: account, by: { accountnumber: company }, absent: blank }\n",
    );
    let check = || desk.run(&["check", "-m", "people.yaml", "--json"]);
    assert_eq!(check().code, Some(0));
    let client = desk.emulator.client();
    for privilege in ["prvAppendContact", "prvAppendToAccount", "prvReadAccount"] {
        client.revoke_privilege(privilege).unwrap();
        let (step, what) = failed(&check());
        assert_eq!(step, "privileges");
        assert!(what.contains(privilege), "{what}");
        client.grant_privilege(privilege).unwrap();
    }
    client.revoke_privilege("prvAssignContact").unwrap();
    assert_eq!(check().code, Some(0), "nobody becomes an owner");
    let owned = desk.read("people.yaml").replace(
        "parentcustomerid: { lookup: account, by: { accountnumber: company }",
        "ownerid: { lookup: team, by: { name: company }",
    );
    desk.write("people.yaml", owned);
    let (_, what) = failed(&check());
    assert!(what.contains("prvAssignContact"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_while_the_run_sends_is_replaced_once() {
    let desk = desk().await;
    desk.write("a.csv", numbered(500));
    desk.emulator
        .next_requests([Fault::Pass, Fault::RevokeToken]);
    let ran = desk.push(&["--concurrency", "1"]);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 500), "{ran:?}");
    assert_eq!(desk.emulator.counts().tokens, 2);
}
