//! What becomes of the fields that both branches changed, decided on the two tips before anything
//! is replayed (docs/protocol.md, section 7).

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::MergeError;
use super::derive::data_of;
use super::last_edit::LastEdit;
use super::overwritten::{Overwritten, Side, Winner};
use super::path::{FieldPath, Step, look_in};
use super::rename::{Names, Pair, Renaming, own_name, under_merged_names};
use super::value::{Conflict, FieldVersions, Values};
use crate::ibgib::IbGib;
use crate::ibgib::json as js;

/// How many fields are decided one by one; more are decided by the key of the data they stand under.
const MAX_CONFLICTS: usize = 10_000;
/// How long a path may be as text; a field further down is decided with what it stands under.
const MAX_PATH_BYTES: usize = 1_000;

/// One of the two branches, as far as decisions need it.
pub(super) trait Branch {
    /// The last edits of fields, each by its name on this branch.
    fn last_edits(&self, fields: &[FieldPath]) -> Result<Vec<LastEdit>, MergeError>;
    /// What it renamed since the common frame.
    fn renamings(&self) -> Result<Vec<Renaming>, MergeError>;
}

/// The three frames that a stretch of the replayed branch is merged by.
#[derive(Clone, Copy)]
pub(super) struct Tips<'a> {
    /// The frame before the stretch.
    pub(super) common: &'a IbGib,
    /// The tip that the stretch is replayed on.
    pub(super) kept: &'a IbGib,
    /// The last frame of the stretch.
    pub(super) last: &'a IbGib,
}

/// What was decided.
pub(super) struct Decided {
    /// The data of the three, each field under the name that it has in the result; none where the
    /// data of one is no object, which is not merged.
    pub(super) data: Option<Data>,
    pub(super) names: Names,
    pub(super) values: Values,
    /// Whose ib is taken where both changed it.
    pub(super) ib: Option<Winner>,
    /// Relations of which nothing is replayed, since the result would be too large.
    pub(super) dropped: HashSet<String>,
    pub(super) overwritten: Vec<Overwritten>,
}

/// The data of the three frames.
pub(super) struct Data {
    pub(super) common: Map<String, Value>,
    pub(super) kept: Map<String, Value>,
    pub(super) last: Map<String, Value>,
}

impl Data {
    /// The values of a key of the data, with that of a frame on the way.
    pub(super) fn versions<'a>(
        &'a self,
        key: &str,
        replayed: Option<&'a Value>,
    ) -> FieldVersions<'a> {
        FieldVersions {
            common: self.common.get(key),
            kept: self.kept.get(key),
            replayed,
            last: self.last.get(key),
        }
    }

    /// Every key of any of the three, sorted.
    fn keys(&self) -> Vec<&String> {
        let sides = [&self.common, &self.kept, &self.last];
        let keys: HashSet<&String> = sides.into_iter().flat_map(Map::keys).collect();
        let mut keys: Vec<&String> = keys.into_iter().collect();
        keys.sort_unstable();
        keys
    }

    /// The result of the merge as far as it is decided.
    pub(super) fn merged(&self, values: &mut Values) -> Map<String, Value> {
        let mut merged = self.kept.clone();
        for key in self.keys() {
            let versions = self.versions(key, self.last.get(key));
            match values.below(Step::Key(key.clone()), versions) {
                Some(value) => js::set(&mut merged, key, value),
                None => drop(js::delete(&mut merged, key)),
            }
        }
        merged
    }
}

/// Decides every field that both branches changed: the newer edit wins, and the other is listed.
pub(super) fn decide(
    tips: Tips<'_>,
    kept: &dyn Branch,
    replayed: &dyn Branch,
) -> Result<Decided, MergeError> {
    let mut decided = Decided {
        data: None,
        names: Names::default(),
        values: Values::default(),
        ib: None,
        dropped: HashSet::new(),
        overwritten: Vec::new(),
    };
    let datas = [tips.common, tips.kept, tips.last].map(data_of);
    if let [Some(common), Some(ours), Some(last)] = datas {
        let data = Data { common, kept: ours, last };
        decided.name(&data, kept.renamings()?, replayed.renamings()?);
        decided.data = Some(Data {
            common: under_merged_names(&data.common, &decided.names.common),
            kept: under_merged_names(&data.kept, &decided.names.kept),
            last: under_merged_names(&data.last, &decided.names.replayed),
        });
    }
    let mut fields = Vec::new();
    if let Some(data) = &decided.data {
        data.merged(&mut decided.values);
        let open = bounded(std::mem::take(&mut decided.values.open), data);
        fields.extend(open.into_iter().map(|c| (FieldPath::Data(c.path.clone()), c)));
    }
    if let Some(conflict) = of_ib(tips) {
        fields.push((FieldPath::Ib, conflict));
    }
    let (ours, theirs) = decided.edits(&fields, kept, replayed)?;
    for ((path, conflict), (kept, replayed)) in fields.into_iter().zip(ours.into_iter().zip(theirs))
    {
        let winner = if replayed > kept { Winner::Replayed } else { Winner::Kept };
        match &path {
            FieldPath::Ib => decided.ib = Some(winner),
            _ => drop(decided.values.decided.insert(conflict.path.clone(), winner)),
        }
        decided.list(path, &conflict, winner, (kept, replayed));
    }
    Ok(decided)
}

impl Decided {
    /// Lists a field of which one value gave way.
    pub(super) fn list(
        &mut self,
        path: FieldPath,
        conflict: &Conflict,
        winner: Winner,
        (kept, replayed): (LastEdit, LastEdit),
    ) {
        // The name of a field at the top may be as long as an ibGib.
        let path = match path.to_string().len() > MAX_PATH_BYTES {
            true => FieldPath::Data(Vec::new()),
            false => path,
        };
        self.overwritten.push(Overwritten {
            path,
            common: Side::of(conflict.common.as_ref()),
            kept: Side::of(conflict.kept.as_ref()),
            replayed: Side::of(conflict.replayed.as_ref()),
            winner,
            kept_frame: kept.frame,
            replayed_frame: replayed.frame,
        });
    }

    /// The last edits of fields on both branches.
    pub(super) fn edits(
        &self,
        fields: &[(FieldPath, Conflict)],
        kept: &dyn Branch,
        replayed: &dyn Branch,
    ) -> Result<(Vec<LastEdit>, Vec<LastEdit>), MergeError> {
        if fields.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let own = |pairs: &[Pair]| -> Vec<FieldPath> {
            let own = |(path, _): &(FieldPath, Conflict)| match path {
                FieldPath::Data(steps) => FieldPath::Data(own_name(steps, pairs)),
                other => other.clone(),
            };
            fields.iter().map(own).collect()
        };
        Ok((
            kept.last_edits(&own(&self.names.kept))?,
            replayed.last_edits(&own(&self.names.replayed))?,
        ))
    }

    /// Finds the names that renamed fields have in the result.
    fn name(&mut self, data: &Data, kept: Vec<Renaming>, replayed: Vec<Renaming>) {
        let mut all: HashMap<Vec<Step>, [Option<Renaming>; 2]> = HashMap::new();
        for (side, renamings) in [kept, replayed].into_iter().enumerate() {
            for renaming in renamings {
                let from = renaming.from.clone();
                all.entry(from).or_default()[side] = Some(renaming);
            }
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable_by_key(|(from, _)| FieldPath::Data(from.clone()).to_string());
        for (from, sides) in all {
            let has = |map, steps: &[Step]| look_in(map, steps).is_some();
            match sides {
                [Some(ours), Some(theirs)] if ours.to == theirs.to => {
                    let pair = Pair { own: from, merged: ours.to };
                    self.names.common.push(pair.clone());
                    self.names.earlier.push(pair);
                }
                [Some(ours), Some(theirs)] => {
                    let taken = has(&data.last, &ours.to) || has(&data.kept, &theirs.to);
                    if !taken {
                        self.name_twice(from, ours, theirs, data);
                    }
                }
                [Some(one), None] if !has(&data.last, &one.to) => {
                    self.follow(from, one.to, has(&data.last, &one.from), false);
                }
                [None, Some(one)] if !has(&data.kept, &one.to) => {
                    self.follow(from, one.to, has(&data.kept, &one.from), true);
                }
                _ => {}
            }
        }
    }

    /// One side renamed a field: the other's value goes under that name too.
    fn follow(&mut self, from: Vec<Step>, to: Vec<Step>, is_there: bool, by_replayed: bool) {
        let pair = Pair { own: from, merged: to };
        self.names.common.push(pair.clone());
        if !is_there {
            self.values.contested.insert(pair.merged.clone());
        }
        match by_replayed {
            true => {
                self.names.kept.push(pair.clone());
                self.names.earlier.push(pair);
            }
            false => self.names.replayed.push(pair),
        }
    }

    /// Both sides renamed a field, to different names: the newer one is taken.
    fn name_twice(&mut self, from: Vec<Step>, ours: Renaming, theirs: Renaming, data: &Data) {
        let common = |merged: &[Step]| Pair { own: from.clone(), merged: merged.to_vec() };
        let mut conflict = Conflict { path: Vec::new(), common: None, kept: None, replayed: None };
        let winner = if theirs.edit > ours.edit { Winner::Replayed } else { Winner::Kept };
        match winner {
            Winner::Replayed => {
                conflict.path.clone_from(&ours.to);
                conflict.kept = look_in(&data.kept, &ours.to).cloned();
                self.names.common.push(common(&theirs.to));
                self.names.earlier.push(common(&theirs.to));
                self.names.kept.push(Pair { own: ours.to, merged: theirs.to });
            }
            Winner::Kept => {
                conflict.path.clone_from(&theirs.to);
                conflict.replayed = look_in(&data.last, &theirs.to).cloned();
                self.names.common.push(common(&ours.to));
                self.names.earlier.push(common(&ours.to));
                self.names.replayed.push(Pair { own: theirs.to, merged: ours.to });
            }
        }
        let path = FieldPath::Data(conflict.path.clone());
        self.list(path, &conflict, winner, (ours.edit, theirs.edit));
    }
}

/// The conflict over the ib, where both changed it.
fn of_ib(tips: Tips<'_>) -> Option<Conflict> {
    let [common, kept, last] = [tips.common, tips.kept, tips.last].map(|frame| frame.ib.as_str());
    let both = kept != common && last != common && kept != last;
    both.then(|| Conflict {
        path: Vec::new(),
        common: Some(common.into()),
        kept: Some(kept.into()),
        replayed: Some(last.into()),
    })
}

/// Brings what is to be decided within bounds: fields that are too many or too far down are decided
/// with what they stand under.
fn bounded(open: Vec<Conflict>, data: &Data) -> Vec<Conflict> {
    let most = if open.len() > MAX_CONFLICTS { 1 } else { usize::MAX };
    let mut bounded: Vec<Conflict> = Vec::new();
    let mut seen: HashSet<Vec<Step>> = HashSet::new();
    for mut conflict in open {
        let steps = conflict.path.len();
        conflict.path.truncate(most);
        while conflict.path.len() > 1
            && FieldPath::Data(conflict.path.clone()).to_string().len() > MAX_PATH_BYTES
        {
            conflict.path.pop();
        }
        if !seen.insert(conflict.path.clone()) {
            continue;
        }
        if conflict.path.len() < steps {
            let value = |map| look_in(map, &conflict.path).cloned();
            (conflict.common, conflict.kept, conflict.replayed) =
                (value(&data.common), value(&data.kept), value(&data.last));
        }
        bounded.push(conflict);
    }
    bounded.retain(|conflict| {
        (1..conflict.path.len()).all(|steps| !seen.contains(&conflict.path[..steps]))
    });
    bounded
}
