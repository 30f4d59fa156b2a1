//! Runs one row of the phase table, as `verify` does.

use sync_gib::cli::verify::ServeProgram;
use sync_gib::verify::{Phase, Setting, Transport, run_row};

/// Runs the row and fails with every assertion that does not hold.
pub fn row(number: &str, transport: Transport) {
    let phase = Phase::ALL.into_iter().find(|phase| phase.number() == number).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let launcher = ServeProgram::new(env!("CARGO_BIN_EXE_sync-gib").into());
    let outcome =
        run_row(phase, transport, &Setting { dir: &dir.path().join("row"), launcher: &launcher });
    let failed: Vec<_> = outcome.failed().collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(outcome.assertions.len() >= 10, "{:#?}", outcome.assertions);
}

/// A test for each way of each row.
#[macro_export]
macro_rules! rows {
    ($($a:ident $b:ident $number:literal;)*) => {$(
        #[test]
        fn $a() {
            phase_common::row($number, sync_gib::verify::Transport::InProcess);
        }
        #[test]
        fn $b() {
            phase_common::row($number, sync_gib::verify::Transport::WebSocket);
        }
    )*};
}
