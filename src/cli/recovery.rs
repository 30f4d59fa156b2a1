//! The recovery code: shown once, or written to a file, and read back.
//!
//! It goes to standard error only, and to no log: what a script keeps of standard output must not hold
//! it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::error::{CliError, ErrorCode};
use super::input::is_stdin;
use super::secret::{Ask, Source};
use crate::keystone::RecoveryCode;

/// How often a code may be typed at a terminal.
const TRIES: usize = 3;

/// Where a new recovery code goes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Secret")]
pub struct RecoveryArgs {
    /// Write the recovery code to FILE, which must not be there yet, and do not show it
    #[arg(long, value_name = "FILE")]
    pub recovery_file: Option<PathBuf>,
}

impl RecoveryArgs {
    /// Errors where the file is there: before anybody is asked for anything.
    pub fn expect_new_file(&self) -> Result<(), CliError> {
        match &self.recovery_file {
            // What is kept of standard output must not hold it.
            Some(path) if is_stdin(path) => {
                Err(CliError::usage("--recovery-file takes the name of a new file, and not -"))
            }
            Some(path) if path.symlink_metadata().is_ok() => Err(is_there(path)),
            _ => Ok(()),
        }
    }

    /// Gives a new code to its owner. Once this is done somebody has seen it, or it is on the disk.
    ///
    /// `of` says whose it is, as the beginning of a sentence.
    pub fn hand_out(&self, code: &RecoveryCode, of: &str) -> Result<(), CliError> {
        match &self.recovery_file {
            Some(path) => write(path, code),
            None => show(code, of),
        }
    }

    /// Takes back a code that is of no use.
    pub fn take_back(&self) {
        if let Some(path) = &self.recovery_file
            && let Err(error) = fs::remove_file(path)
        {
            tracing::info!(%error, "the file with a code of no use stays");
        }
    }
}

/// Shows a code on standard error, whatever was asked for: it is never to be had again.
fn show(code: &RecoveryCode, of: &str) -> Result<(), CliError> {
    let code = code.reveal();
    let code = code.expose_secret();
    let text = Zeroizing::new(format!(
        "\n{of}:\n\n    {code}\n\n\
         Write it down on paper and keep it apart from the secret: it is shown this once, and kept\n\
         nowhere. If the secret is lost or stolen, `sync-gib keystone recover` takes the identity back\n\
         with it. So could whoever finds it.\n\n"
    ));
    let mut err = io::stderr().lock();
    let shown = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    shown.map_err(|error| {
        CliError::io("the recovery code could not be shown", &error)
            .hint("nothing was changed; give --recovery-file FILE")
    })
}

/// Writes a code to a new file, its owner's alone, which is on the disk afterwards.
fn write(path: &Path, code: &RecoveryCode) -> Result<(), CliError> {
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => is_there(path),
        _ => CliError::io(format!("cannot write {}", path.display()), &error)
            .hint("nothing was changed"),
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(cannot)?;
    let code = code.reveal();
    let text = Zeroizing::new(format!("{}\n", code.expose_secret()));
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.and_then(|()| sync_folder(path)).map_err(|error| {
        // What is written in part is no code.
        let _ = fs::remove_file(path);
        cannot(error)
    })
}

/// A new file's name is on the disk once its folder is.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn is_there(path: &Path) -> CliError {
    let message = format!("{} is there already, and may hold a recovery code", path.display());
    CliError::new(ErrorCode::Io, message).hint("nothing was changed; give another --recovery-file")
}

/// Reads a code from a file, or standard input (`-`), or asks for it.
pub fn read(file: Option<&Path>) -> Result<RecoveryCode, CliError> {
    let hint = "give --code-file FILE or --code-file -";
    let source = Source { file, fd: None, what: "recovery code", hint };
    let mut tries = if file.is_some() { 1 } else { TRIES };
    loop {
        tries -= 1;
        let error = match RecoveryCode::read(&source.read(Ask::Known)?) {
            Ok(code) => return Ok(code),
            Err(error) if tries == 0 => error,
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}; try again");
                continue;
            }
        };
        return Err(CliError::new(ErrorCode::SecretRefused, error.to_string())
            .hint("nothing was sent; look at the paper and try again"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::System;

    #[test]
    fn a_file_is_its_owners_alone_reads_back_and_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("code");
        let args = RecoveryArgs { recovery_file: Some(path.clone()) };
        let code = RecoveryCode::new_random(&System::new()).unwrap();
        args.expect_new_file().unwrap();
        args.hand_out(&code, "The code").unwrap();
        let same = read(Some(&path)).unwrap();
        assert_eq!(same.reveal().expose_secret(), code.reveal().expose_secret());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let other = RecoveryCode::new_random(&System::new()).unwrap();
        for error in [args.hand_out(&other, "").unwrap_err(), args.expect_new_file().unwrap_err()] {
            assert_eq!((error.code, error.exit), (ErrorCode::Io, 4));
        }
        let same = read(Some(&path)).unwrap();
        assert_eq!(same.reveal().expose_secret(), code.reveal().expose_secret());
        args.take_back();
        assert!(!path.exists());
    }

    #[test]
    fn what_was_not_typed_right_is_refused_without_showing_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "D5J6-YV8W-X54X-DBAH-5B8J-5NZE-RSXM-YK3M-XMKB\n").unwrap();
        let error = read(Some(file.path())).unwrap_err();
        assert_eq!((error.code, error.exit), (ErrorCode::SecretRefused, 5));
        assert!(!error.message.contains("D5J6"), "{}", error.message);
    }
}
