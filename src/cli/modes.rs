//! Warnings about files that are not their owner's alone.

use std::fs::File;
use std::path::Path;

use super::home::Home;
use super::output::warn;

/// Warns where others can read or write the home, or a file in it that they can reach.
pub fn warn_of_home(home: &Home) {
    let Some(reached) = look_at(home.dir(), "the home", "chmod 700") else { return };
    if reached {
        for name in ["space.db", "receiver.db", "server.db", "config.json", "token.json"] {
            look_at(&home.dir().join(name), "the file", "chmod 600");
        }
    }
}

/// Warns where others can read or write the file that a secret is read from; pipes and terminals
/// are nobody else's.
pub fn warn_of_secret(file: &File, name: &str) {
    let Ok(metadata) = file.metadata() else { return };
    if metadata.is_file()
        && let Some(what) = others(&metadata)
    {
        warn(format_args!("{what} the secret file {name}: restrict it with chmod 600"));
    }
}

/// Warns of a path; whether others can reach what lies in it, none where it is not there.
fn look_at(path: &Path, kind: &str, remedy: &str) -> Option<bool> {
    let metadata = path.metadata().ok()?;
    if let Some(what) = others(&metadata) {
        warn(format_args!("{what} {kind} {}: restrict it with {remedy}", path.display()));
    }
    Some(is_entered(&metadata))
}

#[cfg(unix)]
fn is_entered(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mode() & 0o011 != 0
}

#[cfg(not(unix))]
fn is_entered(_: &std::fs::Metadata) -> bool {
    false
}

/// What others than this user may do, as a sentence's beginning. The system's own user, which can
/// do anything, does not count.
#[cfg(unix)]
fn others(metadata: &std::fs::Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Some(format!("another user (number {owner}) owns"));
    }
    let mode = metadata.mode();
    match (mode & 0o044 != 0, mode & 0o022 != 0) {
        (false, false) => None,
        (true, false) => Some("others can read".to_owned()),
        (false, true) => Some("others can write".to_owned()),
        (true, true) => Some("others can read and write".to_owned()),
    }
}

/// Elsewhere modes do not tell who may do what.
#[cfg(not(unix))]
fn others(_: &std::fs::Metadata) -> Option<String> {
    None
}
