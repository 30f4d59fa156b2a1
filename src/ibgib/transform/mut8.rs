//! Mut8: a next frame with other data, or another ib.

use serde_json::{Map, Value};

use super::opts::Read;
use super::patch::{self, KeyChange};
use super::{TransformError, Transformed, dna};
use crate::ibgib::environment::Environment;
use crate::ibgib::json;
use crate::ibgib::model::IbGib;

pub(super) fn mut8(
    src: &IbGib,
    opts: &Read<'_>,
    env: &dyn Environment,
) -> Result<Transformed, TransformError> {
    let mut8_ib = opts.text("mut8Ib")?;
    let rename = opts.truthy("dataToRename");
    let remove = opts.truthy("dataToRemove");
    let add = opts.truthy("dataToAddOrPatch");
    if mut8_ib.is_none() && rename.is_none() && remove.is_none() && add.is_none() {
        return Err(TransformError::opts("nothing to change: give another ib or some data"));
    }

    let src_addr = Value::from(format!("{}^{}", src.ib, src.gib));
    let mut rel8ns = src.rel8ns.clone().unwrap_or_default();
    if opts.is_linked("past") {
        json::set(&mut rel8ns, "past", Value::Array(vec![src_addr.clone()]));
    } else {
        dna::push(&mut rel8ns, "past", src_addr.clone())?;
    }

    let mut data = object_data(src)?;
    if let Some(rename) = rename {
        patch::rename_or_remove(&mut data, rename, KeyChange::Rename)?;
    }
    if let Some(remove) = remove {
        patch::rename_or_remove(&mut data, remove, KeyChange::Remove)?;
    }
    if let Some(add) = add {
        patch::patch(&mut data, add)?;
    }
    if !opts.flag("noTimestamp") {
        env.now().stamp(&mut data);
    }
    patch::count(&mut data, opts.flag("nCounter"))?;

    if json::truthy(data.get("isTjp")) {
        dna::push(&mut rel8ns, "tjp", src_addr)?;
        json::delete(&mut data, "isTjp");
    }
    let dna = dna::append(opts, &mut rel8ns)?;

    let ib = mut8_ib.unwrap_or(&src.ib).to_owned();
    let data = if data.is_empty() { None } else { Some(Value::Object(data)) };
    Ok(dna::finish(IbGib::new(ib, data, Some(rel8ns))?, dna))
}

/// The source's data as an object that can be changed; empty where it has none.
pub(super) fn object_data(src: &IbGib) -> Result<Map<String, Value>, TransformError> {
    match &src.data {
        Some(Value::Object(data)) => Ok(data.clone()),
        Some(other) if json::key_count(other) > 0 => Err(TransformError::DataNotObject),
        _ => Ok(Map::new()),
    }
}
