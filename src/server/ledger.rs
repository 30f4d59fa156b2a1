//! The server's tokens, sessions and newcomers, kept in the space's file so that a restart forgets none.

use rusqlite::{OptionalExtension, params};

use super::prune::LONGEST_SESSION;
use crate::ibgib::TjpAddr;
use crate::space::{Domain, SideTables, SpaceError, SqliteSpace, signed, unsigned};

/// Tokens, sessions and newcomers. Times are milliseconds since 1970.
///
/// A token stands here as a hash only, so the file gives nobody access.
pub struct Ledger {
    tables: SideTables,
}

/// A session that was established.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Whose it is.
    pub domain: Domain,
    /// When it was established.
    pub created_ms: u64,
    /// When it was connected, where it was.
    pub connected_ms: Option<u64>,
}

impl Ledger {
    /// The ledger in a space's file, whatever the domain.
    pub fn of(space: &SqliteSpace) -> Ledger {
        Ledger { tables: space.side_tables() }
    }

    /// Keeps a token's hash; the same hash again replaces what it stood for.
    pub fn add_token(
        &self,
        hash: &[u8],
        domain: &Domain,
        expires_at_ms: u64,
    ) -> Result<(), SpaceError> {
        self.tables.write(|connection| {
            let mut add = connection.prepare_cached(
                "INSERT OR REPLACE INTO token(hash, domain, expires_at_ms) VALUES (?1, ?2, ?3)",
            )?;
            add.execute(params![hash, domain, signed(expires_at_ms)]).map(drop)
        })
    }

    /// The domain that a token's hash opens at a moment; none where it is unknown or expired.
    pub fn token_domain(&self, hash: &[u8], now_ms: u64) -> Result<Option<Domain>, SpaceError> {
        self.tables.read(|connection| {
            let mut find = connection.prepare_cached(
                "SELECT domain FROM token WHERE hash = ?1 AND expires_at_ms > ?2",
            )?;
            find.query_row(params![hash, signed(now_ms)], |row| row.get(0)).optional()
        })
    }

    /// Keeps the hash of a token that is for asking where a domain's data stands, and drops those that
    /// have expired, of all domains, and beyond `most` those of this one that expire first.
    pub fn add_state_token(
        &self,
        hash: &[u8],
        domain: &Domain,
        (now_ms, expires_at_ms): (u64, u64),
        most: u32,
    ) -> Result<(), SpaceError> {
        self.tables.write(|connection| {
            let mut purge = connection.prepare_cached(
                "DELETE FROM state_token WHERE domain = ?1 AND expires_at_ms <= ?2",
            )?;
            purge.execute(params![domain, signed(now_ms)])?;
            let mut add = connection.prepare_cached(
                "INSERT OR REPLACE INTO state_token(hash, domain, expires_at_ms) \
                 VALUES (?1, ?2, ?3)",
            )?;
            add.execute(params![hash, domain, signed(expires_at_ms)])?;
            let mut bound = connection.prepare_cached(
                "DELETE FROM state_token WHERE rowid IN (SELECT rowid FROM state_token \
                 WHERE domain = ?1 ORDER BY expires_at_ms DESC, rowid DESC LIMIT -1 OFFSET ?2)",
            )?;
            bound.execute(params![domain, most]).map(drop)
        })
    }

    /// The domain that a token of [`Ledger::add_state_token`] asks of at a moment, by its hash; none
    /// where it is unknown or expired.
    pub fn state_token_domain(
        &self,
        hash: &[u8],
        now_ms: u64,
    ) -> Result<Option<Domain>, SpaceError> {
        self.tables.read(|connection| {
            let mut find = connection.prepare_cached(
                "SELECT domain FROM state_token WHERE hash = ?1 AND expires_at_ms > ?2",
            )?;
            find.query_row(params![hash, signed(now_ms)], |row| row.get(0)).optional()
        })
    }

    /// Forgets the tokens that have expired; returns how many.
    pub fn purge_tokens(&self, now_ms: u64) -> Result<usize, SpaceError> {
        self.tables.write(|connection| {
            connection.execute("DELETE FROM token WHERE expires_at_ms <= ?1", [signed(now_ms)])
        })
    }

    /// Forgets the tokens of [`Ledger::add_state_token`] that have expired, whose ever they are: a
    /// look at all of them, which no request is to wait for. Returns how many.
    pub fn purge_state_tokens(&self, now_ms: u64) -> Result<usize, SpaceError> {
        let purge = "DELETE FROM state_token WHERE expires_at_ms <= ?1";
        self.tables.write(|connection| connection.execute(purge, [signed(now_ms)]))
    }

    /// Notes an established session; whether it is new.
    pub fn add_session(
        &self,
        tjp: &TjpAddr,
        domain: &Domain,
        created_ms: u64,
    ) -> Result<bool, SpaceError> {
        self.tables.write(|connection| {
            let mut add = connection.prepare_cached(
                "INSERT OR IGNORE INTO session(tjp, domain, created_ms) VALUES (?1, ?2, ?3)",
            )?;
            Ok(add.execute(params![tjp.as_str(), domain, signed(created_ms)])? > 0)
        })
    }

    /// Takes back an entry of [`Ledger::add_session`] whose session was not stored.
    pub fn remove_session(&self, tjp: &TjpAddr) -> Result<(), SpaceError> {
        self.tables.write(|connection| {
            connection.execute("DELETE FROM session WHERE tjp = ?1", [tjp.as_str()]).map(drop)
        })
    }

    /// Forgets all sessions and tokens of a domain.
    pub fn forget(&self, domain: &Domain) -> Result<(), SpaceError> {
        self.tables.write(|connection| {
            connection.execute("DELETE FROM session WHERE domain = ?1", [domain])?;
            connection.execute("DELETE FROM state_token WHERE domain = ?1", [domain])?;
            connection.execute("DELETE FROM token WHERE domain = ?1", [domain]).map(drop)
        })
    }

    /// The session with this tjp.
    pub fn session(&self, tjp: &TjpAddr) -> Result<Option<SessionRow>, SpaceError> {
        self.tables.read(|connection| {
            let mut find = connection.prepare_cached(
                "SELECT domain, created_ms, connected_ms FROM session WHERE tjp = ?1",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                let connected: Option<i64> = row.get(2)?;
                Ok(SessionRow {
                    domain: row.get(0)?,
                    created_ms: unsigned(row, 1)?,
                    connected_ms: connected.and_then(|ms| u64::try_from(ms).ok()),
                })
            };
            find.query_row([tjp.as_str()], read).optional()
        })
    }

    /// Marks a session connected; false where it is unknown or was connected before, so that of
    /// two sockets one wins.
    pub fn connect_session(&self, tjp: &TjpAddr, now_ms: u64) -> Result<bool, SpaceError> {
        self.tables.write(|connection| {
            let mut mark = connection.prepare_cached(
                "UPDATE session SET connected_ms = ?2 WHERE tjp = ?1 AND connected_ms IS NULL",
            )?;
            Ok(mark.execute(params![tjp.as_str(), signed(now_ms)])? > 0)
        })
    }

    /// How many identities were new on a day (since 1970) from an address.
    pub fn newcomers(&self, day: u64, address: &str) -> Result<u64, SpaceError> {
        self.tables.read(|connection| {
            let mut find = connection
                .prepare_cached("SELECT count FROM newcomer WHERE day = ?1 AND address = ?2")?;
            let found = find.query_row(params![signed(day), address], |row| unsigned(row, 0));
            Ok(found.optional()?.unwrap_or(0))
        })
    }

    /// Counts an identity that is new, on a day (since 1970), from an address; false, and nothing is
    /// counted, where `most` were counted. What was counted on days before is forgotten.
    pub fn add_newcomer(&self, day: u64, address: &str, most: u32) -> Result<bool, SpaceError> {
        self.tables.write(|connection| {
            let mut forget = connection.prepare_cached("DELETE FROM newcomer WHERE day < ?1")?;
            forget.execute([signed(day)])?;
            let mut add = connection.prepare_cached(
                "INSERT INTO newcomer(day, address, count) VALUES (?1, ?2, 1) \
                 ON CONFLICT DO UPDATE SET count = count + 1 WHERE count < ?3",
            )?;
            Ok(add.execute(params![signed(day), address, most])? > 0)
        })
    }

    /// Takes back what [`Ledger::add_newcomer`] counted, where the identity was not taken after all.
    pub fn remove_newcomer(&self, day: u64, address: &str) -> Result<(), SpaceError> {
        self.tables.write(|connection| {
            let mut remove = connection.prepare_cached(
                "UPDATE newcomer SET count = count - 1 WHERE day = ?1 AND address = ?2",
            )?;
            remove.execute(params![signed(day), address]).map(drop)
        })
    }

    /// Forgets the sessions that were established before a moment and are not connected, and those
    /// that were connected so long before it that they have ended; returns how many.
    pub fn purge_sessions(&self, created_before_ms: u64) -> Result<usize, SpaceError> {
        self.tables.write(|connection| {
            let mut purge = connection.prepare_cached(
                "DELETE FROM session WHERE created_ms < ?1 \
                 AND (connected_ms IS NULL OR connected_ms < ?2)",
            )?;
            let longest = u64::try_from(LONGEST_SESSION.as_millis()).unwrap_or(u64::MAX);
            let ended = created_before_ms.saturating_sub(longest);
            purge.execute([signed(created_before_ms), signed(ended)])
        })
    }
}

#[cfg(test)]
mod tests;
