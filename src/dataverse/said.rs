//! What the service said when it refused: read from status, headers and body, then told by cause.
//!
//! Classifies; what happens next is for others to decide.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::codes::{self, Class};
use super::words;
use crate::model::{Cause, LogicalName, RecordId, RowFailure, ServiceError};

/// A refusal as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Status, code and message, word for word.
    pub(super) error: ServiceError,
    /// How long `Retry-After` asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// Columns and values that collide with another record's.
    duplicate: Vec<(LogicalName, String)>,
    /// The answer is a page or a text for people, as gateways, proxies and firewalls have them: the service speaks JSON.
    is_page: bool,
}

/// The record that a request addressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addressed<'a> {
    /// `contact`
    pub(super) table: &'a LogicalName,
    /// Its GUID, unless it was addressed by an alternate key.
    pub(super) id: Option<RecordId>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<ErrorBody<'a>>,
    /// Some refusals come from the web framework, before OData.
    #[serde(borrow, rename = "Message")]
    message: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow, default)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
    #[serde(
        borrow,
        default,
        rename = "@Microsoft.PowerApps.CDS.ErrorDetails.DuplicateAttributes"
    )]
    duplicate: Option<Cow<'a, str>>,
}

/// Longer texts that are not JSON are cut: they are pages for people.
const LONGEST_TEXT: usize = 300;

/// Longer messages are cut: a run holds as many of them as it has rows on their way.
const LONGEST_MESSAGE: usize = 8_000;

impl Said {
    /// Reads an answer whose status is not a success; it asks to wait so long.
    pub(super) fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let mut said = Self {
            error: ServiceError {
                status,
                ..ServiceError::default()
            },
            retry_after,
            duplicate: Vec::new(),
            is_page: false,
        };
        match serde_json::from_slice::<Body<'_>>(body) {
            Ok(Body {
                error: Some(error), ..
            }) => {
                beginning(&error.code).clone_into(&mut said.error.code);
                beginning(&error.message).clone_into(&mut said.error.message);
                said.duplicate = error
                    .duplicate
                    .map_or_else(Vec::new, |xml| duplicates(&xml));
            }
            Ok(Body {
                message: Some(message),
                ..
            }) => beginning(&message).clone_into(&mut said.error.message),
            // A gateway answers with a page or with nothing.
            Ok(_) | Err(_) => {
                said.error.message = plain_text(body);
                let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
                said.is_page = !body.is_empty() && !is_json;
            }
        }
        said
    }

    /// The kind of failure. `about` is the record that was addressed; `None` for a request as a whole.
    ///
    /// Source: Microsoft Learn, "Web service error codes", "Compose HTTP requests and handle errors".
    pub(super) fn cause(&self, about: Option<Addressed<'_>>) -> Cause {
        let number = codes::number(&self.error.code);
        match self.class(number) {
            Class::Throttled => Cause::Throttled {
                retry_after: self.retry_after,
                limit: codes::limit(number),
            },
            Class::Transient => Cause::Transient,
            Class::TooLarge => Cause::TooLarge,
            Class::NotFound => Cause::Row(self.not_found(about)),
            Class::DuplicateRecord => Cause::Row(RowFailure::DuplicateRecord),
            Class::DuplicateKey => Cause::Row(RowFailure::DuplicateKey {
                columns: self.duplicate.clone(),
            }),
            Class::Row => Cause::Row(words::refused(number)),
            Class::Credential => Cause::Credential,
            Class::Contract => Cause::Contract,
        }
    }

    /// The same of a request as a whole, in an environment that has answered before. Whoever answers in its place does not
    /// know what it would say.
    pub(super) fn cause_of_whole(&self) -> Cause {
        match self.cause(None) {
            Cause::Contract | Cause::Credential if self.is_from_elsewhere() => Cause::Transient,
            cause => cause,
        }
    }

    /// Whether somebody else than the service answered: a proxy, a firewall, a page for sign-in or maintenance. Nobody else
    /// says 401, whatever its body.
    pub(super) fn is_from_elsewhere(&self) -> bool {
        let is_redirect = (300..400).contains(&self.error.status);
        (self.is_page || is_redirect) && self.error.status != 401
    }

    fn class(&self, number: Option<u32>) -> Class {
        let status = self.error.status;
        let known = number.and_then(codes::class);
        match status {
            429 => return Class::Throttled,
            503 if self.retry_after.is_some() || known == Some(Class::Throttled) => {
                return Class::Throttled;
            }
            408 | 502 | 503 | 504 => return Class::Transient,
            401 => return Class::Credential,
            _ => {}
        }
        self.class_by_text(number)
            .or(known)
            .unwrap_or_else(|| self.class_by_status())
    }

    /// Where one number stands for several things, or several numbers for one thing, the text decides.
    fn class_by_text(&self, number: Option<u32>) -> Option<Class> {
        let text = self.error.message.as_str();
        let has = |part: &str| text.contains(part);
        if has("too many parts") || has("Message size exceeded") {
            return Some(Class::TooLarge);
        }
        match number.unwrap_or_default() {
            // With 400 it stands for key columns in the body of an upsert.
            0x8004_0216 if self.error.status == 400 => Some(Class::Contract),
            0x8004_0220 | 0x8004_8306 if is_about_one_record(text) => Some(Class::Row),
            0x8004_4150 => Some(class_of_sql_error(text)),
            0x8004_8d19 if has("Cannot convert") => Some(Class::Row),
            0x8004_8d19 => Some(Class::Contract),
            0x8006_0888 | 0x8006_088a if has("Error in query syntax") => Some(Class::Row),
            0x8006_088a if self.error.status < 500 => Some(Class::Contract),
            // Codes that say nothing.
            0 => self.class_by_text_alone(),
            _ => None,
        }
    }

    fn class_by_text_alone(&self) -> Option<Class> {
        let text = self.error.message.as_str();
        match self.error.status {
            404 if text.to_ascii_lowercase().contains("does not exist") => Some(Class::NotFound),
            412 if text.contains("matching key values already exists")
                || text.contains("Cannot insert duplicate key") =>
            {
                Some(Class::DuplicateRecord)
            }
            412 if !self.duplicate.is_empty() || text.starts_with("Entity Key ") => {
                Some(Class::DuplicateKey)
            }
            _ => None,
        }
    }

    fn class_by_status(&self) -> Class {
        let text = self.error.message.as_str();
        match self.error.status {
            403 if is_about_one_record(text) => Class::Row,
            403 => Class::Credential,
            400 if [
                "undeclared property",
                "Invalid property",
                "Could not find a property",
                "Resource not found",
                "Content-ID Reference",
                "is not valid for resource",
            ]
            .iter()
            .any(|part| text.contains(part)) =>
            {
                Class::Contract
            }
            400 | 409 | 412 | 422 => Class::Row,
            413 => Class::TooLarge,
            501 => Class::Contract,
            500.. => Class::Transient,
            _ => Class::Contract,
        }
    }

    /// The number alone does not say whether the record itself or one that it refers to is missing.
    fn not_found(&self, about: Option<Addressed<'_>>) -> RowFailure {
        let Some(about) = about else {
            return words::refused(codes::number(&self.error.code));
        };
        let text = self.error.message.to_ascii_lowercase();
        let names_table = text.contains(&about.table.as_str().to_ascii_lowercase());
        let is_ours = match about.id {
            Some(id) => names_table && text.contains(&id.to_string()),
            // By key: "A record with the specified key values does not exist in contact entity".
            // Whoever names a GUID then means a record that this one refers to.
            None => !text.contains(" with id =") && (names_table || !text.contains(" exist in ")),
        };
        if is_ours {
            RowFailure::NotFound
        } else {
            words::refused(codes::number(&self.error.code))
        }
    }

    /// Whether a delete may take this as "it is gone": a delete refers to no other record.
    pub(super) fn says_not_found(&self) -> bool {
        self.class(codes::number(&self.error.code)) == Class::NotFound
    }
}

/// The user holds the privilege, and this one record is out of its reach: other rows may be within.
fn is_about_one_record(text: &str) -> bool {
    text.contains("does not have") && text.contains("for record")
}

/// `… Sql ErrorCode: -2146232060 Sql Number: 1205`
fn class_of_sql_error(text: &str) -> Class {
    let number = text.rsplit_once("Sql Number:").map(|(_, rest)| {
        let rest = rest.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '-')
            .unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    });
    match number {
        // A unique index was hit.
        Some("2601" | "2627") => Class::DuplicateRecord,
        // Deadlock, time-out, and a server that is still making its procedures.
        Some("1205" | "-2" | "3732" | "2766" | "2812" | "") | None => Class::Transient,
        Some(_) => Class::Row,
    }
}

/// `<DuplicateAttributes><new_extid>VALUE</new_extid></DuplicateAttributes>` as columns and values.
fn duplicates(xml: &str) -> Vec<(LogicalName, String)> {
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((tag, inner)) = after.split_once('>') else {
            break;
        };
        rest = inner;
        let Ok(name) = LogicalName::parse(tag.trim()) else {
            continue; // closing, empty or declared otherwise: not a column with a value
        };
        if let Some((value, after)) = inner.split_once(&format!("</{name}>"))
            && !value.contains('<')
        {
            found.push((name, unescape(value)));
            rest = after;
        }
    }
    found
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let known = after.split_once(';').and_then(|(name, tail)| {
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((c, tail))
        });
        if let Some((c, tail)) = known {
            out.push(c);
            rest = tail;
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// As much of a message as is kept.
fn beginning(message: &str) -> &str {
    let end = message.floor_char_boundary(LONGEST_MESSAGE);
    message.get(..end).unwrap_or(message)
}

/// What a person can use of a body that is not JSON: the title of a page, or the beginning of a text.
fn plain_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..64 * 1024).unwrap_or(body));
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|at| {
        let start = at + "<title>".len();
        let end = start + lower.get(start..)?.find("</title>")?;
        text.get(start..end)
    });
    let text = match title {
        Some(title) => title,
        None if lower.trim_start().starts_with('<') => "an HTML page",
        None => &text,
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.join(" ") {
        empty if empty.is_empty() => "no explanation was given".to_owned(),
        text => text.chars().take(LONGEST_TEXT).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Limit;

    fn said(status: u16, code: &str, message: &str) -> Said {
        let body = serde_json::json!({"error": {"code": code, "message": message}});
        Said::read(status, None, body.to_string().as_bytes())
    }

    fn cause(status: u16, code: &str, message: &str) -> Cause {
        plain(said(status, code, message).cause(None))
    }

    const ROW: Cause = Cause::Row(RowFailure::Other {
        word: "",
        advice: "",
    });

    /// Without the words, which these facts are not about.
    fn plain(cause: Cause) -> Cause {
        match cause {
            Cause::Row(RowFailure::Other { .. }) => ROW,
            other => other,
        }
    }

    #[test]
    fn throttling_carries_the_wait() {
        let body = br#"{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit of 6000 over time window of 300 seconds."}}"#;
        let said = Said::read(429, Some(Duration::from_secs(37)), body);
        assert_eq!(
            said.cause(None),
            Cause::Throttled {
                retry_after: Some(Duration::from_secs(37)),
                limit: Limit::Window,
            }
        );
        assert_eq!(said.error.code, "0x80072322");
        assert_eq!(
            Said::read(429, None, b"").cause(None),
            Cause::Throttled {
                retry_after: None,
                limit: Limit::Window,
            }
        );
        assert_eq!(
            cause(400, "0x80081116", "Maximum processes allocated"),
            Cause::Throttled {
                retry_after: None,
                limit: Limit::Window,
            }
        );
    }

    #[test]
    fn a_gateway_without_json_is_transient() {
        for status in [408, 500, 502, 503, 504] {
            let said = Said::read(
                status,
                None,
                b"<html><head><title>Bad Gateway</title></head><body>x</body></html>",
            );
            assert_eq!(said.cause(None), Cause::Transient);
            assert_eq!(said.error.message, "Bad Gateway");
        }
        assert_eq!(Said::read(413, None, b"").cause(None), Cause::TooLarge);
        assert_eq!(
            Said::read(413, None, b"").error.message,
            "no explanation was given"
        );
    }

    #[test]
    fn the_number_of_the_database_decides() {
        let sql = |number: &str| {
            cause(
                500,
                "0x80044150",
                &format!(
                    "Sql error: Generic SQL error. CRM ErrorCode: -2147204784 Sql ErrorCode: -2146232060 Sql Number: {number}"
                ),
            )
        };
        assert_eq!(sql("1205"), Cause::Transient);
        assert_eq!(sql("3732"), Cause::Transient);
        assert_eq!(sql("8152"), ROW);
        assert_eq!(sql("2627"), Cause::Row(RowFailure::DuplicateRecord));
        assert_eq!(
            cause(500, "0x80044150", "Generic SQL error."),
            Cause::Transient
        );
    }

    #[test]
    fn a_missing_privilege_is_told_from_a_record_out_of_reach() {
        assert_eq!(
            cause(
                403,
                "0x80040220",
                "Principal user (Id=1, type=8) is missing prvCreateContact privilege"
            ),
            Cause::Credential
        );
        for code in ["0x80040220", "0x80048306", "", "0x0"] {
            assert_eq!(
                cause(
                    403,
                    code,
                    "Principal with id 1 does not have WriteAccess right(s) for record with id 2 of entity contact"
                ),
                ROW,
                "{code}"
            );
        }
        assert_eq!(cause(403, "", "no"), Cause::Credential);
        assert_eq!(cause(403, "0x8004f502", "secured"), Cause::Contract);
    }

    #[test]
    fn one_number_for_several_things_is_told_by_its_text() {
        assert_eq!(
            cause(400, "0x80048d19", "An undeclared property 'x' which"),
            Cause::Contract
        );
        assert_eq!(
            cause(
                400,
                "0x80048d19",
                "Cannot convert the literal '' to the expected type 'Edm.Double'."
            ),
            ROW
        );
        assert_eq!(
            cause(
                404,
                "0x8006088a",
                "Resource not found for the segment 'Account'."
            ),
            Cause::Contract
        );
        assert_eq!(
            cause(400, "0x8006088A", "Bad Request - Error in query syntax."),
            ROW
        );
        assert_eq!(
            cause(500, "0x8006088a", "A failure occurred"),
            Cause::Transient
        );
        assert_eq!(
            cause(400, "0x80060888", "Bad Request - Error in query syntax."),
            ROW
        );
        assert_eq!(
            cause(
                400,
                "0x80060888",
                "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.contact'."
            ),
            Cause::Contract
        );
        assert_eq!(
            cause(400, "0x80040216", "An unexpected error occurred."),
            Cause::Contract
        );
        assert_eq!(
            cause(500, "0x80040216", "An unexpected error occurred."),
            Cause::Transient
        );
    }

    #[test]
    fn a_request_that_is_too_large_says_so_in_words() {
        assert_eq!(
            cause(
                400,
                "",
                "The current batch message contains too many parts. Only batch messages with"
            ),
            Cause::TooLarge
        );
        assert_eq!(
            cause(
                500,
                "0x80040216",
                "Message size exceeded when sending context to Sandbox"
            ),
            Cause::TooLarge
        );
    }

    #[test]
    fn without_a_code_status_and_text_decide() {
        assert_eq!(
            cause(
                400,
                "0x0",
                "Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.account'."
            ),
            Cause::Contract
        );
        assert_eq!(cause(400, "", "something about this row"), ROW);
        assert_eq!(
            cause(
                404,
                "",
                "No HTTP resource was found that matches the request URI"
            ),
            Cause::Contract
        );
        assert_eq!(
            cause(412, "", "A record with matching key values already exists."),
            Cause::Row(RowFailure::DuplicateRecord)
        );
        assert_eq!(
            cause(
                412,
                "",
                "The version of the existing record doesn't match the RowVersion property provided."
            ),
            ROW
        );
        assert_eq!(cause(500, "", "?"), Cause::Transient);
        assert_eq!(cause(302, "", ""), Cause::Contract);
        assert_eq!(cause(401, "", ""), Cause::Credential);
    }

    #[test]
    fn a_record_is_not_found_only_if_the_text_names_it() {
        let contact = LogicalName::parse("contact").unwrap();
        let id = RecordId(uuid::Uuid::from_u128(0xA1));
        let by_id = Some(Addressed {
            table: &contact,
            id: Some(id),
        });
        let by_key = Some(Addressed {
            table: &contact,
            id: None,
        });
        let not_found = Cause::Row(RowFailure::NotFound);
        let message = "contact With Id = 00000000-0000-0000-0000-0000000000A1 Does Not Exist";
        assert_eq!(said(404, "0x80040217", message).cause(by_id), not_found);
        assert_eq!(said(404, "", message).cause(by_id), not_found);
        let target = "account With Id = 00000000-0000-0000-0000-0000000000b2 Does Not Exist";
        assert_eq!(plain(said(404, "0x80040217", target).cause(by_id)), ROW);
        assert_eq!(plain(said(404, "0x80040217", target).cause(None)), ROW);
        assert_eq!(plain(said(404, "0x80040217", target).cause(by_key)), ROW);
        let of = |table: &str| {
            format!("A record with the specified key values does not exist in {table} entity")
        };
        assert_eq!(
            said(404, "0x80060891", &of("contact")).cause(by_key),
            not_found
        );
        assert_eq!(
            plain(said(404, "0x80060891", &of("account")).cause(by_key)),
            ROW
        );
        assert_eq!(said(404, "0x80060891", "gone").cause(by_key), not_found);
    }

    #[test]
    fn a_duplicate_key_names_its_columns_and_values() {
        let body = br#"{"error":{"code":"0x80060892","message":"Entity Key New External Id violated. A record with the same value for External Id already exists.","@Microsoft.PowerApps.CDS.ErrorDetails.0":"New External Id","@Microsoft.PowerApps.CDS.ErrorDetails.DuplicateAttributes":"<DuplicateAttributes><new_extid>A&amp;B &#x41;</new_extid><new_no>7</new_no></DuplicateAttributes>","@Microsoft.PowerApps.CDS.ErrorDetails.DuplicateEntity":"<Entity><Id>x</Id></Entity>"}}"#;
        let Cause::Row(RowFailure::DuplicateKey { columns }) =
            Said::read(412, None, body).cause(None)
        else {
            panic!("not a duplicate key");
        };
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(columns, [("new_extid", "A&B A"), ("new_no", "7")]);
    }

    #[test]
    fn odd_markup_gives_what_it_can() {
        for xml in [
            "",
            "<",
            "<a",
            "<a>",
            "<a>1",
            "</a>",
            "<a/>",
            "<a b='c'>1</a>",
            "<a><b>",
        ] {
            assert_eq!(duplicates(xml), [], "{xml}");
        }
        assert_eq!(unescape("&&amp;&#x110000;&#65;&x;"), "&&&#x110000;A&x;");
    }

    #[test]
    fn a_message_of_the_web_framework_is_kept() {
        let said = Said::read(404, None, br#"{"Message":"No HTTP resource was found"}"#);
        assert_eq!(said.error.message, "No HTTP resource was found");
    }

    #[test]
    fn of_a_message_without_end_the_beginning_is_kept() {
        for letter in ["x", "é"] {
            let body = format!(
                r#"{{"error":{{"code":"","message":"{}"}}}}"#,
                letter.repeat(9_001)
            );
            let kept = Said::read(400, None, body.as_bytes()).error.message;
            assert_eq!(kept, letter.repeat(LONGEST_MESSAGE / letter.len()));
            let framework = body.replace(r#"{"error":{"code":"","message""#, r#"{"Message""#);
            let framework = framework.replace("}}", "}");
            assert_eq!(
                Said::read(400, None, framework.as_bytes()).error.message,
                kept
            );
        }
    }

    #[test]
    fn escapes_in_json_are_read() {
        let said = Said::read(
            400,
            None,
            br#"{"error":{"code":"0x80040265","message":"a \"b\"\nc"}}"#,
        );
        assert_eq!(said.error.message, "a \"b\"\nc");
    }

    proptest! {
        #[test]
        fn any_answer_is_classified(status in 300u16..600, body in ".{0,200}") {
            let said = Said::read(status, None, body.as_bytes());
            let json = body.trim_start().starts_with(['{', '[']);
            prop_assert!(json || !said.error.message.is_empty());
            drop(said.cause(None));
        }

        #[test]
        fn any_value_survives_its_markup(value in "[^\u{0}]{0,40}") {
            let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let xml = format!("<DuplicateAttributes><a>{escaped}</a></DuplicateAttributes>");
            let found = duplicates(&xml);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&found[0].1, &value);
        }
    }
}
