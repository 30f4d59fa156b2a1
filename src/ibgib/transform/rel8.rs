//! Rel8: a next frame with other relations.

use serde_json::{Map, Value};

use super::opts::Read;
use super::{RESERVED_REL8NS, TransformError, Transformed, dna, mut8, patch};
use crate::ibgib::addr;
use crate::ibgib::environment::Environment;
use crate::ibgib::json;
use crate::ibgib::model::{IbGib, Rel8ns};

pub(super) fn rel8(
    src: &IbGib,
    opts: &Read<'_>,
    env: &dyn Environment,
) -> Result<Transformed, TransformError> {
    let add = relations(opts, "rel8nsToAddByAddr")?;
    let remove = relations(opts, "rel8nsToRemoveByAddr")?;
    if add.is_none_or(Map::is_empty) && remove.is_none_or(Map::is_empty) {
        return Err(TransformError::opts("nothing to change: give relations to add or remove"));
    }

    let mut data = mut8::object_data(src)?;
    patch::count(&mut data, opts.flag("nCounter"))?;
    if !opts.flag("noTimestamp") {
        env.now().stamp(&mut data);
    }

    let mut rel8ns = src.rel8ns.clone().unwrap_or_default();
    for (name, rel8ds) in add.into_iter().flatten() {
        add_rel8ds(&mut rel8ns, name, rel8ds)?;
    }
    for (name, rel8ds) in remove.into_iter().flatten() {
        remove_rel8ds(&mut rel8ns, name, rel8ds)?;
    }

    let src_addr = Value::from(format!("{}^{}", src.ib, src.gib));
    dna::push(&mut rel8ns, "past", src_addr.clone())?;
    for name in opts.linked() {
        if let Some(Value::Array(rel8ds)) = rel8ns.get_mut(name) {
            rel8ds.drain(..rel8ds.len().saturating_sub(1));
        }
    }
    if json::truthy(data.get("isTjp")) {
        dna::push(&mut rel8ns, "tjp", src_addr)?;
        json::delete(&mut data, "isTjp");
    }
    let dna = dna::append(opts, &mut rel8ns)?;
    let new_ibgib = IbGib::new(src.ib.clone(), Some(Value::Object(data)), Some(rel8ns))?;
    Ok(dna::finish(new_ibgib, dna))
}

/// The relations under an option, each a list of addresses.
fn relations<'a>(
    opts: &'a Read<'_>,
    key: &str,
) -> Result<Option<&'a Map<String, Value>>, TransformError> {
    let Some(value) = opts.truthy(key) else { return Ok(None) };
    let Value::Object(relations) = value else {
        return Err(TransformError::opts(format!("{key} is no object")));
    };
    for (name, rel8ds) in relations {
        let is_list = rel8ds.as_array().is_some_and(|rel8ds| {
            rel8ds.iter().all(|rel8d| rel8d.as_str().is_some_and(looks_like_an_address))
        });
        if !is_list {
            let message = format!("{key}: {:?} is no list of addresses", addr::clip(name));
            return Err(TransformError::opts(message));
        }
    }
    Ok(Some(relations))
}

/// What the reference asks of an address here: a delimiter, and something before it.
fn looks_like_an_address(text: &str) -> bool {
    text.split_once('^').is_some_and(|(ib, _)| !ib.is_empty())
}

fn add_rel8ds(rel8ns: &mut Rel8ns, name: &str, rel8ds: &Value) -> Result<(), TransformError> {
    let mut list = existing(rel8ns, name)?;
    let new: Vec<Value> =
        rel8ds.as_array().into_iter().flatten().filter(|a| !list.contains(a)).cloned().collect();
    list.extend(new);
    json::set(rel8ns, name, Value::Array(list));
    Ok(())
}

fn remove_rel8ds(rel8ns: &mut Rel8ns, name: &str, rel8ds: &Value) -> Result<(), TransformError> {
    let mut list = existing(rel8ns, name)?;
    list.retain(|rel8d| !rel8ds.as_array().is_some_and(|gone| gone.contains(rel8d)));
    if list.is_empty() {
        json::delete(rel8ns, name);
    } else {
        json::set(rel8ns, name, Value::Array(list));
    }
    Ok(())
}

fn existing(rel8ns: &Rel8ns, name: &str) -> Result<Vec<Value>, TransformError> {
    if RESERVED_REL8NS.contains(&name) {
        return Err(TransformError::Reserved(name.to_owned()));
    }
    match rel8ns.get(name) {
        Some(Value::Array(list)) => Ok(list.clone()),
        Some(value) if json::truthy(Some(value)) => {
            Err(TransformError::opts(format!("the relation {name:?} is no list")))
        }
        _ => Ok(Vec::new()),
    }
}
