//! Writes the body of a `$batch`: one `application/http` part per operation, every line end CRLF.
//!
//! No text of a record can leave its place: keys are percent-encoded, bodies are JSON on one line, names consist
//! of letters, digits and `_`.
//!
//! Source: Microsoft Learn, "Execute batch operations using the Web API".

use bytes::Bytes;
use uuid::Uuid;

use super::body::{Object, Unwritable};
use super::digits;
use super::form::Form;
use super::http::{Intent, Request};
use super::literal;
use crate::model::{Action, Operation, RecordId};

/// Bytes of most operations with their heads; a body that needs more grows.
const LIKELY_PART: usize = 768;

/// A `$batch` that is being written.
pub(super) struct BatchBody {
    boundary: String,
    /// What stands before the number of each part.
    opening: String,
    /// Where the operation goes that is being written; its room is used again for the next one.
    address: String,
    bytes: Vec<u8>,
    parts: usize,
}

impl BatchBody {
    pub(super) fn new() -> Self {
        Self::of(0)
    }

    /// With room for so many operations.
    pub(super) fn of(operations: usize) -> Self {
        let boundary = format!("batch_{}", Uuid::new_v4().as_simple());
        Self {
            opening: format!(
                "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: "
            ),
            boundary,
            address: String::new(),
            bytes: Vec::with_capacity(operations * LIKELY_PART),
            parts: 0,
        }
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.parts == 0
    }

    /// Adds a GET of that path and query, which is encoded already.
    pub(super) fn get(&mut self, path: &str) {
        self.begin();
        let end = " HTTP/1.1\r\nAccept: application/json\r\n\r\n";
        push(&mut self.bytes, &["GET ", path, end]);
        self.end();
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// If its key cannot stand in a URL or a value cannot be written; none of its bytes are in the batch.
    pub(super) fn operation(
        &mut self,
        operation: &Operation,
        form: &Form,
    ) -> Result<(), Unwritable> {
        let length = self.bytes.len();
        self.begin();
        let written = match operation.action {
            Action::Upsert => self.write_by_key(operation, form, &form.head_of_upsert),
            Action::UpdateByKey => self.write_by_key(operation, form, &form.head_of_update_by_key),
            Action::Create(id) => self.create(operation, form, id),
            Action::Update(id) => self.update(operation, form, id),
            Action::Delete(id) => {
                self.address_by(id);
                self.head(&form.delete, &form.head_of_delete);
                Ok(())
            }
        };
        if written.is_ok() {
            self.end();
        } else {
            self.bytes.truncate(length);
            self.parts -= 1;
        }
        written
    }

    /// The request that carries the batch.
    pub(super) fn finish(mut self, intent: Intent) -> Request {
        push(&mut self.bytes, &["--", &self.boundary, "--\r\n"]);
        Request::Batch {
            boundary: self.boundary,
            body: Bytes::from(self.bytes),
            intent,
        }
    }

    fn write_by_key(
        &mut self,
        operation: &Operation,
        form: &Form,
        head: &str,
    ) -> Result<(), Unwritable> {
        let target = &form.target;
        self.address.clear();
        literal::key(target, operation.record.key(target), &mut self.address)
            .ok_or(Unwritable("the key cannot stand in a URL"))?;
        self.head(&form.patch, head);
        self.changes(operation, form)
    }

    fn update(
        &mut self,
        operation: &Operation,
        form: &Form,
        id: RecordId,
    ) -> Result<(), Unwritable> {
        self.address_by(id);
        self.head(&form.patch, &form.head_of_update);
        self.changes(operation, form)
    }

    fn changes(&mut self, operation: &Operation, form: &Form) -> Result<(), Unwritable> {
        let mut object = Object::new(&mut self.bytes);
        form.write_changes(operation, &mut object)?;
        object.end();
        Ok(())
    }

    fn create(
        &mut self,
        operation: &Operation,
        form: &Form,
        id: RecordId,
    ) -> Result<(), Unwritable> {
        self.address.clear();
        self.head(&form.post, &form.head_of_create);
        let mut object = Object::new(&mut self.bytes);
        form.write_new(operation, id, &mut object)?;
        object.end();
        Ok(())
    }

    fn address_by(&mut self, id: RecordId) {
        let mut digits = Uuid::encode_buffer();
        let id = id.0.as_hyphenated().encode_lower(&mut digits);
        self.address.clear();
        self.address.extend(["(", id, ")"]);
    }

    /// The head of a request to the address, with the blank line behind it.
    fn head(&mut self, before_address: &str, behind_address: &str) {
        let line = [before_address, &self.address, behind_address];
        push(&mut self.bytes, &line);
    }

    fn begin(&mut self) {
        self.parts += 1;
        push(&mut self.bytes, &[&self.opening]);
        digits::whole(self.parts as u64, &mut self.bytes);
        push(&mut self.bytes, &["\r\n\r\n"]);
    }

    /// Ends a part's body; for one without a body this is the second blank line that it needs.
    fn end(&mut self) {
        push(&mut self.bytes, &["\r\n"]);
    }
}

fn push(bytes: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        bytes.extend_from_slice(piece.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::super::loopback::{TEXT, contacts, id, operation, text};
    use super::*;
    use crate::model::{ColumnKind, Target, Value};

    fn form(target: &Target) -> Form {
        Form::new(Arc::new(target.clone()))
    }

    /// One request of a batch, read by the rules of MIME and HTTP and by nothing of the writer's.
    #[derive(Debug, PartialEq)]
    struct Inner {
        line: String,
        headers: Vec<String>,
        body: String,
    }

    fn envelope(batch: BatchBody) -> (String, String) {
        match batch.finish(Intent::Write) {
            Request::Batch { boundary, body, .. } => {
                (boundary, String::from_utf8(body.to_vec()).unwrap())
            }
            Request::Get { .. } | Request::Message { .. } => panic!("not a batch"),
        }
    }

    fn read(batch: BatchBody) -> Vec<Inner> {
        let (boundary, body) = envelope(batch);
        let rest = body.replace("\r\n", "");
        assert!(!rest.contains(['\r', '\n']), "a lone CR or LF");
        let mut lines = body.split("\r\n");
        let mut requests = Vec::new();
        assert_eq!(lines.next(), Some(format!("--{boundary}").as_str()));
        loop {
            let mime: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            assert_eq!(mime.len(), 3);
            assert_eq!(mime[0], "Content-Type: application/http");
            assert_eq!(mime[2], format!("Content-ID: {}", requests.len() + 1));
            let mut head = lines.by_ref().take_while(|line| !line.is_empty());
            let line = head.next().unwrap().to_owned();
            let headers = head.map(str::to_owned).collect();
            let body = lines.next().unwrap().to_owned();
            requests.push(Inner {
                line,
                headers,
                body,
            });
            let end = lines.next().unwrap();
            if end == format!("--{boundary}--") {
                assert_eq!(lines.next(), Some(""));
                assert_eq!(lines.next(), None);
                return requests;
            }
            assert_eq!(end, format!("--{boundary}"));
        }
    }

    fn one(action: Action, target: &Target, values: Vec<Value>) -> Inner {
        let mut batch = BatchBody::new();
        let operation = operation(action, values);
        batch.operation(&operation, &form(target)).unwrap();
        let mut requests = read(batch);
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }

    fn by_extid() -> Target {
        contacts(&[("new_extid", TEXT)])
    }

    #[test]
    fn an_upsert_is_written_byte_by_byte() {
        let mut batch = BatchBody::new();
        let operation = operation(Action::Upsert, vec![text("1"), text("Lee"), Value::Null]);
        batch.operation(&operation, &form(&by_extid())).unwrap();
        let (boundary, body) = envelope(batch);
        assert_eq!(
            body.replace(&boundary, "batch_A"),
            "--batch_A\r\n\
             Content-Type: application/http\r\n\
             Content-Transfer-Encoding: binary\r\n\
             Content-ID: 1\r\n\
             \r\n\
             PATCH /api/data/v9.2/contacts(new_extid='1')?$select=contactid,createdon,_createdby_value HTTP/1.1\r\n\
             Content-Type: application/json\r\n\
             Prefer: return=representation,odata.include-annotations=\"Microsoft.PowerApps.CDS.ErrorDetails*\"\r\n\
             \r\n\
             {\"lastname\":\"Lee\",\"firstname\":null}\r\n\
             --batch_A--\r\n"
        );
    }

    #[test]
    fn an_update_by_key_never_creates() {
        let request = one(
            Action::UpdateByKey,
            &by_extid(),
            vec![text("1"), text("Lee"), Value::Null],
        );
        assert!(request.headers.contains(&"If-Match: *".to_owned()));
        assert!(request.line.contains("(new_extid='1')?$select=contactid,"));
        assert!(!request.body.contains("new_extid"));
    }

    #[test]
    fn an_update_by_id_never_creates() {
        let request = one(
            Action::Update(id(0xA)),
            &by_extid(),
            vec![text("1"), text("Lee"), Value::Null],
        );
        assert_eq!(
            request.line,
            "PATCH /api/data/v9.2/contacts(00000000-0000-0000-0000-00000000000a) HTTP/1.1"
        );
        assert!(request.headers.contains(&"If-Match: *".to_owned()));
        assert_eq!(request.body, r#"{"lastname":"Lee","firstname":null}"#);
    }

    #[test]
    fn a_create_carries_id_and_key_in_its_body() {
        let request = one(
            Action::Create(id(0xD)),
            &by_extid(),
            vec![text("a/b"), text("Lee"), Value::Null],
        );
        assert_eq!(request.line, "POST /api/data/v9.2/contacts HTTP/1.1");
        assert_eq!(
            request.body,
            r#"{"contactid":"00000000-0000-0000-0000-00000000000d","new_extid":"a/b","lastname":"Lee","firstname":null}"#
        );
    }

    #[test]
    fn a_delete_has_no_body() {
        let request = one(
            Action::Delete(id(0xA)),
            &by_extid(),
            vec![text("1"), text("Lee"), Value::Null],
        );
        assert_eq!(
            request.line,
            "DELETE /api/data/v9.2/contacts(00000000-0000-0000-0000-00000000000a) HTTP/1.1"
        );
        assert_eq!(request.body, "");
    }

    #[test]
    fn a_primary_id_is_addressed_bare_and_sent_once() {
        let target = contacts(&[("contactid", ColumnKind::Guid)]);
        let values = || vec![Value::Guid(id(0xD).0), text("Lee"), Value::Null];
        let request = one(Action::Upsert, &target, values());
        assert!(request.line.starts_with(
            "PATCH /api/data/v9.2/contacts(00000000-0000-0000-0000-00000000000d)?$select=contactid,"
        ));
        assert_eq!(request.body, r#"{"lastname":"Lee","firstname":null}"#);
        let request = one(Action::Create(id(0xD)), &target, values());
        assert_eq!(
            request.body,
            r#"{"contactid":"00000000-0000-0000-0000-00000000000d","lastname":"Lee","firstname":null}"#
        );
    }

    #[test]
    fn a_composite_key_has_all_its_columns() {
        let target = contacts(&[("new_no", ColumnKind::BigInt), ("new_plan", TEXT)]);
        let values = vec![Value::Integer(7), text("O'B"), text("Lee"), Value::Null];
        let request = one(Action::Upsert, &target, values);
        assert!(
            request
                .line
                .contains("contacts(new_no=7,new_plan='O%27%27B')?"),
            "{}",
            request.line
        );
    }

    #[test]
    fn an_operation_that_cannot_be_written_leaves_no_trace() {
        let target = by_extid();
        let good = operation(Action::Upsert, vec![text("1"), text("Lee"), Value::Null]);
        let bad_key = operation(Action::Upsert, vec![text("a/b"), text("Lee"), Value::Null]);
        let no_key = operation(
            Action::UpdateByKey,
            vec![Value::Null, text("Lee"), Value::Null],
        );
        let bad_value = operation(
            Action::Create(id(0xD)),
            vec![text("1"), Value::Float(f64::NAN), Value::Null],
        );
        let mut batch = BatchBody::new();
        for operation in [&bad_key, &good, &no_key, &bad_value, &good] {
            let written = batch.operation(operation, &form(&target));
            assert_eq!(written.is_ok(), operation == &good);
        }
        assert_eq!(read(batch).len(), 2);
    }

    #[test]
    fn a_query_has_two_blank_lines() {
        let mut batch = BatchBody::new();
        batch.get("/api/data/v9.2/accounts?$select=name&$top=1");
        let (_, body) = envelope(batch);
        assert!(body.contains("GET /api/data/v9.2/accounts?$select=name&$top=1 HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n--"));
    }

    /// Writes the text as key (where it may stand there) and as value, and reads it back.
    fn check(value: &str) {
        let form = form(&by_extid());
        let record = || vec![text(value), text(value), text("end")];
        let mut batch = BatchBody::new();
        let upsert = batch.operation(&operation(Action::Upsert, record()), &form);
        assert_eq!(upsert.is_ok(), text(value).can_stand_in_url(), "{value:?}");
        for action in [Action::Create(id(0xD)), Action::Update(id(1))] {
            batch
                .operation(&operation(action, record()), &form)
                .unwrap();
        }
        let requests = read(batch);
        assert_eq!(requests.len(), 2 + usize::from(upsert.is_ok()), "{value:?}");
        for request in &requests {
            assert_eq!(request.line.split(' ').count(), 3, "{value:?}");
            let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
            assert_eq!(body["lastname"], value);
            assert_eq!(body["firstname"], "end");
            if request.line.starts_with("POST") {
                assert_eq!(body["new_extid"], value);
            } else {
                assert_eq!(body.as_object().unwrap().len(), 2);
            }
            if let Some((_, key)) = request.line.split_once("(new_extid='") {
                let (key, rest) = key.split_once('\'').unwrap();
                assert!(
                    rest.starts_with(")?$select=contactid,createdon,_createdby_value HTTP/1.1")
                );
                let key = percent_decode_str(key).decode_utf8().unwrap();
                assert_eq!(key.replace("''", "'"), value);
            }
        }
    }

    #[test]
    fn no_character_leaves_its_place() {
        let beyond = (0x1_0000..=0x10_FFFF)
            .step_by(997)
            .filter_map(char::from_u32);
        for c in ('\0'..='\u{FFFF}').chain(beyond).chain([char::MAX]) {
            check(&format!("x{c}y"));
        }
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_place(value in any::<String>()) {
            check(&value);
        }

        #[test]
        fn nothing_that_looks_like_a_request_leaves_its_place(pieces in proptest::collection::vec(
            prop_oneof![
                Just("\r\n"), Just("\n"), Just("\r"), Just("--batch_"), Just("--"), Just(" HTTP/1.1"),
                Just("DELETE /api/data/v9.2/contacts(x)"), Just("If-Match: *"), Just("'"), Just("\""), Just("\\"),
                Just("%0D%0A"), Just(")"), Just("}"), Just("\u{2028}"), Just("é"), Just("\0"),
            ],
            1..8,
        )) {
            check(&pieces.concat());
        }
    }
}
