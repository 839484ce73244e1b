//! Takes the answer to a `$batch` apart: multipart within multipart, down to the inner responses, in order.
//!
//! Source: Microsoft Learn, "Execute batch operations using the Web API".

use memchr::memchr;
use memchr::memmem::{self, Finder};

/// One inner response. `None` in its place means a part that holds no HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) status: u16,
    /// Its headers, as they came.
    headers: &'a [u8],
    pub(super) body: &'a [u8],
}

impl<'a> Part<'a> {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// `Retry-After` of the inner head.
    pub(super) fn retry_after(&self) -> Option<&'a str> {
        std::str::from_utf8(header(self.headers, "Retry-After")?).ok()
    }
}

/// Bytes of most parts with their heads; where they have less, the room for them grows.
const LIKELY_PART: usize = 512;

/// A change set stands within a batch and nothing within a change set; deeper nesting is not followed.
const DEEPEST: u8 = 3;

/// The parts of a multipart body, or `None` if the content type names no boundary.
///
/// A part counts once the boundary after it has been read: of a body that was cut short only whole parts count.
/// Boundaries stand at the beginning of a line only, since the text of a body may look like one.
pub(super) fn parts<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Option<Part<'a>>>> {
    let boundary = boundary(content_type)?;
    let mut collected = Collected {
        parts: Vec::with_capacity(body.len() / LIKELY_PART),
        inner: Last::default(),
        status: Last::default(),
        blank_line: BlankLine::default(),
    };
    collected.read(boundary, body, 0);
    Some(collected.parts)
}

/// What was read of a body.
struct Collected<'a> {
    parts: Vec<Option<Part<'a>>>,
    /// By its head: the boundary of a part that is a multipart itself.
    inner: Last<'a, Option<&'a str>>,
    /// By its first line: the status of a response.
    status: Last<'a, Option<u16>>,
    blank_line: BlankLine,
}

impl<'a> Collected<'a> {
    fn read(&mut self, boundary: &str, body: &'a [u8], depth: u8) {
        for content in contents(boundary, body) {
            let (inner, rest) = self.inner.read(
                content,
                |text| self.blank_line.split(text),
                |head| header(head, "Content-Type").and_then(boundary_of_multipart),
            );
            match inner {
                Some(inner) if depth < DEEPEST => self.read(inner, rest, depth + 1),
                _ => {
                    let response = self.response(rest);
                    self.parts.push(response);
                }
            }
        }
    }

    /// `HTTP/1.1 204 No Content`, headers, a blank line, the body.
    fn response(&mut self, text: &'a [u8]) -> Option<Part<'a>> {
        let text = text.trim_ascii_start();
        let (status, rest) = self.status.read(text, first_line, status);
        let (headers, body) = self.blank_line.split(rest);
        Some(Part {
            status: status?,
            headers,
            body: body.trim_ascii(),
        })
    }
}

/// A head or a line that was read last, with all that ends it, and what it says: most parts begin like the one before.
struct Last<'a, T> {
    text: &'a [u8],
    says: Option<T>,
}

impl<T> Default for Last<'_, T> {
    fn default() -> Self {
        Self {
            text: &[],
            says: None,
        }
    }
}

impl<'a, T: Copy> Last<'a, T> {
    /// What the beginning of a text says, and what follows it; `split` tells the two apart.
    fn read(
        &mut self,
        text: &'a [u8],
        split: impl FnOnce(&'a [u8]) -> (&'a [u8], &'a [u8]),
        says: impl FnOnce(&'a [u8]) -> T,
    ) -> (T, &'a [u8]) {
        if let Some(says) = self.says
            && let Some(rest) = text.strip_prefix(self.text)
        {
            return (says, rest);
        }
        let (head, rest) = split(text);
        let says = says(head);
        let whole = text.get(..text.len() - rest.len()).unwrap_or_default();
        // Without its end it might go on.
        if whole.len() > head.len() {
            self.text = whole;
            self.says = Some(says);
        }
        (says, rest)
    }
}

/// The value of `boundary` of a multipart content type.
fn boundary(content_type: &str) -> Option<&str> {
    boundary_of_multipart(content_type.as_bytes())
}

fn boundary_of_multipart(content_type: &[u8]) -> Option<&str> {
    let (kind, _) = content_type.split_at_checked("multipart/".len())?;
    if !kind.eq_ignore_ascii_case(b"multipart/") {
        return None;
    }
    let text = std::str::from_utf8(content_type).ok()?;
    text.split(';').skip(1).find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && !value.is_empty()).then_some(value)
    })
}

/// What stands between the boundary lines, the line end before each boundary left out.
fn contents<'a>(boundary: &str, body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut first = body.starts_with(b"--").then_some(0);
    let mut line_ends = memmem::find_iter(body, b"\n--");
    let mut begin = None;
    let mut last = Mark::Between;
    std::iter::from_fn(move || {
        while last == Mark::Between {
            let at = first.take().or_else(|| Some(line_ends.next()? + 1))?;
            let Some((mark, length)) = body.get(at..).and_then(|line| mark(line, boundary)) else {
                continue;
            };
            last = mark;
            let before = begin.replace(at + length);
            if let Some(content) = before.and_then(|begin| body.get(begin..at)) {
                return Some(without_line_end(content));
            }
        }
        None
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Between,
    Last,
}

/// What a line that begins so is, if it is a boundary, and its length.
fn mark(text: &[u8], boundary: &str) -> Option<(Mark, usize)> {
    let rest = text.strip_prefix(b"--")?;
    let rest = rest.strip_prefix(boundary.as_bytes())?;
    if rest.starts_with(b"\r\n") {
        return Some((Mark::Between, text.len() - rest.len() + 2));
    }
    let length = line_length(rest);
    let line = rest.get(..length)?;
    let mark = match line.trim_ascii_end() {
        // Where a body was cut, the line might go on.
        b"" if line.ends_with(b"\n") => Mark::Between,
        b"--" => Mark::Last,
        _ => return None,
    };
    Some((mark, text.len() - rest.len() + length))
}

/// The length of the first line, its line feed included.
fn line_length(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}

/// The length of the first header with the lines on which it goes on, which begin with a blank.
fn field_length(head: &[u8]) -> usize {
    let mut length = line_length(head);
    while let Some(rest @ [b' ' | b'\t', ..]) = head.get(length..) {
        length += line_length(rest);
    }
    length
}

fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// Looks for the first blank line, whether its lines end as they should or with line feeds alone.
struct BlankLine {
    rightly_ended: Finder<'static>,
    ended_by_feeds: Finder<'static>,
}

impl Default for BlankLine {
    fn default() -> Self {
        Self {
            rightly_ended: Finder::new(b"\n\r\n"),
            ended_by_feeds: Finder::new(b"\n\n"),
        }
    }
}

impl BlankLine {
    /// Head and rest, cut at the first blank line.
    fn split<'a>(&self, text: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        if let [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] = text {
            return (&[], rest);
        }
        let found = self.rightly_ended.find(text);
        let before = found.and_then(|at| text.get(..=at)).unwrap_or(text);
        let (end, length) = match self.ended_by_feeds.find(before) {
            Some(at) => (at + 1, 1),
            None => (before.len(), 2),
        };
        let head = text.get(..end).unwrap_or_default();
        (head, text.get(end + length..).unwrap_or_default())
    }
}

/// The value of a header, with the lines on which it goes on.
fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = head;
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(field_length(rest))?;
        rest = after;
        let named = line.trim_ascii_start().split_at_checked(name.len());
        let name = name.as_bytes();
        let value = named
            .filter(|(key, _)| *key == name || key.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.trim_ascii_start().strip_prefix(b":"));
        if let Some(value) = value {
            return Some(value.trim_ascii());
        }
    }
    None
}

/// The first line without its line feed, and what follows it.
fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = text.split_at(line_length(text));
    (line.strip_suffix(b"\n").unwrap_or(line), rest)
}

/// What the first line of a response says.
fn status(line: &[u8]) -> Option<u16> {
    let words = line.split(u8::is_ascii_whitespace);
    let mut words = words.filter(|word| !word.is_empty());
    if !words.next()?.starts_with(b"HTTP/") {
        return None;
    }
    std::str::from_utf8(words.next()?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPTURED: &str = "--batchresponse_f27ef42d\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\nLocation: https://o/api/data/v9.2/contacts(new_extid='1')\r\nOData-EntityId: https://o/api/data/v9.2/contacts(new_extid='1')\r\n\r\n\r\n--batchresponse_f27ef42d\r\nContent-Type: multipart/mixed; boundary=changesetresponse_64cc3fff\r\n\r\n--changesetresponse_64cc3fff\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\nHTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n\r\n--changesetresponse_64cc3fff\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 2\r\n\r\nHTTP/1.1 412 Precondition Failed\r\nRetry-After: 7\r\nContent-Type: application/json\r\n\r\n{\"error\":{}}\r\n--changesetresponse_64cc3fff--\r\n--batchresponse_f27ef42d\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json; odata.metadata=minimal\r\nOData-Version: 4.0\r\n\r\n{\"a\":\"x\"}\r\n--batchresponse_f27ef42d--\r\n";
    const TYPE: &str = "multipart/mixed; boundary=batchresponse_f27ef42d";

    fn statuses(content_type: &str, body: &str) -> Vec<u16> {
        parts(content_type, body.as_bytes())
            .unwrap()
            .iter()
            .map(|part| part.as_ref().map_or(0, |part| part.status))
            .collect()
    }

    #[test]
    fn a_change_set_is_flattened_into_its_place() {
        let parts = parts(TYPE, CAPTURED.as_bytes()).unwrap();
        let parts: Vec<_> = parts.into_iter().map(Option::unwrap).collect();
        assert_eq!(parts.len(), 4);
        assert_eq!(parts[0].body, b"");
        assert_eq!((parts[2].status, parts[2].retry_after()), (412, Some("7")));
        assert_eq!(parts[3].body, b"{\"a\":\"x\"}");
    }

    #[test]
    fn line_feeds_alone_are_accepted() {
        assert_eq!(
            statuses(TYPE, &CAPTURED.replace("\r\n", "\n")),
            [204, 204, 412, 200]
        );
    }

    #[test]
    fn the_boundary_may_be_quoted() {
        assert_eq!(
            statuses(
                "Multipart/Mixed; charset=x; Boundary=\"batchresponse_f27ef42d\"",
                CAPTURED
            )
            .len(),
            4
        );
        assert_eq!(parts("application/json", b"{}"), None);
        assert_eq!(parts("multipart/mixed", b""), None);
        assert_eq!(parts("multipart/mixed; boundary=", b""), None);
        assert_eq!(parts("", b""), None);
    }

    #[test]
    fn a_header_may_go_on_on_the_next_line() {
        for between in ["\r\n ", "\r\n\t", "\n ", " \r\n  "] {
            let body = CAPTURED.replace("multipart/mixed; ", &format!("multipart/mixed;{between}"));
            let body = body.replace("Retry-After: ", &format!("Retry-After:{between}"));
            let read = parts(TYPE, body.as_bytes()).unwrap();
            let whole = parts(TYPE, CAPTURED.as_bytes()).unwrap();
            assert_eq!(read.len(), whole.len(), "{between:?}");
            let refused = read[2].as_ref().unwrap();
            assert_eq!((refused.status, refused.retry_after()), (412, Some("7")));
        }
    }

    #[test]
    fn of_a_cut_body_only_whole_parts_count() {
        let mut last = 0;
        for length in 0..CAPTURED.len() {
            let count = parts(TYPE, &CAPTURED.as_bytes()[..length]).unwrap().len();
            assert!(count >= last && count <= 4);
            last = count;
        }
        // Without its last boundary the last part might go on.
        let cut = CAPTURED
            .strip_suffix("--batchresponse_f27ef42d--\r\n")
            .unwrap();
        assert_eq!(statuses(TYPE, cut), [204, 204, 412]);
    }

    #[test]
    fn text_that_looks_like_a_boundary_is_text() {
        let body = "--b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{\"a\":\"--b\",\r\n --b\r\n--bc\r\n\"x\":1}\r\n--b--\r\n--b\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--b--";
        let parts = parts("multipart/mixed; boundary=b", body.as_bytes()).unwrap();
        assert_eq!(parts.len(), 1);
        assert_eq!(
            parts[0].as_ref().unwrap().body,
            b"{\"a\":\"--b\",\r\n --b\r\n--bc\r\n\"x\":1}"
        );
    }

    #[test]
    fn a_part_without_a_response_keeps_its_place() {
        let body = "preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n\r\nHTTP/1.1 x\r\n\r\n--b\r\n\r\n--b\r\n\r\nHTTP/1.1 204\r\n\r\n--b--";
        assert_eq!(
            statuses("multipart/mixed; boundary=b", body),
            [0, 0, 0, 204]
        );
    }

    #[test]
    fn nesting_without_end_ends() {
        let mut body = String::new();
        for _ in 0..10_000 {
            body.push_str("--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
        }
        body.push_str("--b--");
        assert!(parts("multipart/mixed; boundary=b", body.as_bytes()).is_some());
    }

    /// The contents as a reader finds them who looks at one line after another.
    fn contents_line_by_line<'a>(boundary: &str, body: &'a [u8]) -> Vec<&'a [u8]> {
        let (mut contents, mut begin, mut at) = (Vec::new(), None, 0);
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            let rest = line.strip_prefix(format!("--{boundary}").as_bytes());
            let words = rest.map(<[u8]>::trim_ascii_end);
            let is_between = words == Some(b"") && line.ends_with(b"\n");
            if is_between || words == Some(b"--") {
                contents.extend(begin.map(|begin| without_line_end(&body[begin..at])));
                begin = Some(at + line.len());
            }
            at += line.len();
            if words == Some(b"--") {
                break;
            }
        }
        contents
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parts("multipart/mixed; boundary=b", &body).is_some());
        }

        #[test]
        fn any_arrangement_of_pieces_can_be_read(pieces in proptest::collection::vec(
            prop_oneof![
                Just("--b\r\n"), Just("--b--"), Just("--c\n"), Just("\r\n"), Just("HTTP/1.1 200\r\n"),
                Just("Content-Type: multipart/mixed; boundary=c\r\n"), Just("x"), Just(":"), Just("\n"),
            ],
            0..40,
        )) {
            let body = pieces.concat();
            prop_assert!(parts("multipart/mixed; boundary=b", body.as_bytes()).is_some());
        }

        #[test]
        fn each_part_is_read_as_if_it_stood_alone(pieces in proptest::collection::vec(
            prop_oneof![
                Just("--b\r\n"), Just("--b\r\n"), Just("--c\n"), Just("--c--\n"), Just("\r\n"), Just("\n"),
                Just("HTTP/1.1 200\r\n"), Just("HTTP/1.1 404 Not Found\r\n"), Just("HTTP/1.1\n"), Just("Retry-After: 7\r\n"),
                Just("Content-Type: multipart/mixed; boundary=c\r\n"), Just("Content-Type: application/http\n"), Just("{}"),
            ],
            0..60,
        )) {
            let body = format!("{}\r\n--b--", pieces.concat());
            let alone: Vec<Vec<u8>> = contents("b", body.as_bytes())
                .map(|content| [b"--b\r\n", content, b"\r\n--b--"].concat())
                .collect();
            let alone = alone.iter().flat_map(|body| parts("multipart/mixed; boundary=b", body).unwrap());
            let together = parts("multipart/mixed; boundary=b", body.as_bytes()).unwrap();
            prop_assert_eq!(together, alone.collect::<Vec<_>>());
        }

        #[test]
        fn boundaries_are_found_as_one_line_after_another_tells(pieces in proptest::collection::vec(
            prop_oneof![
                Just("--b"), Just("--b\r\n"), Just("--b--"), Just("--bb"), Just("-"), Just("b"), Just("\r"), Just("\n"),
                Just(" "), Just("x\n"),
            ],
            0..30,
        ), boundary in "b|b-|bb|-") {
            let body = pieces.concat();
            let body = body.as_bytes();
            let contents: Vec<&[u8]> = contents(&boundary, body).collect();
            prop_assert_eq!(contents, contents_line_by_line(&boundary, body));
        }
    }
}
