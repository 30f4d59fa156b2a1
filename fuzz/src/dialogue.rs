//! A sender and a receiver, and what comes between them.

mod line;
mod sides;

use sync_gib::sync::frame::Role;
use sync_gib::sync::{AdmitAll, Machine, Receiver, Sender, SyncError};

use super::input::Input;
use line::Line;
use sides::Sides;

/// How many messages a dialogue takes at most.
const LONGEST: usize = 400;

/// A dialogue ends, nothing is stored by who refuses, spaces stay closed, and where nothing comes
/// between, both sides agree.
///
/// The input says what either side holds, what is asked for, and what becomes of each message:
/// it passes, is lost, comes twice or late, is changed on the way, or is made anew by somebody who
/// can sign for the session; others are said between.
pub fn dialogue(data: &[u8]) {
    let input = &mut Input::new(data);
    let sides = Sides::new(input);
    let mut sender = sides.sender();
    let mut receiver = sides.receiver(&AdmitAll);
    let mut line = Line::new(input);
    let ended = run_session(&mut sender, &mut receiver, &mut line);
    sides.check_receiver(receiver.is_committed());
    sides.check_sender(sender.is_done() && ended.is_ok());
    if line.is_honest() {
        sides.check_agreement(ended);
    }
}

/// Drives both until the sender is through, one of them refuses, or nothing more is said.
fn run_session(
    sender: &mut Sender<'_>,
    receiver: &mut Receiver<'_>,
    line: &mut Line<'_, '_>,
) -> Result<(), SyncError> {
    for _ in 0..LONGEST {
        let (msg, from) = match sender.next()? {
            Some(msg) => (msg, Role::Sender),
            None if sender.is_done() => return Ok(()),
            None => match receiver.next().map_err(|error| SyncError::Refused(error.refusal()))? {
                Some(msg) => (msg, Role::Receiver),
                None => {
                    return Err(SyncError::Protocol("both sides wait for each other".to_owned()));
                }
            },
        };
        for (to, msg) in line.carry(msg, from) {
            match to {
                // Who is through has left.
                Role::Sender if sender.is_done() => {}
                Role::Sender => sender.handle(msg)?,
                // Nor does it hear of a refusal.
                Role::Receiver if sender.is_done() => drop(receiver.handle(msg)),
                Role::Receiver => {
                    receiver.handle(msg).map_err(|error| SyncError::Refused(error.refusal()))?;
                }
            }
        }
    }
    Err(SyncError::Protocol("a dialogue that does not end".to_owned()))
}
