//! Transforms: how a frame is made from another (docs/protocol.md, section 2).
//!
//! Options are a JSON object, not a struct, since a transform's dna is that very object and its
//! gib hashes every key of it, known or not. [`Fork`], [`Mut8`] and [`Rel8`] build it by typed
//! setters, [`Opts`] key by key.

mod dna;
mod first_gen;
mod fork;
mod mut8;
mod opts;
mod patch;
mod rel8;
mod typed;

pub use dna::{is_dna, transform_of_dna};
pub use first_gen::{FirstGen, first_gen, parent, timeline};
pub use opts::{Kind, Opts};
pub use typed::{Fork, Mut8, Rel8};

use serde_json::{Map, Value};

use super::environment::{Environment, RandomError};
use super::gib::GibError;
use super::model::{IbGib, IbGibError};

/// Relations that a transform keeps itself and that cannot be added or removed by hand.
pub const RESERVED_REL8NS: [&str; 4] = ["past", "ancestor", "dna", "tjp"];

/// Why a transform was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// An option is missing, contradictory or of the wrong type.
    #[error("{0}")]
    Opts(String),
    /// A primitive has no content to change.
    #[error("{0}^gib is a primitive: it cannot be changed, only forked")]
    Primitive(String),
    /// `data.n` cannot count on.
    #[error("data.n is not a whole number, so it cannot count on")]
    BadCounter,
    /// The source's data is no object, so it takes no keys.
    #[error("the source's data is no object, so nothing can be set in it")]
    DataNotObject,
    /// A relation that the transforms keep themselves.
    #[error("the relation {0:?} cannot be added or removed by hand")]
    Reserved(String),
    /// The source or the result is no ibGib.
    #[error(transparent)]
    IbGib(#[from] IbGibError),
    /// The result has no gib.
    #[error(transparent)]
    Gib(#[from] GibError),
    /// The system gave no random bytes for a uuid.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl TransformError {
    pub(crate) fn opts(message: impl Into<String>) -> TransformError {
        TransformError::Opts(message.into())
    }
}

/// What a transform gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformed {
    /// The new frame.
    pub new_ibgib: IbGib,
    /// Frames on the way to it (of [`first_gen`]), oldest first.
    pub intermediates: Vec<IbGib>,
    /// The dna of each step that was asked for it, oldest first.
    pub dnas: Vec<IbGib>,
}

impl Transformed {
    /// Everything that was made, in an order in which each one's dependencies stand before it.
    pub fn into_all(self) -> Vec<IbGib> {
        let Transformed { new_ibgib, mut intermediates, mut dnas } = self;
        dnas.append(&mut intermediates);
        dnas.push(new_ibgib);
        dnas
    }
}

/// Makes a new frame from `src`.
///
/// `opts` is the options object without `src`; `env` gives the moment that a timestamp
/// gets, and the bytes of a uuid.
/// Errors where the options contradict themselves or the source does not take the change.
pub fn transform(
    kind: Kind,
    src: &IbGib,
    opts: &Map<String, Value>,
    env: &dyn Environment,
) -> Result<Transformed, TransformError> {
    let opts = opts::Read::new(kind, src, opts)?;
    match kind {
        Kind::Fork => fork::fork(src, &opts, env),
        Kind::Mut8 => mut8::mut8(src, &opts, env),
        Kind::Rel8 => rel8::rel8(src, &opts, env),
    }
}
