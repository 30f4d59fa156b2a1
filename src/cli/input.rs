//! What a command reads: JSON texts one after the other, one text, lines. All bounded.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;

use super::error::{CliError, ErrorCode};
use crate::ibgib::MAX_IBGIB_BYTES;

/// How many bytes a file of data, or a transform's options, may have: one ibGib and some room.
pub const MAX_TEXT_BYTES: usize = MAX_IBGIB_BYTES + (64 << 10);

/// How many bytes a line with an address may have.
const MAX_LINE_BYTES: usize = 64 << 10;

/// JSON texts from a stream, each with the number of the line that it begins on.
///
/// A text ends with the line that closes its last bracket, so that NDJSON and one
/// pretty-printed object both read. Holds one text at a time.
pub struct JsonTexts<R> {
    reader: R,
    line: u64,
    max: usize,
    ended: bool,
}

/// One JSON text and where it began.
pub struct JsonText {
    /// The number of its first line, from 1.
    pub line: u64,
    /// The text; not known to be JSON.
    pub text: String,
}

impl<R: BufRead> JsonTexts<R> {
    /// Texts of at most `max` bytes each.
    pub fn new(reader: R, max: usize) -> JsonTexts<R> {
        JsonTexts { reader, line: 0, max, ended: false }
    }

    fn read(&mut self) -> Result<Option<JsonText>, CliError> {
        let mut bytes = Vec::new();
        let mut scan = Scan::default();
        let mut first = self.line + 1;
        loop {
            let before = bytes.len();
            let room = self.max.saturating_sub(before) as u64 + 1;
            let read = self.reader.by_ref().take(room).read_until(b'\n', &mut bytes);
            let read = read.map_err(|error| CliError::io("cannot read the input", &error))?;
            if read == 0 {
                self.ended = true;
                break;
            }
            if bytes.len() > self.max {
                let message = format!("larger than the limit of {} bytes", self.max);
                return Err(bad_at(first, message));
            }
            self.line += 1;
            if bytes.iter().all(u8::is_ascii_whitespace) {
                bytes.clear();
                first = self.line + 1;
                continue;
            }
            if scan.closed_after(&bytes[before..]) {
                break;
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8(bytes).map_err(|_| bad_at(first, "not UTF-8 text"))?;
        Ok(Some(JsonText { line: first, text }))
    }
}

/// A text that begins on this line and cannot be read.
fn bad_at(line: u64, message: impl Into<String>) -> CliError {
    CliError::new(ErrorCode::BadInput, message).at(at(line)).detail("line", line)
}

impl<R: BufRead> Iterator for JsonTexts<R> {
    type Item = Result<JsonText, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.ended = true;
        }
        read
    }
}

/// Follows brackets and strings, to tell where a JSON text ends.
#[derive(Default)]
struct Scan {
    depth: usize,
}

impl Scan {
    /// Whether the text is over after this line. A string never goes on in the next one: what
    /// is left open is an error, for the parser to name.
    fn closed_after(&mut self, line: &[u8]) -> bool {
        let (mut in_string, mut escaped) = (false, false);
        for byte in line {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => self.depth += 1,
                b'}' | b']' if !in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        in_string || self.depth == 0
    }
}

/// How messages name a line.
pub fn at(line: u64) -> String {
    format!("line {line}")
}

/// JSON texts of at most [`MAX_TEXT_BYTES`] from standard input.
pub fn stdin_texts() -> JsonTexts<io::BufReader<io::Stdin>> {
    JsonTexts::new(io::BufReader::with_capacity(256 << 10, io::stdin()), MAX_TEXT_BYTES)
}

/// All of a file, or of standard input where `path` is `-`; at most [`MAX_TEXT_BYTES`].
pub fn read_text(path: &Path) -> Result<String, CliError> {
    let name = if is_stdin(path) { "standard input".into() } else { path.display().to_string() };
    let cannot = |error: io::Error| CliError::io(format!("cannot read {name}"), &error);
    let mut bytes = Vec::new();
    let limit = MAX_TEXT_BYTES as u64 + 1;
    if is_stdin(path) {
        io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(cannot)?;
    } else {
        File::open(path).map_err(cannot)?.take(limit).read_to_end(&mut bytes).map_err(cannot)?;
    }
    if bytes.len() > MAX_TEXT_BYTES {
        let message = format!("{name} is larger than the limit of {MAX_TEXT_BYTES} bytes");
        return Err(CliError::new(ErrorCode::BadInput, message));
    }
    let not_text = |_| CliError::new(ErrorCode::BadInput, format!("{name} is not UTF-8 text"));
    String::from_utf8(bytes).map_err(not_text)
}

/// Whether a path argument stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The lines of standard input that are not blank, without space around them.
pub fn stdin_lines() -> impl Iterator<Item = Result<String, CliError>> {
    lines(io::stdin().lock())
}

fn lines(mut reader: impl BufRead) -> impl Iterator<Item = Result<String, CliError>> {
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended {
            let line = read_line(&mut reader);
            ended = !matches!(line, Ok(Some(_)));
            match line.transpose()? {
                Ok(line) if line.trim().is_empty() => {}
                line => return Some(line.map(|line| line.trim().to_owned())),
            }
        }
        None
    })
}

fn read_line(reader: &mut impl BufRead) -> Result<Option<String>, CliError> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut bytes);
    if read.map_err(|error| CliError::io("cannot read the input", &error))? == 0 {
        return Ok(None);
    }
    if bytes.len() > MAX_LINE_BYTES {
        let message = format!("a line is longer than {MAX_LINE_BYTES} bytes");
        return Err(CliError::new(ErrorCode::BadInput, message));
    }
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| CliError::new(ErrorCode::BadInput, "a line is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(input: &str) -> Vec<(u64, String)> {
        let texts = JsonTexts::new(input.as_bytes(), 64);
        texts.map(|text| text.unwrap()).map(|t| (t.line, t.text.trim().to_owned())).collect()
    }

    #[test]
    fn one_text_a_line() {
        let read = texts("{\"a\":1}\n\n{\"b\":\"}\"}\n3");
        let expected = [(1, r#"{"a":1}"#), (3, r#"{"b":"}"}"#), (4, "3")];
        assert_eq!(read, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn a_text_may_take_several_lines() {
        let read = texts("{\n \"a\": [\n 1, \"{\\\"\" ]\n}\n[]\n");
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].0, 1);
        assert_eq!(read[1], (5, "[]".to_owned()));
    }

    #[test]
    fn an_open_string_ends_with_its_line() {
        assert_eq!(texts("{\"a\n{}\n").len(), 2);
    }

    #[test]
    fn what_is_left_open_at_the_end_is_still_given() {
        assert_eq!(texts("{\"a\":1\n"), [(1, "{\"a\":1".to_owned())]);
    }

    #[test]
    fn a_text_past_the_limit_is_refused_and_ends_the_reading() {
        let input = format!("{{}}\n{}\n{{}}\n", "9".repeat(65));
        let mut texts = JsonTexts::new(input.as_bytes(), 64);
        assert!(texts.next().unwrap().is_ok());
        let error = texts.next().unwrap().err().unwrap();
        assert_eq!(error.code, ErrorCode::BadInput);
        assert!(error.message.starts_with("line 2: "), "{}", error.message);
        assert!(texts.next().is_none());
    }

    #[test]
    fn lines_are_trimmed_and_bounded() {
        let good: Vec<String> = lines(" a \n\nb".as_bytes()).map(Result::unwrap).collect();
        assert_eq!(good, ["a", "b"]);
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        assert!(lines(long.as_bytes()).next().unwrap().is_err());
    }
}
