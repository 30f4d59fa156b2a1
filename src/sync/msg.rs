//! What goes over a session's channel, whatever transport carries it (docs/protocol.md, section 5).

use std::borrow::Cow;

use arrayvec::ArrayString;

use super::capabilities::Features;
use crate::ibgib::{Addr, IbGib, TjpAddr, Valid};

/// The version of the session protocol that this program speaks.
pub const PROTOCOL: u32 = 1;

/// How many characters of a refusal's text are said, and shown.
pub const MAX_REFUSAL_TEXT: usize = 2000;

/// How many addresses one [`Msg::Offer`] may hold.
pub const MAX_OFFER: usize = 4096;

/// How many places of what is kept one [`Msg::Kept`] may name.
pub const MAX_CHECKPOINTS: usize = 1024;

/// A place in a payload, by what comes before it in its turn.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Checkpoint {
    /// How many ibGibs.
    pub count: u64,
    /// Their digest, as in [`PayloadDigest`](super::body::PayloadDigest).
    pub digest: String,
}

/// A bearer token: for reading a domain's data over HTTP, or for asking where it stands.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// What goes into the `Authorization` header.
    pub value: String,
    /// When it stops being good, in milliseconds since 1970.
    pub expires_ms: u64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("expires_ms", &self.expires_ms).finish_non_exhaustive()
    }
}

/// Why one side ends a session; it travels beside the text, so that a program can act on it
/// (docs/protocol.md, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The identity, its proof or its session was not accepted.
    Auth,
    /// A message broke the protocol.
    Protocol,
    /// The content was not accepted: a wrong gib, a missing dependency, a forged keystone.
    Content,
    /// A tip moved since it was stated: a retry starts from the new one.
    Conflict,
    /// A limit was reached.
    Limit,
    /// Too much is going on at the moment: the same again may work in a while.
    Busy,
    /// A time ran out: the other side was not heard for too long. What came before was right.
    Timeout,
    /// What was asked for is not there.
    NotFound,
    /// The other side's own fault, such as a full disk.
    Internal,
    /// The identity holds as much as it may.
    Quota,
    /// All identities together hold as much as they may.
    File,
    /// Other sagas have staged as much as may be staged at once.
    Staged,
    /// As many identities are new from this address as may be in a day.
    Identities,
    /// The two sides speak no version of the protocol in common.
    Version,
    /// What a later version refuses for; the text says what.
    #[serde(untagged)]
    Other(OtherCode),
}

/// A refusal's code that is not known here: 1 to 32 of `a` to `z`, `0` to `9`, `_` and `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Cow<'_, str>", into = "String")]
pub struct OtherCode(ArrayString<32>);

impl OtherCode {
    /// The code as it stood on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<Cow<'_, str>> for OtherCode {
    type Error = &'static str;

    fn try_from(text: Cow<'_, str>) -> Result<OtherCode, &'static str> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        match ArrayString::from(&text) {
            Ok(code) if !code.is_empty() && code.bytes().all(fits) => Ok(OtherCode(code)),
            _ => Err("no code of a refusal"),
        }
    }
}

impl From<OtherCode> for String {
    fn from(code: OtherCode) -> String {
        code.as_str().to_owned()
    }
}

impl RefusalCode {
    /// The limit that was reached, where the code names one. On the wire it stands beside the general
    /// code: some clients take a code that they do not know for no answer at all.
    pub fn limit(self) -> Option<&'static str> {
        match self {
            RefusalCode::Quota => Some("quota"),
            RefusalCode::File => Some("file"),
            RefusalCode::Staged => Some("staged"),
            RefusalCode::Identities => Some("identities"),
            _ => None,
        }
    }

    /// The code without the limit, as it stands on the wire.
    pub fn general(self) -> RefusalCode {
        match self {
            RefusalCode::Quota | RefusalCode::File | RefusalCode::Identities => RefusalCode::Limit,
            RefusalCode::Staged => RefusalCode::Busy,
            other => other,
        }
    }

    /// The code that stood on the wire with a limit beside it; one that is not known is passed over.
    pub fn with_limit(self, limit: Option<&str>) -> RefusalCode {
        let named =
            [RefusalCode::Quota, RefusalCode::File, RefusalCode::Staged, RefusalCode::Identities];
        let named = named.into_iter().find(|code| code.general() == self && code.limit() == limit);
        named.unwrap_or(self)
    }
}

/// A refusal as it goes over the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind.
    pub code: RefusalCode,
    /// What a person reads.
    pub message: String,
}

/// What ties one turn together: the context ibGib, the saga's frame, the frame's message and, from
/// the sender, the session frame that signed the context.
///
/// As a message brings it, nothing of it is checked; a turn of [`Valid`] ibGibs was made here, or
/// checked by [`Saga::check`](super::frame::Saga::check).
#[derive(Debug, Clone)]
pub struct Context<T = IbGib> {
    /// The context; its address is what the session signs.
    pub context: T,
    /// The saga's frame of this turn.
    pub saga_frame: T,
    /// The frame's message.
    pub saga_frame_msg: T,
    /// The session keystone's frame whose proof targets the context; none from the receiver.
    pub signed_session_identity: Option<T>,
}

impl Context<Valid<IbGib>> {
    /// The turn as a message takes it.
    pub fn into_inner(self) -> Context {
        Context {
            context: self.context.into_inner(),
            saga_frame: self.saga_frame.into_inner(),
            saga_frame_msg: self.saga_frame_msg.into_inner(),
            signed_session_identity: self.signed_session_identity.map(Valid::into_inner),
        }
    }
}

/// One message of a session, either way.
#[derive(Debug, Clone)]
pub enum Msg {
    /// The sender says who it is and which session it wants to connect.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The tjp address of the domain keystone I.
        domain: TjpAddr,
        /// The tjp address of the session keystone S.
        session: TjpAddr,
        /// What the session uses beyond the protocol: of what the receiver named, what the sender
        /// speaks too.
        features: Features,
    },
    /// The receiver asks for a proof.
    AuthChallenge {
        /// What the proof's claim must target; fresh, good once.
        challenge_uuid: String,
        /// The ids of S's connect pool that the proof must solve.
        demanded_ids: Vec<String>,
    },
    /// S's next frame, with the proof.
    AuthProof {
        /// S evolved with verb `connect`.
        keystone: IbGib,
    },
    /// The session is open.
    AuthOk {
        /// For reading over HTTP; none where there is no HTTP.
        token: Option<Token>,
        /// For asking whether anything is new; only where the sender named
        /// [`Feature::STATE_DIGEST`](super::Feature::STATE_DIGEST).
        state_token: Option<Token>,
        /// The logarithm of the window within which what follows may be compressed; none where it
        /// is not (docs/protocol.md, section 5, "Compression").
        window: Option<u32>,
    },
    /// The receiver refuses the identity and closes.
    AuthFail(Refusal),
    /// The receiver refuses a message and closes.
    SyncError(Refusal),
    /// The sender's turn.
    Request(Box<Context>),
    /// The receiver's turn.
    Response(Box<Context>),
    /// Addresses that the other side may lack, in the order in which they would be sent.
    Offer {
        /// Counts offers, from 0.
        seq: u32,
        /// The addresses.
        addrs: Vec<Addr>,
    },
    /// The answer to an offer.
    Need {
        /// The offer's number.
        seq: u32,
        /// For each address offered whether it is lacking.
        lacks: Vec<bool>,
    },
    /// IbGibs, each as JSON text.
    Payload {
        /// The texts, dependencies first.
        ibgibs: Vec<Box<str>>,
    },
    /// What is kept of a payload that was cut, before the turn that it may be a part of.
    Kept {
        /// Places in it, the last one at its end.
        checkpoints: Vec<Checkpoint>,
    },
    /// In place of a payload: what is kept, up to one of its places.
    Resume {
        /// How many ibGibs come before that place.
        count: u64,
    },
}

impl Msg {
    /// The message's name, for errors and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Msg::Hello { .. } => "hello",
            Msg::AuthChallenge { .. } => "auth_challenge",
            Msg::AuthProof { .. } => "auth_proof",
            Msg::AuthOk { .. } => "auth_ok",
            Msg::AuthFail(_) => "auth_fail",
            Msg::SyncError(_) => "sync_error",
            Msg::Request(_) => "sync_frame_request",
            Msg::Response(_) => "sync_frame_response",
            Msg::Offer { .. } => "offer",
            Msg::Need { .. } => "need",
            Msg::Payload { .. } => "payload",
            Msg::Kept { .. } => "kept",
            Msg::Resume { .. } => "resume",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<RefusalCode> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn a_code_is_a_text_and_a_known_one_is_no_other() {
        assert_eq!(read("\"content\""), Some(RefusalCode::Content));
        assert_eq!(read("\"not_found\""), Some(RefusalCode::NotFound));
        for other in ["\"not-found\"", "\"contents\"", "\"other\""] {
            assert!(matches!(read(other), Some(RefusalCode::Other(_))), "{other}");
        }
        for none in ["{\"other\":\"x\"}", "[\"auth\"]", "0", "null", "\"\u{9b}\""] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
