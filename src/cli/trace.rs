//! What a sync shows while it runs: progress on a terminal, and a trace in a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::progress::Progress;
use crate::ibgib::Moment;
use crate::peer::Observer;
use crate::peer::channel::MessageDirection;
use crate::peer::wire;
use crate::sync::msg::{Msg, Token};

/// Watches one sync.
pub struct ProgressObserver {
    progress: Progress,
    trace: Option<Trace>,
}

struct Trace {
    path: PathBuf,
    out: File,
    failed: Option<std::io::Error>,
}

impl ProgressObserver {
    /// Shows progress, and writes every message to the file at `trace`, where one is given.
    pub fn new(progress: Progress, trace: Option<&Path>) -> Result<ProgressObserver, CliError> {
        let trace = match trace {
            None => None,
            Some(path) => {
                let cannot =
                    |error| CliError::io(format!("cannot write {}", path.display()), &error);
                let out = open(path).map_err(cannot)?;
                Some(Trace { path: path.to_owned(), out, failed: None })
            }
        };
        Ok(ProgressObserver { progress, trace })
    }

    /// Ends the trace; errors where it could not be written whole.
    pub fn finish(self) -> Result<(), CliError> {
        let Some(Trace { path, failed: Some(error), .. }) = self.trace else { return Ok(()) };
        Err(CliError::io(format!("cannot write {}", path.display()), &error))
    }
}

/// Opens a trace anew, its owner's alone.
///
/// A link is refused, not followed: in a folder that others write to it could lead anywhere. A
/// file that is there is replaced by another one, so that nobody keeps it open, nor owns it, nor
/// has it under a second name. A pipe or a device is written to as it is.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            return Err(io::Error::other("it is a symbolic link, and traces do not follow links"));
        }
        Ok(found) if found.is_file() => fs::remove_file(path)?,
        Ok(_) => return options.open(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // What was put there since then is not opened.
    options.create_new(true).open(path)
}

impl Observer for ProgressObserver {
    fn message(&mut self, direction: MessageDirection, msg: &Msg) {
        let Some(trace) = &mut self.trace else { return };
        if trace.failed.is_some() {
            return;
        }
        let way = match direction {
            MessageDirection::Out => "out",
            MessageDirection::In => "in",
        };
        let at = Moment::now().ms();
        // The tokens open the domain's data to whoever has it. Solutions stay, since a trace is of
        // no use without them: they are why the file is its owner's alone.
        let text = match msg {
            Msg::AuthOk { token, state_token, window } => {
                let without = |token: &Option<Token>| {
                    let expires_ms = token.as_ref()?.expires_ms;
                    Some(Token { value: "(left out)".into(), expires_ms })
                };
                let (token, state_token) = (without(token), without(state_token));
                wire::write(&Msg::AuthOk { token, state_token, window: *window })
            }
            msg => wire::write(msg),
        };
        // At once, so that a sync that is interrupted leaves whole lines.
        let line = format!("{{\"ms\":{at},\"way\":\"{way}\",\"message\":{text}}}\n");
        trace.failed = trace.out.write_all(line.as_bytes()).err();
    }

    fn step(&mut self, bytes: u64, ibgibs: u64) {
        self.progress.at(bytes, ibgibs);
    }
}
