//! `setup` and the first `sync` of an X of one frame.

use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::args::Args;
use crate::case::secret;
use crate::latency::median;
use crate::process::{self, Ran, Server, sync_gib};
use crate::report::Report;

/// Measures both, with a stretched secret (the default) and with a raw one.
pub fn measure(dir: &Path, args: &Args, report: &mut Report) -> Result<()> {
    let dir = dir.join("small");
    std::fs::create_dir_all(&dir)?;
    let server = Server::start(&dir.join("server.db"))?;
    for (kind, raw) in [("stretched secret", false), ("raw secret", true)] {
        let (mut setups, mut syncs) = (Vec::new(), Vec::new());
        for round in 0..=args.short_runs.min(7) {
            let home = dir.join(format!("{raw}-{round}"));
            let (url, secret) = (format!("--server={}", server.url()), secret(&dir)?);
            let mut setup = vec!["setup", &url, &secret];
            setup.extend(raw.then_some("--raw-secret"));
            setups.push(process::run(&mut sync_gib(&home, &setup), true)?);
            syncs.push(process::run(&mut sync_gib(&home, &["sync", &secret]), true)?);
        }
        let middle = |ran: &[Ran]| -> (Duration, u64) {
            let times = ran[1..].iter().map(|ran| ran.time).collect();
            (median(times), ran.iter().map(|ran| ran.peak).max().unwrap_or(0))
        };
        for (name, ran) in [("setup", &setups), ("sync", &syncs)] {
            let (time, peak) = middle(ran);
            report.small(&format!("{name}, {kind}"), time, peak, server.peak());
        }
    }
    Ok(())
}
