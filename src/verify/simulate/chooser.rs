//! What happens next, from a seed.

use std::cell::Cell;

/// Choices from a seed; the same ones whatever the machine (SplitMix64).
#[derive(Debug)]
pub(super) struct Chooser(Cell<u64>);

impl Chooser {
    pub(super) fn new(seed: u64) -> Chooser {
        Chooser(Cell::new(seed ^ 0x6A09_E667_F3BC_C908))
    }

    fn next(&self) -> u64 {
        let mut mixed = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(mixed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `most`, which is not 0.
    pub(super) fn below(&self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    /// True in `in_a_thousand` of 1000 cases.
    pub(super) fn chance(&self, in_a_thousand: u32) -> bool {
        self.below(1000) < in_a_thousand as usize
    }
}
