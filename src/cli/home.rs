//! The home: the folder with all of this program's state on one machine.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{CliError, ErrorCode};
use super::interrupt;

/// The newest form of the configuration that this program knows.
const CONFIG_VERSION: u32 = 1;
/// How many bytes of configuration are read.
const MAX_CONFIG_BYTES: u64 = 64 << 10;

/// The home folder: the space, the embedded receiver's space, the configuration.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

/// What the configuration file holds; absent means defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The form of the file.
    pub version: u32,
    /// The server's base URL; none: the receiver embedded in this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// A PEM file with the authority that signs the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<PathBuf>,
    /// Whether `http` and `ws` may go to other hosts than this one.
    #[serde(default)]
    pub allow_plaintext: bool,
}

/// Whether a file must survive a loss of power, which waiting for the disk ensures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// It must.
    Yes,
    /// It can be made again.
    No,
}

impl Default for Config {
    fn default() -> Config {
        Config { version: CONFIG_VERSION, server: None, ca_cert: None, allow_plaintext: false }
    }
}

impl Home {
    /// The home at `dir`, else in the platform's folder for a program's data. Makes nothing.
    pub fn resolve(dir: Option<&Path>) -> Result<Home, CliError> {
        if let Some(dir) = dir {
            if dir.as_os_str().is_empty() {
                return Err(CliError::usage("the home folder's name is empty"));
            }
            return Ok(Home { dir: dir.to_owned() });
        }
        let dirs = directories::ProjectDirs::from("", "", "sync-gib").ok_or_else(|| {
            CliError::usage("this user has no home folder").hint("give --home DIR or SYNC_GIB_HOME")
        })?;
        Ok(Home { dir: dirs.data_dir().to_owned() })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The client's space.
    pub fn space_path(&self) -> PathBuf {
        self.dir.join("space.db")
    }

    /// The embedded receiver's space.
    pub fn receiver_path(&self) -> PathBuf {
        self.dir.join("receiver.db")
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.dir.join("config.json")
    }

    /// Makes the folder where it is absent, for its owner alone.
    pub fn create(&self) -> Result<(), CliError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let doing = || format!("cannot make the home folder {}", self.dir.display());
        builder.create(&self.dir).map_err(|error| CliError::io(doing(), &error))
    }

    /// Reads the configuration; defaults where there is no file.
    pub fn config(&self) -> Result<Config, CliError> {
        let path = self.config_path();
        let cannot = |error| CliError::io(format!("cannot read {}", path.display()), &error);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Config::default());
            }
            Err(error) => return Err(cannot(error)),
        };
        let mut text = String::new();
        file.take(MAX_CONFIG_BYTES).read_to_string(&mut text).map_err(cannot)?;
        let version = serde_json::from_str(&text).map(|version: ConfigVersion| version.version);
        if version.as_ref().is_ok_and(|version| *version > CONFIG_VERSION) {
            let message = format!("{} was written by a newer sync-gib", path.display());
            return Err(CliError::new(ErrorCode::Damaged, message).hint("update this program"));
        }
        version.and_then(|_| serde_json::from_str(&text)).map_err(|error| {
            let message = format!("{} is damaged: {error}", path.display());
            CliError::new(ErrorCode::Damaged, message).hint(
                "correct it, or remove it and run `sync-gib setup --server URL` with the server's URL",
            )
        })
    }

    /// Writes the configuration, whole or not at all, readable by its owner alone.
    pub fn save_config(&self, config: &Config) -> Result<(), CliError> {
        let mut text = serde_json::to_vec_pretty(config).map_err(|error| {
            CliError::io(format!("cannot write {}", self.config_path().display()), &error.into())
        })?;
        text.push(b'\n');
        self.save("config.json", &text, Durable::Yes)
    }

    /// Writes a file of the home, whole or not at all, readable by its owner alone.
    pub fn save(&self, name: &str, bytes: &[u8], durable: Durable) -> Result<(), CliError> {
        self.create()?;
        let path = self.dir.join(name);
        let cannot = |error| CliError::io(format!("cannot write {}", path.display()), &error);
        let _whole = interrupt::hold();
        // A temporary file is its owner's alone from the start.
        let mut file = tempfile::NamedTempFile::new_in(&self.dir).map_err(cannot)?;
        file.write_all(bytes).map_err(cannot)?;
        if durable == Durable::Yes {
            file.as_file().sync_all().map_err(cannot)?;
        }
        file.persist(&path).map_err(|error| cannot(error.error))?;
        Ok(())
    }
}

/// The one field that every form of the configuration has.
#[derive(Deserialize)]
struct ConfigVersion {
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::resolve(Some(&dir.path().join("deep/home"))).unwrap();
        (dir, home)
    }

    #[test]
    fn a_configuration_reads_back() {
        let (_dir, home) = home();
        assert_eq!(home.config().unwrap(), Config::default());
        let server = Some("https://example.org".to_owned());
        let config = Config { server, allow_plaintext: true, ..Config::default() };
        home.save_config(&config).unwrap();
        assert_eq!(home.config().unwrap(), config);
    }

    #[cfg(unix)]
    #[test]
    fn home_and_configuration_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, home) = home();
        home.save_config(&Config::default()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(home.dir()), 0o700);
        assert_eq!(mode(&home.config_path()), 0o600);
    }

    #[test]
    fn a_damaged_or_newer_configuration_is_told_apart() {
        let (_dir, home) = home();
        home.create().unwrap();
        fs::write(home.config_path(), "{").unwrap();
        let damaged = home.config().unwrap_err();
        assert!(damaged.message.contains("damaged"), "{}", damaged.message);
        fs::write(home.config_path(), r#"{"version":2,"other":1}"#).unwrap();
        let newer = home.config().unwrap_err();
        assert!(newer.message.contains("newer"), "{}", newer.message);
        assert_eq!(newer.exit, 4);
    }
}
