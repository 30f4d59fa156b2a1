//! Where each timeline ends, and which frames are on its mainline.

use super::super::rows::kind_code;
use super::{Auditor, PAGE, Part};
use crate::space::rows::{Rows, TimelineRow};
use crate::space::{RowId, SpaceError};

/// A timeline as it follows from its frames.
struct DerivedTimeline {
    tjp_id: RowId,
    domain: i64,
    kind: Option<i64>,
    tip_id: RowId,
    tip_n: i64,
    on_line: i64,
}

impl Auditor<'_> {
    pub(super) fn timelines(&mut self) -> Result<(), SpaceError> {
        let mut after = RowId::BEFORE_ALL;
        loop {
            let page = "SELECT tjp_id, domain, kind, tip_id, tip_n, on_line FROM derived_timeline \
                 WHERE tjp_id > ?1 ORDER BY tjp_id LIMIT ?2";
            let page = self.all(page, (after, PAGE), |row| {
                Ok(DerivedTimeline {
                    tjp_id: row.get(0)?,
                    domain: row.get(1)?,
                    kind: row.get(2)?,
                    tip_id: row.get(3)?,
                    tip_n: row.get(4)?,
                    on_line: row.get(5)?,
                })
            })?;
            let Some(last) = page.last() else { break };
            after = last.tjp_id;
            for derived in page {
                self.counts.entry(derived.domain).or_default().timelines += 1;
                let looked = self.timeline(&derived);
                self.note(Part::Timelines, derived.domain, looked)?;
            }
        }
        let lost = "SELECT tjp_id, domain FROM timeline \
             WHERE tjp_id NOT IN (SELECT tjp_id FROM derived_timeline)";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let lost: Vec<(RowId, i64)> = self.all(lost, [], read)?;
        for (tjp_id, domain) in lost {
            let detail = format!(
                "ibGib number {tjp_id} is recorded as the start of a timeline, but is not one"
            );
            self.add(Part::Timelines, domain, detail);
        }
        Ok(())
    }

    fn timeline(&self, derived: &DerivedTimeline) -> Result<(), SpaceError> {
        let DerivedTimeline { tjp_id, domain, kind, tip_id, tip_n, on_line } = *derived;
        let rows = self.of(domain);
        let name = match crate::space::verified::addr_of(&rows, tjp_id) {
            Ok(tjp) => tjp.to_string(),
            Err(_) => format!("that begins at ibGib number {tjp_id}"),
        };
        let wrong = |what: &str| Err(rows.damaged(format!("the timeline {name}: {what}")));
        let Some(TimelineRow { kind: said_kind, tip_id: said_tip, tip_n: said_n, .. }) =
            rows.timeline(tjp_id)?
        else {
            return wrong("it is not among the timelines");
        };
        if kind.is_some_and(|kind| kind != kind_code(said_kind)) {
            return wrong("it is of another kind");
        }
        if (said_tip, super::super::signed(said_n)) != (tip_id, tip_n) {
            return wrong("its tip is not its newest frame");
        }
        let mut walked = 0;
        let mut next = Some(tip_id);
        while let Some(id) = next {
            let Some(row) = rows.row(id)? else { return wrong("its mainline breaks off") };
            if row.is_off_mainline || row.timeline != Some(tjp_id) {
                return wrong("its mainline leads to a frame off the mainline");
            }
            walked += 1;
            next = row.prev;
        }
        if walked != on_line {
            return wrong("frames are marked as mainline that its tip does not lead to");
        }
        Ok(())
    }
}
