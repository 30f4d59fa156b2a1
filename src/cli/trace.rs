//! What a sync shows while it runs: progress on a terminal, and a trace in a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::progress::Progress;
use crate::ibgib::Moment;
use crate::peer::Watch;
use crate::peer::channel::Way;
use crate::peer::wire;
use crate::sync::msg::{Msg, Token};

/// Watches one sync.
pub struct Observer {
    progress: Progress,
    trace: Option<Trace>,
}

struct Trace {
    path: PathBuf,
    out: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl Observer {
    /// Shows progress, and writes every message to the file at `trace`, where one is given.
    pub fn new(progress: Progress, trace: Option<&Path>) -> Result<Observer, CliError> {
        let trace = match trace {
            None => None,
            Some(path) => {
                let cannot =
                    |error| CliError::io(format!("cannot write {}", path.display()), &error);
                let out = BufWriter::new(File::create(path).map_err(cannot)?);
                Some(Trace { path: path.to_owned(), out, failed: None })
            }
        };
        Ok(Observer { progress, trace })
    }

    /// Ends the trace; errors where it could not be written whole.
    pub fn finish(self) -> Result<(), CliError> {
        let Some(mut trace) = self.trace else { return Ok(()) };
        let flushed = trace.out.flush();
        match trace.failed.map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(error) => {
                Err(CliError::io(format!("cannot write {}", trace.path.display()), &error))
            }
        }
    }
}

impl Watch for Observer {
    fn message(&mut self, way: Way, msg: &Msg) {
        let Some(trace) = &mut self.trace else { return };
        if trace.failed.is_some() {
            return;
        }
        let way = match way {
            Way::Out => "out",
            Way::In => "in",
        };
        let at = Moment::now().ms();
        // The token opens the domain's data to whoever has it; it is the only secret on the wire.
        let text = match msg {
            Msg::AuthOk { token: Some(token) } => {
                let token = Token { value: "(left out)".into(), expires_ms: token.expires_ms };
                wire::write(&Msg::AuthOk { token: Some(token) })
            }
            msg => wire::write(msg),
        };
        let line = writeln!(trace.out, r#"{{"ms":{at},"way":"{way}","message":{text}}}"#);
        trace.failed = line.err();
    }

    fn step(&mut self, bytes: u64, ibgibs: u64) {
        self.progress.at(bytes, ibgibs);
    }
}
