//! What a space keeps to find things quickly, and the names that it keeps.

use super::{Auditor, Part};
use crate::ibgib::Addr;
use crate::space::pending::{self, Purpose};
use crate::space::rows::Rows;
use crate::space::{Id, SpaceCount, SpaceError};

impl Auditor<'_> {
    /// Links, loose stones and counts, held against what the ibGibs tell.
    pub(super) fn indices(&mut self) -> Result<(), SpaceError> {
        for (what, differ) in [
            (
                "the link between ibGibs number {} and {} is lacking",
                "SELECT src, dst FROM told_link EXCEPT SELECT src, dst FROM link",
            ),
            (
                "a link between ibGibs number {} and {} has no ground",
                "SELECT src, dst FROM link EXCEPT SELECT src, dst FROM told_link",
            ),
            (
                "ibGib number {} (domain {}) is a stone that nothing relates to, and not among those",
                "SELECT stone_id, domain FROM told_loose EXCEPT SELECT stone_id, domain FROM loose",
            ),
            (
                "ibGib number {} (domain {}) is among the stones that nothing relates to, and is none",
                "SELECT stone_id, domain FROM loose EXCEPT SELECT stone_id, domain FROM told_loose",
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
            let said = self.of(domain).count();
            let Some(said) = self.note(Part::Indices, domain, said)? else { continue };
            if said != counted {
                let SpaceCount { ibgibs, timelines, bytes } = counted;
                self.add(Part::Indices, domain, format!(
                    "counts {} ibGibs, {} timelines and {} bytes, and has {ibgibs}, {timelines} and {bytes}",
                    said.ibgibs, said.timelines, said.bytes,
                ));
            }
        }
        Ok(())
    }

    /// Names, and the signed steps that are perhaps accepted nowhere yet.
    pub(super) fn names(&mut self) -> Result<(), SpaceError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let names: Vec<(i64, String)> = self.all("SELECT domain, name FROM name", [], read)?;
        for (domain, name) in names {
            let looked = self.name(domain, &name);
            self.note(Part::Names, domain, looked)?;
        }
        let kept: Vec<(i64, String)> =
            self.all("SELECT DISTINCT domain, identity FROM pending", [], read)?;
        for (domain, identity) in kept {
            let looked = self.pending(domain, &identity);
            self.note(Part::Names, domain, looked)?;
        }
        Ok(())
    }

    fn name(&self, domain: i64, name: &str) -> Result<Option<Id>, SpaceError> {
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
        let identity = Addr::parse(identity).map_err(|_| unknown())?;
        if rows.find(&identity.key())?.is_none() {
            return Err(unknown());
        }
        for purpose in [Purpose::Session, Purpose::Revocation] {
            pending::check(&rows, &identity, purpose)?;
        }
        Ok(())
    }
}
