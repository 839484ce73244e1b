//! Who may do what: applications, their users, and the privileges of these.

use segue_emulator::{
    ClientOptions, EmulatorError, Options, Privileges, Request, SecretState, UserState,
};
use serde_json::json;
use uuid::Uuid;

use crate::client::*;

const OTHER: Uuid = Uuid::from_u128(0x0af0_0000_0000_4000_8000_0000_0000_0002);

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn with(client: ClientOptions) -> Client {
    Client::with(Options {
        clients: vec![client],
        ..Options::default()
    })
}

fn lacking(privilege: &str) -> Client {
    with(ClientOptions {
        privileges: Privileges::AllBut(names(&[privilege])),
        ..ClientOptions::default()
    })
}

fn other() -> ClientOptions {
    ClientOptions {
        client_id: OTHER,
        secret: "another".to_owned(),
        ..ClientOptions::default()
    }
}

#[test]
fn a_user_that_may_not_ask_is_told_why() {
    let client = Client::fresh();
    let user = client.service.client();
    user.set_user(UserState::Disabled).unwrap();
    refused(&client.get("WhoAmI"), 403, "0x80040225", "either disabled");
    user.set_user(UserState::Missing).unwrap();
    refused(
        &client.get("WhoAmI"),
        403,
        "0x80072560",
        "The user is not a member of the organization.",
    );
    user.set_user(UserState::Present).unwrap();
    assert_eq!(client.get("WhoAmI").status, 200);
    user.set_privileges(&Privileges::NoRole).unwrap();
    refused(
        &client.get("WhoAmI"),
        403,
        "0x80042f09",
        "The user has not been assigned any roles.",
    );
}

#[test]
fn a_user_is_disabled_by_its_row_as_well() {
    let client = Client::fresh();
    let user = client.service.client().user_id().unwrap();
    let answer = client.patch(&format!("systemusers({user})"), r#"{"isdisabled":true}"#);
    assert_eq!(answer.status, 204);
    refused(&client.get("WhoAmI"), 403, "0x80040225", "");
}

/// The privilege that is missing, method, path, body.
const DENIED: [(&str, &str, &str, &str); 13] = [
    (
        "prvCreateContact",
        "POST",
        "contacts",
        r#"{"lastname":"L"}"#,
    ),
    (
        "prvCreateContact",
        "PATCH",
        "contacts(emailaddress1='new@a.example')",
        "{}",
    ),
    (
        "prvWriteContact",
        "PATCH",
        "contacts(emailaddress1='a@a.example')",
        "{}",
    ),
    (
        "prvWriteContact",
        "PUT",
        "contacts(emailaddress1='a@a.example')/lastname",
        r#"{"value":"L"}"#,
    ),
    (
        "prvWriteContact",
        "DELETE",
        "contacts(emailaddress1='a@a.example')/lastname",
        "",
    ),
    (
        "prvDeleteContact",
        "DELETE",
        "contacts(emailaddress1='a@a.example')",
        "",
    ),
    (
        "prvReadContact",
        "GET",
        "contacts(emailaddress1='a@a.example')",
        "",
    ),
    ("prvReadContact", "GET", "contacts?$select=lastname", ""),
    ("prvReadContact", "GET", "contacts/$count", ""),
    (
        "prvAppendContact",
        "POST",
        "contacts",
        r#"{"parentcustomerid_account@odata.bind":"accounts(accountnumber='1')"}"#,
    ),
    (
        "prvAppendToAccount",
        "POST",
        "contacts",
        r#"{"parentcustomerid_account@odata.bind":"accounts(accountnumber='1')"}"#,
    ),
    (
        "prvAssignContact",
        "POST",
        "contacts",
        r#"{"ownerid@odata.bind":"teams(name='segue')"}"#,
    ),
    ("prvCreateActivity", "POST", "tasks", r#"{"subject":"S"}"#),
];

#[test]
fn each_operation_needs_its_privilege() {
    for (privilege, method, path, body) in DENIED {
        let client = lacking(privilege);
        client.service.client().grant_privilege(privilege).unwrap();
        client.post("accounts", r#"{"accountnumber":"1"}"#);
        client.post("contacts", r#"{"emailaddress1":"a@a.example"}"#);
        client.service.client().revoke_privilege(privilege).unwrap();
        let answer = client.request(method, path, &[], body);
        let missing = format!("is missing {privilege} privilege (Id=");
        refused(&answer, 403, "0x80040220", &missing);
        client.service.client().grant_privilege(privilege).unwrap();
        let answer = client.request(method, path, &[], body);
        assert!(
            answer.status < 300,
            "{privilege} {method} {path}: {}",
            text(&answer)
        );
    }
}

#[test]
fn the_refusal_names_user_privilege_and_table() {
    let client = lacking("prvCreateContact");
    let user = client.service.client().user_id().unwrap();
    let answer = client.post("contacts", "{}");
    refused(
        &answer,
        403,
        "0x80040220",
        &format!("Principal user (Id={user}, type=8, roleCount=1, privilegeCount="),
    );
    refused(
        &answer,
        403,
        "0x80040220",
        "on OTC=2 for entity 'contact' (LocalizedName='Contact'). context.Caller=",
    );
}

#[test]
fn a_row_that_is_represented_is_read() {
    let client = lacking("prvReadContact");
    let prefer = [("Prefer", "return=representation")];
    let answer = client.request("POST", "contacts", &prefer, "{}");
    refused(&answer, 403, "0x80040220", "prvReadContact");
    assert_eq!(client.service.rows("contact").len(), 0);
    assert_eq!(client.post("contacts", "{}").status, 204);
}

#[test]
fn an_owner_that_stays_is_not_assigned() {
    let client = lacking("prvAssignContact");
    let me = client.service.client().user_id().unwrap();
    let body = format!(r#"{{"ownerid@odata.bind":"systemusers({me})"}}"#);
    let id = client.create("contacts", &body);
    assert_eq!(client.patch(&format!("contacts({id})"), &body).status, 204);
}

#[test]
fn one_operation_of_a_batch_is_refused_and_the_others_are_served() {
    let client = lacking("prvCreateContact");
    let part = |set: &str| {
        format!(
            "--batch_A\r\nContent-Type: application/http\r\n\
             Content-Transfer-Encoding: binary\r\n\r\nPOST /api/data/v9.2/{set} HTTP/1.1\r\n\
             Content-Type: application/json\r\n\r\n{{}}\r\n"
        )
    };
    let body = [part("accounts"), part("contacts"), part("leads")].concat() + "--batch_A--\r\n";
    let answer = client.batch(&[("Prefer", "odata.continue-on-error")], &body);
    assert_eq!(answer.status, 200);
    let body = text(&answer);
    assert_eq!(body.matches("HTTP/1.1 204").count(), 2, "{body}");
    assert_eq!(body.matches("HTTP/1.1 403").count(), 1, "{body}");
}

#[test]
fn each_application_acts_as_its_own_user() {
    let mut client = with(other());
    client.sign_in_as(OTHER, "another");
    let me = json(&client.get("WhoAmI"))["UserId"].clone();
    let user = client.service.client_of(OTHER).user_id().unwrap();
    assert_eq!(me, user.to_string());
    assert_ne!(client.service.client().user_id(), Some(user));
    client.create("accounts", "{}");
    let row = &client.service.rows("account")[0];
    assert_eq!(row["_createdby_value"], me);
    assert_eq!(row["_ownerid_value"], me);
    assert_eq!(client.service.journal()[0].user, user);
    client.sign_in();
    assert_ne!(json(&client.get("WhoAmI"))["UserId"], me);
}

#[test]
fn an_application_comes_while_the_service_runs() {
    let mut client = Client::fresh();
    let only = Privileges::Only(names(&["prvReadContact"]));
    let added = client.service.add_client(&ClientOptions {
        privileges: only,
        ..other()
    });
    assert_eq!(added.unwrap().client_id(), OTHER);
    client.sign_in_as(OTHER, "another");
    assert_eq!(client.get("contacts").status, 200);
    refused(&client.get("accounts"), 403, "0x80040220", "prvReadAccount");
    client.service.client_of(OTHER).revoke_tokens();
    assert_eq!(client.get("contacts").status, 401);
    client.sign_in();
    assert_eq!(client.get("accounts").status, 200);
}

#[test]
fn a_privilege_must_be_one_of_the_environment() {
    let client = Client::fresh();
    for name in ["prvCreateNothing", "CreateContact", "prvAssignProduct"] {
        let refused = client.service.client().revoke_privilege(name);
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, EmulatorError::NoPrivilege { name: n } if n == name));
        assert!(refused.help().contains("prvCreateContact"));
    }
}

/// The number with which a sign-in of the known application is denied; `None` if it is not.
fn denied(client: &Client) -> Option<u64> {
    let answer = client
        .service
        .handle(&token_request(&good_form(client.service.origin())));
    json(&answer)["error_codes"][0].as_u64()
}

#[test]
fn a_secret_lapses_and_is_replaced() {
    let client = Client::fresh();
    let known = client.service.client();
    assert_eq!(denied(&client), None);
    known.lapse_secret();
    assert_eq!(denied(&client), Some(7_000_222));
    known.set_secret("fresh");
    assert_eq!(denied(&client), Some(7_000_215));
    known.set_secret(segue_emulator::CLIENT_SECRET);
    assert_eq!(denied(&client), None);
    known.disable_application();
    assert_eq!(denied(&client), Some(7_000_112));
    known.forget();
    assert_eq!(denied(&client), Some(700_016));
}

#[test]
fn a_lapsed_secret_is_told_only_to_who_has_it() {
    let service = segue_emulator::Service::open(Options {
        clients: vec![ClientOptions {
            secret_state: SecretState::Lapsed,
            ..ClientOptions::default()
        }],
        ..Options::default()
    })
    .unwrap();
    let good = good_form(service.origin());
    let answer = service.handle(&token_request(&good));
    assert_eq!(answer.status, 401);
    assert_eq!(json(&answer)["error"], "invalid_client");
    assert_eq!(json(&answer)["error_codes"], json!([7_000_222]));
    let answer = service.handle(&token_request(&format!("{good}&client_secret=x")));
    assert_eq!(json(&answer)["error_codes"], json!([7_000_215]));
}

#[test]
fn no_certificate_is_registered() {
    let client = Client::fresh();
    let form = good_form(client.service.origin()) + "&client_secret=&client_assertion=a.b.c";
    let answer = client.service.handle(&token_request(&form));
    assert_eq!(json(&answer)["error_codes"], json!([700_027]));
}

#[test]
fn the_first_token_endpoint_takes_a_resource() {
    let client = Client::fresh();
    let path = format!("/{}/oauth2/token", segue_emulator::TENANT_ID);
    let ask = |resource: &str| {
        let form = good_form("").replace("scope=%2F.default", &format!("resource={resource}"));
        client
            .service
            .handle(&Request::new("POST", &path).body(form))
    };
    let answer = ask("http%3A%2F%2F127.0.0.1%2F");
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(json(&answer)["expires_in"], "3599");
    assert_eq!(json(&answer)["resource"], "http://127.0.0.1/");
    let answer = ask("https%3A%2F%2Fother.example");
    assert_eq!(json(&answer)["error_codes"], json!([500_011]));
}

#[test]
fn the_tenant_tells_its_endpoints() {
    let client = Client::fresh();
    let tenant = segue_emulator::TENANT_ID;
    let path = format!("/{tenant}/v2.0/.well-known/openid-configuration");
    let answer = client.service.handle(&Request::new("GET", &path));
    assert_eq!(
        json(&answer)["token_endpoint"],
        format!("http://127.0.0.1/{tenant}/oauth2/v2.0/token")
    );
}

#[test]
fn a_user_reads_its_own_privileges() {
    let client = lacking("prvCreateContact");
    let me = client.service.client().user_id().unwrap();
    let bound = format!("systemusers({me})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges");
    for path in [bound.clone(), format!("{bound}()")] {
        let answer = client.get(&path);
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let body = json(&answer);
        assert_eq!(
            body["@odata.context"],
            format!("{BASE}/$metadata#Microsoft.Dynamics.CRM.RetrieveUserPrivilegesResponse")
        );
        let held = body["RolePrivileges"].as_array().unwrap();
        let has = |name: &str| held.iter().any(|it| it["PrivilegeName"] == name);
        assert!(has("prvWriteContact") && !has("prvCreateContact"));
        assert_eq!(held[0]["Depth"], "Global");
    }
}

#[test]
fn one_privilege_is_asked_for_by_name() {
    let client = lacking("prvCreateContact");
    let me = client.service.client().user_id().unwrap();
    let function = "Microsoft.Dynamics.CRM.RetrieveUserPrivilegeByPrivilegeName";
    let ask = |arguments: &str| client.get(&format!("systemusers({me})/{function}{arguments}"));
    let held = |arguments: &str| {
        json(&ask(arguments))["RolePrivileges"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(held("(PrivilegeName='prvWriteContact')"), 1);
    assert_eq!(held("(PrivilegeName=@p)?@p='prvWriteContact'"), 1);
    assert_eq!(held("(PrivilegeName='prvCreateContact')"), 0);
    refused(&ask("(PrivilegeName='prvX')"), 404, "0x80040217", "prvX");
    refused(&ask("(PrivilegeName=prvX)"), 400, "0x80060888", "");
    refused(&ask(""), 400, "0x80060888", "");
}

#[test]
fn definitions_and_holdings_agree_on_ids() {
    let client = Client::fresh();
    let me = client.service.client().user_id().unwrap();
    let path = "EntityDefinitions(LogicalName='contact')?$select=Privileges";
    let defined = json(&client.get(path))["Privileges"].clone();
    let held = json(&client.get(&format!(
        "systemusers({me})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"
    )))["RolePrivileges"]
        .clone();
    let defined = defined.as_array().unwrap();
    assert_eq!(defined.len(), 8);
    assert_eq!(defined[0]["Name"], "prvCreateContact");
    assert_eq!(defined[0]["PrivilegeType"], "Create");
    for privilege in defined {
        let id = &privilege["PrivilegeId"];
        assert!(
            held.as_array()
                .unwrap()
                .iter()
                .any(|it| &it["PrivilegeId"] == id)
        );
    }
}

#[test]
fn a_caller_acts_as_another_user_only_with_the_privilege() {
    let client = Client::fresh();
    let object = Uuid::from_u128(7);
    let unit = json(&client.get("WhoAmI"))["BusinessUnitId"].clone();
    let unit = unit.as_str().unwrap();
    let body = format!(
        r#"{{"domainname":"a@b.example","azureactivedirectoryobjectid":"{object}","accessmode":0,
            "businessunitid@odata.bind":"businessunits({unit})"}}"#
    );
    let user = client.create("systemusers", &body);
    for (header, id) in [
        ("CallerObjectId", object.to_string()),
        ("MSCRMCallerID", user.clone()),
    ] {
        let answer = client.request("GET", "WhoAmI", &[(header, &id)], "");
        assert_eq!(json(&answer)["UserId"], user);
    }
    let nobody = Uuid::from_u128(8).to_string();
    let answer = client.request("GET", "WhoAmI", &[("CallerObjectId", &nobody)], "");
    refused(&answer, 403, "0x80072560", "");
    let known = client.service.client();
    known
        .revoke_privilege("prvActOnBehalfOfAnotherUser")
        .unwrap();
    let answer = client.request("GET", "WhoAmI", &[("MSCRMCallerID", &user)], "");
    refused(&answer, 403, "0x8004a110", "act on behalf another user");
}

#[test]
fn users_outlive_the_process_and_are_set_up_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let kept = |clients: Vec<ClientOptions>| Options {
        data: Some(folder.path().join("sandbox.db")),
        clients,
        ..Options::default()
    };
    let open = |clients| segue_emulator::Service::open(kept(clients)).unwrap();
    let missing = ClientOptions {
        user: UserState::Missing,
        ..ClientOptions::default()
    };
    let service = open(vec![missing, other()]);
    let user = service.client_of(OTHER).user_id().unwrap();
    assert_eq!(service.client().user_id(), None);
    drop(service);
    let service = open(Vec::new());
    assert_eq!(service.client().user_id(), None);
    assert_eq!(service.client_of(OTHER).user_id(), Some(user));
    drop(service);
    let service = open(vec![ClientOptions::default()]);
    assert!(service.client().user_id().is_some());
}

#[test]
fn some_privileges_belong_to_no_table() {
    let client = lacking("prvOverrideCreatedOnCreatedBy");
    let answer = client.post(
        "contacts",
        r#"{"overriddencreatedon":"2020-01-01T00:00:00Z"}"#,
    );
    refused(&answer, 403, "0x80040220", "prvOverrideCreatedOnCreatedBy");
    for (header, value, privilege) in [
        (
            "MSCRM.BypassBusinessLogicExecution",
            "CustomSync",
            "prvBypassCustomBusinessLogic",
        ),
        (
            "MSCRM.BypassCustomPluginExecution",
            "true",
            "prvBypassCustomPlugins",
        ),
    ] {
        let client = lacking(privilege);
        let answer = client.request("POST", "contacts", &[(header, value)], "{}");
        refused(&answer, 403, "0x80040220", privilege);
        assert_eq!(
            Client::fresh()
                .request("POST", "contacts", &[(header, value)], "{}")
                .status,
            204
        );
    }
}
