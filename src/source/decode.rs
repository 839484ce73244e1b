//! Text in the encodings of the WHATWG Encoding Standard.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Never part of UTF-8: stands for what could not be decoded, so that its cell is found to be undecodable.
const UNDECODABLE: u8 = 0xFF;

/// Whether the bytes of delimiters, quotes and line ends can only mean themselves.
///
/// Where they cannot (UTF-16, and multi-byte encodings whose second byte may be `|` or a backslash), the
/// file has to be decoded before it is parsed.
pub(super) fn parses_undecoded(encoding: &'static Encoding) -> bool {
    encoding == UTF_8 || encoding.is_single_byte()
}

/// Whether cells are still in their own encoding when the file has been parsed.
pub(super) fn decodes_by_cell(encoding: &'static Encoding) -> bool {
    parses_undecoded(encoding) && encoding != UTF_8
}

/// The text of one cell, or `None` if its bytes are invalid.
pub(super) fn cell<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    if decodes_by_cell(encoding) {
        return encoding.decode_without_bom_handling_and_without_replacement(bytes);
    }
    std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
}

/// Text in the encoding of that name, as an extract has it; UTF-8 where there is no such name or no way to write it.
pub fn encode(text: &str, label: &str) -> Vec<u8> {
    let encoding = Encoding::for_label_no_replacement(label.as_bytes()).unwrap_or(UTF_8);
    if encoding == UTF_16LE || encoding == UTF_16BE {
        // With its mark, which is what tells the two apart.
        let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
        return if encoding == UTF_16LE {
            units.flat_map(u16::to_le_bytes).collect()
        } else {
            units.flat_map(u16::to_be_bytes).collect()
        };
    }
    encoding.encode(text).0.into_owned()
}

/// Gives the UTF-8 of a file in another encoding.
pub(super) struct Decoding<R> {
    inner: R,
    decoder: Decoder,
    ready: Vec<u8>,
    given: usize,
    finished: bool,
}

impl<R: BufRead> Decoding<R> {
    pub(super) fn new(inner: R, encoding: &'static Encoding) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_without_bom_handling(),
            ready: Vec::new(),
            given: 0,
            finished: false,
        }
    }

    fn decode_more(&mut self) -> io::Result<()> {
        self.given = 0;
        let bytes = self.inner.fill_buf()?;
        let last = bytes.is_empty();
        self.ready.resize(8192, 0);
        let (result, read, written) =
            self.decoder
                .decode_to_utf8_without_replacement(bytes, &mut self.ready, last);
        self.inner.consume(read);
        self.ready.truncate(written);
        match result {
            DecoderResult::Malformed(_, _) => self.ready.push(UNDECODABLE),
            DecoderResult::InputEmpty => self.finished = last,
            DecoderResult::OutputFull => {}
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() && !self.finished {
            self.decode_more()?;
        }
        let length = self
            .ready
            .get(self.given..)
            .unwrap_or_default()
            .read(buffer)?;
        self.given += length;
        Ok(length)
    }
}
