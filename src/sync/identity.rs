//! Reading an identity's frames from a space.

use super::domain::{check_next, invalid};
use super::error::SyncError;
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::keystone::{self, Replay, SeenIds};
use crate::space::{RowId, Space, SpaceError};

/// Where in a space I's frames are read.
#[derive(Debug)]
struct Reading {
    tjp_id: RowId,
    next_n: u64,
}

impl Reading {
    /// After the frame `after`, which is returned, or from the genesis on where that is none of I's
    /// frames; none where I is not here.
    fn after(
        space: &dyn Space,
        domain: &TjpAddr,
        after: Option<&Addr>,
    ) -> Result<Option<(Reading, Option<IbGib>)>, SyncError> {
        let Some(tjp_id) = space.find(domain)? else { return Ok(None) };
        if space.timeline_of(tjp_id)?.is_none() {
            return Ok(None);
        }
        let known = after.map(|after| space.find(after)).transpose()?.flatten();
        let row = known.map(|id| space.row(id)).transpose()?;
        Ok(Some(match row.filter(|row| row.timeline == Some(tjp_id)) {
            Some(row) => (Reading { tjp_id, next_n: row.n + 1 }, Some(space.get_id(row.id)?)),
            None => (Reading { tjp_id, next_n: 0 }, None),
        }))
    }

    /// The next frame and its text; none at the tip. How the frames relate to each other is for
    /// the caller to check.
    fn next(&mut self, space: &dyn Space) -> Result<Option<(IbGib, Box<str>)>, SyncError> {
        let Some(id) = space.frame_at(self.tjp_id, self.next_n)? else { return Ok(None) };
        if space.row(id)?.n < self.next_n {
            return Ok(None);
        }
        let text = space.text_to_send(id)?;
        let frame = IbGib::from_json(&text)?;
        self.next_n += 1;
        Ok(Some((frame, text)))
    }
}

/// I's frames as a space holds them, oldest first, each validated as it is read: of those before it
/// holds the last one alone.
#[derive(Debug)]
pub struct IdentityFrames<S> {
    reading: Reading,
    replay: Replay<S>,
}

impl<S: SeenIds> IdentityFrames<S>
where
    SpaceError: From<S::Error>,
{
    /// I's frames after `after`, or all where that is none of them; none where I is not here.
    pub fn after(
        space: &dyn Space,
        domain: &TjpAddr,
        after: Option<&Addr>,
        ids: S,
    ) -> Result<Option<IdentityFrames<S>>, SyncError> {
        let begun = Reading::after(space, domain, after)?;
        Ok(begun.map(|(reading, prev)| {
            let replay = match prev {
                Some(prev) => Replay::after(prev, ids),
                None => Replay::new(ids),
            };
            IdentityFrames { reading, replay }
        }))
    }

    /// The next frame's address and text; none at the tip. Errors where it does not validate: the
    /// space is damaged, and nothing after it is read.
    pub fn next(&mut self, space: &dyn Space) -> Result<Option<(Addr, Box<str>)>, SyncError> {
        let Some((frame, text)) = self.reading.next(space)? else { return Ok(None) };
        let addr = frame.addr()?;
        check_next(&mut self.replay, frame, &addr)?;
        Ok(Some((addr, text)))
    }
}

/// I's frames as a server gives them out, oldest first: each is hashed and compared with the one
/// before. Their solutions are not computed: the put that stored them did, whoever gets them does,
/// and anybody may ask for them as often as they like.
#[derive(Debug)]
pub struct StoredFrames {
    reading: Reading,
    prev: Option<IbGib>,
}

impl StoredFrames {
    /// I's frames after `after`, or all where that is none of them; none where I is not here.
    pub fn after(
        space: &dyn Space,
        domain: &TjpAddr,
        after: Option<&Addr>,
    ) -> Result<Option<StoredFrames>, SyncError> {
        let begun = Reading::after(space, domain, after)?;
        Ok(begun.map(|(reading, prev)| StoredFrames { reading, prev }))
    }

    /// The next frame's text; none at the tip. Errors with [`SpaceError::KeystoneInvalid`] where
    /// it does not go on from the one before: the space is damaged, and nothing after it is read.
    pub fn next(&mut self, space: &dyn Space) -> Result<Option<Box<str>>, SyncError> {
        let Some((frame, text)) = self.reading.next(space)? else { return Ok(None) };
        let violations = match &self.prev {
            Some(prev) => keystone::validate_link(prev, &frame),
            None => keystone::validate_genesis(&frame),
        };
        if !violations.is_empty() {
            return Err(invalid(&frame.addr()?, &violations));
        }
        self.prev = Some(frame);
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::System;
    use crate::keystone::{MasterSecret, StepsOnly, presets};
    use crate::space::{Prepared, PutOpts, SqliteSpace};
    use crate::sync::establish;

    /// A space that holds I's genesis and a step with a change, which no put looked at.
    fn holding(change: impl FnOnce(&mut IbGib)) -> (tempfile::TempDir, SqliteSpace, TjpAddr) {
        let dir = tempfile::tempdir().unwrap();
        let space = SqliteSpace::create_if_missing(
            &dir.path().join("space.db"),
            crate::space::Domain::Client,
        )
        .unwrap();
        let secret = MasterSecret::from_raw("a".to_owned().into()).unwrap();
        let pools = presets::identity_pools(&System::new()).unwrap();
        let genesis = keystone::genesis(&secret, &pools, None, &System::new()).unwrap();
        let domain = TjpAddr::from(genesis.addr().unwrap());
        let mut step = establish(&domain, &genesis, &secret, &System::new()).unwrap().identity;
        change(&mut step);
        step.gib = step.computed_gib().unwrap();
        let all =
            [&genesis, &step].map(|frame| Ok(Prepared::new(frame).unwrap().with_valid_step()));
        space.put(&mut all.into_iter(), &PutOpts::default()).unwrap();
        (dir, space, domain)
    }

    fn set_solution(step: &mut IbGib) {
        let data = step.data.as_mut().unwrap();
        *data.pointer_mut("/proofs/0/solutions/0/value").unwrap() = "ab".into();
    }

    #[test]
    fn what_a_put_validated_is_given_out_without_computing_a_solution() {
        let (_dir, space, domain) = holding(set_solution);
        let mut stored = StoredFrames::after(&space, &domain, None).unwrap().unwrap();
        let mut given = 0;
        while stored.next(&space).unwrap().is_some() {
            given += 1;
        }
        assert_eq!(given, 2);
        // Whoever reads it for its own use does compute them.
        let all = IdentityFrames::after(&space, &domain, None, StepsOnly);
        let mut all = all.unwrap().unwrap();
        assert!(all.next(&space).unwrap().is_some());
        let found = all.next(&space);
        assert!(matches!(found, Err(SyncError::Space(SpaceError::KeystoneInvalid { .. }))));
    }

    #[test]
    fn a_frame_that_does_not_go_on_from_the_one_before_is_not_given_out() {
        let (_dir, space, domain) =
            holding(|step| *step.data.as_mut().unwrap().pointer_mut("/uuid").unwrap() = "u".into());
        for after in [None, Some(&*domain)] {
            let mut stored = StoredFrames::after(&space, &domain, after).unwrap().unwrap();
            if after.is_none() {
                assert!(stored.next(&space).unwrap().is_some());
            }
            let found = stored.next(&space);
            assert!(matches!(found, Err(SyncError::Space(SpaceError::KeystoneInvalid { .. }))));
        }
    }
}
