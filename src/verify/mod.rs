//! Verifying this build: the simulation of a whole world from one seed.

pub mod simulate;
