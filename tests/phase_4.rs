//! Phases 4.1 to 4.10 of the protocol, each both ways.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod phase_common;

rows! {
    mutations_in_process mutations_over_websocket "4.1";
    constants_in_process constants_over_websocket "4.2";
    part_held_in_process part_held_over_websocket "4.3";
    deep_in_process deep_over_websocket "4.4";
    dest_ahead_in_process dest_ahead_over_websocket "4.5";
    several_in_process several_over_websocket "4.6";
    divergence_in_process divergence_over_websocket "4.7";
    divergence_relates_in_process divergence_relates_over_websocket "4.8";
    text_in_process text_over_websocket "4.9";
    rounds_in_process rounds_over_websocket "4.10";
}
