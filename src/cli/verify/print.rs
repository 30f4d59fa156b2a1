//! The phase table as it is printed.

use serde_json::{Value, json};

use crate::cli::error::{CliError, ErrorCode};
use crate::cli::output::{Output, printable};
use crate::verify::{Assertion, Outcome, Phase, Transport};

/// How wide an assertion's text stands.
const WIDTH: usize = 76;

/// The table, printed row by row as the rows end.
pub(super) struct Table<'o> {
    out: &'o mut Output,
    rows: Vec<Row>,
    kept: Vec<Outcome>,
}

/// A row that was printed.
struct Row {
    phase: Phase,
    transport: Transport,
    all: usize,
    failed: usize,
}

impl<'o> Table<'o> {
    /// Begins the table.
    pub fn begin(out: &'o mut Output) -> Result<Table<'o>, CliError> {
        out.begin_list("phases", json!({}))?;
        Ok(Table { out, rows: Vec::new(), kept: Vec::new() })
    }

    /// Prints a row; `keeps` where its folder stays.
    pub fn row(&mut self, outcome: Outcome, keeps: bool) -> Result<(), CliError> {
        let (phase, transport) = (outcome.phase, outcome.transport);
        let (all, failed) = (outcome.assertions.len(), outcome.failed().count());
        if self.out.is_json() {
            self.out.item("", || value(&outcome, keeps))?;
        }
        for assertion in &outcome.assertions {
            let place = format!("{:<4} {}", phase.number(), transport.letter());
            let what = printable(&assertion.what);
            if assertion.ok {
                self.out.line(format_args!("{place}  {what:<WIDTH$} ok"))?;
            } else {
                self.out.line(format_args!("{place}  {what:<WIDTH$} FAILED"))?;
                self.out
                    .line(format_args!("          expected {}", printable(&assertion.expected)))?;
                self.out
                    .line(format_args!("          found    {}", printable(&assertion.found)))?;
            }
        }
        self.out.flush()?;
        self.rows.push(Row { phase, transport, all, failed });
        if keeps {
            self.kept.push(outcome);
        }
        Ok(())
    }

    /// Prints what it came to. Errors where an assertion does not hold.
    pub fn end(self) -> Result<(), CliError> {
        let phases = self.phases();
        let all: usize = self.rows.iter().map(|row| row.all).sum();
        let failed: usize = self.rows.iter().map(|row| row.failed).sum();
        self.out.line("")?;
        for phase in &phases {
            let ways: Vec<String> =
                self.rows.iter().filter(|row| row.phase == *phase).map(Row::summary).collect();
            let line = format!("{:<5} {:<42} {}", phase.number(), phase.title(), ways.join("  "));
            self.out.line(line.trim_end())?;
        }
        for outcome in &self.kept {
            let secret = outcome.secret();
            for home in outcome.homes() {
                let (home, secret) = (home.display(), secret.display());
                self.out.line(format_args!("kept: --home {home} (--secret-file {secret})"))?;
            }
        }
        let count = format!("phases {}, assertions {all}", phases.len());
        if failed == 0 {
            self.out.line(format_args!("{count}: all hold"))?;
            return self.out.end_list(json!({"assertions": all, "failed": failed}));
        }
        let message = format!("{count}: {failed} do not hold");
        let error = CliError::new(ErrorCode::Different, message);
        Err(error.detail("assertions", all).detail("failed", failed))
    }

    fn phases(&self) -> Vec<Phase> {
        let mut phases: Vec<Phase> = self.rows.iter().map(|row| row.phase).collect();
        phases.dedup();
        phases
    }
}

impl Row {
    fn summary(&self) -> String {
        let came_to = if self.failed == 0 { "ok" } else { "FAILED" };
        let count = match self.failed {
            0 => self.all.to_string(),
            failed => format!("{failed} of {}", self.all),
        };
        format!("{} {:<14}", self.transport.letter(), format!("{came_to} ({count})"))
    }
}

fn value(outcome: &Outcome, keeps: bool) -> Value {
    let assertion = |assertion: &Assertion| {
        json!({
            "what": assertion.what, "ok": assertion.ok, "expected": assertion.expected,
            "found": assertion.found,
        })
    };
    let assertions: Vec<Value> = outcome.assertions.iter().map(assertion).collect();
    let mut row = json!({
        "phase": outcome.phase.number(),
        "title": outcome.phase.title(),
        "way": outcome.transport.letter(),
        "ok": outcome.failed().next().is_none(),
        "assertions": assertions,
    });
    if keeps {
        row["homes"] = outcome.homes().iter().map(|home| home.display().to_string()).collect();
        row["secretFile"] = outcome.secret().display().to_string().into();
    }
    row
}
