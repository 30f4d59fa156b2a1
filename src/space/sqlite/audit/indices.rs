//! What a space keeps to find things quickly, and the names that it keeps.

use super::super::rows::kind_code;
use super::{Auditor, PAGE, Part};
use crate::ibgib::TjpAddr;
use crate::keystone;
use crate::space::rows::Rows;
use crate::space::state;
use crate::space::verified::verified;
use crate::space::{
    Domain,
    pending::{self, Purpose},
};
use crate::space::{NAME_IDENTITY, RowId, SpaceCount, SpaceError, TimelineKind};

impl Auditor<'_> {
    /// Links, unreferenced stones and counts, compared with what follows from the ibGibs.
    pub(super) fn indices(&mut self) -> Result<(), SpaceError> {
        for (what, differ) in [
            (
                "the link between ibGibs number {} and {} is lacking",
                "SELECT src, dst FROM derived_link EXCEPT SELECT src, dst FROM link",
            ),
            (
                "a link between ibGibs number {} and {} has no ground",
                "SELECT src, dst FROM link EXCEPT SELECT src, dst FROM derived_link",
            ),
            (
                "ibGib number {} (domain {}) is a stone that nothing relates to, and not among those",
                "SELECT stone_id, domain FROM derived_unreferenced EXCEPT SELECT stone_id, domain FROM loose",
            ),
            (
                "ibGib number {} (domain {}) is listed as an unreferenced stone, but is not one",
                "SELECT stone_id, domain FROM loose EXCEPT SELECT stone_id, domain FROM derived_unreferenced",
            ),
        ] {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let found: Vec<(i64, i64)> = self.all(differ, [], read)?;
            for (one, other) in found {
                let what = what.replacen("{}", &one.to_string(), 1);
                self.add(
                    Part::Indices,
                    super::NO_DOMAIN,
                    what.replacen("{}", &other.to_string(), 1),
                );
            }
        }
        let domains: Vec<i64> = self.domains.keys().copied().collect();
        for domain in domains {
            let counted = self.counts.get(&domain).copied().unwrap_or_default();
            let kept = self.of(domain).count();
            let Some(kept) = self.note(Part::Indices, domain, kept)? else { continue };
            if kept != counted {
                let SpaceCount { ibgibs, timelines, bytes } = counted;
                self.add(Part::Indices, domain, format!(
                    "counts {} ibGibs, {} timelines and {} bytes, and has {ibgibs}, {timelines} and {bytes}",
                    kept.ibgibs, kept.timelines, kept.bytes,
                ));
            }
        }
        self.states()
    }

    /// Where each domain's data stands, where that is kept.
    fn states(&mut self) -> Result<(), SpaceError> {
        // An older file that can only be read has no such table.
        if !self.has_table("state")? {
            return Ok(());
        }
        let kept: Vec<i64> = self.all("SELECT domain FROM state", [], |row| row.get(0))?;
        for domain in kept {
            let rows = self.of(domain);
            let both = rows.state().and_then(|kept| Ok((kept, state::compute(&rows)?)));
            let Some((Some(kept), found)) = self.note(Part::Indices, domain, both)? else {
                continue;
            };
            if kept != found {
                self.add(Part::Indices, domain, format!(
                    "the digest of {} timelines is kept as {}; of the {} that are here it is {}",
                    kept.timelines, kept.digest, found.timelines, found.digest,
                ));
            }
        }
        Ok(())
    }

    fn has_table(&self, name: &str) -> Result<bool, SpaceError> {
        let table = "SELECT 1 FROM sqlite_schema WHERE name = ?1";
        Ok(!self.all::<i64>(table, [name], |row| row.get(0))?.is_empty())
    }

    /// Names, and the signed steps that are perhaps accepted nowhere yet.
    pub(super) fn names(&mut self) -> Result<(), SpaceError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let names: Vec<(i64, String)> = self.all("SELECT domain, name FROM name", [], read)?;
        for (domain, name) in names {
            let looked = self.name(domain, &name);
            self.note(Part::Names, domain, looked)?;
        }
        let own: Vec<i64> = self
            .domains
            .iter()
            .filter(|of| of.1.as_str() == Domain::Client.as_str())
            .map(|of| *of.0)
            .collect();
        for domain in own {
            let looked = self.own_identity(domain);
            self.note(Part::Names, domain, looked)?;
        }
        // A file of the first format that can only be read has no such table.
        if !self.has_table("pending")? {
            return Ok(());
        }
        let kept: Vec<(i64, String)> =
            self.all("SELECT DISTINCT domain, identity FROM pending", [], read)?;
        for (domain, identity) in kept {
            let looked = self.pending(domain, &identity);
            self.note(Part::Names, domain, looked)?;
        }
        Ok(())
    }

    /// Whether a client's space that had an identity still names it.
    fn own_identity(&mut self, domain: i64) -> Result<(), SpaceError> {
        let rows = self.of(domain);
        if rows.name(NAME_IDENTITY)?.is_some() {
            return Ok(());
        }
        // Other people's identities may be here too; only who has one names data and sessions.
        let traces = "SELECT 1 FROM name WHERE domain = ?1 LIMIT 1";
        let traces: Vec<i64> = self.all(traces, [domain], |row| row.get(0))?;
        if traces.is_empty() {
            return Ok(());
        }
        let mut after = RowId::BEFORE_ALL;
        loop {
            let keystone = kind_code(TimelineKind::Keystone);
            let page = "SELECT tjp_id FROM derived_timeline \
                 WHERE domain = ?1 AND kind = ?2 AND tjp_id > ?3 ORDER BY tjp_id LIMIT ?4";
            let page: Vec<RowId> =
                self.all(page, (domain, keystone, after, PAGE), |row| row.get(0))?;
            let Some(last) = page.last() else { break };
            after = *last;
            for tjp_id in page {
                let (found, genesis) = verified(&rows, tjp_id)?;
                // A session answers challenges when it connects; an identity never does.
                if keystone::pool_ids(&genesis, keystone::POOL_CONNECT).is_empty() {
                    self.unnamed.push(found.addr.into());
                }
            }
        }
        match self.unnamed.is_empty() {
            true => Ok(()),
            false => Err(rows.damaged("no identity is named as this space's own".into())),
        }
    }

    fn name(&self, domain: i64, name: &str) -> Result<Option<RowId>, SpaceError> {
        let rows = self.of(domain);
        let Some(addr) = rows.name(name)? else { return Ok(None) };
        match rows.find(&addr.key())? {
            Some(row) => Ok(Some(row.id)),
            None => Err(rows.damaged(format!("the name {name} is {addr}, which is not here"))),
        }
    }

    fn pending(&self, domain: i64, identity: &str) -> Result<(), SpaceError> {
        let rows = self.of(domain);
        let unknown =
            || rows.damaged(format!("a pending step is of {identity:?}, which is not here"));
        let identity = TjpAddr::parse(identity).map_err(|_| unknown())?;
        if rows.find(&identity.key())?.is_none() {
            return Err(unknown());
        }
        for purpose in Purpose::ALL {
            pending::check(&rows, &identity, purpose)?;
        }
        Ok(())
    }
}
