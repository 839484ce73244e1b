//! The bytes of a `$batch` body: parts, change sets, and the requests inside.
//!
//! Strict as the service is: line ends are CRLF, also after the last boundary, otherwise the
//! stream is not readable. Lines that end with LF are read only where two line ends follow the last
//! boundary, which is the page's way out for clients that do not write CRLF.
//! Source: Microsoft Learn, "Execute batch operations using the Web API".

use std::collections::HashSet;

use crate::refusal::Refusal;
use crate::request::{Call, Headers};

/// One part of a batch.
pub(crate) enum Part<'a> {
    Single(Inner<'a>),
    ChangeSet(Vec<Inner<'a>>),
}

/// A request inside a batch.
pub(crate) struct Inner<'a> {
    pub(crate) content_id: Option<&'a str>,
    pub(crate) call: Call<'a>,
}

/// Reads a whole batch; nothing is run before it is understood.
pub(crate) fn read<'a>(
    content_type: &str,
    body: &'a [u8],
    most: usize,
) -> Result<Vec<Part<'a>>, Refusal> {
    let boundary = boundary(content_type).ok_or_else(|| {
        refused(&format!(
            "The content type header value '{content_type}' of a batch must be multipart/mixed \
             with a boundary."
        ))
    })?;
    let lines = Lines::of(body, &boundary);
    let mut ids = HashSet::new();
    let mut count = 0;
    let mut parts = Vec::new();
    for bytes in split(body, &boundary, Level::Batch, lines).ok_or_else(unreadable)? {
        let (headers, content) = head(bytes, lines).ok_or_else(unreadable)?;
        let kind = headers.get("Content-Type").unwrap_or_default();
        let part = match self::boundary(kind) {
            Some(inner) => Part::ChangeSet(change_set(content, &inner, lines)?),
            None => Part::Single(inner(&headers, kind, content, lines)?),
        };
        let inners = part.inners();
        count += inners.len();
        if count > most {
            return Err(too_many(most));
        }
        for id in inners.iter().filter_map(|inner| inner.content_id) {
            if !ids.insert(id) {
                return Err(refused(&format!(
                    "The content ID '{id}' was found more than once in the same change set or \
                     same batch request. Content IDs have to be unique across all operations."
                )));
            }
        }
        parts.push(part);
    }
    Ok(parts)
}

impl<'a> Part<'a> {
    pub(crate) fn inners(&self) -> &[Inner<'a>] {
        match self {
            Self::Single(inner) => std::slice::from_ref(inner),
            Self::ChangeSet(inners) => inners,
        }
    }
}

fn refused(inner: &str) -> Refusal {
    Refusal::odata_payload("", inner)
}

fn unreadable() -> Refusal {
    Refusal::payload("", "System.ArgumentException: Stream was not readable.")
}

fn too_many(most: usize) -> Refusal {
    Refusal::new(
        400,
        "0x80048d19",
        format!(
            "The current batch message contains too many parts. Only batch messages with a \
             maximum number of '{most}' query operations, including changeset operations, are \
             allowed."
        ),
    )
}

fn change_set<'a>(
    content: &'a [u8],
    boundary: &str,
    lines: Lines,
) -> Result<Vec<Inner<'a>>, Refusal> {
    let mut inners = Vec::new();
    for bytes in split(content, boundary, Level::ChangeSet, lines).ok_or_else(unreadable)? {
        let (headers, content) = head(bytes, lines).ok_or_else(unreadable)?;
        let kind = headers.get("Content-Type").unwrap_or_default();
        if self::boundary(kind).is_some() {
            return Err(refused("Nested change sets are not supported."));
        }
        let inner = inner(&headers, kind, content, lines)?;
        let method = inner.call.method;
        if !matches!(method, "POST" | "PUT" | "PATCH" | "DELETE") {
            return Err(refused(&format!(
                "An invalid HTTP method '{method}' was detected for a request in a change set. \
                 Requests in change sets only support the HTTP methods 'POST', 'PUT', 'DELETE', \
                 and 'PATCH'."
            )));
        }
        inners.push(inner);
    }
    Ok(inners)
}

/// The request inside a part with these headers.
fn inner<'a>(
    headers: &Headers<'a>,
    kind: &str,
    content: &'a [u8],
    lines: Lines,
) -> Result<Inner<'a>, Refusal> {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/http") {
        return Err(refused(&format!(
            "The content type '{kind}' of a part must be application/http or multipart/mixed."
        )));
    }
    let encoding = headers.get("Content-Transfer-Encoding").unwrap_or_default();
    if !encoding.eq_ignore_ascii_case("binary") {
        return Err(refused(&format!(
            "The message header 'Content-Transfer-Encoding' with value '{encoding}' of a part \
             must be binary."
        )));
    }
    let (line, rest) = lines.first(content).ok_or_else(unreadable)?;
    let line = plain_line(line).ok_or_else(unreadable)?;
    let (method, target) = request_line(line).ok_or_else(|| {
        refused(&format!(
            "The request line '{line}' of a part is invalid; it must have a method, a URI and \
             HTTP/1.1, with one blank between them."
        ))
    })?;
    let (inner_headers, body) = request_head(rest, lines).ok_or_else(unreadable)?;
    Ok(Inner {
        content_id: headers
            .get("Content-ID")
            .or(inner_headers.get("Content-ID")),
        call: Call {
            method,
            target,
            headers: inner_headers,
            body,
        },
    })
}

/// Method and URI. Blanks inside the URI are its own, as Microsoft's client for Python does not
/// encode those of a filter.
fn request_line(line: &str) -> Option<(&str, &str)> {
    let (method, rest) = line.split_once(' ')?;
    let (target, version) = rest.rsplit_once(' ')?;
    let is_bare = |word: &str| !word.is_empty() && word.trim() == word;
    let is_good = version == "HTTP/1.1" && is_bare(method) && is_bare(target);
    is_good.then_some((method, target))
}

/// `batch_A` of `multipart/mixed; boundary="batch_A"`
fn boundary(content_type: &str) -> Option<String> {
    let mut pieces = content_type.split(';').map(str::trim);
    if !pieces.next()?.eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let value = pieces.find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then_some(value.trim())
    })?;
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => value,
    };
    let is_good =
        !value.is_empty() && value.len() <= 200 && value.bytes().all(|b| b.is_ascii_graphic());
    is_good.then(|| value.to_owned())
}

/// Where a multipart ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// With the request's body.
    Batch,
    /// With a part, whose last CRLF belongs to the boundary that follows.
    ChangeSet,
}

/// How lines end outside of bodies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    /// With CRLF, all of them.
    Whole,
    /// With LF, or with CRLF here and there.
    Bare,
}

impl Lines {
    /// The line of the first boundary tells.
    fn of(body: &[u8], boundary: &str) -> Self {
        let start = after_line_ends(body);
        let start = start.strip_prefix(b"--").unwrap_or_default();
        match start.strip_prefix(boundary.as_bytes()) {
            Some([b'\n', ..]) => Self::Bare,
            _ => Self::Whole,
        }
    }

    fn end(self) -> &'static [u8] {
        match self {
            Self::Whole => b"\r\n",
            Self::Bare => b"\n",
        }
    }

    /// The first line without its end, and what follows it.
    fn first(self, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let (line, rest) = bytes.split_at_checked(find(bytes, self.end())?)?;
        let line = match self {
            Self::Whole => line,
            Self::Bare => line.strip_suffix(b"\r").unwrap_or(line),
        };
        Some((line, rest.get(self.end().len()..)?))
    }
}

/// What follows a line end of either kind, if one stands here.
fn after_line_end(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(b"\r\n").or(bytes.strip_prefix(b"\n"))
}

fn after_line_ends(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = after_line_end(bytes) {
        bytes = rest;
    }
    bytes
}

impl Level {
    fn ends(self, after_boundary: &[u8], lines: Lines) -> bool {
        let Some(rest) = after_boundary.strip_prefix(b"--") else {
            return false;
        };
        match (self, lines) {
            (Self::ChangeSet, _) => rest.is_empty() || rest.starts_with(lines.end()),
            (Self::Batch, Lines::Whole) => rest.starts_with(lines.end()),
            (Self::Batch, Lines::Bare) => after_line_end(rest).and_then(after_line_end).is_some(),
        }
    }
}

/// The bytes between boundaries; `None` unless every boundary line, the last too, ends as it must.
fn split<'a>(body: &'a [u8], boundary: &str, level: Level, lines: Lines) -> Option<Vec<&'a [u8]>> {
    let dashes = format!("--{boundary}");
    let delimiter = [lines.end(), dashes.as_bytes()].concat();
    let mut rest = after_line_ends(body).strip_prefix(dashes.as_bytes())?;
    let mut parts = Vec::new();
    loop {
        if level.ends(rest, lines) {
            return Some(parts);
        }
        let content = rest.strip_prefix(lines.end())?;
        // The blank line before a boundary may be the one after the part's headers.
        let end = delimiter_in(rest, &delimiter, level, lines)?;
        let part = content.get(..end.saturating_sub(lines.end().len()));
        parts.push(part.unwrap_or_default());
        rest = rest.get(end + delimiter.len()..)?;
    }
}

/// A delimiter counts only if its line ends behind it, so that a longer boundary is not taken for
/// a shorter one.
fn delimiter_in(bytes: &[u8], delimiter: &[u8], level: Level, lines: Lines) -> Option<usize> {
    let mut from = 0;
    loop {
        let place = from + find(bytes.get(from..)?, delimiter)?;
        let after = bytes.get(place + delimiter.len()..)?;
        if after.starts_with(lines.end()) || level.ends(after, lines) {
            return Some(place);
        }
        from = place + 1;
    }
}

/// Headers of a request and its body. Without a body its blank line may be the one that belongs to
/// the boundary: so do Microsoft's own client for Python and others end their reads and deletes.
fn request_head(bytes: &[u8], lines: Lines) -> Option<(Headers<'_>, &[u8])> {
    head_until(bytes, lines, <[u8]>::is_empty)
}

/// Headers up to the blank line, and what follows it.
fn head(bytes: &[u8], lines: Lines) -> Option<(Headers<'_>, &[u8])> {
    head_until(bytes, lines, |_| false)
}

fn head_until(
    bytes: &[u8],
    lines: Lines,
    may_end: fn(&[u8]) -> bool,
) -> Option<(Headers<'_>, &[u8])> {
    let mut headers = Vec::new();
    let mut rest = bytes;
    loop {
        if may_end(rest) {
            return Some((Headers(headers), rest));
        }
        let (line, after) = lines.first(rest)?;
        rest = after;
        if line.is_empty() {
            return Some((Headers(headers), rest));
        }
        let (name, value) = plain_line(line)?.split_once(':')?;
        headers.push((name, value.trim()));
    }
}

/// A line of a head: text without control characters.
fn plain_line(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?;
    (!line.contains(|c: char| c.is_control() && c != '\t')).then_some(line)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, _) = wanted.split_first()?;
    let mut from = 0;
    loop {
        let place = from + bytes.get(from..)?.iter().position(|byte| byte == first)?;
        if bytes.get(place..)?.starts_with(wanted) {
            return Some(place);
        }
        from = place + 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
                       GET /api/data/v9.2/WhoAmI HTTP/1.1\r\n\r\n";

    fn read_all(body: &str) -> Result<usize, Refusal> {
        read("multipart/mixed; boundary=b", body.as_bytes(), 3).map(|parts| parts.len())
    }

    #[test]
    fn line_ends_are_crlf_to_the_last() {
        let good = format!("--b\r\n{GET}\r\n--b--\r\n");
        assert_eq!(read_all(&good), Ok(1));
        assert_eq!(read_all(&good.replace("\r\n", "\n")), Err(unreadable()));
        assert_eq!(read_all(good.trim_end()), Err(unreadable()));
        let bare = good.replace("\r\n", "\n");
        assert_eq!(read_all(&format!("{bare}\n")), Ok(1));
        assert_eq!(read_all(&bare.replace("--b--\n", "--b--\r\n\r\n")), Ok(1));
        assert_eq!(
            read_all(&bare.replace("--b--\n", "--b--\r\n")),
            Err(unreadable())
        );
        assert_eq!(
            read_all(&good.replacen("Encoding: binary\r\n", "Encoding: binary\n", 1)),
            Err(unreadable())
        );
    }

    #[test]
    fn a_request_without_body_needs_a_blank_line() {
        let get = GET.strip_suffix("\r\n").unwrap();
        for head in [get, &format!("{get}Accept: application/json\r\n")] {
            assert_eq!(read_all(&format!("--b\r\n{head}\r\n--b--\r\n")), Ok(1));
            let cut = format!("--b\r\n{}\r\n--b--\r\n", head.trim_end());
            assert_eq!(read_all(&cut), Err(unreadable()));
        }
    }

    #[test]
    fn a_boundary_counts_only_at_a_line_of_its_own() {
        let part = GET.replace("GET", "POST") + "{\"a\":\"x --b\\r\\n--bb\r\n--bc\"}";
        let body = format!("--b\r\n{part}\r\n--b--\r\n");
        let parts = read("multipart/mixed; boundary=\"b\"", body.as_bytes(), 3).unwrap();
        let [Part::Single(inner)] = parts.as_slice() else {
            panic!()
        };
        assert_eq!(inner.call.body, b"{\"a\":\"x --b\\r\\n--bb\r\n--bc\"}");
    }

    #[test]
    fn too_many_parts_are_refused() {
        let body = format!("--b\r\n{GET}\r\n").repeat(4) + "--b--\r\n";
        assert_eq!(read_all(&body), Err(too_many(3)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(pieces in prop::collection::vec(
            prop_oneof![Just("--b"), Just("--b--"), Just("\r\n"), Just("\n"), Just(GET),
                Just("Content-Type: multipart/mixed; boundary=c\r\n\r\n"), Just("--c"), Just("--"),
                Just(" "), Just(":"), Just("\u{e9}")], 0..20))
        {
            let _parts = read_all(&pieces.concat());
        }
    }
}
