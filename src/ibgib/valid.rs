//! IbGibs whose gibs are known to be right.

use std::borrow::Borrow;
use std::ops::Deref;

use super::addr::Addr;
use super::model::{IbGib, IbGibError, Rel8ns};

/// An ibGib whose gib was checked, or computed here: `Valid<IbGib>`, or `Valid<&IbGib>` of one that
/// is somewhere else. What takes one need not hash it again.
///
/// It reads as the ibGib that it is, and cannot be changed: [`Valid::into_inner`] gives up what is
/// known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Valid<T> {
    ibgib: T,
    addr: Addr,
}

impl<T: Borrow<IbGib>> Valid<T> {
    /// Checks an ibGib as [`IbGib::validate`] does, with its errors.
    pub fn check(ibgib: T) -> Result<Valid<T>, IbGibError> {
        let addr = ibgib.borrow().validate()?;
        Ok(Valid { ibgib, addr })
    }

    /// Its address.
    pub fn addr(&self) -> &Addr {
        &self.addr
    }

    /// The ibGib alone.
    pub fn into_inner(self) -> T {
        self.ibgib
    }
}

impl Valid<IbGib> {
    /// Makes an ibGib of its parts, with the gib that they have. Errors as [`IbGib::validate`] does.
    pub fn new(
        ib: String,
        data: Option<serde_json::Value>,
        rel8ns: Option<Rel8ns>,
    ) -> Result<Valid<IbGib>, IbGibError> {
        let ibgib = IbGib::new(ib, data, rel8ns)?;
        let addr = ibgib.check_but_gib()?;
        Ok(Valid { ibgib, addr })
    }
}

impl Valid<&IbGib> {
    /// The same, of a copy of the ibGib.
    pub fn cloned(&self) -> Valid<IbGib> {
        Valid { ibgib: self.ibgib.clone(), addr: self.addr.clone() }
    }
}

impl<T: Borrow<IbGib>> Deref for Valid<T> {
    type Target = IbGib;

    fn deref(&self) -> &IbGib {
        self.ibgib.borrow()
    }
}

impl<T: Borrow<IbGib>> Borrow<IbGib> for Valid<T> {
    fn borrow(&self) -> &IbGib {
        self.ibgib.borrow()
    }
}

impl From<Valid<IbGib>> for IbGib {
    fn from(valid: Valid<IbGib>) -> IbGib {
        valid.ibgib
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_made_here_is_valid_without_another_hash() {
        let made = Valid::new("a".into(), Some(json!({ "b": 1 })), None).unwrap();
        assert_eq!(made.validate().unwrap(), *made.addr());
        assert!(Valid::new("a^b".into(), None, None).is_err(), "its ib fits no address");
        let rel8ns = json!({ "x": ["no address"] }).as_object().cloned();
        assert!(Valid::new("a".into(), None, rel8ns).is_err());
    }

    #[test]
    fn a_wrong_gib_is_refused() {
        let mut other = Valid::new("a".into(), Some(json!({ "b": 1 })), None).unwrap().into_inner();
        assert_eq!(Valid::check(&other).unwrap().addr(), &other.addr().unwrap());
        other.data = Some(json!({ "b": 2 }));
        assert!(matches!(Valid::check(&other), Err(IbGibError::WrongGib { .. })));
    }
}
