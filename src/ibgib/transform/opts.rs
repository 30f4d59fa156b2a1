//! The options of a transform: building them, and reading them as JavaScript would.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::TransformError;
use crate::ibgib::json;
use crate::ibgib::model::IbGib;

/// Which transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A new timeline from a source.
    Fork,
    /// A next frame with other data or another ib.
    Mut8,
    /// A next frame with other relations.
    Rel8,
}

impl Kind {
    /// The name, as in `type` of the options and as ib of the dna.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Fork => "fork",
            Kind::Mut8 => "mut8",
            Kind::Rel8 => "rel8",
        }
    }

    /// The transform with this name.
    pub fn from_name(name: &str) -> Option<Kind> {
        [Kind::Fork, Kind::Mut8, Kind::Rel8].into_iter().find(|kind| kind.name() == name)
    }
}

/// Builds the options object of a transform.
#[derive(Debug, Clone, Default)]
pub struct Opts(Map<String, Value>);

impl Opts {
    /// No options yet.
    pub fn new() -> Opts {
        Opts::default()
    }

    /// Options for one more frame of a timeline as this program makes them: with dna, counted,
    /// and with `past` and `dna` naming only the newest, so that frames do not grow with age.
    pub fn next_frame() -> Opts {
        Opts::new().set("dna", true).linked(&["past", "dna"]).set("nCounter", true)
    }

    /// Options for one more frame on `tip`, counted where that is: an uncounted timeline that began
    /// to count in its middle would begin at 0, below its own frames (docs/protocol.md, section 2).
    pub fn next_frame_on(tip: &IbGib) -> Opts {
        let mut opts = Opts::next_frame();
        if tip.datum("n").is_none() {
            json::delete(&mut opts.0, "nCounter");
        }
        opts
    }

    /// Sets one option.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Opts {
        json::set(&mut self.0, key, value.into());
        self
    }

    /// Relations of which only the newest address is kept.
    pub fn linked(self, names: &[&str]) -> Opts {
        let names: Vec<Value> = names.iter().map(|name| Value::from(*name)).collect();
        self.set("linkedRel8ns", names)
    }

    /// The options object.
    pub fn build(self) -> Map<String, Value> {
        self.0
    }
}

/// Options being read; `type` is filled in where it was absent, as the dna then shows it.
pub(super) struct Read<'a> {
    kind: Kind,
    map: Cow<'a, Map<String, Value>>,
}

impl<'a> Read<'a> {
    pub(super) fn new(
        kind: Kind,
        src: &IbGib,
        map: &'a Map<String, Value>,
    ) -> Result<Read<'a>, TransformError> {
        let mut map = Cow::Borrowed(map);
        match map.get("type") {
            Some(Value::String(name)) if name == kind.name() => {}
            None => json::set(map.to_mut(), "type", kind.name().into()),
            Some(_) => {
                return Err(TransformError::opts(format!("not a {} transform", kind.name())));
            }
        }
        if src.gib.is_empty() {
            return Err(TransformError::opts("src needs a gib"));
        }
        if kind != Kind::Fork {
            check_source(src, map.get("srcAddr"))?;
        }
        Ok(Read { kind, map })
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        json::truthy(self.map.get(key))
    }

    /// The option where JavaScript takes it for true.
    pub(super) fn truthy(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| json::truthy(Some(value)))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, TransformError> {
        match self.truthy(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TransformError::opts(format!("{key} is no text"))),
        }
    }

    pub(super) fn is_linked(&self, name: &str) -> bool {
        self.linked().any(|linked| linked == name)
    }

    pub(super) fn linked(&self) -> impl Iterator<Item = &str> {
        let names = self.map.get("linkedRel8ns").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str)
    }
}

fn check_source(src: &IbGib, src_addr: Option<&Value>) -> Result<(), TransformError> {
    if src.ib.contains('^') {
        return Err(TransformError::opts("the source's ib holds the delimiter '^'"));
    }
    if src.is_primitive() {
        return Err(TransformError::Primitive(src.ib.clone()));
    }
    if json::truthy(src_addr)
        && src_addr.and_then(Value::as_str) != Some(&format!("{}^{}", src.ib, src.gib))
    {
        return Err(TransformError::opts("srcAddr is not the address of src"));
    }
    Ok(())
}
