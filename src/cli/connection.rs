//! The way to the server: the configured one, or the receiver embedded in this program.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::error::{CliError, ErrorCode};
use super::home::{Config, Durable, Home};
use super::identity::{Given, domain_of};
use super::output::printable;
use super::secret::SecretArgs;
use crate::ibgib::{Moment, TjpAddr};
use crate::peer::{Endpoint, NoObserver, PeerError, ReceiverLink, Remote, Timeouts, client};
use crate::server::{Server, ServerOpts};
use crate::space::{Domain, Space, SpaceError, SqliteSpace};
use crate::sync::SyncError;
use crate::sync::msg::{RefusalCode, Token};
use crate::sync::sender::NAME_SESSION;

pub use crate::space::NAME_IDENTITY;

/// The name under which a space keeps the timeline that commands take by default.
pub const NAME_X: &str = "X";

/// What stands for the server where none is configured.
pub const EMBEDDED: &str = "embedded";

/// What to do where the embedded receiver's file is damaged.
pub const RECEIVER: &str = "restore it from a copy; or move it away, then `sync-gib setup` and `sync-gib \
     sync` fill a new one with what is here";

/// A server that can be talked to. Dropping it stops an embedded one.
pub struct Connection {
    runtime: Runtime,
    endpoint: Endpoint,
    embedded: Option<Server>,
    receiver: PathBuf,
    name: String,
}

impl Connection {
    /// Finds the server that the configuration names, or starts the embedded receiver on a free
    /// port of loopback, with its own file in the home folder.
    pub fn open(home: &Home, config: &Config) -> Result<Connection, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| CliError::io("cannot start", &error))?;
        let mut embedded = None;
        let (url, name) = match &config.server {
            Some(url) => (url.clone(), url.clone()),
            None => {
                let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let opts = ServerOpts::new(listen, home.receiver_path());
                let server = runtime.block_on(Server::start(opts))?;
                let url = server.url();
                embedded = Some(server);
                (url, EMBEDDED.to_owned())
            }
        };
        let endpoint = Endpoint::new(&url, config.ca_cert.as_deref(), config.allow_plaintext)?;
        Ok(Connection { runtime, endpoint, embedded, receiver: home.receiver_path(), name })
    }

    /// A link to the server.
    pub fn link(&self) -> Result<Remote<'_>, CliError> {
        Ok(Remote::new(&self.runtime, self.endpoint.clone(), Timeouts::default())?)
    }

    /// What went wrong with the server, as a command ends with it: an embedded one's full disk is
    /// this machine's.
    pub fn explain(&self, error: PeerError) -> CliError {
        match error {
            PeerError::Sync(SyncError::Refused(refusal))
                if refusal.code == RefusalCode::Internal
                    && self.embedded.as_ref().is_some_and(Server::met_full_disk) =>
            {
                SpaceError::Full(self.receiver.clone()).into()
            }
            PeerError::Sync(error @ SyncError::NotRegistered(_)) => {
                CliError::from(error).hint("run `sync-gib setup` to register it")
            }
            error => self.name_damaged_file(error.into()),
        }
    }

    /// A failure of a command that talks to the server: where an embedded one failed since its file is
    /// damaged, that is this machine's, and says which file.
    pub fn name_damaged_file(&self, error: CliError) -> CliError {
        if self.embedded.is_none() || error.code != ErrorCode::Unreachable {
            return error;
        }
        let audit =
            SqliteSpace::open(&self.receiver, Domain::Client).and_then(|space| space.audit());
        let first = match audit {
            Ok(audit) if audit.is_good() => return error,
            Ok(audit) => audit.findings.into_iter().find_map(|mut found| found.first.pop()),
            Err(damaged @ SpaceError::Damaged { .. }) => {
                return CliError::from(damaged).hint(RECEIVER);
            }
            Err(_) => return error,
        };
        let detail = first.unwrap_or_default();
        CliError::from(SpaceError::Damaged { path: self.receiver.clone(), detail }).hint(RECEIVER)
    }

    /// The server as people read it.
    pub fn shown_name(&self) -> &str {
        if self.embedded.is_some() { "the embedded receiver" } else { &self.name }
    }

    /// The server's URL, or [`EMBEDDED`].
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(server) = self.embedded.take() {
            // A receiver that fails to stop is gone with the process anyway.
            let _ = self.runtime.block_on(server.stop());
        }
    }
}

/// The configuration of a home. Where there is no file of it, a home that synced with a server must not
/// fall back to the embedded receiver, to which the identity would be new: errors where the last token
/// is of a server, or where `space` has synced and no embedded receiver is there.
pub fn config(home: &Home, space: Option<&SqliteSpace>) -> Result<Config, CliError> {
    let config = home.config()?;
    if home.config_path().exists() {
        return Ok(config);
    }
    let server = kept_names(home).map(|(_, server)| server).filter(|server| server != EMBEDDED);
    let has_synced = || -> Result<bool, SpaceError> {
        let Some(space) = space else { return Ok(false) };
        Ok(space.name(NAME_IDENTITY)?.is_some() && space.name(NAME_SESSION)?.is_some())
    };
    if server.is_none() && (home.receiver_path().exists() || !has_synced()?) {
        return Ok(config);
    }
    let path = home.config_path();
    let (told, url) = match server {
        Some(server) => (format!("; this home synced with {server}"), server),
        None => ("; this home synced, and no embedded receiver is here".to_owned(), "URL".into()),
    };
    let message = format!("{} is missing{told}", path.display());
    Err(CliError::new(ErrorCode::Damaged, printable(&message))
        .hint(printable(&format!("`sync-gib setup --server {url}` brings it back"))))
}

/// The file of the token for reading, and that of the one for asking whether anything is new.
const TOKEN: &str = "token.json";
const STATE_TOKEN: &str = "state-token.json";
/// How many bytes of a token for asking are kept: a server's has 64.
const MAX_TOKEN: usize = 512;

/// A token as it is kept between commands.
#[derive(Serialize, Deserialize)]
struct Kept {
    server: String,
    domain: TjpAddr,
    token: Token,
}

/// Keeps a token for the next command, readable by its owner alone. That it cannot be kept is no
/// failure: the next command asks for the secret.
pub fn keep_token(home: &Home, connection: &Connection, domain: &TjpAddr, token: Option<&Token>) {
    keep(home, TOKEN, connection, domain, token);
}

/// Keeps a token for asking whether anything is new, as [`keep_token`] does. One that a server could
/// not have made is not kept.
pub fn keep_state_token(
    home: &Home,
    connection: &Connection,
    domain: &TjpAddr,
    token: Option<&Token>,
) {
    let is_sendable = |token: &&Token| {
        (1..=MAX_TOKEN).contains(&token.value.len())
            && token.value.bytes().all(|byte| byte.is_ascii_graphic())
    };
    keep(home, STATE_TOKEN, connection, domain, token.filter(is_sendable));
}

/// The kept token for asking the server whether anything is new, where it has not expired.
pub fn state_token(home: &Home, connection: &Connection, domain: &TjpAddr) -> Option<Token> {
    let kept = kept_token(&home.dir().join(STATE_TOKEN))?;
    let is_good = kept.server == connection.name()
        && kept.domain == *domain
        && kept.token.expires_ms > Moment::now().ms();
    is_good.then_some(kept.token)
}

/// Forgets the kept token for asking whether anything is new.
pub fn forget_state_token(home: &Home) {
    // One that stays is refused again.
    let _ = std::fs::remove_file(home.dir().join(STATE_TOKEN));
}

fn keep(home: &Home, name: &str, connection: &Connection, domain: &TjpAddr, token: Option<&Token>) {
    let Some(token) = token.cloned() else { return };
    let kept = Kept { server: connection.name().to_owned(), domain: domain.clone(), token };
    let cannot = |error: serde_json::Error| CliError::io("cannot write the token", &error.into());
    let text = serde_json::to_vec(&kept).map_err(cannot);
    if let Err(error) = text.and_then(|text| home.save(name, &text, Durable::No)) {
        tracing::debug!(%error, "the token is not kept");
    }
}

/// A token for reading the domain's data: the one that is kept, or one of a session made for it,
/// which asks for the secret.
pub fn token(
    home: &Home,
    connection: &Connection,
    link: &Remote<'_>,
    space: &SqliteSpace,
    secret: &SecretArgs,
) -> Result<String, CliError> {
    let domain = domain_of(space)?;
    let now = Moment::now().ms();
    if let Some(kept) = kept_token(&home.dir().join(TOKEN))
        && kept.server == connection.name()
        && kept.domain == domain
        && kept.token.expires_ms > now + 10_000
        && is_good(link, &domain, &kept.token)
    {
        return Ok(kept.token.value);
    }
    let token = Given::ask(space, secret)?.sign(connection, |identity| {
        client::connect(space, link, identity, home.dir(), &mut NoObserver)
    })?;
    keep_token(home, connection, &domain, token.as_ref());
    let none = || CliError::new(ErrorCode::Unreachable, "the server issued no token");
    token.map(|token| token.value).ok_or_else(none)
}

/// The identity and the server that the last token of this home is of, even where it has expired.
pub fn kept_names(home: &Home) -> Option<(TjpAddr, String)> {
    kept_token(&home.dir().join(TOKEN)).map(|kept| (kept.domain, kept.server))
}

fn kept_token(path: &Path) -> Option<Kept> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Whether the server still takes a token: it may have been restored from a copy, or replaced.
fn is_good(link: &Remote<'_>, domain: &TjpAddr, token: &Token) -> bool {
    link.latest(domain, domain, &token.value).is_ok()
}
