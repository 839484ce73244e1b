//! Columns that hold files: uploads in one piece and in several, downloads, ranges.
//!
//! Source: Microsoft Learn, "Use file column data", "Upload files", "Download files".

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use uuid::Uuid;

use crate::context::Context;
use crate::engine::{Engine, Upload, Written};
use crate::model::Layout;
use crate::refusal::Refusal;
use crate::render::{plain, push_text};
use crate::request::{Call, Response, decoded};
use crate::schema::ColumnKind;
use crate::table::value::{Cells, Column, Value};
use crate::write::draft::Draft;

/// The longest piece, as the service asks for.
const PIECE: usize = 4 << 20;

/// A column of a row that holds a file.
pub(crate) struct FileColumn<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) layout: &'a Layout,
    pub(crate) id: Uuid,
    pub(crate) column: Column,
    /// Still encoded.
    pub(crate) query: &'a str,
}

impl FileColumn<'_> {
    /// Serves the request; `rest` stands behind the column.
    pub(crate) fn serve(
        &self,
        engine: &mut Engine,
        call: &Call<'_>,
        rest: &str,
    ) -> Result<Response, Refusal> {
        let is_begun = call.headers.get("x-ms-transfer-mode") == Some("chunked");
        match (rest, call.method) {
            ("", "PATCH" | "PUT") => match self.option("sessiontoken") {
                Some(token) => self.go_on(engine, call, &token),
                None if is_begun => self.begin(engine, call),
                None => {
                    self.check_size(call.body.len())?;
                    let name = self.name(call)?;
                    self.take(engine, Bytes::copy_from_slice(call.body), name)
                }
            },
            ("", "DELETE") => self.hold(engine, None),
            ("$value", "GET") => self.download(engine, call),
            ("", "GET") => Ok(self.encoded(engine, call)),
            _ => Err(Refusal::wrong_method(call.method)),
        }
    }

    fn option(&self, wanted: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|it| it.split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == wanted)?;
        decoded(value).map(Cow::into_owned)
    }

    fn name(&self, call: &Call<'_>) -> Result<String, Refusal> {
        let header = call.headers.get("x-ms-file-name");
        let header = header.and_then(decoded);
        let name = header.map(Cow::into_owned);
        let name = name.or_else(|| self.option("x-ms-file-name"));
        let fits = |name: &String| !name.is_empty() && name.encode_utf16().count() <= 255;
        name.filter(fits).ok_or_else(|| {
            let message = "The file name is missing or too long: send x-ms-file-name.";
            Refusal::new(400, "0x80040203", message)
        })
    }

    fn check_size(&self, size: usize) -> Result<(), Refusal> {
        let kind = self.layout.column(self.column).map(|def| &def.kind);
        let most = match kind {
            Some(ColumnKind::File { max_kilobytes }) => max_kilobytes.saturating_mul(1024),
            _ => 0,
        };
        if size <= most {
            return Ok(());
        }
        let message = format!("The file is larger than {most} bytes, the most that fits.");
        Err(Refusal::new(413, "0x8004418a", message))
    }

    /// A whole file; what the row does not take is not kept.
    fn take(&self, engine: &mut Engine, content: Bytes, name: String) -> Result<Response, Refusal> {
        let file = engine.attached.add(content);
        let held = self.hold(engine, Some((file, name)));
        if held.is_err() {
            engine.attached.remove(file);
        }
        held
    }

    /// Writes to the row which file it holds.
    fn hold(&self, engine: &mut Engine, file: Option<(Uuid, String)>) -> Result<Response, Refusal> {
        let layout = self.layout;
        let (id, name) = file.unzip();
        let id = id.map(Value::Guid);
        let mut written: Written = vec![(self.column, id)];
        let names = layout.special.files.iter();
        for (_, column) in names.filter(|(column, _)| *column == self.column) {
            let name = name.clone().map(|name| Value::Text(name.into()));
            written.push((*column, name));
        }
        let Some(row) = engine.row(layout, self.id) else {
            return Err(Refusal::no_such_row(&layout.def.logical_name, self.id));
        };
        let mut draft = Draft(row.cells.unpacked());
        self.context
            .admit_update(layout, &written, |column| draft.get(column))?;
        draft.take(&written);
        draft.compute(engine, self.context, layout);
        engine.update(layout, self.id, Cells::pack(&draft.0), written)?;
        Ok(Response::odata(204))
    }

    fn begin(&self, engine: &mut Engine, call: &Call<'_>) -> Result<Response, Refusal> {
        let upload = Upload {
            table: self.layout.number,
            row: self.id,
            column: self.column,
            name: self.name(call)?,
        };
        let token = engine.attached.begin(upload);
        let (base, set) = (self.context.base(), &self.layout.def.entity_set);
        let column = self.layout.column_name(self.column);
        let address = format!("{base}/{set}({})/{column}?sessiontoken={token}", self.id);
        let response = Response::odata(200).header("Location", address);
        Ok(response
            .header("x-ms-chunk-size", PIECE.to_string())
            .header("Accept-Ranges", "bytes".to_owned()))
    }

    fn go_on(
        &self,
        engine: &mut Engine,
        call: &Call<'_>,
        token: &str,
    ) -> Result<Response, Refusal> {
        let token = Uuid::try_parse(token).unwrap_or_default();
        let unfit = |message: &str| Refusal::new(400, "0x80040203", message);
        let session = engine.attached.session(token);
        let session = session.filter(|it| {
            let upload = &it.upload;
            upload.row == self.id
                && upload.column == self.column
                && upload.table == self.layout.number
        });
        let session = session.ok_or_else(|| unfit("There is no such upload."))?;
        let range = call.headers.get("Content-Range").and_then(content_range);
        let (first, last, total) =
            range.ok_or_else(|| unfit("A piece needs a header Content-Range."))?;
        self.check_size(total)?;
        let follows = first == session.bytes.len()
            && last.checked_sub(first) == call.body.len().checked_sub(1)
            && last < total
            && call.body.len() <= PIECE;
        if !follows {
            return Err(unfit("The piece does not follow the one before it."));
        }
        session.bytes.extend_from_slice(call.body);
        if session.bytes.len() < total {
            engine.attached.bound_sessions();
            return Ok(Response::odata(206));
        }
        let session = engine.attached.end(token);
        let session = session.ok_or_else(|| unfit("There is no such upload."))?;
        self.take(engine, session.bytes.into(), session.upload.name)
    }

    /// The file with its name, if the row holds one.
    fn held<'e>(&self, engine: &'e Engine) -> Option<(&'e Bytes, String)> {
        let row = engine.row(self.layout, self.id)?;
        let Some(Value::Guid(file)) = row.cells.get(self.column) else {
            return None;
        };
        let mut files = self.layout.special.files.iter();
        let (_, name) = files.find(|(column, _)| *column == self.column)?;
        let name = row.cells.get(*name).map(|name| plain(&name));
        Some((engine.attached.get(file)?, name.unwrap_or_default()))
    }

    fn download(&self, engine: &Engine, call: &Call<'_>) -> Result<Response, Refusal> {
        let Some((content, name)) = self.held(engine) else {
            let column = self.layout.column_name(self.column);
            let message = format!(
                "No file attachment found for attribute: {column} EntityId: {}.",
                self.id
            );
            return Err(Refusal::new(404, "0x80040217", message));
        };
        let range = call
            .headers
            .get("Range")
            .and_then(|it| range(it, content.len()));
        let mut response = part(content, range, Bytes::clone);
        response
            .headers
            .push(("Content-Type", "application/octet-stream".to_owned()));
        response.headers.extend(described(&name, content.len()));
        Ok(response)
    }

    /// The file in JSON, or a range of it; clients ask for the next where this one leads.
    fn encoded(&self, engine: &Engine, call: &Call<'_>) -> Response {
        let Some((content, name)) = self.held(engine) else {
            return Response::odata(204);
        };
        let (base, set) = (self.context.base(), &self.layout.def.entity_set);
        let column = self.layout.column_name(self.column);
        let shape = format!("{base}/$metadata#{set}({})/{column}", self.id);
        let address = format!("{base}/{set}({})/{column}", self.id);
        let range = call
            .headers
            .get("Range")
            .and_then(|it| range(it, content.len()));
        let mut response = part(content, range, |bytes| {
            let mut body = String::from("{\"@odata.context\":");
            push_text(&mut body, &shape);
            body.push_str(",\"value\":");
            push_text(&mut body, &BASE64.encode(bytes));
            body.push('}');
            body.into()
        });
        let kind = "application/json; odata.metadata=minimal".to_owned();
        response.headers.push(("Content-Type", kind));
        response.headers.push(("Location", address));
        response.headers.extend(described(&name, content.len()));
        response
    }
}

/// The whole of a file, or a range of it, as `shown` writes it.
fn part(
    content: &Bytes,
    range: Option<(usize, usize)>,
    shown: impl Fn(&Bytes) -> Bytes,
) -> Response {
    let size = content.len();
    let Some((first, last)) = range else {
        let mut whole = Response::odata(200);
        whole.body = shown(content);
        return whole;
    };
    let mut part = Response::odata(206);
    part.body = shown(&content.slice(first..=last));
    part.header("Content-Range", format!("bytes {first}-{last}/{size}"))
}

/// What is told of a file beside its bytes.
fn described(name: &str, size: usize) -> [(&'static str, String); 4] {
    let safe = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let safe = safe.to_string();
    let safe = safe
        .replace("%2E", ".")
        .replace("%2D", "-")
        .replace("%5F", "_");
    [
        (
            "Content-Disposition",
            format!("attachment; filename=\"{safe}\""),
        ),
        ("Accept-Ranges", "bytes".to_owned()),
        ("x-ms-file-name", safe),
        ("x-ms-file-size", size.to_string()),
    ]
}

/// `bytes 0-99/200`
fn content_range(text: &str) -> Option<(usize, usize, usize)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, total.parse().ok()?))
}

/// `bytes=0-99`, as far as there are so many; `None` for what is no such range.
fn range(text: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let end = size.checked_sub(1)?;
    let last = last.parse().unwrap_or(end).min(end);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_with_the_file() {
        assert_eq!(range("bytes=0-99", 5), Some((0, 4)));
        assert_eq!(range("bytes=2-", 5), Some((2, 4)));
        for none in ["bytes=5-9", "bytes=3-2", "0-1", "bytes=a-b"] {
            assert_eq!(range(none, 5), None, "{none}");
        }
        assert_eq!(range("bytes=0-0", 0), None);
        assert_eq!(content_range("bytes 0-3/9"), Some((0, 3, 9)));
    }
}
