//! Pseudo terminals for the tests of the program.
#![allow(dead_code)]

use std::fs::{File, OpenOptions};
use std::io::Read;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Both ends of a terminal of its own.
pub struct Terminal {
    pub master: File,
    /// What a process has as its terminal; reading ends once nobody has it.
    pub slave: File,
}

impl Terminal {
    pub fn open() -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        Terminal { master: File::from(master), slave }
    }

    /// The slave once more, for a standard stream.
    pub fn stream(&self) -> File {
        self.slave.try_clone().unwrap()
    }

    /// Reads until `end` was shown.
    pub fn read_until(&mut self, end: &str) -> String {
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains(end) {
            let mut byte = [0];
            self.master.read_exact(&mut byte).unwrap();
            shown.push(byte[0]);
        }
        String::from_utf8(shown).unwrap()
    }

    /// All that is shown until every process has closed it; lines end as they do on a terminal.
    pub fn read_all(self) -> Vec<u8> {
        let Terminal { mut master, slave } = self;
        drop(slave);
        let mut shown = Vec::new();
        // The end of a terminal is an error on Linux.
        let _ = master.read_to_end(&mut shown);
        shown
    }
}
