//! Every keystone from its genesis on.

use super::super::SeenOnDisk;
use super::super::rows::kind_code;
use super::{Auditor, PAGE, Part};
use crate::keystone::{Replay, SeenIds, TimelineValidator, Violation};
use crate::space::verified::verified;
use crate::space::{RowId, SpaceError, TimelineKind};

/// Up to how many frames the ids of a keystone are kept in memory.
const SHORT: i64 = 1000;

impl Auditor<'_> {
    pub(super) fn identities(&mut self) -> Result<(), SpaceError> {
        let mut after = RowId::BEFORE_ALL;
        loop {
            let page = "SELECT tjp_id, domain, on_line FROM derived_timeline \
                 WHERE kind = ?3 AND tjp_id > ?1 ORDER BY tjp_id LIMIT ?2";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let keystone = kind_code(TimelineKind::Keystone);
            let page: Vec<(RowId, i64, i64)> = self.all(page, (after, PAGE, keystone), read)?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            after = *last;
            for (tjp_id, domain, frames) in page {
                let looked = if frames <= SHORT {
                    let mut frames = TimelineValidator::new();
                    self.keystone(tjp_id, domain, |frame| Ok(frames.push(&frame)))
                } else {
                    let mut frames = Replay::new(match self.in_memory {
                        true => SeenOnDisk::in_memory()?,
                        false => SeenOnDisk::new()?,
                    });
                    self.keystone(tjp_id, domain, |frame| push(&mut frames, frame))
                };
                self.note(Part::Identities, domain, looked)?;
            }
        }
    }

    /// Gives the frames of a keystone to `push`, oldest first, up to the first that is wrong.
    fn keystone(
        &self,
        tjp_id: RowId,
        domain: i64,
        mut push: impl FnMut(crate::ibgib::IbGib) -> Result<Vec<Violation>, SpaceError>,
    ) -> Result<(), SpaceError> {
        let rows = self.of(domain);
        let mut after = -1;
        loop {
            let page = "SELECT id, n FROM ibgib \
                 WHERE timeline = ?1 AND aside = 0 AND n > ?2 ORDER BY n LIMIT ?3";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let page: Vec<(RowId, i64)> = self.all(page, (tjp_id, after, PAGE), read)?;
            let Some((_, last)) = page.last() else { return Ok(()) };
            after = self.ascending(after, *last)?;
            for (id, _) in page {
                let (found, frame) = verified(&rows, id)?;
                let broken = push(frame)?;
                if !broken.is_empty() {
                    let broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
                    let detail = format!("{} is not valid: {}", found.addr, broken.join("; "));
                    return Err(crate::space::rows::Rows::damaged(&rows, detail));
                }
            }
        }
    }
}

fn push<S: SeenIds<Error = SpaceError>>(
    replay: &mut Replay<S>,
    frame: crate::ibgib::IbGib,
) -> Result<Vec<Violation>, SpaceError> {
    replay.push(frame)
}
