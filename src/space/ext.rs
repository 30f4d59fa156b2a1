//! Calls that are built on those of every space.

use super::{Prepared, PutOpts, PutReport, Space, SpaceError};
use crate::ibgib::{Addr, IbGib};

/// What is built on the calls of every space.
pub trait SpaceExt: Space {
    /// The ibGib with an address; none where the space does not hold it.
    fn get(&self, addr: &Addr) -> Result<Option<IbGib>, SpaceError> {
        self.find(addr)?.map(|id| self.get_id(id)).transpose()
    }

    /// Puts ibGibs in one transaction, as [`Space::put`] does, after validating each.
    fn put_all(&self, ibgibs: &[IbGib]) -> Result<PutReport, SpaceError> {
        self.put_with(ibgibs, &PutOpts::default())
    }

    /// As [`SpaceExt::put_all`], with what the put checks and sets besides.
    fn put_with<'a>(
        &self,
        ibgibs: impl IntoIterator<Item = &'a IbGib>,
        opts: &PutOpts,
    ) -> Result<PutReport, SpaceError> {
        // Before the transaction, since it takes time.
        let prepared: Result<Vec<_>, _> = ibgibs.into_iter().map(Prepared::new).collect();
        self.put(&mut prepared?.into_iter().map(Ok), opts)
    }
}

impl<S: Space + ?Sized> SpaceExt for S {}
