//! How many identities may be new from one address in a day: a quota for each identity bounds nobody
//! who can have as many as he likes (docs/protocol.md, section 5, "Quotas").

use axum::http::StatusCode;

use super::Registration;
use super::client_addr::ClientAddr;
use super::failure::Failure;
use super::ledger::Ledger;
use super::refusals;
use super::state::Shared;
use crate::ibgib::{IbGib, Moment, TjpAddr, Valid};
use crate::space::{Pooled, Space};
use crate::sync::domain::NewIdentity;
use crate::sync::msg::RefusalCode;

const MS_IN_A_DAY: u64 = 24 * 60 * 60 * 1000;

/// Registers the identity `addr`, which comes from an address. One that is registered already, or
/// that is refused, costs nothing.
pub(super) fn register(
    shared: &Shared,
    space: &Pooled,
    addr: &TjpAddr,
    genesis: &Valid<IbGib>,
    from: ClientAddr,
) -> Result<TjpAddr, Failure> {
    let is_open = matches!(shared.opts.registration, Registration::Open);
    let most = shared.opts.max_new_identities.filter(|_| is_open);
    let quota = &shared.opts.quota;
    let (Some(most), None) = (most, space.find(addr)?) else {
        return Ok(NewIdentity::check(genesis)?.store(&**space, quota)?);
    };
    let (ledger, from) = (Ledger::of(space), from.to_string());
    let day = Moment::now().ms() / MS_IN_A_DAY;
    // Whoever asks again and again costs neither a write nor the checks of a genesis.
    if ledger.newcomers(day, &from)? >= u64::from(most) {
        return Err(too_many(most, &from));
    }
    let checked = NewIdentity::check(genesis)?;
    if !ledger.add_newcomer(day, &from, most)? {
        return Err(too_many(most, &from));
    }
    let registered = checked.store(&**space, quota);
    if registered.is_err() {
        ledger.remove_newcomer(day, &from)?;
    }
    Ok(registered?)
}

fn too_many(most: u32, from: &str) -> Failure {
    let message = format!(
        "{most} identities were registered from {from} today, and the limit for one day is reached; try \
         again after midnight (UTC), or have `serve --max-new-identities` raised"
    );
    refusals::log(format_args!("request refused: {message}"));
    Failure::new(StatusCode::TOO_MANY_REQUESTS, RefusalCode::Identities, message)
}
