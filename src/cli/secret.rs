//! Where a secret comes from: a prompt, a file, a descriptor or standard input.
//!
//! A secret is never an argument or an environment variable, which other processes can read. It is
//! held in memory that is wiped, and never printed.

pub mod strength;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize, Zeroizing};

use super::error::{CliError, ErrorCode};
use super::input::is_stdin;
use super::interrupt::{self, Signal};
use super::modes;

/// How many bytes a secret may have.
pub const MAX_SECRET_BYTES: usize = 4096;

/// The options that say where the secret comes from; a prompt where none is given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Secret")]
pub struct SecretArgs {
    /// Read the secret from FILE, or from standard input with `-`; one newline at its end is
    /// dropped. Without this or --secret-fd, the program asks for it on the terminal
    #[arg(long, value_name = "FILE", conflicts_with = "secret_fd")]
    pub secret_file: Option<PathBuf>,
    /// Read the secret from the open file descriptor N
    #[arg(long, value_name = "N")]
    pub secret_fd: Option<u32>,
}

/// Whether the secret is asked for once or twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// It exists already: asked for once.
    Known,
    /// It is new: asked for twice, since a slip would lock its owner out.
    New,
}

impl SecretArgs {
    /// Whether reading the secret uses standard input up, so that nothing else can come from it.
    pub fn takes_stdin(&self) -> bool {
        self.secret_file.as_deref().is_some_and(is_stdin)
    }

    /// Reads the secret from where the options say.
    ///
    /// Errors: an empty one, one over [`MAX_SECRET_BYTES`], one that is not UTF-8 text, two that
    /// differ, no terminal to ask on.
    pub fn read(&self, ask: Ask) -> Result<SecretString, CliError> {
        let hint = "give --secret-file FILE, --secret-file - or --secret-fd N";
        let source =
            Source { file: self.secret_file.as_deref(), fd: self.secret_fd, what: "secret", hint };
        source.read(ask)
    }
}

/// The options that say where a secret comes from that takes the place of another; a prompt where
/// none is given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Secret")]
pub struct NewSecretArgs {
    /// Read the new secret from FILE, or from standard input with `-`. Without this or
    /// --new-secret-fd, the program asks for it on the terminal, twice
    #[arg(long, value_name = "FILE", conflicts_with = "new_secret_fd")]
    pub new_secret_file: Option<PathBuf>,
    /// Read the new secret from the open file descriptor N
    #[arg(long, value_name = "N")]
    pub new_secret_fd: Option<u32>,
    /// Accept a new secret that takes fewer than 2^40 guesses; whoever knows I's address can guess
    #[arg(long)]
    pub allow_weak_secret: bool,
}

impl NewSecretArgs {
    /// Whether reading the secret uses standard input up.
    pub fn takes_stdin(&self) -> bool {
        self.new_secret_file.as_deref().is_some_and(is_stdin)
    }

    /// Reads the new secret. Errors as [`SecretArgs::read`] does.
    pub fn read(&self) -> Result<SecretString, CliError> {
        let (file, fd) = (self.new_secret_file.as_deref(), self.new_secret_fd);
        let hint = "give --new-secret-file FILE, --new-secret-file - or --new-secret-fd N";
        Source { file, fd, what: "new secret", hint }.read(Ask::New)
    }
}

/// Where something that nobody else may see comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// A file, or standard input (`-`).
    pub file: Option<&'a Path>,
    /// An open file descriptor.
    pub fd: Option<u32>,
    /// What it is, for messages and for the prompt, which asks where neither is given.
    pub what: &'static str,
    /// What to give where nobody can be asked.
    pub hint: &'static str,
}

impl Source<'_> {
    /// Reads it. Errors as [`SecretArgs::read`] does.
    pub fn read(&self, ask: Ask) -> Result<SecretString, CliError> {
        match (self.file, self.fd) {
            (Some(path), _) if is_stdin(path) => from_stdin(self.what),
            (Some(path), _) => from_file(path, self.what),
            (None, Some(fd)) => from_fd(fd, self.what),
            (None, None) => self.prompt(ask),
        }
    }

    fn prompt(&self, ask: Ask) -> Result<SecretString, CliError> {
        let what = self.what;
        if !io::stderr().is_terminal() && !io::stdin().is_terminal() {
            let error = CliError::new(ErrorCode::SecretRefused, format!("no {what} given"));
            return Err(error.hint(self.hint));
        }
        let mut question = match ask {
            Ask::New if !what.starts_with("new") => format!("new {what}: "),
            _ => format!("{what}: "),
        };
        question[..1].make_ascii_uppercase();
        let secret = self.ask_for(&question)?;
        if ask == Ask::New && self.ask_for("Again: ")?.expose_secret() != secret.expose_secret() {
            let error = CliError::new(ErrorCode::SecretRefused, "the two secrets differ");
            return Err(error.hint("run the command again"));
        }
        Ok(secret)
    }

    fn ask_for(&self, question: &str) -> Result<SecretString, CliError> {
        let _echo = give_echo_back();
        let from = format!("the {} from the terminal", self.what);
        let mut typed =
            rpassword::prompt_password(question).map_err(|error| match error.kind() {
                io::ErrorKind::Interrupted => CliError::interrupted(Signal::Interrupt),
                _ => unreadable(&from, &error).hint(self.hint),
            })?;
        let secret = from_reader(typed.as_bytes(), &from);
        typed.zeroize();
        secret
    }
}

/// Reads standard input past its buffer, which nobody would wipe.
#[cfg(unix)]
fn from_stdin(what: &str) -> Result<SecretString, CliError> {
    use std::os::fd::AsFd;
    const NAME: &str = "standard input";
    let from = format!("the {what} from {NAME}");
    let same =
        io::stdin().as_fd().try_clone_to_owned().map_err(|error| unreadable(&from, &error))?;
    let same = File::from(same);
    modes::warn_of_secret(&same, NAME);
    from_reader(same, &from)
}

#[cfg(not(unix))]
fn from_stdin(what: &str) -> Result<SecretString, CliError> {
    from_reader(io::stdin().lock(), &format!("the {what} from standard input"))
}

fn from_file(path: &Path, what: &str) -> Result<SecretString, CliError> {
    let name = path.display().to_string();
    let from = format!("the {what} from {name}");
    let file = File::open(path).map_err(|error| unreadable(&from, &error))?;
    modes::warn_of_secret(&file, &name);
    from_reader(file, &from)
}

#[cfg(unix)]
fn from_fd(fd: u32, what: &str) -> Result<SecretString, CliError> {
    let name = format!("file descriptor {fd}");
    let from = format!("the {what} from {name}");
    let opened = File::open(format!("/dev/fd/{fd}"))
        .or_else(|_| File::open(format!("/proc/self/fd/{fd}")))
        .map_err(|error| unreadable(&from, &error))?;
    modes::warn_of_secret(&opened, &name);
    from_reader(opened, &from)
}

#[cfg(not(unix))]
fn from_fd(_: u32, _: &str) -> Result<SecretString, CliError> {
    Err(CliError::usage("file descriptors work on Unix only").hint("give a file"))
}

fn unreadable(from: &str, error: &io::Error) -> CliError {
    CliError::new(ErrorCode::SecretRefused, format!("cannot read {from}: {error}"))
}

/// Reads what messages name by `from`.
fn from_reader(reader: impl Read, from: &str) -> Result<SecretString, CliError> {
    // Room for everything from the start: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 64));
    let mut reader = reader.take(MAX_SECRET_BYTES as u64 + 3);
    let mut chunk = Zeroizing::new([0u8; 1024]);
    loop {
        match reader.read(&mut chunk[..]) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(from, &error)),
        }
    }
    let bytes =
        bytes.strip_suffix(b"\n").map(|b| b.strip_suffix(b"\r").unwrap_or(b)).unwrap_or(&bytes);
    let refused = |what: &str| CliError::new(ErrorCode::SecretRefused, format!("{from} {what}"));
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(refused(&format!("is longer than {MAX_SECRET_BYTES} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| refused("is not UTF-8 text"))?;
    if text.is_empty() {
        return Err(refused("is empty"));
    }
    Ok(SecretString::new(text.into()))
}

/// The terminal gets its echo back where a signal ends the process while it asks.
#[cfg(unix)]
fn give_echo_back() -> Option<interrupt::AtEnd> {
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    let terminal = File::open("/dev/tty").ok()?;
    let before = tcgetattr(&terminal).ok()?;
    Some(interrupt::at_end(move || {
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    }))
}

#[cfg(not(unix))]
fn give_echo_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, CliError> {
        from_reader(bytes, "test").map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn one_newline_at_the_end_is_dropped() {
        assert_eq!(read(b"pass word").unwrap(), "pass word");
        assert_eq!(read(b"pass word\n").unwrap(), "pass word");
        assert_eq!(read(b"pass word\r\n").unwrap(), "pass word");
        assert_eq!(read(b" pass\n\n").unwrap(), " pass\n");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_showing_it() {
        for bytes in [&b""[..], b"\n", b"QQ\xff", &[b'Q'; MAX_SECRET_BYTES + 1]] {
            let error = read(bytes).unwrap_err();
            assert_eq!(error.code, ErrorCode::SecretRefused);
            assert_eq!(error.exit, 5);
            assert!(!error.message.contains('Q'), "{}", error.message);
        }
    }

    #[test]
    fn the_longest_secret_may_end_in_a_newline() {
        let mut bytes = vec![b'x'; MAX_SECRET_BYTES];
        bytes.extend_from_slice(b"\r\n");
        assert_eq!(read(&bytes).unwrap().len(), MAX_SECRET_BYTES);
    }

    #[test]
    fn a_file_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from a file\n").unwrap();
        let args = SecretArgs { secret_file: Some(file.path().into()), secret_fd: None };
        assert_eq!(args.read(Ask::New).unwrap().expose_secret(), "from a file");
        assert!(!args.takes_stdin());
    }

    #[cfg(unix)]
    #[test]
    fn a_descriptor_is_read() {
        use std::os::fd::AsRawFd;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from a descriptor").unwrap();
        let open = File::open(file.path()).unwrap();
        let fd = u32::try_from(open.as_raw_fd()).unwrap();
        let args = SecretArgs { secret_file: None, secret_fd: Some(fd) };
        assert_eq!(args.read(Ask::Known).unwrap().expose_secret(), "from a descriptor");
    }

    #[test]
    fn a_missing_file_is_named() {
        let args = SecretArgs { secret_file: Some("/nowhere/secret".into()), secret_fd: None };
        let error = args.read(Ask::Known).unwrap_err();
        assert!(error.message.contains("/nowhere/secret"), "{}", error.message);
    }
}
