//! What of an ibGib a drawing shows.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::cli::output::printable;
use crate::ibgib::{Addr, Rel8ns};
use crate::space::{Row, RowId, Space, SpaceError};

/// How many characters of a gib stand for it.
const SHORT: usize = 8;

/// An ibGib without its data.
pub struct Shape {
    /// Its address.
    pub addr: Addr,
    /// Its place.
    pub row: Row,
    /// What it relates to, by relation, in order; primitives left out.
    pub rel8ns: Vec<(String, Vec<RowId>)>,
}

/// An ibGib's JSON, of which only the relations are kept.
#[derive(Deserialize)]
struct Relations {
    rel8ns: Option<Rel8ns>,
}

impl Shape {
    /// Reads the shape of a row.
    pub fn read(space: &dyn Space, id: RowId) -> Result<Shape, SpaceError> {
        let node = space.node(id)?;
        // Both list what the ibGib relates to, each once, in order, primitives left out.
        let ids: HashMap<&str, RowId> =
            node.rel8ds.iter().map(Addr::as_str).zip(space.deps(id)?).collect();
        let text = space.text(id)?;
        let read: Result<Relations, _> = serde_json::from_str(&text);
        let rel8ns = read.ok().and_then(|read| read.rel8ns).unwrap_or_default();
        let rel8ns = rel8ns.into_iter().map(|(name, rel8ds)| {
            let rel8ds = rel8ds.as_array().into_iter().flatten().filter_map(Value::as_str);
            (name, rel8ds.filter_map(|addr| ids.get(addr).copied()).collect())
        });
        let rel8ns = rel8ns.filter(|(_, ids): &(_, Vec<RowId>)| !ids.is_empty()).collect();
        Ok(Shape { rel8ns, addr: node.addr, row: space.row(id)? })
    }

    /// `ib^` and the beginning of the gib.
    pub fn short(&self) -> String {
        let gib: String = self.addr.gib().chars().take(SHORT).collect();
        format!("{}^{gib}", printable(self.addr.ib()))
    }

    /// The lines of its box in a drawing: ib, count where it is a frame, beginning of the gib.
    pub fn label(&self) -> Vec<String> {
        let mut lines = vec![printable(self.addr.ib())];
        if self.row.timeline.is_some() {
            lines.push(format!("n {}", self.row.n));
        }
        lines.push(self.addr.gib().chars().take(SHORT).collect());
        lines
    }

    /// The edges of a drawing among `rows`, which ascend: the relation and the place in `rows`
    /// that it leads to.
    pub fn edges<'a>(&'a self, rows: &'a [RowId]) -> impl Iterator<Item = (&'a str, usize)> {
        self.rel8ns.iter().flat_map(|(name, ids)| {
            ids.iter().filter_map(|id| Some((name.as_str(), rows.binary_search(id).ok()?)))
        })
    }
}
