//! What a stored ibGib relates to, read without building its data.

use std::fmt;

use indexmap::IndexSet;
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
    Ok(fields.rel8ns.0.into_iter().collect())
}

#[derive(Default)]
struct Rel8ds(IndexSet<Addr>);

impl<'de> Deserialize<'de> for Rel8ds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Rel8ds, D::Error> {
        let mut rel8ds = Rel8ds::default();
        from.deserialize_any(Relations(&mut rel8ds.0))?;
        Ok(rel8ds)
    }
}

/// Reads the object of relations.
struct Relations<'a>(&'a mut IndexSet<Addr>);

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
struct List<'a>(&'a mut IndexSet<Addr>);

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
            if !addr.is_primitive() {
                self.0.insert(addr);
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
