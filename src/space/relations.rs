//! What a stored ibGib relates to, read without building its data.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::ibgib::Addr;

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    rel8ns: Rel8ds,
}

/// What a text relates to, each address once, in order, primitives left out; the error says what is
/// wrong with it.
pub(super) fn rel8ds(text: &str) -> Result<Vec<Addr>, String> {
    let fields: Fields = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(fields.rel8ns.list)
}

#[derive(Default)]
struct Rel8ds {
    list: Vec<Addr>,
    seen: HashSet<Addr>,
}

impl Rel8ds {
    fn add(&mut self, addr: Addr) {
        const FEW: usize = 16;
        if addr.is_primitive() {
            return;
        }
        if self.list.len() < FEW {
            if !self.list.contains(&addr) {
                self.list.push(addr);
            }
            return;
        }
        if self.seen.is_empty() {
            self.seen.extend(self.list.iter().cloned());
        }
        if self.seen.insert(addr.clone()) {
            self.list.push(addr);
        }
    }
}

impl<'de> Deserialize<'de> for Rel8ds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Rel8ds, D::Error> {
        let mut rel8ds = Rel8ds::default();
        from.deserialize_any(Relations(&mut rel8ds))?;
        Ok(rel8ds)
    }
}

/// Reads the object of relations.
struct Relations<'a>(&'a mut Rel8ds);

impl<'de> Visitor<'de> for Relations<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of relations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(List(self.0))?;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads the addresses of one relation.
struct List<'a>(&'a mut Rel8ds);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of addresses")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(addr) = list.next_element::<Addr>()? {
            self.0.add(addr);
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
