//! What the tests of the program share.
#![allow(dead_code)]

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use serde_json::Value;
use tempfile::TempDir;

/// The program with these arguments, and no home: it must not need one.
pub fn bare(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("sync-gib").unwrap();
    command.env_clear().args(args);
    command
}

/// A home of its own.
pub struct Home(TempDir);

impl Home {
    /// A folder that is there, its owner's alone, with nothing in it.
    pub fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let own = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(dir.path(), own).unwrap();
        }
        Home(dir)
    }

    /// The program with these arguments in this home.
    pub fn cmd(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.env("SYNC_GIB_HOME", self.0.path());
        command
    }

    /// What the program prints, which must succeed, without white space at its ends.
    pub fn ok(&self, args: &[&str]) -> String {
        text_of(&self.cmd(args).assert().success()).trim().to_owned()
    }

    /// What the program prints with `--json`, which must succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        json_of(&self.cmd(args).arg("--json").assert().success())
    }

    /// The folder.
    pub fn path(&self) -> &std::path::Path {
        self.0.path()
    }
}

/// Standard output as text.
pub fn text_of(out: &Assert) -> String {
    String::from_utf8(out.get_output().stdout.clone()).unwrap()
}

/// Standard error as text.
pub fn error_of(out: &Assert) -> String {
    String::from_utf8(out.get_output().stderr.clone()).unwrap()
}

/// Standard output as the one JSON object that it must be.
pub fn json_of(out: &Assert) -> Value {
    let text = text_of(out);
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(value.is_object() && text.ends_with('\n'), "{text}");
    value
}
