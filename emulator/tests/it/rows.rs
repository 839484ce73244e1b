//! Creating, reading, updating and deleting rows.

use crate::client::*;

#[test]
fn a_created_row_is_read_back() {
    let client = Client::fresh();
    let id = client.create(
        "contacts",
        r#"{"firstname":"Ann","lastname":"Lee","emailaddress1":"ann@x.example"}"#,
    );
    let answer = client.get(&format!("contacts({id})?$select=fullname,emailaddress1"));
    assert_eq!(answer.status, 200);
    let row = json(&answer);
    assert_eq!(row["fullname"], "Ann Lee");
    assert_eq!(row["contactid"], id);
    assert_eq!(
        row["@odata.context"],
        format!("{BASE}/$metadata#contacts(fullname,emailaddress1)/$entity")
    );
}
