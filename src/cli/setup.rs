//! `setup`: the identity, its registration, and a first timeline X.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Ctx;
use super::connection::{self, Connection, NAME_IDENTITY, NAME_X, keep_token};
use super::edit::read_object;
use super::error::{CliError, ErrorCode};
use super::home::{Config, Home};
use super::identity::{Given, NewSecret, expect_signing_keys, newest, wrong_secret};
use super::input::is_stdin;
use super::output::printable;
use super::recovery::RecoveryArgs;
use super::secret::{Ask, SecretArgs};
use crate::ibgib::transform::timeline;
use crate::ibgib::{IbGib, System, TjpAddr};
use crate::keystone::{self, KdfError, RecoveryCode, presets};
use crate::peer::{Endpoint, NoObserver, PeerError, ReceiverLink, Remote, client, identity};
use crate::space::{PutOpts, Space, SpaceExt, SqliteSpace};

/// Make the identity, register it with the server, and make a first timeline X.
///
/// A new identity gets a recovery code, which is shown once on standard error: keep it on paper.
/// Skips what is done already, so that a rerun finishes a setup that failed half way. Without
/// --server, a receiver that is embedded in this program takes the place of the server, with its
/// own space beside the client's.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib setup --server https://gib.example.org\n  \
    echo '{\"title\":\"notes\"}' | sync-gib setup --data - --secret-file ~/secret\n  \
    sync-gib setup --server https://gib.example.org --join 'keystone^E887FC…'   # second device")]
pub struct SetupArgs {
    /// The server's base URL; it is remembered
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Trust the certificate authority in this PEM file for the server's certificate
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// Allow plain http and ws to other hosts: anybody on the way can read everything
    #[arg(long)]
    pub allow_plaintext: bool,
    /// Make X of this JSON object, from FILE or standard input (`-`); else a test object
    #[arg(long, value_name = "FILE|-", conflicts_with = "join")]
    pub data: Option<PathBuf>,
    /// Take over the identity with this address from the server, with the same secret
    #[arg(long, value_name = "I")]
    pub join: Option<TjpAddr>,
    /// Use the secret as it is, for an identity made elsewhere; else it is stretched (Argon2id)
    #[arg(long)]
    pub raw_secret: bool,
    /// Accept a new secret that takes fewer than 2^40 guesses; whoever knows I's address can guess
    #[arg(long, conflicts_with = "join")]
    pub allow_weak_secret: bool,
    /// Make no recovery code: a lost or stolen secret is then the end of the identity
    #[arg(long, conflicts_with_all = ["join", "recovery_file"])]
    pub no_recovery: bool,
    /// Make a new identity even if there is one; the old one stays in the space, under its address
    #[arg(long, conflicts_with = "join")]
    pub force: bool,
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// Where the recovery code goes.
    #[command(flatten)]
    pub recovery: RecoveryArgs,
}

/// Sets the home up.
pub fn run(args: &SetupArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    if args.secret.takes_stdin() && args.data.as_deref().is_some_and(is_stdin) {
        return Err(CliError::usage("the secret and --data cannot both come from standard input"));
    }
    if args.join.is_some() && args.recovery.recovery_file.is_some() {
        let error = CliError::usage("--recovery-file is for a new identity");
        return Err(error.hint("the one that is joined has the code that it was made with"));
    }
    let data = args.data.as_deref().map(read_object).transpose()?;
    let home = ctx.home()?;
    expect_somewhere_to_join(args, &home)?;
    let (before, config) = configure(args, &home, ctx)?;
    let server = config.server.as_ref().map(|_| Connection::open(&home, &config)).transpose()?;
    let makes = makes_identity(args, ctx)?;
    if makes {
        args.recovery.expect_new_file()?;
    }
    let asked = server.as_ref().map_or(Ok(Ok(())), |server| ask_for_versions(server, makes))?;
    remember(&before, &config, &home, ctx)?;
    let space = ctx.create_space(args.join.as_ref())?;
    let connection = server.map_or_else(|| Connection::open(&home, &config), Ok)?;
    let link = connection.link()?;

    let mut done = Done::default();
    let domain = match (&args.join, space.name(NAME_IDENTITY)?) {
        (Some(join), Some(have)) if have != *join => {
            let message = format!("this space has another identity, {have}");
            return Err(CliError::new(ErrorCode::IdentityRefused, message)
                .hint("join with a --home of its own"));
        }
        (None | Some(_), Some(have)) if !args.force => have,
        (Some(join), _) => {
            done.identity = true;
            join_identity(args, join, &home, &space, &link, &connection)?
        }
        (None, _) => {
            done.identity = true;
            new_identity(args, &space)?
        }
    };
    report(ctx, "identity I", done.identity, args.join.is_some());
    if !done.identity && args.recovery.recovery_file.is_some() {
        ctx.out.note("it has the recovery code that it was made with, if any: no new one is made");
    }
    let x = first_timeline(args, data, &space, &mut done)?;
    if x.is_some() {
        report(ctx, "timeline X", done.x, false);
    }
    let genesis = genesis(&space, &domain)?;
    asked
        .and_then(|()| client::register(&link, &genesis))
        .map_err(|error| unregistered(ctx, &connection, error))?;
    ctx.out.note(format_args!("I registered with {}", connection.shown_name()));
    ctx.out.line(format_args!("I {}", printable(domain.as_str())))?;
    if let Some(x) = &x {
        ctx.out.line(format_args!("X {}", printable(x.as_str())))?;
    }
    let lock = keystone::lock_of(&newest(&space, &domain)?);
    ctx.out.done(json!({
        "home": home.dir(),
        "server": connection.name(),
        "identity": domain,
        "x": x,
        "made": { "identity": done.identity, "x": done.x },
        "signingKey": lock.is_some(),
        "recovery": lock.is_some_and(|lock| lock.is_recoverable()),
        "registered": true,
    }))
}

/// What was not there before.
#[derive(Default)]
struct Done {
    identity: bool,
    x: bool,
}

fn report(ctx: &Ctx, what: &str, is_new: bool, joined: bool) {
    let how = match (is_new, joined) {
        (true, true) => "joined",
        (true, false) => "made",
        (false, _) => "is there already",
    };
    ctx.out.note(format_args!("{what} {how}"));
}

/// Refuses to join where there is no server to ask, and no receiver of this home's own that could
/// know an identity.
fn expect_somewhere_to_join(args: &SetupArgs, home: &Home) -> Result<(), CliError> {
    let knows_a_server = args.server.is_some() || home.config()?.server.is_some();
    if args.join.is_none() || knows_a_server || home.receiver_path().exists() {
        return Ok(());
    }
    let message = "--join needs the server that knows the identity: give --server URL";
    Err(CliError::usage(message).hint("nothing was made"))
}

/// The configuration as it is, and with what was given of the server.
fn configure(args: &SetupArgs, home: &Home, ctx: &Ctx) -> Result<(Config, Config), CliError> {
    let before = match &args.server {
        Some(_) => home.config()?,
        None => connection::config(home, ctx.open_space().ok().as_ref())?,
    };
    let mut config = before.clone();
    if let Some(server) = &args.server {
        config.server = Some(server.trim_end_matches('/').to_owned());
        config.ca_cert = None;
        config.allow_plaintext = false;
    }
    if let Some(path) = &args.ca_cert {
        let absolute = std::path::absolute(path)
            .map_err(|error| CliError::io(format!("cannot find {}", path.display()), &error))?;
        config.ca_cert = Some(absolute);
    }
    config.allow_plaintext |= args.allow_plaintext;
    if let Some(url) = &config.server {
        // A URL that cannot be used is not remembered.
        Endpoint::new(url, config.ca_cert.as_deref(), config.allow_plaintext)?;
    }
    Ok((before, config))
}

/// Whether a new identity is to be made.
fn makes_identity(args: &SetupArgs, ctx: &Ctx) -> Result<bool, CliError> {
    let space = match args.join.is_some() || args.force {
        true => return Ok(args.join.is_none()),
        false => ctx.open_space().ok(),
    };
    let name = space.map(|space| space.name(NAME_IDENTITY)).transpose()?;
    Ok(name.flatten().is_none())
}

/// Asks a server what it speaks before anything is made: one that speaks no version that is spoken
/// here, or is too old for the identity that is to be made (`makes`), is an error, and so is what
/// does not answer as such a server. The inner one is that it does not answer at all, which lets all
/// be made but the registration.
fn ask_for_versions(server: &Connection, makes: bool) -> Result<Result<(), PeerError>, CliError> {
    let link = server.link()?;
    match link.common() {
        Err(error @ (PeerError::Unreachable { .. } | PeerError::Late { .. })) => Ok(Err(error)),
        Err(error @ (PeerError::Version { .. } | PeerError::UnexpectedResponse { .. })) => {
            Err(error.into())
        }
        Ok(_) if makes => {
            expect_signing_keys(&link).map_err(|error| CliError::from(error).at(server.name()))?;
            Ok(Ok(()))
        }
        _ => Ok(Ok(())),
    }
}

/// Keeps a configuration where it is another than before.
fn remember(before: &Config, config: &Config, home: &Home, ctx: &Ctx) -> Result<(), CliError> {
    if config != before || !home.config_path().exists() {
        if let Some(old) = before.server.as_ref().filter(|old| Some(*old) != config.server.as_ref())
        {
            ctx.out.note(format_args!("the server was {old}"));
        }
        home.save_config(config)?;
    }
    Ok(())
}

/// Makes an identity with a signing key. Its recovery code is given out before anything is stored, so
/// that there is no identity whose code nobody saw.
fn new_identity(args: &SetupArgs, space: &SqliteSpace) -> Result<TjpAddr, CliError> {
    let typed = args.secret.read(Ask::New)?;
    let secret = NewSecret::of(typed, args.raw_secret, args.allow_weak_secret)?;
    let env = System::new();
    let code = match args.no_recovery {
        true => None,
        false => Some(RecoveryCode::new_random(&env).map_err(KdfError::from)?),
    };
    let pools = presets::identity_pools(&env)?;
    let details = Some(secret.details());
    let genesis = keystone::locked_genesis(&secret.master, &pools, details, code.as_ref(), &env)?;
    let domain = TjpAddr::from(genesis.addr()?);
    if let Some(code) = &code {
        args.recovery.hand_out(code, "The recovery code of the new identity")?;
    }
    let names = vec![(NAME_IDENTITY.to_owned(), domain.clone())];
    space.put_with([&genesis], &PutOpts { names, ..PutOpts::default() })?;
    Ok(domain)
}

/// Takes an identity over from the server: its frames are fetched and validated from genesis, and
/// the secret is proved by a signature that the server accepts. What is valid is stored as it comes;
/// the identity gets its name at the end.
fn join_identity(
    args: &SetupArgs,
    join: &TjpAddr,
    home: &Home,
    space: &SqliteSpace,
    link: &Remote<'_>,
    connection: &Connection,
) -> Result<TjpAddr, CliError> {
    identity::fetch(space, link, join)?;
    let mut given = Given::of(space, join, args.secret.read(Ask::Known)?)?;
    if !given.is_known()? {
        return Err(wrong_secret().hint(format!(
            "nothing was sent; try again, or take the identity back with its recovery code: \
             `sync-gib keystone recover --identity '{join}'`"
        )));
    }
    let token = given.sign(connection, |identity| {
        client::connect(space, link, identity, home.dir(), &mut NoObserver)
    })?;
    space.set_name(NAME_IDENTITY, join)?;
    keep_token(home, connection, join, token.as_ref());
    Ok(join.clone())
}

/// The timeline X: the one that is there, or a new one of the given data or of test data. A
/// device that joins gets its X by its first sync.
fn first_timeline(
    args: &SetupArgs,
    data: Option<Map<String, Value>>,
    space: &SqliteSpace,
    done: &mut Done,
) -> Result<Option<TjpAddr>, CliError> {
    if let Some(x) = space.name(NAME_X)? {
        if data.is_some() {
            let message = "there is an X already, so --data makes no new one";
            return Err(CliError::new(ErrorCode::Refused, message)
                .hint("use `sync-gib new --data` or `sync-gib mut8 X --data`"));
        }
        return Ok(Some(x));
    }
    if args.join.is_some() {
        return Ok(None);
    }
    let data = match data {
        Some(data) => data,
        None => test_data()?,
    };
    let made = timeline("x", Some(data), Map::new(), &System::new())?;
    let tjp = made.last().and_then(IbGib::tjp_addr);
    let tjp = TjpAddr::parse(&tjp.unwrap_or_default())?;
    let names = vec![(NAME_X.to_owned(), tjp.clone())];
    space.put_with(&made, &PutOpts { names, ..PutOpts::default() })?;
    done.x = true;
    Ok(Some(tjp))
}

fn test_data() -> Result<Map<String, Value>, CliError> {
    let random = getrandom::u32().map_err(|error| {
        CliError::new(ErrorCode::Io, format!("the system's random source failed: {error}"))
    })?;
    let mut data = Map::new();
    data.insert("hello".into(), "world".into());
    data.insert("random".into(), random.into());
    Ok(data)
}

fn genesis(space: &SqliteSpace, domain: &TjpAddr) -> Result<IbGib, CliError> {
    let absent = || CliError::new(ErrorCode::Damaged, format!("the identity {domain} is not here"));
    space.get(domain)?.ok_or_else(absent)
}

fn unregistered(ctx: &Ctx, connection: &Connection, error: PeerError) -> CliError {
    ctx.out.note("everything is ready here; only the registration is missing");
    let error = connection
        .explain(error)
        .at(format_args!("the identity could not be registered with {}", connection.name()));
    error.hint("run `sync-gib setup` again to finish")
}
