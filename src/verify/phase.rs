//! The phases of the table (docs/protocol.md, section 9).

use super::error::VerifyError;
use super::rows;
use super::world::World;
use crate::peer::ReceiverLink;

/// The phases, as typed; `4` stands for all of 4.1 to 4.10.
pub const PHASES: [&str; 14] =
    ["1", "2", "3", "4", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8", "4.9", "4.10"];

/// A phase, which is one line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// 1: S is made, I claims it, the receiver has both.
    Establish,
    /// 2: S proves itself.
    Connect,
    /// 3: one timeline with the identities that synced it.
    Single,
    /// 4.1: a timeline with its mutations.
    Mutations,
    /// 4.2: constants.
    Constants,
    /// 4.3: the receiver holds part of the history.
    PartHeld,
    /// 4.4: a deep history.
    Deep,
    /// 4.5: the receiver is ahead.
    DestAhead,
    /// 4.6: several timelines in one call.
    Several,
    /// 4.7: both sides edited different fields.
    Divergence,
    /// 4.8: one of the edits relates a new timeline.
    DivergenceRelates,
    /// 4.9: both sides edited one text.
    Text,
    /// 4.10: many rounds.
    Rounds,
}

impl Phase {
    /// Every phase, in the table's order.
    pub const ALL: [Phase; 13] = [
        Phase::Establish,
        Phase::Connect,
        Phase::Single,
        Phase::Mutations,
        Phase::Constants,
        Phase::PartHeld,
        Phase::Deep,
        Phase::DestAhead,
        Phase::Several,
        Phase::Divergence,
        Phase::DivergenceRelates,
        Phase::Text,
        Phase::Rounds,
    ];

    /// The phase's number, as typed.
    pub fn number(self) -> &'static str {
        match self {
            Phase::Establish => "1",
            Phase::Connect => "2",
            Phase::Single => "3",
            Phase::Mutations => "4.1",
            Phase::Constants => "4.2",
            Phase::PartHeld => "4.3",
            Phase::Deep => "4.4",
            Phase::DestAhead => "4.5",
            Phase::Several => "4.6",
            Phase::Divergence => "4.7",
            Phase::DivergenceRelates => "4.8",
            Phase::Text => "4.9",
            Phase::Rounds => "4.10",
        }
    }

    /// What must work, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Phase::Establish => "establish a session",
            Phase::Connect => "connect",
            Phase::Single => "sync one timeline with identity",
            Phase::Mutations => "push a timeline and its mutations",
            Phase::Constants => "constants with linked constants",
            Phase::PartHeld => "dest holds part of the history",
            Phase::Deep => "deep history",
            Phase::DestAhead => "dest ahead",
            Phase::Several => "several timelines in one call",
            Phase::Divergence => "both edited different fields",
            Phase::DivergenceRelates => "a divergent edit relates a new timeline",
            Phase::Text => "both edited one text",
            Phase::Rounds => "many rounds of parallel edits",
        }
    }

    /// The phases that the arguments name, each once, in the table's order; all without arguments.
    pub fn chosen(names: &[String]) -> Vec<Phase> {
        let named = |phase: &Phase| {
            let number = phase.number();
            names.is_empty()
                || names
                    .iter()
                    .any(|name| name == number || (name == "4" && number.starts_with("4.")))
        };
        Phase::ALL.into_iter().filter(named).collect()
    }

    /// Whether its receiver over a WebSocket lives in this process; else in one of its own.
    pub(super) fn is_embedded(self) -> bool {
        matches!(self, Phase::Establish | Phase::Connect | Phase::Single)
    }

    /// Runs the phase.
    pub(super) fn play<L: ReceiverLink>(self, world: &mut World<'_, L>) -> Result<(), VerifyError> {
        match self {
            Phase::Establish => rows::session::establish(world),
            Phase::Connect => rows::session::connect(world),
            Phase::Single => rows::push::single(world),
            Phase::Mutations => rows::push::mutations(world),
            Phase::Constants => rows::constants::constants(world),
            Phase::PartHeld => rows::partial::part_held(world),
            Phase::Deep => rows::push::deep(world),
            Phase::DestAhead => rows::partial::dest_ahead(world),
            Phase::Several => rows::push::several(world),
            Phase::Divergence => rows::merge::divergence(world),
            Phase::DivergenceRelates => rows::merge::relates(world),
            Phase::Text => rows::text::text(world),
            Phase::Rounds => rows::rounds::rounds(world),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(names: &[&str]) -> Vec<&'static str> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Phase::chosen(&names).into_iter().map(Phase::number).collect()
    }

    #[test]
    fn phases_are_chosen_once_and_in_order() {
        assert_eq!(numbers(&["4.10", "2", "2"]), ["2", "4.10"]);
        assert_eq!(numbers(&[]).len(), 13);
        assert_eq!(numbers(&["4"]).len(), 10);
        assert_eq!(numbers(&["4", "4.1"])[0], "4.1");
    }

    #[test]
    fn every_phase_can_be_typed() {
        for phase in Phase::ALL {
            assert!(PHASES.contains(&phase.number()));
        }
    }
}
