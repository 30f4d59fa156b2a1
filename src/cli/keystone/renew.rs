//! `keystone rotate` and `keystone recover`: another secret, by the old one or by the recovery code.

use std::cell::{Cell, OnceCell};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::cli::Ctx;
use crate::cli::connection::{self, Connection};
use crate::cli::error::{CliError, ErrorCode};
use crate::cli::identity::{Given, NewSecret, domain_of, expect_signing_keys, newest};
use crate::cli::input::is_stdin;
use crate::cli::output::printable;
use crate::cli::recovery::{self, RecoveryArgs};
use crate::cli::secret::{NewSecretArgs, SecretArgs};
use crate::ibgib::{IbGib, System, TjpAddr};
use crate::keystone::{self, KeystoneError, RecoveryCode, Renewal};
use crate::peer::{Remote, client, identity};
use crate::space::{NAME_IDENTITY, Purpose, Space, SqliteSpace};

/// Change the secret of this space's identity, on the server and here.
///
/// The old secret signs for the last time. Sessions and tokens end, and other devices ask for the new
/// secret; what they have not synced yet is kept, and goes up with it. The recovery code stays the
/// same.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib keystone rotate\n  \
    sync-gib keystone rotate --secret-file old --new-secret-file new")]
pub struct KeystoneRotateArgs {
    /// Where the old secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// Where the new secret comes from.
    #[command(flatten)]
    pub new_secret: NewSecretArgs,
}

/// Take this space's identity back with its recovery code: a new secret and a new code.
///
/// Works on the newest frame of the identity, whoever made it, without any secret: for one that is
/// forgotten, or stolen, even if the thief has changed it. From then on that secret signs nothing, nor
/// does the code. The next code is shown once, before anything is sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib keystone recover\n  \
    sync-gib keystone recover --code-file code --new-secret-file new --recovery-file next-code")]
pub struct KeystoneRecoverArgs {
    /// Read the recovery code from FILE, or from standard input with `-`; else the program asks for it
    #[arg(long, value_name = "FILE", help_heading = "Secret")]
    pub code_file: Option<PathBuf>,
    /// The identity, in a home that `setup --join` could not finish without the secret
    #[arg(long, value_name = "I")]
    pub identity: Option<TjpAddr>,
    /// Where the new secret comes from.
    #[command(flatten)]
    pub new_secret: NewSecretArgs,
    /// Where the next recovery code goes.
    #[command(flatten)]
    pub recovery: RecoveryArgs,
}

/// What a renewal came to.
struct Done<'a> {
    connection: &'a Connection,
    domain: &'a TjpAddr,
    frame: &'a IbGib,
}

/// Changes the secret by the old one.
pub fn rotate(args: &KeystoneRotateArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    if args.secret.takes_stdin() && args.new_secret.takes_stdin() {
        return Err(CliError::usage("both secrets cannot come from standard input"));
    }
    let home = ctx.home()?;
    let space = ctx.open_space()?;
    let domain = domain_of(&space)?;
    expect_locked(&newest(&space, &domain)?)?;
    let connection = Connection::open(&home, &connection::config(&home, Some(&space))?)?;
    let link = connection.link()?;
    identity::fetch(&space, &link, &domain).map_err(|error| connection.explain(error))?;
    let mut given = Given::ask(&space, &args.secret)?;
    // An earlier run that was cut off may have changed it, which the server tells.
    if space.pending(&domain, Purpose::Renewal)?.is_none() {
        given.expect_known()?;
    }
    let new = args.new_secret.read()?;
    let new = NewSecret::of(new, false, args.new_secret.allow_weak_secret)?;
    if new.is(given.typed()) || new.was_used(&space, &given.identity().domain)? {
        return Err(used());
    }
    let env = System::new();
    let renewal = Renewal { secret: &new.master, frame_details: Some(new.details()), env: &env };
    let frame = given.sign(&connection, |identity| {
        client::rotate(&space, &link, identity, &renewal, Arc::new(System::new()))
    })?;
    let domain = &given.identity().domain;
    let done = Done { connection: &connection, domain, frame: &frame };
    match new.was_brought_in_by(&frame)? {
        true => done.print("rotated", false, ctx),
        false => Err(done.earlier(
            "an earlier change of the secret was completed: its new secret holds, not the one just \
             given (and if it was a recovery, the code that it showed)",
        )),
    }
}

/// Changes the secret by the recovery code.
pub fn recover(args: &KeystoneRecoverArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    if args.code_file.as_deref().is_some_and(is_stdin) && args.new_secret.takes_stdin() {
        return Err(CliError::usage("code and secret cannot both come from standard input"));
    }
    let home = ctx.home()?;
    let space = ctx.open_space()?;
    let domain = to_recover(args, &space)?;
    // The file of an earlier run, which this one completes, holds the code that is good.
    if space.pending(&domain, Purpose::Recovery)?.is_none() {
        args.recovery.expect_new_file()?;
    }
    let code = recovery::read(args.code_file.as_deref())?;
    let connection = Connection::open(&home, &connection::config(&home, Some(&space))?)?;
    let link = connection.link()?;
    let is_done = expect_recovers(&space, &link, &connection, &domain, &code)?;
    let new = args.new_secret.read()?;
    let new = NewSecret::of(new, false, args.new_secret.allow_weak_secret)?;
    if !is_done && (new.is_in_force(&space, &domain)? || new.was_used(&space, &domain)?) {
        return Err(used());
    }
    let env = System::new();
    let renewal = Renewal { secret: &new.master, frame_details: Some(new.details()), env: &env };
    let next = NextCode::default();
    let (link, codes) = (&link, (&code, &(|| next.get(&args.recovery)) as client::NextCode<'_>));
    let env = Arc::new(System::new());
    let sent = client::recover_with(&space, link, &domain, codes, &renewal, env);
    let frame = sent.map_err(|error| next.explain(connection.explain(error)))?;
    if space.name(NAME_IDENTITY)?.is_none() {
        space.set_name(NAME_IDENTITY, &domain)?;
    }
    let done = Done { connection: &connection, domain: &domain, frame: &frame };
    if !next.holds(&frame) {
        next.take_back(&args.recovery);
        ctx.out.note("an earlier recovery was completed: the recovery code that it gave out holds");
    }
    match new.was_brought_in_by(&frame)? {
        true => done.print("recovered", !next.holds(&frame), ctx),
        false if is_done => Err(done.earlier(&format!(
            "this code was used already: the identity's frame {} brought in another secret and \
             another code",
            frame.n().unwrap_or_default()
        ))),
        false => Err(done.earlier(
            "an earlier change of the secret was completed: its new secret and its recovery code \
             hold, not the secret just given",
        )),
    }
}

/// The next recovery code, which is made and handed out once a frame is made that brings it in.
#[derive(Default)]
struct NextCode {
    made: OnceCell<RecoveryCode>,
    /// Why it could not be handed out.
    failed: Cell<Option<CliError>>,
}

impl NextCode {
    fn get(&self, args: &RecoveryArgs) -> Result<RecoveryCode, KeystoneError> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let made = RecoveryCode::new_random(&System::new())?;
        let of = "The next recovery code, which holds once this is done";
        args.hand_out(&made, of).map_err(|error| {
            self.failed.set(Some(error));
            KeystoneError::NoRecovery
        })?;
        Ok(self.made.get_or_init(|| made).clone())
    }

    /// Why a run failed, with what to do with the codes.
    fn explain(&self, error: CliError) -> CliError {
        if let Some(failed) = self.failed.take() {
            return failed;
        }
        if self.made.get().is_none() {
            return error;
        }
        let hint = error.hint.clone().map_or(String::new(), |hint| hint + "; ");
        error.hint(hint + "keep both codes, the old and the next one, until a run succeeds")
    }

    fn holds(&self, frame: &IbGib) -> bool {
        self.made.get().is_some_and(|made| keystone::expect_recovers(made, frame).is_ok())
    }

    fn take_back(&self, args: &RecoveryArgs) {
        if self.made.get().is_some() {
            args.take_back();
        }
    }
}

/// Which identity is to be recovered: the space's, or one whose frames `setup --join` has fetched.
fn to_recover(args: &KeystoneRecoverArgs, space: &SqliteSpace) -> Result<TjpAddr, CliError> {
    match (&args.identity, space.name(NAME_IDENTITY)?) {
        (Some(asked), Some(own)) if *asked != own => {
            let message = format!("this space has another identity, {own}");
            Err(CliError::new(ErrorCode::IdentityRefused, message)
                .hint("recover it in a --home of its own"))
        }
        (_, Some(own)) => Ok(own),
        (Some(asked), None) => Ok(asked.clone()),
        (None, None) => domain_of(space),
    }
}

/// Fetches I's newest frames, and errors where the code does not continue them or the server is too
/// old: before the person is asked for more. Returns whether an earlier run has recovered it already.
fn expect_recovers(
    space: &SqliteSpace,
    link: &Remote<'_>,
    connection: &Connection,
    domain: &TjpAddr,
    code: &RecoveryCode,
) -> Result<bool, CliError> {
    let explain = |error| connection.explain(error);
    identity::fetch(space, link, domain).map_err(explain)?;
    let tip = newest(space, domain)?;
    expect_locked(&tip)?;
    expect_signing_keys(link).map_err(explain)?;
    let earlier = space.pending(domain, Purpose::Recovery)?;
    let is_done = earlier.is_some_and(|earlier| earlier.evolved == tip);
    match keystone::expect_recovers(code, &tip) {
        Err(error) if !is_done => Err(error.into()),
        _ => Ok(is_done),
    }
}

fn expect_locked(tip: &IbGib) -> Result<(), CliError> {
    match keystone::lock_of(tip).is_some() {
        true => Ok(()),
        false => Err(CliError::from(keystone::KeystoneError::NotLocked).hint(
            "it was made by an earlier version, or elsewhere; a new identity has a signing key, and \
             can take the data over with `graph X --live --format ndjson` and `put`",
        )),
    }
}

/// What a secret that is not new is answered with.
fn used() -> CliError {
    CliError::new(ErrorCode::SecretRefused, "the new secret is one that the identity had before")
        .hint("nothing was sent; choose another one")
}

impl Done<'_> {
    /// `earlier` tells that an earlier run made the frame, whose recovery code holds.
    fn print(&self, what: &str, earlier: bool, ctx: &mut Ctx) -> Result<(), CliError> {
        let lock = keystone::lock_of(self.frame);
        let tip = self.frame.addr()?;
        ctx.out.line(format_args!("{what} {}", printable(tip.as_str())))?;
        ctx.out.done(json!({
            "server": self.connection.name(), "identity": self.domain, "tip": tip,
            "secretSince": lock.as_ref().map(|lock| lock.since()),
            "recovery": lock.is_some_and(|lock| lock.is_recoverable()), "earlier": earlier,
        }))
    }

    /// The end where the frame that was sent was made by an earlier run.
    fn earlier(&self, message: &str) -> CliError {
        let error = CliError::new(ErrorCode::Conflict, message)
            .hint("use them; if you do not have them, recover with the code that is in force");
        match self.frame.addr() {
            Ok(tip) => error.detail("tip", tip.as_str()),
            Err(_) => error,
        }
    }
}
