//! What went to standard output so far, and what may still follow.

use std::fmt;
use std::io::{self, BufWriter, Write};

use serde_json::{Map, Value};

use super::escape;
use crate::cli::error::{CliError, ErrorCode};
use crate::cli::interrupt::Signal;
use crate::ibgib::json::stringify;

/// How far a list inside the JSON object has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    None,
    Empty,
    Begun,
}

/// Standard output. The command and a signal may both want to end it: the first one does.
pub(super) struct Printed {
    out: BufWriter<Box<dyn Write + Send>>,
    command: String,
    json: bool,
    terminal: bool,
    list: List,
    /// What the process exits with, once the result is out.
    exit: Option<u8>,
}

impl Printed {
    pub(super) fn new(
        out: Box<dyn Write + Send>,
        command: &str,
        json: bool,
        terminal: bool,
    ) -> Printed {
        let out = BufWriter::with_capacity(64 << 10, out);
        Printed { out, command: command.to_owned(), json, terminal, list: List::None, exit: None }
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn use_json(&mut self) {
        self.json = true;
    }

    pub(super) fn line(&mut self, line: impl fmt::Display) -> Result<(), CliError> {
        match (self.json, self.terminal) {
            (true, _) => Ok(()),
            (false, true) => self.write(format_args!("{}\n", escape::shown(&line.to_string()))),
            (false, false) => self.write(format_args!("{line}\n")),
        }
    }

    pub(super) fn done(&mut self, fields: Value) -> Result<(), CliError> {
        if self.json {
            let mut object = Map::new();
            object.insert("ok".into(), true.into());
            object.insert("command".into(), self.command.clone().into());
            object.extend(into_map(fields));
            self.write_json(&stringify(&object))?;
            self.write(format_args!("\n"))?;
        }
        self.exit = Some(0);
        self.flush()
    }

    pub(super) fn begin_list(&mut self, key: &str, fields: Value) -> Result<(), CliError> {
        if !self.json {
            return Ok(());
        }
        self.list = List::Empty;
        self.write(format_args!("{{\"command\":{}", stringify(&self.command.clone())))?;
        self.write_fields(fields)?;
        self.write(format_args!(",{}:[", stringify(key)))
    }

    pub(super) fn item(
        &mut self,
        line: impl fmt::Display,
        value: impl FnOnce() -> Value,
    ) -> Result<(), CliError> {
        if self.json { self.json_item(&stringify(&value())) } else { self.line(line) }
    }

    pub(super) fn json_line(&mut self, text: &str) -> Result<(), CliError> {
        if self.json {
            return self.json_item(text);
        }
        self.write_json(text)?;
        self.write(format_args!("\n"))
    }

    fn json_item(&mut self, text: &str) -> Result<(), CliError> {
        let comma = if self.list == List::Begun { "," } else { "" };
        self.list = List::Begun;
        self.write(format_args!("{comma}"))?;
        self.write_json(text)
    }

    pub(super) fn end_list(&mut self, fields: Value) -> Result<(), CliError> {
        if self.json {
            self.list = List::None;
            self.write(format_args!("]"))?;
            self.write_fields(fields)?;
            self.write(format_args!(",\"ok\":true}}\n"))?;
        }
        self.exit = Some(0);
        self.flush()
    }

    /// Prints the failure where it belongs to standard output. Whether it did.
    pub(super) fn fail(&mut self, error: &CliError) -> bool {
        let prints = self.json && self.exit.is_none();
        if prints {
            self.exit = Some(error.exit);
            let failure = self.failure(error);
            // Nobody is left to tell where standard output fails as well.
            let _ = self.write_json(&failure);
            let _ = self.write(format_args!("\n"));
        }
        let _ = self.flush();
        prints
    }

    /// Ends the result at a signal: the failure with `--json`, unless all is out. Returns what the
    /// process exits with.
    pub(super) fn interrupt(&mut self, signal: Signal) -> u8 {
        self.fail(&CliError::interrupted(signal));
        self.exit.unwrap_or(signal.exit())
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

    fn write_fields(&mut self, fields: Value) -> Result<(), CliError> {
        for (name, value) in into_map(fields) {
            self.write_json(&format!(",{}:{}", stringify(&name), stringify(&value)))?;
        }
        Ok(())
    }

    /// Writes JSON, or a part of it; on a terminal with escapes for what would not be seen.
    fn write_json(&mut self, text: &str) -> Result<(), CliError> {
        match self.terminal {
            true => self.write(format_args!("{}", escape::json(text))),
            false => self.write(format_args!("{text}")),
        }
    }

    pub(super) fn write(&mut self, text: fmt::Arguments<'_>) -> Result<(), CliError> {
        self.out.write_fmt(text).map_err(|error| write_error(&error))
    }

    pub(super) fn flush(&mut self) -> Result<(), CliError> {
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
