//! First generation: fork, then mut8 where there is data, then rel8 where there are relations.

use serde_json::{Map, Value, json};

use super::{Kind, Opts, TransformError, Transformed, transform};
use crate::ibgib::environment::Environment;
use crate::ibgib::model::{IbGib, Rel8ns};

/// What [`first_gen`] makes and how.
#[derive(Debug, Clone)]
pub struct FirstGen<'a> {
    /// The new ib.
    pub ib: &'a str,
    /// What is forked; the root where nothing better fits.
    pub parent: &'a IbGib,
    /// Data to set, by mut8.
    pub data: Option<Map<String, Value>>,
    /// Relations to add, by rel8.
    pub rel8ns: Option<Rel8ns>,
    /// Options that every step gets: `dna`, `linkedRel8ns`, `noTimestamp`, `nCounter`.
    pub each: Map<String, Value>,
    /// What makes the fork a tjp: `{uuid, timestamp}`; none for a stone's ancestor.
    pub tjp: Option<Value>,
}

/// Makes the first frames of a timeline, or a stone.
///
/// Returns the last frame; the ones before it are its `intermediates`.
pub fn first_gen(
    opts: &FirstGen<'_>,
    env: &dyn Environment,
) -> Result<Transformed, TransformError> {
    let each = || Opts::from(opts.each.clone());
    let mut fork = each().set("destIb", opts.ib);
    if let Some(tjp) = &opts.tjp {
        fork = fork.set("tjp", tjp.clone());
    }
    let mut made = transform(Kind::Fork, opts.parent, &fork.build(), env)?;
    if let Some(data) = &opts.data {
        let mut8 = each().set("dataToAddOrPatch", data.clone());
        step(&mut made, Kind::Mut8, mut8, env)?;
    }
    if let Some(rel8ns) = &opts.rel8ns {
        let rel8 = each().set("rel8nsToAddByAddr", rel8ns.clone());
        step(&mut made, Kind::Rel8, rel8, env)?;
    }
    Ok(made)
}

/// The primitive that an ibGib made from nothing descends from: its ib's first word.
pub fn parent(ib: &str) -> IbGib {
    IbGib::primitive(ib.split_whitespace().next().unwrap_or(ib))
}

/// Makes a timeline that is unique by its time and a random uuid: each step counted, with dna, and
/// with `past` and `dna` naming only the newest. Returns its frames and their dna, dependencies
/// first; the last one is the newest frame.
///
/// Errors where a relation is one that the transforms keep themselves, or where the system gives
/// no random bytes.
pub fn timeline(
    ib: &str,
    data: Option<Map<String, Value>>,
    rel8ns: Rel8ns,
    env: &dyn Environment,
) -> Result<Vec<IbGib>, TransformError> {
    let first = FirstGen {
        ib,
        parent: &parent(ib),
        data: data.filter(|data| !data.is_empty()),
        rel8ns: Some(rel8ns).filter(|rel8ns| !rel8ns.is_empty()),
        each: Opts::next_frame().build(),
        tjp: Some(json!({"timestamp": true, "uuid": true})),
    };
    Ok(first_gen(&first, env)?.into_all())
}

fn step(
    made: &mut Transformed,
    kind: Kind,
    opts: Opts,
    env: &dyn Environment,
) -> Result<(), TransformError> {
    let next = transform(kind, &made.new_ibgib, &opts.build(), env)?;
    made.intermediates.push(std::mem::replace(&mut made.new_ibgib, next.new_ibgib));
    made.dnas.extend(next.dnas);
    Ok(())
}

impl From<Map<String, Value>> for Opts {
    fn from(map: Map<String, Value>) -> Opts {
        map.into_iter().fold(Opts::new(), |opts, (key, value)| opts.set(&key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::System;

    #[test]
    fn a_timeline_counts_and_keeps_only_the_newest_past_and_dna() {
        let data = json!({"a": 1}).as_object().unwrap().clone();
        let rel8ns = json!({"tag": ["tag^gib"]}).as_object().unwrap().clone();
        let made = timeline("note one", Some(data), rel8ns, &System::new()).unwrap();
        let last = made.last().unwrap();
        assert_eq!(made.len(), 6);
        assert_eq!(last.n(), Some(2));
        assert_eq!(last.rel8d("past").count(), 1);
        assert_eq!(last.rel8d("dna").count(), 1);
        assert_eq!(last.rel8d("ancestor").next(), Some("note^gib"));
        assert!(made.iter().all(|ibgib| ibgib.validate().is_ok()));
    }
}
