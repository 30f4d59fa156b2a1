//! Fits an edit to the frame that it is replayed on: what it meant to change and is no longer
//! there is taken out of it and named, so that the rest can be replayed.

use serde_json::{Map, Value};

use super::derive::Edit;
use crate::ibgib::IbGib;
use crate::ibgib::addr::clip;
use crate::ibgib::json as js;
use crate::ibgib::transform::Kind;

/// Takes out of `edit` what cannot be replayed on `tip`; `prev` is the frame it was made on.
///
/// Returns one reason for each thing that `prev` had and `tip` lacks. Renames and removals that
/// found nothing to begin with are taken out without one.
pub(super) fn fit(edit: &mut Edit, prev: &IbGib, tip: &IbGib) -> Vec<String> {
    let mut reasons = Vec::new();
    // A timeline that is not counted must not start at zero in its middle.
    if tip.datum("n").is_none() {
        js::delete(&mut edit.opts, "nCounter");
    }
    match edit.kind {
        Kind::Mut8 => fit_data(&mut edit.opts, prev, tip, &mut reasons),
        Kind::Rel8 => fit_relations(&mut edit.opts, prev, tip, &mut reasons),
        Kind::Fork => reasons.push("a fork begins another timeline".to_owned()),
    }
    reasons
}

/// Whether the edit still asks for something.
pub(super) fn asks_for_something(edit: &Edit) -> bool {
    let keys: &[&str] = match edit.kind {
        Kind::Mut8 => &["mut8Ib", "dataToRename", "dataToRemove", "dataToAddOrPatch"],
        Kind::Rel8 => &["rel8nsToAddByAddr", "rel8nsToRemoveByAddr"],
        Kind::Fork => &[],
    };
    keys.iter().any(|key| js::truthy(edit.opts.get(*key)))
}

fn fit_data(opts: &mut Map<String, Value>, prev: &IbGib, tip: &IbGib, reasons: &mut Vec<String>) {
    let renamed: Vec<String> = match opts.get("dataToRename") {
        Some(Value::Object(info)) => {
            info.values().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    for (option, verb) in [("dataToRename", "renamed"), ("dataToRemove", "removed")] {
        with_object(opts, option, |info| {
            let mut known = Known { verb, path: Vec::new(), reasons };
            known.keep(info, prev.data.as_ref(), tip.data.as_ref(), &renamed)
        });
    }
    let removed: Vec<String> = match opts.get("dataToRemove") {
        Some(Value::Object(info)) => {
            info.iter().filter(|(_, to)| to.is_string()).map(|(key, _)| key.clone()).collect()
        }
        _ => Vec::new(),
    };
    with_object(opts, "dataToAddOrPatch", |patch| {
        // Where a frame stands is for the branch that it stands on to say.
        js::delete(patch, "n");
        js::delete(patch, "isTjp");
        keep_patchable(patch, tip.data.as_ref(), &removed, &mut Vec::new(), reasons);
    });
}

/// Changes an option that is an object; drops it where the change leaves nothing of it.
fn with_object(
    opts: &mut Map<String, Value>,
    key: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) {
    if let Some(Value::Object(info)) = opts.get_mut(key)
        && !info.is_empty()
    {
        change(info);
        if info.is_empty() {
            js::delete(opts, key);
        }
    }
}

/// Keeps those renames or removals whose keys are there.
struct Known<'a> {
    verb: &'static str,
    path: Vec<String>,
    reasons: &'a mut Vec<String>,
}

impl Known<'_> {
    /// `made` are keys that the edit itself makes before it comes to these.
    fn keep(
        &mut self,
        info: &mut Map<String, Value>,
        had: Option<&Value>,
        has: Option<&Value>,
        made: &[String],
    ) {
        let keys: Vec<String> = info.keys().cloned().collect();
        for key in keys {
            let had = had.and_then(|had| had.get(&key));
            let has = has.and_then(|has| has.get(&key));
            let is_made = self.verb == "removed" && made.contains(&key);
            self.path.push(key);
            let stays = is_made || self.stays(info, had, has);
            if let Some(key) = self.path.pop()
                && !stays
            {
                js::delete(info, &key);
            }
        }
    }

    /// Whether the last key of the path stays in `info`.
    fn stays(
        &mut self,
        info: &mut Map<String, Value>,
        had: Option<&Value>,
        has: Option<&Value>,
    ) -> bool {
        let Some(had) = had else { return false };
        let to = self.path.last().and_then(|key| info.get_mut(key));
        match (to, has) {
            (Some(Value::String(_)), Some(_)) => true,
            (Some(Value::Object(deeper)), Some(Value::Object(_))) => {
                self.keep(deeper, Some(had), has, &[]);
                !deeper.is_empty()
            }
            (Some(Value::String(_) | Value::Object(_)), _) => {
                let path = clip(&self.path.join("."));
                self.reasons.push(format!(
                    "data {path:?} could not be {}: it is gone on the branch that stays",
                    self.verb
                ));
                false
            }
            _ => false,
        }
    }
}

/// Takes out what the transform refuses: null where there is an object.
fn keep_patchable(
    patch: &mut Map<String, Value>,
    has: Option<&Value>,
    removed: &[String],
    path: &mut Vec<String>,
    reasons: &mut Vec<String>,
) {
    let keys: Vec<String> = patch.keys().cloned().collect();
    for key in keys {
        let has = has.and_then(|has| has.get(&key));
        if !has.is_some_and(Value::is_object) || (path.is_empty() && removed.contains(&key)) {
            continue;
        }
        path.push(key.clone());
        match patch.get_mut(&key) {
            Some(Value::Null) => {
                let path = clip(&path.join("."));
                reasons.push(format!(
                    "data {path:?} could not be set to null: the branch that stays holds an object there"
                ));
                js::delete(patch, &key);
            }
            Some(Value::Object(deeper)) if !deeper.is_empty() => {
                keep_patchable(deeper, has, removed, path, reasons);
                if deeper.is_empty() {
                    js::delete(patch, &key);
                }
            }
            _ => {}
        }
        path.pop();
    }
}

/// Keeps those removals whose addresses are there.
fn fit_relations(
    opts: &mut Map<String, Value>,
    prev: &IbGib,
    tip: &IbGib,
    reasons: &mut Vec<String>,
) {
    with_object(opts, "rel8nsToRemoveByAddr", |relations| {
        for (name, rel8ds) in relations.iter_mut() {
            let Value::Array(rel8ds) = rel8ds else { continue };
            rel8ds.retain(|rel8d| {
                let Some(rel8d) = rel8d.as_str() else { return true };
                let stays = tip.rel8d(name).any(|has| has == rel8d);
                if !stays && prev.rel8d(name).any(|had| had == rel8d) {
                    let (name, rel8d) = (clip(name), clip(rel8d));
                    reasons.push(format!(
                        "{rel8d} could not be removed from {name:?}: it is gone on the branch that stays"
                    ));
                }
                stays
            });
        }
        relations.retain(|_, rel8ds| rel8ds.as_array().is_none_or(|rel8ds| !rel8ds.is_empty()));
    });
}
