//! Dna: an ibGib that records a transform, so that it can be replayed.

use serde_json::{Map, Value, json};

use super::opts::{Kind, Read};
use super::{TransformError, Transformed};
use crate::ibgib::json as js;
use crate::ibgib::model::{IbGib, Rel8ns};

/// The dna of a transform: its options without the source, so that equal edits share one dna.
fn build(opts: &Read<'_>) -> Result<IbGib, TransformError> {
    let mut data = opts.map().clone();
    js::delete(&mut data, "srcAddr");
    js::delete(&mut data, "src");
    let name = opts.kind().name();
    let mut rel8ns = Rel8ns::new();
    rel8ns.insert("ancestor".into(), json!([format!("{name}^gib")]));
    Ok(IbGib::new(name.to_owned(), Some(Value::Object(data)), Some(rel8ns))?)
}

/// Appends the dna's address to the frame's relations where the options ask for dna.
pub(super) fn append(
    opts: &Read<'_>,
    rel8ns: &mut Rel8ns,
) -> Result<Option<IbGib>, TransformError> {
    if !opts.flag("dna") {
        return Ok(None);
    }
    let dna = build(opts)?;
    let addr = Value::from(format!("{}^{}", dna.ib, dna.gib));
    if opts.is_linked("dna") {
        js::set(rel8ns, "dna", Value::Array(vec![addr]));
    } else {
        push(rel8ns, "dna", addr)?;
    }
    Ok(Some(dna))
}

/// Appends an address to a relation.
pub(super) fn push(rel8ns: &mut Rel8ns, name: &str, addr: Value) -> Result<(), TransformError> {
    match rel8ns.get_mut(name) {
        Some(Value::Array(rel8ds)) => rel8ds.push(addr),
        Some(value) if js::truthy(Some(value)) => {
            return Err(TransformError::opts(format!("the relation {name:?} is no list")));
        }
        _ => js::set(rel8ns, name, Value::Array(vec![addr])),
    }
    Ok(())
}

/// Wraps a finished frame and its dna up.
pub(super) fn finish(new_ibgib: IbGib, dna: Option<IbGib>) -> Transformed {
    Transformed { new_ibgib, intermediates: Vec::new(), dnas: dna.into_iter().collect() }
}

/// Whether an ibGib is dna: a transform's primitive is its ancestor.
pub fn is_dna(ibgib: &IbGib) -> bool {
    const ANCESTORS: [&str; 4] = ["fork^gib", "mut8^gib", "rel8^gib", "plan^gib"];
    ibgib.rel8d("ancestor").any(|addr| ANCESTORS.contains(&addr))
}

/// The transform that a dna records, and its options; none where the ibGib is no such dna.
pub fn transform_of_dna(dna: &IbGib) -> Option<(Kind, &Map<String, Value>)> {
    if !is_dna(dna) {
        return None;
    }
    let data = dna.data.as_ref()?.as_object()?;
    Some((Kind::from_name(data.get("type")?.as_str()?)?, data))
}
