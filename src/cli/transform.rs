//! `transform`: a fork, mut8 or rel8 of options read as JSON.

use serde_json::{Value, json};

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::input::stdin_texts;
use crate::ibgib::transform::{Kind, transform};
use crate::ibgib::{IbGib, Moment, System};

/// Make a new frame from options read as JSON, storing nothing.
///
/// Reads the options object of the transform from standard input, with the source ibGib as `src`,
/// and prints the new ibGib, then its dna, each as JSON on one line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    echo '{\"src\":{\"ib\":\"x\",\"gib\":\"gib\"},\"destIb\":\"x\",\"dna\":true}' \\\n    \
    | sync-gib transform fork --now-ms 1781262000123")]
pub struct TransformArgs {
    /// Which transform
    #[arg(value_enum)]
    pub kind: KindArg,
    /// The moment of a timestamp, in milliseconds since 1970 (UTC); else the clock's
    #[arg(long, value_name = "N")]
    pub now_ms: Option<u64>,
}

/// A transform, as typed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum KindArg {
    /// A new timeline from a source
    Fork,
    /// A next frame with other data or another ib
    Mut8,
    /// A next frame with other relations
    Rel8,
}

/// Makes the transform that standard input describes.
pub fn run(args: &TransformArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let kind = match args.kind {
        KindArg::Fork => Kind::Fork,
        KindArg::Mut8 => Kind::Mut8,
        KindArg::Rel8 => Kind::Rel8,
    };
    let env = match args.now_ms {
        Some(ms) => Moment::from_ms(ms)
            .map(System::at)
            .ok_or_else(|| CliError::usage("--now-ms is past the end of the year 9999"))?,
        None => System::new(),
    };
    let bad = |message: &str| CliError::new(ErrorCode::BadInput, message);
    let mut texts = stdin_texts();
    let text = texts.next().ok_or_else(|| bad("no options on standard input"))??;
    if texts.next().is_some() {
        return Err(bad("more than one JSON text on standard input"));
    }
    let options = crate::ibgib::json::parse(&text.text).map_err(|error| bad(&error.to_string()))?;
    let Value::Object(mut options) = options else {
        return Err(bad("the options are not a JSON object"));
    };
    let src = options.shift_remove("src").ok_or_else(|| bad("the options have no src"))?;
    let src = IbGib::from_value(src).map_err(|error| CliError::from(error).at("src"))?;

    let made = transform(kind, &src, &options, &env)?;
    ctx.out.line(made.new_ibgib.to_json())?;
    for dna in &made.dnas {
        ctx.out.line(dna.to_json())?;
    }
    let dnas: Vec<Value> = made.dnas.iter().map(IbGib::to_value).collect();
    ctx.out.done(json!({"newIbGib": made.new_ibgib.to_value(), "dnas": dnas}))
}
