//! What a command prints: lines for people, or one JSON object for scripts.
//!
//! A command's result goes to standard output, everything else to standard error. Whoever reads
//! standard output may stop at any time (`| head -1`): the command then ends quietly.

use std::fmt::{self, Display, Write as _};
use std::io::{self, BufWriter, IsTerminal, Write};

use serde_json::{Map, Value, json};

use super::error::{CliError, ErrorCode};
use crate::ibgib::json::stringify;

/// Where a command prints to, and how.
pub struct Output {
    out: BufWriter<Box<dyn Write>>,
    command: String,
    json: bool,
    quiet: bool,
    list: List,
}

/// How far a list inside the JSON object has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    None,
    Empty,
    Begun,
}

impl Output {
    /// Output of `command` to standard output; `json`: one JSON object instead of lines, `quiet`:
    /// no notes.
    pub fn new(command: &str, json: bool, quiet: bool) -> Output {
        Output::to(Box::new(io::stdout().lock()), command, json, quiet)
    }

    fn to(out: Box<dyn Write>, command: &str, json: bool, quiet: bool) -> Output {
        let out = BufWriter::with_capacity(64 << 10, out);
        Output { out, command: command.to_owned(), json, quiet, list: List::None }
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// From here on, prints one JSON object as with `--json`.
    pub fn use_json(&mut self) {
        self.json = true;
    }

    /// Whether progress may be shown: standard error is a terminal and nobody asked for silence.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }

    /// Prints a line for people; nothing with `--json`.
    pub fn line(&mut self, line: impl Display) -> Result<(), CliError> {
        if self.json { Ok(()) } else { self.write(format_args!("{line}\n")) }
    }

    /// Prints a word on the way to standard error; nothing with `--quiet` or `--json`.
    pub fn note(&self, note: impl Display) {
        if !self.quiet && !self.json {
            let _ = writeln!(io::stderr(), "{note}");
        }
    }

    /// Prints a warning to standard error, whatever was asked for.
    pub fn warn(&self, warning: impl Display) {
        let _ = writeln!(io::stderr(), "sync-gib: warning: {warning}");
    }

    /// Ends a good command: with `--json`, prints `{"ok":true,"command":…}` and the fields of
    /// `fields`, an object.
    pub fn done(&mut self, fields: Value) -> Result<(), CliError> {
        if self.json {
            let mut object = Map::new();
            object.insert("ok".into(), true.into());
            object.insert("command".into(), self.command.clone().into());
            object.extend(into_map(fields));
            self.write(format_args!("{}\n", stringify(&object)))?;
        }
        self.flush()
    }

    /// Begins a list of unknown length: with `--json`, an array under `key`, after the fields of
    /// `fields`, an object. [`Output::end_list`] ends it, and so does a failure.
    pub fn begin_list(&mut self, key: &str, fields: Value) -> Result<(), CliError> {
        if !self.json {
            return Ok(());
        }
        self.list = List::Empty;
        self.write(format_args!("{{\"command\":{}", stringify(&self.command.clone())))?;
        for (name, value) in into_map(fields) {
            self.write(format_args!(",{}:{}", stringify(&name), stringify(&value)))?;
        }
        self.write(format_args!(",{}:[", stringify(key)))
    }

    /// Prints one item: `line` for people, `value` for scripts.
    pub fn item(
        &mut self,
        line: impl Display,
        value: impl FnOnce() -> Value,
    ) -> Result<(), CliError> {
        if self.json { self.json_item(&stringify(&value())) } else { self.line(line) }
    }

    /// Prints one item that is JSON text on one line for people and scripts alike.
    pub fn json_line(&mut self, text: &str) -> Result<(), CliError> {
        if self.json { self.json_item(text) } else { self.line(text) }
    }

    fn json_item(&mut self, text: &str) -> Result<(), CliError> {
        let comma = if self.list == List::Begun { "," } else { "" };
        self.list = List::Begun;
        self.write(format_args!("{comma}{text}"))
    }

    /// Ends the list; with `--json`, the fields of `fields` follow it, then `"ok":true`.
    pub fn end_list(&mut self, fields: Value) -> Result<(), CliError> {
        if self.json {
            self.list = List::None;
            self.write(format_args!("]"))?;
            for (name, value) in into_map(fields) {
                self.write(format_args!(",{}:{}", stringify(&name), stringify(&value)))?;
            }
            self.write(format_args!(",\"ok\":true}}\n"))?;
        }
        self.flush()
    }

    /// Prints a failure: a JSON object on standard output with `--json` (where a list has begun,
    /// the rest of its object), else a sentence and a hint on standard error.
    pub fn fail(&mut self, error: &CliError) {
        if error.code == ErrorCode::ClosedPipe {
            return;
        }
        // Who interrupts a command knows it.
        if error.code == ErrorCode::Interrupted && !self.json {
            return;
        }
        if self.json {
            // Nobody is left to tell where standard output fails as well.
            let _ = self.write(format_args!("{}\n", self.failure(error)));
        }
        let _ = self.flush();
        if !self.json {
            let mut err = io::stderr().lock();
            let _ = writeln!(err, "sync-gib: {}", error.message);
            if let Some(hint) = &error.hint {
                let _ = writeln!(err, "hint: {hint}");
            }
        }
    }

    fn failure(&self, error: &CliError) -> String {
        let mut rest = Map::new();
        rest.insert("ok".into(), false.into());
        if self.list == List::None {
            rest.insert("command".into(), self.command.clone().into());
        }
        rest.extend(error.details.iter().flat_map(|details| (**details).clone()));
        rest.insert("error".into(), error.to_value());
        rest.insert("exit".into(), error.exit.into());
        let rest = stringify(&rest);
        match self.list {
            List::None => rest,
            List::Empty | List::Begun => format!("],{}", rest.trim_start_matches('{')),
        }
    }

    /// Writes text as it stands.
    pub fn write(&mut self, text: fmt::Arguments<'_>) -> Result<(), CliError> {
        self.out.write_fmt(text).map_err(|error| write_error(&error))
    }

    /// Hands everything on to whoever reads.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.out.flush().map_err(|error| write_error(&error))
    }
}

fn write_error(error: &io::Error) -> CliError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return CliError::new(ErrorCode::ClosedPipe, "standard output is closed");
    }
    CliError::io("cannot write to standard output", error)
}

fn into_map(fields: Value) -> Map<String, Value> {
    match fields {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The failure of a command line that could not be read, as `--json` prints it.
pub fn usage_failure(command: &str, error: &CliError) -> String {
    stringify(&json!({
        "ok": false, "command": command, "error": error.to_value(), "exit": error.exit,
    }))
}

/// Text from elsewhere with its control characters escaped, so that a terminal does nothing but
/// show it.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_direction(c) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Characters that turn the direction of the text around them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A number of bytes for people: `512 B`, `3.4 KiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Sink(Rc<RefCell<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(json: bool) -> (Output, Sink) {
        let sink = Sink::default();
        (Output::to(Box::new(sink.clone()), "get", json, false), sink)
    }

    fn text(sink: &Sink) -> String {
        String::from_utf8(sink.0.borrow().clone()).unwrap()
    }

    #[test]
    fn a_list_is_one_object() {
        let (mut out, sink) = output(true);
        out.begin_list("items", json!({"a": 1})).unwrap();
        out.json_line("1").unwrap();
        out.item("two", || json!("two")).unwrap();
        out.end_list(json!({"count": 2})).unwrap();
        let expected = r#"{"command":"get","a":1,"items":[1,"two"],"count":2,"ok":true}"#;
        assert_eq!(text(&sink), format!("{expected}\n"));
    }

    #[test]
    fn a_failure_inside_a_list_ends_the_object() {
        let (mut out, sink) = output(true);
        out.begin_list("items", json!({})).unwrap();
        out.json_line("1").unwrap();
        out.fail(&CliError::new(ErrorCode::NotFound, "gone").detail("line", 3));
        let value: Value = serde_json::from_str(&text(&sink)).unwrap();
        assert_eq!(value["items"], json!([1]));
        assert_eq!(value["ok"], false);
        assert_eq!(value["line"], 3);
        assert_eq!(value["error"]["code"], "not_found");
        assert_eq!(value["exit"], 1);
    }

    #[test]
    fn people_read_lines() {
        let (mut out, sink) = output(false);
        out.begin_list("items", json!({})).unwrap();
        out.item("two", || json!(2)).unwrap();
        out.end_list(json!({})).unwrap();
        assert_eq!(text(&sink), "two\n");
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(printable("a\u{1b}[2J\nb\u{202e}é"), "a\\u{1b}[2J\\u{a}b\\u{202e}é");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(3 << 20), "3.0 MiB");
    }
}
