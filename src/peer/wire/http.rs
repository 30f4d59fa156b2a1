//! The HTTP half of the wire: endpoint paths, headers, bodies and answers (docs/protocol.md, section 5).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{as_object, ibgib, malformed, take};
use crate::ibgib::{Addr, IbGib, TjpAddr, json as js};
use crate::space::StateDigest;
use crate::sync::SyncError;
use crate::sync::msg::RefusalCode;

/// How many bytes the body of a request may be.
pub const MAX_BODY: usize = 8 << 20;
/// How many JSON values it may hold: as many as frames that are full of challenges do.
pub const MAX_BODY_VALUES: usize = 1 << 18;

/// Where a genesis keystone is posted.
pub const PATH_KEYSTONES: &str = "/v1/keystones";
/// Where I′ and S's genesis are posted.
pub const PATH_EVOLUTION: &str = "/v1/domains/{gib}/evolution";
/// Where the frame that revokes I is posted.
pub const PATH_REVOCATION: &str = "/v1/domains/{gib}/revocation";
/// Where the frame that changes I's secret is posted.
pub const PATH_RENEWAL: &str = "/v1/domains/{gib}/renewal";
/// Where I's frames are read; they are public.
pub const PATH_IDENTITY: &str = "/v1/domains/{gib}/identity";
/// Where an ibGib or its dependency graph is read.
pub const PATH_IBGIBS: &str = "/v1/domains/{gib}/ibgibs";
/// Where a timeline's latest address is read.
pub const PATH_LATEST: &str = "/v1/domains/{gib}/latest";
/// Where the server tells where a domain's data stands.
pub const PATH_STATE: &str = "/v1/domains/{gib}/state";
/// Where the WebSocket is.
pub const PATH_WS: &str = "/v1/ws";
/// Where the server says that it lives.
pub const PATH_HEALTH: &str = "/health";

/// A path under a domain.
pub fn domain_path(path: &str, domain: &TjpAddr) -> String {
    path.replace("{gib}", domain.gib())
}

/// The header that names the frame of I by which a body is compressed (docs/protocol.md, section 5,
/// "Compression").
pub const HEADER_PREFIX: &str = "sync-gib-prefix";
/// The header of an upgrade that holds the session's `hello` (docs/protocol.md, section 5, "In few
/// round trips").
pub const HEADER_HELLO: &str = "sync-gib-hello";
/// How many bytes that has at most.
pub const MAX_HELLO: usize = 4 << 10;
/// The name of the one coding that bodies may have.
pub const CODING: &str = "zstd";

/// The body of a post to [`PATH_EVOLUTION`].
#[derive(Debug, Serialize)]
pub struct EvolutionBody<'a> {
    /// I's frames that the server lacks, oldest first; the last claims the session.
    pub frames: Vec<&'a IbGib>,
    /// S's genesis.
    pub session: &'a IbGib,
}

/// Reads the body of a post to [`PATH_EVOLUTION`].
pub fn read_evolution(text: &str) -> Result<(Vec<IbGib>, IbGib), SyncError> {
    let mut map = body(text)?;
    Ok((frames(&mut map)?, ibgib(take(&mut map, "session"))?))
}

/// The body of a post to [`PATH_REVOCATION`] or [`PATH_RENEWAL`].
#[derive(Debug, Serialize)]
pub struct RevocationBody<'a> {
    /// I's frames that the server lacks, oldest first; the last revokes I, or changes its secret.
    pub frames: Vec<&'a IbGib>,
}

/// Reads the body of a post to [`PATH_REVOCATION`] or [`PATH_RENEWAL`].
pub fn read_revocation(text: &str) -> Result<Vec<IbGib>, SyncError> {
    frames(&mut body(text)?)
}

fn body(text: &str) -> Result<Map<String, Value>, SyncError> {
    as_object(js::parse_few(text, MAX_BODY_VALUES))
}

fn frames(map: &mut Map<String, Value>) -> Result<Vec<IbGib>, SyncError> {
    match map.remove("frames") {
        Some(Value::Array(frames)) => frames.into_iter().map(ibgib).collect(),
        _ => Err(malformed("evolution")),
    }
}

/// The answer of [`PATH_STATE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerState {
    /// The digest of the domain's data.
    pub digest: StateDigest,
    /// How many timelines of data there are.
    pub timelines: u64,
    /// I's newest frame.
    pub identity: Addr,
}

/// The answer of [`PATH_LATEST`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Latest {
    /// The timeline.
    pub tjp: TjpAddr,
    /// Its latest address.
    pub tip: Addr,
    /// The latest frame's `n`.
    pub n: u64,
}

/// The body of an answer that is an error.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, for people and programs.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// What kind.
    pub code: RefusalCode,
    /// What a person reads.
    pub message: String,
    /// The limit that was reached, where one was that has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

impl ErrorDetail {
    /// A refusal as the body of an answer.
    pub fn of(code: RefusalCode, message: String) -> ErrorDetail {
        ErrorDetail { code: code.general(), message, limit: code.limit().map(str::to_owned) }
    }

    /// The refusal's code.
    pub fn exact_code(&self) -> RefusalCode {
        self.code.with_limit(self.limit.as_deref())
    }
}
