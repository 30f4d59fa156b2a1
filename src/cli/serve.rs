//! `serve`: the receiver as a process of its own.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::Ctx;
use super::age::Age;
use super::audit;
use super::error::CliError;
use super::interrupt;
use super::logging::{self, LogFormat};
use crate::ibgib::TjpAddr;
use crate::peer::Timeouts;
use crate::server::{self, HostName, Origin, Server, ServerOpts, TlsFiles, TrustedProxy};
use crate::sync::Quota;
use crate::sync::payload::Limits;

/// How many bytes an identity may hold where anybody may register and nothing else is asked for.
const STRANGERS_QUOTA: u64 = 10 << 30;

/// How long the file may take to be closed once all has stopped.
const CLOSING: Duration = Duration::from_secs(10);

/// Run the server that other spaces sync with.
///
/// It uses one port for HTTP and WebSocket, and one SQLite file for all identities, each of which
/// sees only its own data. SIGINT, SIGTERM or SIGHUP stops it, after commits in progress have
/// ended.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib serve --listen 127.0.0.1:8787 --space server.db\n  \
    sync-gib serve --check --space server.db\n  \
    sync-gib serve --listen 0.0.0.0:8787 --tls-cert cert.pem --tls-key key.pem \\\n    \
    --registration closed --allow 'keystone^E887FC…'")]
pub struct ServeArgs {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// The server's space, made if it does not exist; by default server.db in the home folder
    #[arg(long, value_name = "FILE")]
    pub space: Option<PathBuf>,
    /// Check the server's space for damage, and exit without serving
    #[arg(long)]
    pub check: bool,
    /// Who may register an identity
    #[arg(long, value_enum, default_value = "open")]
    pub registration: Registration,
    /// An identity (its tjp address) that may register if registration is closed; repeatable
    #[arg(long, value_name = "I")]
    pub allow: Vec<TjpAddr>,
    /// More of them, one a line
    #[arg(long, value_name = "FILE")]
    pub allow_file: Option<PathBuf>,
    /// The certificate chain (PEM), to speak https and wss
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// An origin whose web pages may use the server, such as `https://example.org`; repeatable
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<Origin>,
    /// A host name, besides loopback's own, that requests on loopback may use; repeatable
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<HostName>,
    /// A proxy (an address or a network) whose X-Forwarded-For names the client; repeatable
    #[arg(long, value_name = "CIDR")]
    pub trusted_proxy: Vec<TrustedProxy>,
    /// What one peer may take up.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// How long records of syncs are kept: a number of days (d), hours (h), minutes (m) or seconds
    /// (s), or `forever`
    #[arg(long, value_name = "TIME", default_value = "90d")]
    pub keep_sessions: Age,
    /// The form of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// Who may register an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    /// Anybody
    Open,
    /// Only those given by --allow and --allow-file
    Closed,
}

/// What one peer may take up.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Most authenticated sockets at a time
    #[arg(long, value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_sockets: u32,
    /// Most turns in one session
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_turns: u32,
    /// Most bytes that one sync may bring
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 30)]
    pub max_saga_bytes: u64,
    /// Most bytes that all syncs together may have staged at once
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 30)]
    pub max_staged_bytes: u64,
    /// Most bytes that one identity may hold; by default 10 GiB if registration is open, unlimited
    /// if it is closed
    #[arg(long, value_name = "BYTES")]
    pub quota: Option<u64>,
    /// Most bytes that the whole file may take; unlimited by default
    #[arg(long, value_name = "BYTES")]
    pub max_file_bytes: Option<u64>,
    /// Most new identities from one address in a day, if registration is open
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_identities: u32,
    /// Seconds that a socket may stay unauthenticated
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub auth_timeout: u32,
    /// Seconds that a socket may stay silent
    #[arg(long, value_name = "SECONDS", default_value_t = 120,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub idle_timeout: u32,
    /// Seconds that a session may wait for its socket
    #[arg(long, value_name = "SECONDS", default_value_t = 600,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub session_ttl: u32,
    /// Seconds that a read token is valid
    #[arg(long, value_name = "SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub token_ttl: u32,
}

/// Serves until a signal ends it.
pub fn run(args: &ServeArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    logging::start(tracing::Level::INFO, ctx.global.verbose, args.log_format);
    if args.check {
        return audit::check_server(&space_path(args, ctx)?, ctx);
    }
    let opts = options(args, ctx)?;
    warn_of_strangers(&opts);
    raise_file_limit(&opts);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(server::MAX_THREADS)
        .build()
        .map_err(|error| CliError::io("cannot start", &error))?;
    let served = runtime.block_on(async {
        let server = Server::start(opts).await?;
        // Taken over before anybody is told of the server, so that it ends in order from then on.
        let ended = interrupt::take_over();
        let url = server.url();
        tracing::info!(%url, "serving");
        ctx.out.line(format_args!("listening on {url}"))?;
        ctx.out.done(json!({ "url": url }))?;
        ended.await;
        tracing::info!("stopping");
        server.stop().await?;
        Ok(())
    });
    // Dropped, it would wait without end for a commit that the stop has given up.
    runtime.shutdown_timeout(CLOSING);
    served
}

/// Has as many files be open as are needed, or says what is lacking.
fn raise_file_limit(opts: &ServerOpts) {
    let needed = server::files_needed(opts);
    if let Err(limit) = server::raise_file_limit(needed) {
        let max_sockets = opts.max_sockets;
        tracing::warn!(
            limit,
            needed,
            max_sockets,
            "too few files may be open for all sockets and \
            connections: some would be refused; raise the limit (ulimit -n), or lower \
            --max-sockets"
        );
    }
}

/// Says at the start what a server lets strangers do that other machines reach.
fn warn_of_strangers(opts: &ServerOpts) {
    if opts.listen.ip().to_canonical().is_loopback() {
        return;
    }
    let listen = opts.listen;
    if opts.tls.is_none() {
        tracing::warn!(%listen, "no TLS on a public address: anybody on the way can read everything, \
            tokens too, and can use a proof first; give --tls-cert and --tls-key");
    }
    if matches!(opts.registration, server::Registration::Open) {
        tracing::warn!(%listen, "registration is open on a public address: anybody may register \
            and, in time, fill the disk; give --registration closed, or --max-file-bytes");
    }
}

fn options(args: &ServeArgs, ctx: &Ctx) -> Result<ServerOpts, CliError> {
    if args.space.is_none() {
        ctx.home()?.create()?;
    }
    let space = space_path(args, ctx)?;
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let limits = &args.limits;
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    let registration = registration(args)?;
    let is_open = matches!(registration, server::Registration::Open);
    Ok(ServerOpts {
        registration,
        tls: tls.map(|(cert, key)| TlsFiles { cert, key }),
        allow_origins: args.allow_origin.clone(),
        allow_hosts: args.allow_host.clone(),
        trusted_proxies: args.trusted_proxy.clone(),
        max_sockets: limits.max_sockets as usize,
        max_turns: u64::from(limits.max_turns),
        limits: Limits { bytes: limits.max_saga_bytes, ..Limits::default() },
        max_staged_bytes: Some(limits.max_staged_bytes),
        quota: Quota {
            identity: limits.quota.or(is_open.then_some(STRANGERS_QUOTA)),
            file: limits.max_file_bytes,
            ..Quota::default()
        },
        max_new_identities: Some(limits.max_new_identities),
        session_time: seconds(limits.session_ttl),
        token_time: seconds(limits.token_ttl),
        timeouts: Timeouts {
            idle: seconds(limits.idle_timeout),
            untrusted: seconds(limits.auth_timeout),
            ..Timeouts::default()
        },
        keep_sessions: args.keep_sessions.0,
        ..ServerOpts::new(args.listen, space)
    })
}

fn space_path(args: &ServeArgs, ctx: &Ctx) -> Result<PathBuf, CliError> {
    match &args.space {
        Some(path) => Ok(path.clone()),
        None => Ok(ctx.home()?.dir().join("server.db")),
    }
}

fn registration(args: &ServeArgs) -> Result<server::Registration, CliError> {
    if args.registration == Registration::Open {
        if !args.allow.is_empty() || args.allow_file.is_some() {
            let message = "--allow and --allow-file are for --registration closed";
            return Err(CliError::usage(message));
        }
        return Ok(server::Registration::Open);
    }
    let mut allowed: HashSet<TjpAddr> = args.allow.iter().cloned().collect();
    if let Some(path) = &args.allow_file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| CliError::io(format!("cannot read {}", path.display()), &error))?;
        let lines = text.lines().map(str::trim).enumerate();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let addr = TjpAddr::parse(line).map_err(|error| {
                CliError::usage(format!("{}, line {}: {error}", path.display(), at + 1))
            })?;
            allowed.insert(addr);
        }
    }
    Ok(server::Registration::Closed(allowed))
}
