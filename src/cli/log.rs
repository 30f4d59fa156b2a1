//! `log`: the frames of a timeline, all timelines, past sagas.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::identity::{Renewed, say_keys};
use super::merge::{base_of, is_merge};
use super::output::{Output, printable};
use super::target::{NAMES, for_each_timeline, resolve};
use crate::ibgib::IbGib;
use crate::keystone;
use crate::space::{NAME_IDENTITY, RowId, Space, SpaceError, Timeline, TimelineKind};

/// List the frames of a timeline, newest first, or all timelines.
///
/// With ADDR: n, time and address of each frame, from the latest tip back. Frames that a merge
/// replayed are marked; they carry the time of the edit that they replay. Without ADDR: the
/// timelines of the space (data and identities) with their tips. With --saga: past syncs with their
/// frames.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib log\n  \
    sync-gib log X --limit 10\n  \
    sync-gib log X --merges\n  \
    sync-gib log --saga --limit 1")]
pub struct LogArgs {
    /// A frame of the timeline, or X, I, S; `-` reads it from standard input
    #[arg(value_name = "ADDR")]
    pub addr: Option<String>,
    /// List merges only
    #[arg(long, requires = "addr")]
    pub merges: bool,
    /// List past sagas, newest first, each with its frames
    #[arg(long, conflicts_with = "addr")]
    pub saga: bool,
    /// List at most N frames, timelines or sagas
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<u64>,
}

/// Lists.
pub fn run(args: &LogArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = ctx.open_space()?;
    let limit = args.limit.unwrap_or(u64::MAX);
    match &args.addr {
        Some(addr) => frames(&space, addr, limit, args.merges, &mut ctx.out),
        None if args.saga => sagas(&space, limit, &mut ctx.out),
        None => timelines(&space, limit, &mut ctx.out),
    }
}

/// One line of a timeline's log.
struct Frame {
    addr: String,
    n: u64,
    prev: Option<RowId>,
    time: Value,
    stage: Value,
    saga: Value,
    merges: bool,
    /// The tip that a merge was made on.
    base: Option<RowId>,
    /// Whether a merge replayed it: it carries the time of the edit that it replays.
    replayed: bool,
    /// How it changed its identity's secret.
    renewed: Option<Renewed>,
}

impl Frame {
    fn read(space: &dyn Space, id: RowId) -> Result<Frame, SpaceError> {
        let row = space.row(id)?;
        let ibgib: IbGib = space.get_id(id)?;
        let datum = |key| ibgib.datum(key).cloned().unwrap_or(Value::Null);
        let merges = row.orphan.is_some() && is_merge(space, id)?;
        Ok(Frame {
            addr: format!("{}^{}", ibgib.ib, ibgib.gib),
            n: row.n,
            prev: row.prev,
            time: datum("timestamp"),
            stage: datum("stage"),
            saga: datum("sagaId"),
            merges,
            base: if merges { base_of(space, &ibgib)? } else { None },
            replayed: false,
            renewed: Renewed::of(&ibgib),
        })
    }

    fn to_value(&self) -> Value {
        let mut value = json!({"n": self.n, "timestamp": self.time, "addr": self.addr});
        if self.merges {
            value["merge"] = true.into();
        }
        if self.replayed {
            value["replayed"] = true.into();
        }
        if let Some(how) = self.renewed {
            value["renewal"] = how.as_str().into();
        }
        if !self.stage.is_null() {
            value["stage"] = self.stage.clone();
        }
        value
    }

    fn line(&self) -> String {
        let stage = self.stage.as_str().map_or(String::new(), |stage| format!("{stage:<8}  "));
        let what = match (self.merges, self.replayed, self.renewed) {
            (true, ..) => "  (merge)".to_owned(),
            (_, true, _) => "  (replayed)".to_owned(),
            (.., Some(how)) => format!("  ({})", how.told()),
            _ => String::new(),
        };
        let time = self.time.as_str().unwrap_or("-");
        let line = format!("{:>6}  {time:<29}  {stage}{}{what}", self.n, self.addr);
        printable(&line)
    }
}

fn frames(
    space: &dyn Space,
    addr: &str,
    limit: u64,
    merges: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    let target = resolve(space, addr)?;
    let timeline = match space.row(target.id)?.timeline {
        Some(tjp) => space.timeline_of(tjp)?,
        None => None,
    };
    let Some(timeline) = timeline else {
        let message = format!("{} is a stone: it has no timeline", printable(target.addr.as_str()));
        return Err(CliError::new(ErrorCode::NotFound, message).hint("`sync-gib get` prints it"));
    };
    out.begin_list("frames", json!({"tjp": timeline.tjp, "kind": kind(&timeline)}))?;
    let mut left = limit;
    each_frame(space, timeline.tip.id, |frame| {
        if left > 0 && (!merges || frame.merges) {
            left -= 1;
            out.item(frame.line(), || frame.to_value())?;
        }
        Ok(left > 0)
    })?;
    out.end_list(json!({}))
}

/// How many frames are read at once, before they are printed: few at first, since few may be wanted,
/// and never so many that they take up memory.
const FIRST_FRAMES: usize = 32;
const MOST_FRAMES: usize = 1024;

/// Gives the frames of a timeline's line to `f`, newest first, until it says `false`. The file is not
/// held while a slow reader takes them.
fn each_frame(
    space: &dyn Space,
    tip: RowId,
    mut f: impl FnMut(Frame) -> Result<bool, CliError>,
) -> Result<(), CliError> {
    let mut next = Some(tip);
    // The frame on which a merge replayed those above it.
    let mut base = None;
    let mut at_once = FIRST_FRAMES;
    while next.is_some() {
        let mut frames = Vec::new();
        let mut failed = None;
        let snapshot = space.snapshot()?;
        while frames.len() < at_once
            && let Some(id) = next
        {
            let mut frame = match Frame::read(space, id) {
                Ok(frame) => frame,
                // Those before it are printed first.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            if base == Some(id) {
                base = None;
            }
            frame.replayed = base.is_some();
            if frame.merges {
                base = frame.base;
            }
            next = frame.prev;
            frames.push(frame);
        }
        drop(snapshot);
        for frame in frames {
            if !f(frame)? {
                return Ok(());
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        at_once = at_once.saturating_mul(2).min(MOST_FRAMES);
    }
    Ok(())
}

fn timelines(space: &dyn Space, limit: u64, out: &mut Output) -> Result<(), CliError> {
    let names = names(space)?;
    let mut left = limit;
    out.begin_list("timelines", json!({}))?;
    for kind in [TimelineKind::Keystone, TimelineKind::Data] {
        for_each_timeline(space, kind, |timeline| {
            if left == 0 {
                return Ok(false);
            }
            // Every sync leaves a session behind; only the last one is worth a line.
            let is_named = names.contains_key(&timeline.tjp_id);
            if timeline.kind == TimelineKind::Keystone && !is_named {
                return Ok(true);
            }
            left -= 1;
            timeline_item(space, &timeline, &names, out).map(|()| true)
        })?;
    }
    out.end_list(json!({}))
}

fn timeline_item(
    space: &dyn Space,
    timeline: &Timeline,
    names: &HashMap<RowId, Vec<&'static str>>,
    out: &mut Output,
) -> Result<(), CliError> {
    let frame = Frame::read(space, timeline.tip.id)?;
    let names = names.get(&timeline.tjp_id).cloned().unwrap_or_default();
    let is_identity = names.contains(&NAME_IDENTITY);
    let newest = is_identity.then(|| space.get_id(timeline.tip.id)).transpose()?;
    let signs = newest
        .as_ref()
        .map_or(String::new(), |newest| format!("  (signs with {})", keystone::described(newest)));
    let line = format!("{:<3}  {:<8}  {}{signs}", names.join(","), kind(timeline), frame.line());
    out.item(line.trim_end(), || {
        let mut value = json!({
            "tjp": timeline.tjp, "kind": kind(timeline), "names": names,
            "tip": frame.addr, "n": frame.n, "timestamp": frame.time,
        });
        if let Some(newest) = &newest {
            say_keys(newest, &mut value);
        }
        value
    })
}

fn kind(timeline: &Timeline) -> &'static str {
    match timeline.kind {
        TimelineKind::Data => "data",
        TimelineKind::Keystone => "keystone",
        TimelineKind::Saga => "saga",
    }
}

/// The names of the space by the timeline that each points to.
fn names(space: &dyn Space) -> Result<HashMap<RowId, Vec<&'static str>>, SpaceError> {
    let mut names: HashMap<RowId, Vec<&'static str>> = HashMap::new();
    for name in NAMES {
        let Some(addr) = space.name(name)? else { continue };
        let Some(id) = space.find(&addr)? else { continue };
        if let Some(tjp) = space.row(id)?.timeline {
            names.entry(tjp).or_default().push(name);
        }
    }
    Ok(names)
}

fn sagas(space: &dyn Space, limit: u64, out: &mut Output) -> Result<(), CliError> {
    let mut all = Vec::new();
    for_each_timeline(space, TimelineKind::Saga, |saga| {
        all.push(saga.tjp_id);
        Ok::<_, SpaceError>(true)
    })?;
    out.begin_list("sagas", json!({}))?;
    for tjp in all.into_iter().rev().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
        let Some(saga) = space.timeline_of(tjp)? else { continue };
        saga_item(space, &saga, out)?;
    }
    out.end_list(json!({}))
}

fn saga_item(space: &dyn Space, saga: &Timeline, out: &mut Output) -> Result<(), CliError> {
    let mut frames = Vec::new();
    each_frame(space, saga.tip.id, |frame| {
        frames.push(frame);
        Ok(true)
    })?;
    let id = frames.iter().find_map(|frame| frame.saga.as_str()).unwrap_or("-").to_owned();
    let lines: Vec<String> = frames.iter().map(Frame::line).collect();
    let head = format!("saga {}, {} frames", printable(&id), frames.len());
    out.item(format_args!("{head}\n{}", lines.join("\n")), || {
        let frames: Vec<Value> = frames.iter().map(Frame::to_value).collect();
        json!({"sagaId": id, "tjp": saga.tjp, "frames": frames})
    })
}
