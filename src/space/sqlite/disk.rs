//! Why a file could not be read or written, as far as its disk knows.

use std::fs::File;
use std::path::Path;

use crate::space::SpaceError;

/// With less room than this SQLite cannot make what it needs beside a file to write to it.
const ROOM: u64 = 64 << 10;

/// Why a file that may only be read was not written.
pub(super) fn not_written(path: &Path) -> SpaceError {
    match is_full(path) {
        true => SpaceError::Full(path.to_owned()),
        false => SpaceError::ReadOnly(path.to_owned()),
    }
}

/// Why SQLite could not open a file, or read or write it.
pub(super) fn failed(path: &Path, source: rusqlite::Error) -> SpaceError {
    if is_full(path) {
        return SpaceError::Full(path.to_owned());
    }
    // SQLite keeps to itself what the system said.
    match File::open(path) {
        Err(error) => SpaceError::io("open", path)(error),
        Ok(_) => SpaceError::io("read or write", path)(std::io::Error::other(source)),
    }
}

/// Whether the disk of a file may be written to and has no room.
#[cfg(unix)]
fn is_full(path: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};

    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(disk) = statvfs(folder.unwrap_or(Path::new("."))) else { return false };
    let room = disk.f_bavail.saturating_mul(disk.f_frsize);
    // Where a disk does not count files, it says that it has room for none of none.
    let takes_no_file = disk.f_files > 0 && disk.f_favail == 0;
    !disk.f_flag.contains(StatVfsMountFlags::RDONLY) && (room < ROOM || takes_no_file)
}

#[cfg(not(unix))]
fn is_full(_: &Path) -> bool {
    false
}
