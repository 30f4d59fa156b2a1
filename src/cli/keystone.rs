//! `keystone verify`: whether frames are an identity's, by every rule; `keystone rotate` and `keystone
//! recover`: another secret; `keystone revoke`: the identity's end.

pub mod renew;

use std::io::BufRead;

use serde_json::{Value, json};

use super::Ctx;
use super::connection::{self, Connection};
use super::error::{CliError, ErrorCode};
use super::identity::{Given, Renewed, say_keys};
use super::input::{JsonTexts, at, stdin_texts};
use super::output::printable;
use super::secret::SecretArgs;
use crate::ibgib::IbGib;
use crate::keystone::{self, TimelineValidator};
use crate::peer::client;

/// Work on keystones.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Example:\n  sync-gib keystone verify < frames.ndjson")]
pub enum KeystoneCommand {
    Verify(KeystoneVerifyArgs),
    Rotate(renew::KeystoneRotateArgs),
    Recover(renew::KeystoneRecoverArgs),
    Revoke(KeystoneRevokeArgs),
}

/// Revoke this space's identity, on the server and here, for good.
///
/// Nobody can sign with the identity any more, including you: nothing is synced under it again.
/// Sync first if you can: data that only the server has cannot be read afterwards. The data stays
/// readable here; a new home with a new identity can take it over with `graph --format ndjson` and
/// `put`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sync-gib keystone revoke --reason 'laptop stolen' --yes")]
pub struct KeystoneRevokeArgs {
    /// Why; everybody who reads the identity can read it
    #[arg(long, value_name = "TEXT", default_value = "revoked by its owner")]
    pub reason: String,
    /// Confirm: a revocation cannot be undone
    #[arg(long)]
    pub yes: bool,
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// Revokes the identity.
pub fn revoke(args: &KeystoneRevokeArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    if !args.yes {
        let error = CliError::usage("a revocation cannot be undone, so it requires --yes");
        return Err(error.hint(
            "nothing was done; run `sync-gib sync` first, since what only the server has cannot be \
             read afterwards",
        ));
    }
    let home = ctx.home()?;
    let space = ctx.open_space()?;
    let mut given = Given::ask(&space, &args.secret)?;
    let connection = Connection::open(&home, &connection::config(&home, Some(&space))?)?;
    let link = connection.link()?;
    ctx.out.note("data that only the server has cannot be read afterwards");
    let tip = given
        .sign(&connection, |identity| client::revoke(&space, &link, identity, &args.reason))?;
    let domain = &given.identity().domain;
    ctx.out.line(format_args!("revoked {}", printable(domain.as_str())))?;
    ctx.out.done(json!({
        "server": connection.name(), "identity": domain, "tip": tip, "reason": args.reason,
    }))
}

/// Check a keystone's frames, read as NDJSON, by every rule.
///
/// Reads the frames from standard input, genesis first, and prints `ok`, how the identity signs and
/// where its secret was changed; or each broken rule with the frame that breaks it. Exits with 1 if a
/// rule is broken.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    sync-gib log I --json | jq -r '.frames | reverse | .[].addr' \\\n    \
    | sync-gib get - | sync-gib keystone verify")]
pub struct KeystoneVerifyArgs {}

/// A broken rule and where.
struct Broken {
    line: u64,
    addr: String,
    rule: String,
}

/// Validates what standard input holds.
pub fn run(_: &KeystoneVerifyArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let mut found = Verified::default();
    let read = found.read(stdin_texts());
    let Verified { frames, tip, newest, renewals, broken } = found;
    for Broken { line, addr, rule } in &broken {
        ctx.out.line(format_args!("line {line}, {}: {rule}", printable(addr)))?;
    }
    let error = match (read, tip) {
        (Err(error), _) => error,
        (Ok(()), None) => CliError::new(ErrorCode::BadInput, "no keystone frame on standard input"),
        (Ok(()), Some(tip)) if broken.is_empty() => {
            let shown = printable(&tip);
            ctx.out.line(format_args!("ok: {frames} {}, tip {shown}", plural(frames)))?;
            for (n, addr, how) in &renewals {
                ctx.out.line(format_args!("frame {n}: {}, {}", how.told(), printable(addr)))?;
            }
            let newest = newest.as_ref();
            if let Some(newest) = newest {
                ctx.out.line(format_args!("signs with {}", keystone::described(newest)))?;
            }
            let renewals: Vec<Value> = renewals
                .into_iter()
                .map(|(n, addr, how)| json!({"n": n, "addr": addr, "how": how.as_str()}))
                .collect();
            let mut said = json!({"frames": frames, "tip": tip, "renewals": renewals});
            if let Some(newest) = newest {
                say_keys(newest, &mut said);
            }
            return ctx.out.done(said);
        }
        (Ok(()), Some(_)) => {
            let count = broken.len();
            let message = format!("not valid: {count} broken rules in {frames} {}", plural(frames));
            CliError::new(ErrorCode::Different, message)
        }
    };
    let rules: Vec<Value> = broken
        .into_iter()
        .map(|Broken { line, addr, rule }| json!({"line": line, "addr": addr, "rule": rule}))
        .collect();
    Err(error.detail("frames", frames).detail("broken", rules).or_detail("line", Value::Null))
}

fn plural(frames: u64) -> &'static str {
    if frames == 1 { "frame" } else { "frames" }
}

/// What was found in the frames that were read.
#[derive(Default)]
struct Verified {
    frames: u64,
    tip: Option<String>,
    newest: Option<IbGib>,
    /// Where the secret was changed, and how.
    renewals: Vec<(u64, String, Renewed)>,
    broken: Vec<Broken>,
}

impl Verified {
    /// Validates frames, genesis first. Errors at what is no ibGib; what was found before stays.
    fn read(&mut self, texts: JsonTexts<impl BufRead>) -> Result<(), CliError> {
        let mut validator = TimelineValidator::new();
        for text in texts {
            let text = text?;
            let unreadable =
                |error| CliError::from(error).at(at(text.line)).detail("line", text.line);
            let frame = IbGib::from_json(&text.text).map_err(unreadable)?;
            let addr = format!("{}^{}", frame.ib, frame.gib);
            for violation in validator.push(&frame) {
                let rule = violation.to_string();
                self.broken.push(Broken { line: text.line, addr: addr.clone(), rule });
            }
            self.frames += 1;
            if let Some((n, how)) = frame.n().zip(Renewed::of(&frame)) {
                self.renewals.push((n, addr.clone(), how));
            }
            self.tip = Some(addr);
            self.newest = Some(frame);
        }
        Ok(())
    }
}
