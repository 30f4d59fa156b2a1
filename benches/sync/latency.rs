//! How long a small sync takes as a whole process.

use std::time::Duration;

use crate::args::{Args, Part};
use crate::case::{Case, Pushed, counted};
use crate::relay::Relay;
use crate::report::Report;
use crate::{Result, data};

/// The middle one; of an even number, the earlier of the two.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// Measures one more edit, and nothing new, in turn with git; and the bytes of one more edit.
pub fn measure(case: &Case, pushed: &Pushed, args: &Args, report: &mut Report) -> Result<()> {
    let mut edit = (Vec::new(), Vec::new());
    let mut synced = Vec::new();
    let mut idle = (Vec::new(), Vec::new());
    if let Some(rival) = case.rival() {
        rival.make_dest("synced")?;
        rival.sync_everything("synced")?;
        rival.push(rival.authority(), "synced")?;
    }
    // The first round warms up.
    for round in 0..=args.short_runs {
        let (dna, frame) = data::edit_once(&pushed.home, 1000 + round as u64)?;
        edit.0.push(case.sync(&pushed.home, false)?.time);
        idle.0.push(case.sync(&pushed.home, false)?.time);
        if let Some(rival) = case.rival() {
            rival.commit(&dna, &frame)?;
            edit.1.push(rival.push(rival.authority(), "pushed")?.time);
            idle.1.push(rival.push(rival.authority(), "pushed")?.time);
            synced.push(rival.push(rival.authority(), "synced")?.time);
        }
    }
    let median = |times: Vec<Duration>| match times.len() {
        0 => None,
        _ => Some(median(times[1..].to_vec())),
    };
    let (edit, edit_git) = (median(edit.0).unwrap_or_default(), median(edit.1));
    let (idle, idle_git) = (median(idle.0).unwrap_or_default(), median(idle.1));
    if args.wants(Part::Edit) {
        if let Some(synced) = median(synced) {
            report.small("git push, one more edit, synced", synced, 0, 0);
        }
        report.short("one more edit", edit, edit_git, None);
        edit_bytes(case, pushed, report)?;
    }
    if args.wants(Part::Idle) {
        report.short("nothing new", idle, idle_git, Some(edit));
    }
    Ok(())
}

fn edit_bytes(case: &Case, pushed: &Pushed, report: &mut Report) -> Result<()> {
    let relay = Relay::start(pushed.server.authority())?;
    case.point(&pushed.home, &format!("http://{}", relay.authority()))?;
    data::edit_once(&pushed.home, 999)?;
    let mut said = String::new();
    let all = counted(&relay, || {
        said = case.sync(&pushed.home, false)?.stdout;
        Ok(())
    })?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let summary = said.get("summary").unwrap_or(&said);
    let payload = summary["sent"]["bytes"].as_u64().ok_or("sync says nothing of its payload")?;
    report.edit_bytes(payload, all - payload);
    Ok(())
}
