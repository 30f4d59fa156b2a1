//! What the fuzz targets run. `tests/corpus.rs` includes this file, so that an ordinary test
//! replays the corpora by the very same functions.

mod block;
mod bodies;
mod compression;
mod dialogue;
mod edit;
mod fixtures;
mod input;
mod kept;
mod keystone;
mod merges;
mod sketch;
mod space_file;
mod stage;
mod texts;

pub use block::block;
pub use bodies::bodies;
pub use compression::compression;
pub use dialogue::dialogue;
pub use kept::kept;
pub use keystone::keystone;
pub use merges::{graft_info, merge_values};
pub use sketch::sketch;
pub use space_file::space_file;
pub use stage::stage;
pub use texts::{capabilities, ibgib, merge_text, transform, wire};

/// A target: takes any bytes, and panics where a rule is broken.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus.
pub const TARGETS: [(&str, Target); 16] = [
    ("block", block),
    ("bodies", bodies),
    ("capabilities", capabilities),
    ("compression", compression),
    ("dialogue", dialogue),
    ("graft_info", graft_info),
    ("ibgib", ibgib),
    ("kept", kept),
    ("keystone", keystone),
    ("merge_text", merge_text),
    ("merge_values", merge_values),
    ("sketch", sketch),
    ("space_file", space_file),
    ("stage", stage),
    ("transform", transform),
    ("wire", wire),
];
