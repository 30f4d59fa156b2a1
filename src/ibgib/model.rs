//! An ibGib as it is held, read and written.

use serde_json::{Map, Value};

use super::addr::{Addr, AddrError, GIB, IBGIB_DELIMITER};
use super::gib::{GibError, gib_of};
use super::json::{self, JsonError};

/// How many bytes of JSON one ibGib may be.
pub const MAX_IBGIB_BYTES: usize = 4 << 20;

/// Why a text is no ibGib, or not the one that it says it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IbGibError {
    /// The text is larger than [`MAX_IBGIB_BYTES`].
    #[error("an ibGib of {0} bytes is larger than the limit of {MAX_IBGIB_BYTES} bytes")]
    TooLarge(usize),
    /// The text is larger than a keystone's frame may be.
    #[error("a keystone frame of {0} bytes is larger than the limit")]
    TooLargeFrame(usize),
    /// The text is not JSON as JavaScript reads it.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A field is missing or has the wrong type.
    #[error("not an ibGib: {0}")]
    Shape(&'static str),
    /// Its gib cannot be told.
    #[error(transparent)]
    Gib(#[from] GibError),
    /// An address in it, or its own, is malformed.
    #[error(transparent)]
    Addr(#[from] AddrError),
    /// The ib holds the delimiter `^`.
    #[error("the ib {0:?} holds the delimiter '^'")]
    DelimiterInIb(String),
    /// The gib that it carries is not the hash of what it holds.
    #[error("{addr} is not what it says it is: its content hashes to {found}")]
    WrongGib {
        /// The address that it carries.
        addr: String,
        /// The gib that its content has.
        found: String,
    },
}

impl IbGibError {
    /// Whether there is only too much of it: nothing else is known to be wrong.
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            IbGibError::TooLarge(_)
                | IbGibError::TooLargeFrame(_)
                | IbGibError::Json(JsonError::TooManyValues(_))
        )
    }
}

/// The relations of an ibGib: a list of addresses by relation name, in the order of arrival.
pub type Rel8ns = Map<String, Value>;

/// One ibGib: `{ib, gib, data?, rel8ns?}` (docs/protocol.md, section 1).
///
/// The gib is what the ibGib carries; [`IbGib::validate`] tells whether it is right.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct IbGib {
    /// What it says of itself.
    pub ib: String,
    /// Its hash, or `gib` for a primitive.
    pub gib: String,
    /// Its intrinsic data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Its relations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rel8ns: Option<Rel8ns>,
}

impl IbGib {
    /// The primitive with this ib.
    pub fn primitive(ib: &str) -> IbGib {
        IbGib { ib: ib.to_owned(), gib: GIB.to_owned(), data: None, rel8ns: None }
    }

    /// Makes an ibGib of its parts, with the gib that they have.
    pub fn new(
        ib: String,
        data: Option<Value>,
        rel8ns: Option<Rel8ns>,
    ) -> Result<IbGib, IbGibError> {
        let gib = gib_of(&ib, data.as_ref(), rel8ns.as_ref())?;
        Ok(IbGib { ib, gib, data, rel8ns })
    }

    /// Reads an ibGib from JSON text; fields other than the four are dropped. The gib is taken as
    /// it stands (an absent one is computed).
    pub fn from_json(text: &str) -> Result<IbGib, IbGibError> {
        if text.len() > MAX_IBGIB_BYTES {
            return Err(IbGibError::TooLarge(text.len()));
        }
        IbGib::from_value(json::parse(text)?)
    }

    /// Reads an ibGib from a value that [`json::parse`] gave.
    pub fn from_value(value: Value) -> Result<IbGib, IbGibError> {
        let Value::Object(mut map) = value else {
            return Err(IbGibError::Shape("it is no JSON object"));
        };
        let ib = match map.get_mut("ib").map(Value::take) {
            Some(Value::String(ib)) if !ib.is_empty() => ib,
            _ => return Err(IbGibError::Shape("its ib is no text, or empty")),
        };
        let data = map.get_mut("data").map(Value::take);
        let rel8ns = match map.get_mut("rel8ns").map(Value::take) {
            None | Some(Value::Null) => None,
            Some(Value::Object(rel8ns)) => Some(rel8ns),
            Some(_) => return Err(IbGibError::Shape("its rel8ns is no object")),
        };
        let gib = match map.get_mut("gib").map(Value::take) {
            None | Some(Value::Null) => gib_of(&ib, data.as_ref(), rel8ns.as_ref())?,
            Some(Value::String(gib)) => gib,
            Some(_) => return Err(IbGibError::Shape("its gib is no text")),
        };
        Ok(IbGib { ib, gib, data, rel8ns })
    }

    /// The ibGib as JSON on one line, in the order ib, gib, data, rel8ns.
    pub fn to_json(&self) -> String {
        json::stringify(self)
    }

    /// The ibGib as a JSON value.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("ib".into(), self.ib.clone().into());
        map.insert("gib".into(), self.gib.clone().into());
        if let Some(data) = &self.data {
            map.insert("data".into(), data.clone());
        }
        if let Some(rel8ns) = &self.rel8ns {
            map.insert("rel8ns".into(), Value::Object(rel8ns.clone()));
        }
        Value::Object(map)
    }

    /// The gib that the content has, whatever gib the ibGib carries.
    pub fn computed_gib(&self) -> Result<String, GibError> {
        gib_of(&self.ib, self.data.as_ref(), self.rel8ns.as_ref())
    }

    /// The address that the ibGib carries.
    pub fn addr(&self) -> Result<Addr, AddrError> {
        Addr::from_parts(&self.ib, &self.gib)
    }

    /// Whether it is a primitive, which carries nothing but its ib.
    pub fn is_primitive(&self) -> bool {
        self.gib == GIB
    }

    /// Checks everything that can be told from the ibGib alone: that its ib is fit for an
    /// address, that its relations are lists of addresses, that its gib is the hash of its
    /// content and names its tjp. Returns its address.
    pub fn validate(&self) -> Result<Addr, IbGibError> {
        self.check_ib()?;
        let found = self.computed_gib()?;
        if found != self.gib {
            let addr = format!("{}^{}", super::addr::clip(&self.ib), super::addr::clip(&self.gib));
            return Err(IbGibError::WrongGib { addr, found });
        }
        self.check_addrs()
    }

    /// The same, but for the gib: for an ibGib whose gib was computed just now.
    pub(super) fn check_but_gib(&self) -> Result<Addr, IbGibError> {
        self.check_ib()?;
        self.check_addrs()
    }

    fn check_ib(&self) -> Result<(), IbGibError> {
        if self.ib.contains(IBGIB_DELIMITER) {
            return Err(IbGibError::DelimiterInIb(super::addr::clip(&self.ib)));
        }
        if self.is_primitive() {
            return Err(IbGibError::Shape("a primitive holds nothing to keep"));
        }
        Ok(())
    }

    fn check_addrs(&self) -> Result<Addr, IbGibError> {
        self.for_each_rel8d(|_, rel8d| Addr::parse(rel8d).map(drop).map_err(IbGibError::from))?;
        Ok(self.addr()?)
    }

    /// The addresses under a relation, in order; none where the relation is absent.
    pub fn rel8d<'a>(&'a self, name: &str) -> impl DoubleEndedIterator<Item = &'a str> + use<'a> {
        let rel8ds = self.rel8ns.as_ref().and_then(|rel8ns| rel8ns.get(name));
        rel8ds.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Every address in every relation, with repetitions, in order.
    pub fn rel8ds(&self) -> impl Iterator<Item = &str> {
        let lists = self.rel8ns.iter().flat_map(|rel8ns| rel8ns.values());
        lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str)
    }

    fn for_each_rel8d(
        &self,
        mut f: impl FnMut(&str, &str) -> Result<(), IbGibError>,
    ) -> Result<(), IbGibError> {
        for (name, rel8ds) in self.rel8ns.iter().flatten() {
            let Value::Array(rel8ds) = rel8ds else {
                return Err(GibError::NotAList(super::addr::clip(name)).into());
            };
            for rel8d in rel8ds {
                let Value::String(rel8d) = rel8d else {
                    return Err(GibError::NotAList(super::addr::clip(name)).into());
                };
                f(name, rel8d)?;
            }
        }
        Ok(())
    }

    /// A field of the data, where the data is an object.
    pub fn datum(&self, key: &str) -> Option<&Value> {
        self.data.as_ref().and_then(|data| data.get(key))
    }

    /// `data.n`, the place in the timeline, where it is a whole number of at least zero.
    pub fn n(&self) -> Option<u64> {
        self.datum("n").and_then(Value::as_u64)
    }

    /// Whether this frame is its timeline's tjp.
    pub fn is_tjp(&self) -> bool {
        json::truthy(self.datum("isTjp"))
    }

    /// The address of the frame that this one was made from: the last of `past`.
    pub fn prev(&self) -> Option<&str> {
        self.rel8d("past").next_back()
    }

    /// The address of the timeline's tjp: the frame itself where it is the tjp, else the last of
    /// `tjp`; none for a stone.
    pub fn tjp_addr(&self) -> Option<String> {
        if self.is_tjp() {
            return Some(format!("{}{IBGIB_DELIMITER}{}", self.ib, self.gib));
        }
        self.rel8d("tjp").next_back().map(str::to_owned)
    }

    /// Whether this is a stone: it belongs to no timeline.
    pub fn is_stone(&self) -> bool {
        !self.is_tjp() && self.rel8d("tjp").next().is_none()
    }
}
