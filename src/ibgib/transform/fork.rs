//! Fork: a new timeline.

use serde_json::{Map, Value};

use super::opts::Read;
use super::{TransformError, Transformed, dna};
use crate::ibgib::environment::Environment;
use crate::ibgib::json;
use crate::ibgib::model::{IbGib, Rel8ns};
use crate::ibgib::{addr::IB, random_hex};

pub(super) fn fork(
    src: &IbGib,
    opts: &Read<'_>,
    env: &dyn Environment,
) -> Result<Transformed, TransformError> {
    let dest_ib = opts.text("destIb")?;
    if dest_ib.is_some_and(|ib| ib.contains('^')) {
        return Err(TransformError::opts("destIb holds the delimiter '^'"));
    }
    let tjp = Tjp::read(opts)?;
    let is_root = src.ib == IB && src.is_primitive();

    let mut rel8ns = match &src.rel8ns {
        Some(rel8ns) if opts.flag("cloneRel8ns") => rel8ns.clone(),
        _ => Rel8ns::new(),
    };
    let src_addr = Value::from(format!("{}^{}", src.ib, src.gib));
    if opts.is_linked("ancestor") {
        json::set(&mut rel8ns, "ancestor", Value::Array(vec![src_addr]));
    } else {
        dna::push(&mut rel8ns, "ancestor", src_addr)?;
    }
    json::delete(&mut rel8ns, "tjp");

    let data = forked_data(src, opts, &tjp, env)?;
    let dna = dna::append(opts, &mut rel8ns)?;

    // What the fork does not replace it takes over from the source: its data where the fork has
    // none of its own, and its relations where it is the root.
    let source_data = src.data.clone().filter(|data| json::key_count(data) > 0);
    let data = if data.is_empty() { source_data } else { Some(Value::Object(data)) };
    let source_rel8ns = src.rel8ns.clone().filter(|rel8ns| !rel8ns.is_empty());
    let rel8ns = if is_root { source_rel8ns } else { Some(rel8ns) };

    // A fork's gib is its bare hash: it begins a timeline and belongs to none yet.
    let new_ibgib = IbGib::new(dest_ib.unwrap_or(IB).to_owned(), data, rel8ns)?;
    Ok(dna::finish(new_ibgib, dna))
}

fn forked_data(
    src: &IbGib,
    opts: &Read<'_>,
    tjp: &Tjp,
    env: &dyn Environment,
) -> Result<Map<String, Value>, TransformError> {
    let mut data = match &src.data {
        Some(Value::Object(data)) if opts.flag("cloneData") => data.clone(),
        Some(other) if opts.flag("cloneData") && json::key_count(other) > 0 => {
            return Err(TransformError::DataNotObject);
        }
        _ => Map::new(),
    };
    if opts.flag("nCounter") {
        json::set(&mut data, "n", 0.into());
    }
    if !opts.flag("noTimestamp") || tjp.timestamp {
        env.now().stamp(&mut data);
    }
    if tjp.uuid || opts.flag("uuid") {
        json::set(&mut data, "uuid", uuid(env)?.into());
    }
    if tjp.uuid || tjp.timestamp {
        json::set(&mut data, "isTjp", true.into());
    } else if json::truthy(data.get("isTjp")) {
        json::delete(&mut data, "isTjp");
    }
    Ok(data)
}

/// 64 hex characters that nobody else has.
fn uuid(env: &dyn Environment) -> Result<String, TransformError> {
    Ok(random_hex(env, 32)?)
}

/// What makes the fork unique, and so a tjp.
struct Tjp {
    uuid: bool,
    timestamp: bool,
}

impl Tjp {
    fn read(opts: &Read<'_>) -> Result<Tjp, TransformError> {
        let tjp = opts.map().get("tjp");
        let flag = |key| json::truthy(tjp.and_then(|tjp| tjp.get(key)));
        let tjp = Tjp { uuid: flag("uuid"), timestamp: flag("timestamp") };
        if tjp.timestamp && opts.flag("noTimestamp") {
            return Err(TransformError::opts("both noTimestamp and tjp.timestamp are given"));
        }
        Ok(tjp)
    }
}
