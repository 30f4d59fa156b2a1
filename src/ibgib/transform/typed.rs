//! Options of each transform by typed setters, for frames as this program makes them.

use serde_json::{Map, Value, json};

use super::{Kind, Opts, TransformError, Transformed, transform};
use crate::ibgib::environment::Environment;
use crate::ibgib::json as js;
use crate::ibgib::{Addr, IbGib};

/// A new timeline from a source, with dna and a count; see [`timeline`](super::timeline) for one from
/// nothing.
#[derive(Debug, Clone)]
pub struct Fork(Opts);

impl Fork {
    /// A fork that gets this ib.
    pub fn to(ib: &str) -> Fork {
        Fork(Opts::next_frame().set("destIb", ib))
    }

    /// Makes it the first frame of a timeline that nobody else makes: by its time and a random uuid.
    pub fn unique(self) -> Fork {
        Fork(self.0.set("tjp", json!({"timestamp": true, "uuid": true})))
    }

    /// Takes over the source's data.
    pub fn with_data(self) -> Fork {
        Fork(self.0.set("cloneData", true))
    }

    /// Takes over the source's relations, but for its `tjp`.
    pub fn with_relations(self) -> Fork {
        Fork(self.0.set("cloneRel8ns", true))
    }

    /// The options object, for [`transform`].
    pub fn opts(self) -> Map<String, Value> {
        self.0.build()
    }

    /// Forks `src` with the time and random bytes of `env`. Errors where an option or the source does not allow it.
    pub fn of(self, src: &IbGib, env: &dyn Environment) -> Result<Transformed, TransformError> {
        transform(Kind::Fork, src, &self.opts(), env)
    }
}

/// A next frame with other data or another ib.
#[derive(Debug, Clone)]
pub struct Mut8 {
    opts: Opts,
    set: Map<String, Value>,
    removed: Map<String, Value>,
    renamed: Map<String, Value>,
}

impl Mut8 {
    /// One more frame on `tip`, with dna, and counted where that is.
    pub fn next_frame_on(tip: &IbGib) -> Mut8 {
        let opts = Opts::next_frame_on(tip);
        Mut8 { opts, set: Map::new(), removed: Map::new(), renamed: Map::new() }
    }

    /// Sets a field; of an object the fields that are given, the others stay.
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> Mut8 {
        js::set(&mut self.set, field, value.into());
        self
    }

    /// Removes a field.
    pub fn remove(mut self, field: &str) -> Mut8 {
        js::set(&mut self.removed, field, "".into());
        self
    }

    /// Gives a field another name.
    pub fn rename(mut self, field: &str, name: &str) -> Mut8 {
        js::set(&mut self.renamed, field, name.into());
        self
    }

    /// Gives the ibGib another ib.
    pub fn ib(mut self, ib: &str) -> Mut8 {
        self.opts = self.opts.set("mut8Ib", ib);
        self
    }

    /// The options object, for [`transform`].
    pub fn opts(self) -> Map<String, Value> {
        let changes = [
            ("dataToRename", self.renamed),
            ("dataToRemove", self.removed),
            ("dataToAddOrPatch", self.set),
        ];
        let given = changes.into_iter().filter(|(_, change)| !change.is_empty());
        given.fold(self.opts, |opts, (name, change)| opts.set(name, change)).build()
    }

    /// Makes the next frame of `src` with the time and random bytes of `env`. Errors where nothing is changed, or the
    /// source's data takes no fields.
    pub fn of(self, src: &IbGib, env: &dyn Environment) -> Result<Transformed, TransformError> {
        transform(Kind::Mut8, src, &self.opts(), env)
    }
}

/// A next frame with other relations.
#[derive(Debug, Clone)]
pub struct Rel8 {
    opts: Opts,
    added: Map<String, Value>,
    removed: Map<String, Value>,
}

impl Rel8 {
    /// One more frame on `tip`, with dna, and counted where that is.
    pub fn next_frame_on(tip: &IbGib) -> Rel8 {
        Rel8 { opts: Opts::next_frame_on(tip), added: Map::new(), removed: Map::new() }
    }

    /// Relates to an ibGib.
    pub fn add(mut self, relation: &str, to: &Addr) -> Rel8 {
        append(&mut self.added, relation, to);
        self
    }

    /// Ends the relation to an ibGib.
    pub fn remove(mut self, relation: &str, to: &Addr) -> Rel8 {
        append(&mut self.removed, relation, to);
        self
    }

    /// The options object, for [`transform`].
    pub fn opts(self) -> Map<String, Value> {
        let changes = [("rel8nsToAddByAddr", self.added), ("rel8nsToRemoveByAddr", self.removed)];
        let given = changes.into_iter().filter(|(_, change)| !change.is_empty());
        given.fold(self.opts, |opts, (name, change)| opts.set(name, change)).build()
    }

    /// Makes the next frame of `src` with the time and random bytes of `env`. Errors where nothing is related, or with
    /// [`TransformError::Reserved`] for a relation that the transforms keep themselves.
    pub fn of(self, src: &IbGib, env: &dyn Environment) -> Result<Transformed, TransformError> {
        transform(Kind::Rel8, src, &self.opts(), env)
    }
}

/// Adds an address to the list under a name.
fn append(relations: &mut Map<String, Value>, name: &str, addr: &Addr) {
    match relations.get_mut(name).and_then(Value::as_array_mut) {
        Some(list) => list.push(json!(addr)),
        None => js::set(relations, name, json!([addr])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::System;

    fn tip() -> IbGib {
        let root = IbGib::primitive("x");
        Fork::to("x").unique().of(&root, &System::new()).unwrap().new_ibgib
    }

    #[test]
    fn typed_options_are_those_that_are_set_by_name() {
        let tip = tip();
        let built = Mut8::next_frame_on(&tip).set("a", 1).remove("b").rename("c", "d").ib("y");
        let named = Opts::next_frame()
            .set("mut8Ib", "y")
            .set("dataToRename", json!({"c": "d"}))
            .set("dataToRemove", json!({"b": ""}))
            .set("dataToAddOrPatch", json!({"a": 1}));
        assert_eq!(built.opts(), named.build());
        let stone = Addr::parse("red^gib").unwrap();
        let built = Rel8::next_frame_on(&tip).add("tag", &stone).add("tag", &stone);
        let named = Opts::next_frame().set("rel8nsToAddByAddr", json!({"tag": [stone, stone]}));
        assert_eq!(built.opts(), named.build());
        let fork = Fork::to("z").with_data().with_relations().opts();
        let named =
            Opts::next_frame().set("destIb", "z").set("cloneData", true).set("cloneRel8ns", true);
        assert_eq!(fork, named.build());
    }

    #[test]
    fn frames_made_by_typed_options_count_and_relate() {
        let first = tip();
        let env = System::new();
        let second = Mut8::next_frame_on(&first).set("a", 1).of(&first, &env).unwrap().new_ibgib;
        assert_eq!((second.n(), second.datum("a")), (Some(1), Some(&json!(1))));
        let stone = Addr::parse("red^gib").unwrap();
        let rel8 = Rel8::next_frame_on(&second).add("tag", &stone);
        let third = rel8.of(&second, &env).unwrap().new_ibgib;
        assert_eq!((third.n(), third.rel8d("tag").next()), (Some(2), Some("red^gib")));
        let gone = Rel8::next_frame_on(&third).remove("tag", &stone).of(&third, &env).unwrap();
        assert_eq!(gone.new_ibgib.rel8d("tag").next(), None);
        let fork = Fork::to("copy").with_data().of(&second, &env).unwrap().new_ibgib;
        assert_eq!((fork.n(), fork.datum("a")), (Some(0), Some(&json!(1))));
        assert!(Mut8::next_frame_on(&first).of(&first, &env).is_err());
        assert!(Rel8::next_frame_on(&first).add("past", &stone).of(&first, &env).is_err());
    }
}
