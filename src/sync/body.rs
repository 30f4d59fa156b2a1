//! The bodies of a saga's messages: what the message ibGib's data holds (docs/protocol.md,
//! section 6). Field names stand here and nowhere else.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::SyncError;
use crate::ibgib::json::JsonError;
use crate::ibgib::{Addr, IbGib, IbGibError, TjpAddr};
use crate::space::StateDigest;

/// How many timelines or stones one message states at most.
pub const PAGE: usize = 1000;
/// How many samples of a timeline one answer holds at most.
pub const SAMPLES: usize = 32;

/// A saga's stage, as in the frame's and the message's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SagaStage {
    /// The sender states what it has.
    Init,
    /// The receiver answers what it has.
    Ack,
    /// Payloads were moved.
    Delta,
    /// What was moved becomes visible.
    Commit,
}

impl SagaStage {
    /// The stage's name.
    pub fn name(self) -> &'static str {
        match self {
            SagaStage::Init => "init",
            SagaStage::Ack => "ack",
            SagaStage::Delta => "delta",
            SagaStage::Commit => "commit",
        }
    }
}

/// Which timelines a saga is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Every root of both spaces.
    All,
    /// The live graphs of these: tjp addresses of timelines, addresses of stones.
    Roots(Vec<Addr>),
}

/// A timeline as one side has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// The tjp's address.
    pub tjp: TjpAddr,
    /// The tip's address.
    pub tip: Addr,
    /// The tip's `n`.
    pub n: u64,
}

/// A frame on the receiver's line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The frame.
    pub addr: Addr,
    /// Its `n`.
    pub n: u64,
}

/// A question for frames strictly between two places of the receiver's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The tjp's address.
    pub tjp: TjpAddr,
    /// The tip that the receiver stated.
    pub tip: Addr,
    /// The `n` of a frame that the sender has too.
    pub above: u64,
    /// The `n` of a frame that the sender lacks.
    pub below: u64,
}

/// Stage `init`: what the sender has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Init {
    /// What the saga is about; the same in all its pages.
    pub scope: Scope,
    /// Timelines that the sender has.
    pub timelines: Vec<Stated>,
    /// Stones that the sender may have to send.
    pub stones: Vec<Addr>,
    /// Questions about timelines that an earlier answer left open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// Whether more pages follow.
    pub more: bool,
    /// What the sender takes the receiver to have, and what is to be committed if that is so: in a
    /// saga's first turn alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guess: Option<Box<Guess>>,
    /// A sketch of all that the sender has, in place of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<String>,
}

impl Init {
    /// A page that states nothing yet, and that others follow where `more` is true.
    pub fn of(scope: Scope, more: bool) -> Init {
        let (timelines, stones, probes) = (Vec::new(), Vec::new(), Vec::new());
        Init { scope, timelines, stones, probes, more, guess: None, sketch: None }
    }
}

/// A commit on the guess that the receiver's data stands where it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guess {
    /// The digest of the data that the receiver is taken to have.
    pub state: StateDigest,
    /// What was sent before this turn.
    pub payload: PayloadDigest,
    /// How the receiver's tips move, all of them.
    pub moves: Vec<Move>,
}

/// How the receiver's timeline stands to the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// The same tip.
    Equal,
    /// The receiver does not have the timeline.
    Unknown,
    /// The receiver's tip extends the sender's.
    Ahead,
    /// The receiver does not have the sender's tip: it is behind, or the two diverged. Its samples
    /// let the sender tell which, and where the common frame is.
    Open,
}

/// The answer about one timeline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// The tjp's address.
    pub tjp: TjpAddr,
    /// How the receiver stands.
    pub relation: Relation,
    /// The receiver's tip, unless the timeline is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<Sample>,
    /// Frames of the receiver's line, newest first, at growing distances from the tip.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
}

/// Stage `ack`: how the receiver stands to what was stated.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// One answer for each timeline stated and for each probe.
    pub timelines: Vec<Answer>,
    /// Of the stones stated, those that the receiver lacks.
    pub lacks: Vec<Addr>,
    /// Timelines in scope that the sender did not state.
    pub offers: Vec<Stated>,
    /// Stones in scope that the sender did not state.
    pub offered_stones: Vec<Addr>,
    /// Whether more offers follow: an empty `init` page asks for them.
    pub more: bool,
    /// What the sender's sketch told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<SketchAnswer>,
}

/// What differs, as a sketch told it; what the sender lacks is offered beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differing {
    /// What the sender has and is lacking here, each by the hex of its id.
    pub ids: Vec<String>,
    /// Which of the timelines that are offered, counted from 0, reach what the sender has of them.
    pub ahead: Vec<usize>,
}

/// What a receiver takes from a sender's sketch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SketchAnswer {
    /// What differs; all else is the same on both sides.
    Differs(Differing),
    /// More differs than the sketch can tell; one of this many cells may.
    Cells(usize),
    /// So much differs that a list is better.
    List,
}

impl Ack {
    /// Whether it answers and offers nothing.
    pub fn is_empty(&self) -> bool {
        let Ack { timelines, lacks, offers, offered_stones, sketch, .. } = self;
        let is_unanswered = timelines.is_empty() && lacks.is_empty() && sketch.is_none();
        is_unanswered && offers.is_empty() && offered_stones.is_empty()
    }
}

/// What the sender wants of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The tjp's address.
    pub tjp: TjpAddr,
    /// The receiver's tip, as it stated it.
    pub tip: Addr,
    /// The newest frame of the receiver's line that the sender has; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common: Option<Addr>,
}

/// What a payload held, so that the signed frame vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PayloadDigest {
    /// How many ibGibs.
    pub count: u64,
    /// How many bytes of JSON.
    pub bytes: u64,
    /// SHA-256 over the JSON texts, in order, each ended by a newline, as lowercase hex; empty
    /// for none.
    pub digest: String,
}

/// Stage `delta`: payloads moved. A request has the digest of what was sent before it and may want something;
/// the response has the digest of what was delivered before it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delta {
    /// What was sent in this turn, before this frame.
    pub payload: PayloadDigest,
    /// Timelines that the sender wants; empty in a response.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<Want>,
    /// Stones that the sender wants, with all that they relate to; empty in a response.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub want_stones: Vec<Addr>,
}

/// How a tip moves in a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The tjp's address.
    pub tjp: TjpAddr,
    /// The tip before; none where the timeline is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Addr>,
    /// The tip after.
    pub to: Addr,
}

/// Stage `commit`: the receiver makes what it staged visible, and says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Commit {
    /// Everything that was sent in this saga, its digest over those of the turns; in the
    /// response without a digest.
    pub payload: PayloadDigest,
    /// How the receiver's tips move; the first [`PAGE`] of them.
    pub moves: Vec<Move>,
}

impl Commit {
    /// Whether a response says that just this was done.
    pub fn is_done_by(&self, response: &Commit) -> bool {
        let (sent, done) = (&self.payload, &response.payload);
        (sent.count, sent.bytes, &self.moves) == (done.count, done.bytes, &response.moves)
    }
}

/// One message of a saga.
#[derive(Debug, Clone)]
pub enum Body {
    /// Sender: what I have.
    Init(Init),
    /// Receiver: how I stand to it.
    Ack(Ack),
    /// Either: what was moved.
    Delta(Delta),
    /// Either: done.
    Commit(Commit),
}

impl Body {
    /// The stage that the message belongs to.
    pub fn stage(&self) -> SagaStage {
        match self {
            Body::Init(_) => SagaStage::Init,
            Body::Ack(_) => SagaStage::Ack,
            Body::Delta(_) => SagaStage::Delta,
            Body::Commit(_) => SagaStage::Commit,
        }
    }

    /// The message's fields, as the message ibGib's data holds them under `body`.
    pub fn to_value(&self) -> Result<Value, SyncError> {
        let value = match self {
            Body::Init(body) => serde_json::to_value(body),
            Body::Ack(body) => serde_json::to_value(body),
            Body::Delta(body) => serde_json::to_value(body),
            Body::Commit(body) => serde_json::to_value(body),
        };
        value.map_err(|error| SyncError::IbGib(IbGibError::Json(JsonError::Syntax(error))))
    }

    /// Reads the message of a frame at `stage`; refuses one that does not have that stage's form.
    pub fn read(stage: SagaStage, message: &IbGib) -> Result<Body, SyncError> {
        let body = message.datum("body").cloned().unwrap_or(Value::Null);
        let body = match stage {
            SagaStage::Init => serde_json::from_value(body).map(Body::Init),
            SagaStage::Ack => serde_json::from_value(body).map(Body::Ack),
            SagaStage::Delta => serde_json::from_value(body).map(Body::Delta),
            SagaStage::Commit => serde_json::from_value(body).map(Body::Commit),
        };
        let body = body.map_err(|error| {
            SyncError::protocol(format!("the {} message is malformed: {error}", stage.name()))
        })?;
        body.check_counts()?;
        Ok(body)
    }

    /// Refuses lists that are longer than any side makes them (docs/protocol.md, section 5, "Limits
    /// and times").
    fn check_counts(&self) -> Result<(), SyncError> {
        let most = match self {
            Body::Init(init) => {
                let roots = match &init.scope {
                    Scope::All => 0,
                    Scope::Roots(roots) => roots.len(),
                };
                let moves = init.guess.as_ref().map_or(0, |guess| guess.moves.len());
                let counts = [init.timelines.len(), init.stones.len(), init.probes.len(), moves];
                counts.into_iter().max().unwrap_or(0).max(roots)
            }
            Body::Ack(ack) => {
                let samples = ack.timelines.iter().map(|a| a.samples.len()).max().unwrap_or(0);
                if samples > SAMPLES {
                    return Err(SyncError::Limit(format!("an answer of {samples} samples")));
                }
                let differs = match &ack.sketch {
                    Some(SketchAnswer::Differs(told)) => told.ids.len().max(told.ahead.len()),
                    _ => 0,
                };
                let counts = [ack.timelines.len(), ack.lacks.len(), ack.offers.len(), differs];
                counts.into_iter().max().unwrap_or(0).max(ack.offered_stones.len())
            }
            Body::Delta(delta) => delta.wants.len().max(delta.want_stones.len()),
            Body::Commit(commit) => commit.moves.len(),
        };
        if most > 2 * PAGE {
            return Err(SyncError::Limit(format!("a message lists {most} entries")));
        }
        Ok(())
    }
}
