//! Everything that depends on the wire's form: message and field names, JSON text to and from
//! [`Msg`]; in `http` what goes over HTTP (docs/protocol.md, section 5).

mod capabilities;
mod http;
#[cfg(feature = "server")]
mod weight;

use std::ops::{Range, RangeInclusive};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::compression::NamedPrefix;
use crate::ibgib::{IbGib, addr::clip, is_obeyed, json as js};
use crate::sync::SyncError;
use crate::sync::capabilities::{Feature, Features};
use crate::sync::msg::{
    Checkpoint, Context, MAX_CHECKPOINTS, MAX_OFFER, MAX_REFUSAL_TEXT, Msg, Refusal, RefusalCode,
};

pub use capabilities::{
    HEADER_FEATURES, HEADER_PROTOCOLS, MAX_FEATURES, MAX_HEADER, MAX_PROTOCOLS, name_capabilities,
    named_capabilities, read_capabilities, write_capabilities,
};
pub use http::{
    CODING, ErrorBody, ErrorDetail, EvolutionBody, HEADER_HELLO, HEADER_PREFIX, Latest, MAX_BODY,
    MAX_BODY_VALUES, MAX_HELLO, PATH_EVOLUTION, PATH_HEALTH, PATH_IBGIBS, PATH_IDENTITY,
    PATH_KEYSTONES, PATH_LATEST, PATH_RENEWAL, PATH_REVOCATION, PATH_STATE, PATH_WS,
    RevocationBody, ServerState, domain_path, read_evolution, read_revocation,
};
#[cfg(feature = "server")]
pub(crate) use weight::weight;

/// How many bytes one WebSocket message may be.
pub const MAX_MESSAGE: usize = 8 << 20;
/// How many bytes one message may be before the sender has proved itself.
pub const MAX_UNTRUSTED: usize = 1 << 20;
/// How many JSON values one that is no payload may hold: more than 2,000 answers with all their samples
/// do.
pub const MAX_MESSAGE_VALUES: usize = 1 << 18;
/// The logarithms that a window for compression may have.
const WINDOWS: RangeInclusive<u32> = 10..=31;
/// How many characters a payload's digest has.
const DIGEST: usize = 64;
/// How many ibGibs one message may hold.
pub const MAX_BATCH: usize = 4096;

/// The code of a closing frame after which nothing is missing: all was said.
pub const CLOSE_DONE: u16 = 1000;
/// Of one of a server that stops.
pub const CLOSE_STOPS: u16 = 1001;
/// Of one after a failure here.
pub const CLOSE_INTERNAL: u16 = 1011;

/// The code of the closing frame that follows a refusal (docs/protocol.md, section 5, "Teardown").
pub fn close_code(refusal: RefusalCode) -> u16 {
    match refusal.general() {
        RefusalCode::Internal => CLOSE_INTERNAL,
        RefusalCode::Busy => 1013,
        _ => 1008,
    }
}

/// A message on its way out.
#[derive(Debug)]
pub(crate) struct Written {
    /// Its JSON text.
    pub(crate) text: String,
    /// Where in it a proof stands, which stays out of what is compressed.
    pub(crate) proof: Option<Range<usize>>,
    /// Whether the rest may be compressed (docs/protocol.md, section 5, "Compression").
    pub(crate) compresses: bool,
    /// The texts that all of it is compressed by, which the other side has.
    pub(crate) named: NamedPrefix,
}

/// A message as JSON text, and what of it may be compressed.
pub(crate) fn written(msg: &Msg) -> Written {
    let (text, proof, named) = (write(msg), None, NamedPrefix::default());
    match msg {
        Msg::Request(context) => {
            // The turn's signature is the last field of its context, which is the message's last.
            let frame = context.signed_session_identity.as_ref().map(|frame| frame.to_json().len());
            let ends = text.len().saturating_sub("}}".len());
            let proof = frame.map(|len| ends.saturating_sub(len)..ends);
            Written { text, proof, compresses: true, named }
        }
        Msg::Response(_)
        | Msg::Offer { .. }
        | Msg::Need { .. }
        | Msg::Payload { .. }
        | Msg::Kept { .. }
        | Msg::Resume { .. } => Written { text, proof, compresses: true, named },
        // S₁, which the next frame of S is sent by.
        Msg::AuthProof { keystone } => {
            let ends = text.len().saturating_sub("}".len());
            let proof = Some(ends.saturating_sub(keystone.to_json().len())..ends);
            Written { text, proof, compresses: false, named }
        }
        _ => Written { text, proof, compresses: false, named },
    }
}

/// A message as JSON text.
pub fn write(msg: &Msg) -> String {
    if let Msg::Payload { ibgibs } = msg {
        return write_payload(ibgibs);
    }
    let mut map = Map::new();
    map.insert("type".into(), msg.name().into());
    match msg {
        Msg::Hello { protocol, domain, session, features } => {
            map.insert("protocol".into(), (*protocol).into());
            map.insert("domain".into(), json!(domain));
            map.insert("session".into(), json!(session));
            // Where there are none it is the message of 0.1.0.
            if !features.is_empty() {
                map.insert("features".into(), json!(features));
            }
        }
        Msg::AuthChallenge { challenge_uuid, demanded_ids } => {
            map.insert("challengeUuid".into(), json!(challenge_uuid));
            map.insert("demandedIds".into(), json!(demanded_ids));
        }
        Msg::AuthProof { keystone } => {
            map.insert("keystone".into(), keystone.to_value());
        }
        Msg::AuthOk { token, state_token, window } => {
            map.insert("token".into(), json!(token));
            // Where there is none of these it is the message of 0.1.0.
            if let Some(token) = state_token {
                map.insert("stateToken".into(), json!(token));
            }
            if let Some(window) = window {
                map.insert("zstd".into(), (*window).into());
            }
        }
        Msg::AuthFail(refusal) | Msg::SyncError(refusal) => {
            map.insert("code".into(), json!(refusal.code.general()));
            map.insert("message".into(), json!(refusal.message));
            if let Some(limit) = refusal.code.limit() {
                map.insert("limit".into(), limit.into());
            }
        }
        Msg::Request(context) | Msg::Response(context) => {
            map.insert("context".into(), context_value(context));
        }
        Msg::Offer { seq, addrs } => {
            map.insert("seq".into(), (*seq).into());
            map.insert("addrs".into(), json!(addrs));
        }
        Msg::Need { seq, lacks } => {
            map.insert("seq".into(), (*seq).into());
            let lacks: String = lacks.iter().map(|lacks| if *lacks { '1' } else { '0' }).collect();
            map.insert("lacks".into(), lacks.into());
        }
        Msg::Payload { .. } => {}
        Msg::Kept { checkpoints } => {
            map.insert("checkpoints".into(), json!(checkpoints));
        }
        Msg::Resume { count } => {
            map.insert("count".into(), (*count).into());
        }
    }
    js::stringify(&map)
}

const PAYLOAD_HEAD: &str = r#"{"type":"payload","ibGibs":["#;

fn write_payload(ibgibs: &[Box<str>]) -> String {
    let size: usize = ibgibs.iter().map(|text| text.len() + 1).sum();
    let mut out = String::with_capacity(PAYLOAD_HEAD.len() + size + 2);
    out.push_str(PAYLOAD_HEAD);
    for (at, text) in ibgibs.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(text);
    }
    out.push_str("]}");
    out
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, rename = "ibGibs")]
    ibgibs: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct MessageType<'a> {
    #[serde(borrow, rename = "type")]
    name: std::borrow::Cow<'a, str>,
}

/// Reads a message from JSON text; refuses anything else.
pub fn read(text: &str) -> Result<Msg, SyncError> {
    if text.len() > MAX_MESSAGE {
        return Err(SyncError::Limit(format!("a message of {} bytes", text.len())));
    }
    let name = match text.starts_with(PAYLOAD_HEAD) {
        true => "payload".into(),
        false => {
            serde_json::from_str::<MessageType<'_>>(text).map_err(|_| malformed("message"))?.name
        }
    };
    if name == "payload" {
        let payload: Payload<'_> = serde_json::from_str(text).map_err(|_| malformed("payload"))?;
        match payload.ibgibs.len() {
            0 => return Err(malformed("payload")),
            1..=MAX_BATCH => {}
            count => return Err(SyncError::Limit(format!("a payload of {count} ibGibs"))),
        }
        let ibgibs = payload.ibgibs.into_iter().map(|raw| raw.get().into()).collect();
        return Ok(Msg::Payload { ibgibs });
    }
    let mut map = object(text)?;
    Ok(match &*name {
        "hello" => Msg::Hello {
            protocol: field(&mut map, "protocol")?,
            domain: field(&mut map, "domain")?,
            session: field(&mut map, "session")?,
            features: features(take(&mut map, "features"))?,
        },
        "auth_challenge" => Msg::AuthChallenge {
            challenge_uuid: field(&mut map, "challengeUuid")?,
            demanded_ids: field(&mut map, "demandedIds")?,
        },
        "auth_proof" => Msg::AuthProof { keystone: ibgib(take(&mut map, "keystone"))? },
        "auth_ok" => Msg::AuthOk {
            token: field(&mut map, "token")?,
            state_token: field(&mut map, "stateToken")?,
            window: window(take(&mut map, "zstd"))?,
        },
        "auth_fail" => Msg::AuthFail(refusal(&mut map)?),
        "sync_error" => Msg::SyncError(refusal(&mut map)?),
        "sync_frame_request" => Msg::Request(Box::new(context(&mut map)?)),
        "sync_frame_response" => Msg::Response(Box::new(context(&mut map)?)),
        "offer" => Msg::Offer { seq: field(&mut map, "seq")?, addrs: field(&mut map, "addrs")? },
        "need" => Msg::Need { seq: field(&mut map, "seq")?, lacks: lacks(&mut map)? },
        "kept" => Msg::Kept { checkpoints: checkpoints(&mut map)? },
        "resume" => Msg::Resume { count: field(&mut map, "count")? },
        _ => return Err(SyncError::protocol("a message of a type that is not known")),
    })
}

fn context_value(context: &Context) -> Value {
    let mut value = context.context.to_value();
    if let Value::Object(map) = &mut value {
        map.insert("sagaFrame".into(), context.saga_frame.to_value());
        map.insert("sagaFrameMsg".into(), context.saga_frame_msg.to_value());
        if let Some(identity) = &context.signed_session_identity {
            map.insert("signedSessionIdentity".into(), identity.to_value());
        }
    }
    value
}

fn context(map: &mut Map<String, Value>) -> Result<Context, SyncError> {
    let Value::Object(mut context) = take(map, "context") else {
        return Err(malformed("context"));
    };
    let saga_frame = ibgib(take(&mut context, "sagaFrame"))?;
    let saga_frame_msg = ibgib(take(&mut context, "sagaFrameMsg"))?;
    let signed_session_identity = match take(&mut context, "signedSessionIdentity") {
        Value::Null => None,
        identity => Some(ibgib(identity)?),
    };
    let context = ibgib(Value::Object(context))?;
    Ok(Context { context, saga_frame, saga_frame_msg, signed_session_identity })
}

fn lacks(map: &mut Map<String, Value>) -> Result<Vec<bool>, SyncError> {
    let text: String = field(map, "lacks")?;
    if text.len() > MAX_OFFER {
        return Err(SyncError::Limit(format!("an answer about {} addresses", text.len())));
    }
    if !text.bytes().all(|c| c == b'0' || c == b'1') {
        return Err(malformed("need"));
    }
    Ok(text.bytes().map(|c| c == b'1').collect())
}

fn checkpoints(map: &mut Map<String, Value>) -> Result<Vec<Checkpoint>, SyncError> {
    let checkpoints: Vec<Checkpoint> = field(map, "checkpoints")?;
    if checkpoints.len() > MAX_CHECKPOINTS {
        return Err(SyncError::Limit(format!("{} checkpoints", checkpoints.len())));
    }
    let counts = || checkpoints.iter().map(|place| place.count);
    let grows = std::iter::once(0).chain(counts()).zip(counts()).all(|(one, next)| one < next);
    let are_digests = checkpoints.iter().all(|place| place.digest.len() == DIGEST);
    match grows && are_digests && !checkpoints.is_empty() {
        true => Ok(checkpoints),
        false => Err(malformed("kept")),
    }
}

fn features(value: Value) -> Result<Features, SyncError> {
    let names = match value {
        Value::Null => Vec::new(),
        Value::Array(names) if names.len() <= MAX_FEATURES => names,
        _ => return Err(malformed("hello")),
    };
    let features = names.iter().map(|name| name.as_str().and_then(Feature::new));
    features.collect::<Option<_>>().ok_or_else(|| malformed("hello"))
}

fn window(value: Value) -> Result<Option<u32>, SyncError> {
    if value.is_null() {
        return Ok(None);
    }
    let window = value.as_u64().and_then(|window| u32::try_from(window).ok());
    let window = window.filter(|window| WINDOWS.contains(window));
    window.map(Some).ok_or_else(|| malformed("auth_ok"))
}

fn refusal(map: &mut Map<String, Value>) -> Result<Refusal, SyncError> {
    let code = field(map, "code").unwrap_or(RefusalCode::Protocol);
    let code = code.with_limit(take(map, "limit").as_str());
    let message: String = field(map, "message")?;
    Ok(Refusal { code, message: peer_text(&message) })
}

/// What the other side says, fit for a terminal and a log, and not too long.
pub fn peer_text(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { ' ' } else { c }).take(MAX_REFUSAL_TEXT).collect()
}

fn object(text: &str) -> Result<Map<String, Value>, SyncError> {
    as_object(js::parse_few(text, MAX_MESSAGE_VALUES))
}

fn as_object(parsed: Result<Value, js::JsonError>) -> Result<Map<String, Value>, SyncError> {
    match parsed {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(malformed("message")),
        Err(error @ js::JsonError::TooManyValues(_)) => Err(SyncError::Limit(error.to_string())),
        Err(error) => Err(SyncError::Protocol(error.to_string())),
    }
}

fn take(map: &mut Map<String, Value>, key: &str) -> Value {
    map.shift_remove(key).unwrap_or(Value::Null)
}

fn field<T: for<'de> Deserialize<'de>>(
    map: &mut Map<String, Value>,
    key: &str,
) -> Result<T, SyncError> {
    // The error repeats the value, however long it is.
    let malformed = |error: serde_json::Error| {
        SyncError::protocol(format!("the field {key:?}: {}", clip(&error.to_string())))
    };
    serde_json::from_value(take(map, key)).map_err(malformed)
}

fn ibgib(value: Value) -> Result<IbGib, SyncError> {
    IbGib::from_value(value).map_err(|error| SyncError::content(&error))
}

fn malformed(what: &str) -> SyncError {
    SyncError::protocol(format!("a malformed {what}"))
}

#[cfg(test)]
mod tests;
