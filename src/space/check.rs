//! Keystone frames are checked before they are stored.

use crate::ibgib::{Addr, IbGib};
use crate::keystone;

use super::SpaceError;

/// Checks a keystone frame: a genesis where `prev` is none, else the step from `prev`.
///
/// Errors with [`SpaceError::KeystoneInvalid`], one message per broken rule (docs/protocol.md,
/// section 4). That `prev` has no other successor is checked by the put itself.
pub(super) fn check_keystone(
    prev: Option<&IbGib>,
    frame: &IbGib,
    addr: &Addr,
) -> Result<(), SpaceError> {
    let violations = match prev {
        None => keystone::validate_genesis(frame),
        Some(prev) => keystone::validate_step(prev, frame),
    };
    if violations.is_empty() {
        return Ok(());
    }
    let violations = violations.iter().map(ToString::to_string).collect();
    Err(SpaceError::KeystoneInvalid { addr: addr.clone(), violations })
}
