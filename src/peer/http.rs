//! The HTTP client: registering, evolving, and reading a domain's data.

mod answer;
mod faults;
mod lines;
mod upgrade;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::time::timeout;

use answer::Answer;
use faults::{failed, late, retry_after};
use lines::{Lines, read_lines};

use super::compression;
use super::link::EachFrame;
use super::wire::{self, ErrorBody, EvolutionBody, Latest, RevocationBody, ServerState};
use super::{Endpoint, PeerError, Timeouts, TlsError};
use crate::ibgib::{Addr, IbGib, IbGibError, MAX_IBGIB_BYTES, TjpAddr};
use crate::keystone::{self, MAX_FRAME_BYTES};
use crate::sync::capabilities::Feature;
use crate::sync::msg::{Refusal, RefusalCode};
use crate::sync::{Capabilities, SyncError};

/// How many bytes an answer that is no stream may have: addresses may be long.
const MAX_SHORT_BODY: usize = 16 << 20;
/// How many bytes a [`ServerState`] may have: two hashes and a number.
const MAX_STATE: usize = 4 << 10;
/// How long a server may take for one. Without it a sync goes on all the same.
const STATE_TIME: Duration = Duration::from_secs(10);

/// Speaks HTTP to one server.
#[derive(Debug, Clone)]
pub struct HttpClient {
    endpoint: Endpoint,
    client: reqwest::Client,
    answer_time: Duration,
    whole_time: Duration,
    speaks: Capabilities,
    /// What both sides speak, as the newest answer told.
    common: Arc<Mutex<Option<Capabilities>>>,
}

impl HttpClient {
    /// A client for a server, which speaks what `speaks` says: `timeouts.idle` is how long its
    /// answers may be silent, `timeouts.answer` how long one that is no stream, or a line of one that
    /// is, may take, `timeouts.session` how long a stream may.
    pub fn new(
        endpoint: Endpoint,
        speaks: Capabilities,
        timeouts: Timeouts,
    ) -> Result<HttpClient, PeerError> {
        let mut named = HeaderMap::new();
        wire::name_capabilities(&mut named, &speaks);
        if speaks.features.contains(&Feature::ZSTD) {
            named.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(wire::CODING));
        }
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .default_headers(named)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(15))
            .read_timeout(timeouts.idle);
        let tls = match endpoint.tls() {
            Some(tls) => (**tls).clone(),
            // The builder wants a TLS configuration even where none will be used.
            None => empty_tls()?,
        };
        builder = builder.tls_backend_preconfigured(tls);
        let client = builder.build().map_err(|error| TlsError::Setup(error.into()))?;
        let (answer_time, whole_time) = (timeouts.answer, timeouts.session);
        let common = Arc::default();
        Ok(HttpClient { endpoint, client, answer_time, whole_time, speaks, common })
    }

    /// The server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What this client speaks.
    pub fn capabilities(&self) -> &Capabilities {
        &self.speaks
    }

    /// What both sides speak: as the newest answer told, or else as the server tells when asked.
    pub async fn common(&self) -> Result<Capabilities, PeerError> {
        if let Some(common) = self.known() {
            return Ok(common);
        }
        let asked = self.health().await;
        // Also an answer that is an error tells.
        match (self.known(), asked) {
            (_, Err(error @ PeerError::UnexpectedResponse { .. })) => Err(error),
            (Some(common), _) => Ok(common),
            (None, asked) => asked.and_then(|()| self.agree(&HeaderMap::new())),
        }
    }

    /// What both sides speak, as the newest answer told; none where there was none yet.
    pub(super) fn known(&self) -> Option<Capabilities> {
        self.common.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what both sides speak, as the headers of an answer tell.
    fn agree(&self, headers: &HeaderMap) -> Result<Capabilities, PeerError> {
        let common = common(&self.speaks, headers, self.endpoint.url())?;
        *self.common.lock().unwrap_or_else(PoisonError::into_inner) = Some(common.clone());
        Ok(common)
    }

    /// Posts a genesis keystone; one that is registered already is fine.
    pub async fn register(&self, genesis: &IbGib) -> Result<(), PeerError> {
        self.post(wire::PATH_KEYSTONES, genesis.to_json(), None).await
    }

    /// Posts a body, compressed where the server is known to take that: by `before`, which it has, as
    /// far as that is there.
    async fn post(
        &self,
        path: &str,
        body: String,
        before: Option<&IbGib>,
    ) -> Result<(), PeerError> {
        let mut request = self.client.post(self.endpoint.at(path));
        request = request.header(header::CONTENT_TYPE, "application/json");
        let packs = self.known().is_some_and(|common| common.features.contains(&Feature::ZSTD));
        let prefix = before.map(IbGib::to_json).unwrap_or_default();
        // What cannot be compressed goes as it is.
        let packed = packs.then(|| compression::pack(body.as_bytes(), prefix.as_bytes()).ok());
        let request = match packed.flatten() {
            None => request.body(body),
            Some(packed) => {
                request = request.header(header::CONTENT_ENCODING, wire::CODING);
                if let Some(before) = before {
                    let before = before.addr().map_err(SyncError::from)?;
                    request = request.header(wire::HEADER_PREFIX, before.as_str());
                }
                request.body(packed)
            }
        };
        // What is read to its end leaves its connection to the next request.
        self.within(self.answer_text(request, MAX_SHORT_BODY)).await.map(drop)
    }

    /// Posts I's new frames and the session that the last of them claims; `before` is the frame that
    /// the first of them follows, where the server has it.
    pub async fn evolve(
        &self,
        domain: &TjpAddr,
        before: Option<&IbGib>,
        frames: Vec<&IbGib>,
        session: &IbGib,
    ) -> Result<(), PeerError> {
        let path = wire::domain_path(wire::PATH_EVOLUTION, domain);
        let body = crate::ibgib::json::stringify(&EvolutionBody { frames, session });
        self.post(&path, body, before).await
    }

    /// Posts the frame that revokes I, after any that the server lacks.
    pub async fn revoke(&self, domain: &TjpAddr, frames: Vec<&IbGib>) -> Result<(), PeerError> {
        self.end_secret(wire::PATH_REVOCATION, domain, frames).await
    }

    /// Posts the frame that changes I's secret, after any that the server lacks.
    pub async fn renew(&self, domain: &TjpAddr, frames: Vec<&IbGib>) -> Result<(), PeerError> {
        self.end_secret(wire::PATH_RENEWAL, domain, frames).await
    }

    async fn end_secret(
        &self,
        path: &str,
        domain: &TjpAddr,
        frames: Vec<&IbGib>,
    ) -> Result<(), PeerError> {
        let path = wire::domain_path(path, domain);
        let body = crate::ibgib::json::stringify(&RevocationBody { frames });
        self.post(&path, body, None).await
    }

    /// Reads a page of I's frames after `after` (or from the first on), oldest first, and gives them
    /// to `each` until that breaks. Nothing is validated here.
    pub async fn identity(
        &self,
        domain: &TjpAddr,
        after: Option<&Addr>,
        each: &mut EachFrame<'_>,
    ) -> Result<(), PeerError> {
        let path = wire::domain_path(wire::PATH_IDENTITY, domain);
        let mut request = self.client.get(self.endpoint.at(&path));
        if let Some(after) = after {
            request = request.query(&[("after", after.as_str())]);
        }
        let lines = self.lines(request).await?;
        let each = |line: &str| each(keystone::read_frame(line).map_err(content)?);
        read_lines(lines, MAX_FRAME_BYTES, each).await
    }

    /// A timeline's latest address; none where the server does not have it.
    pub async fn latest(
        &self,
        domain: &TjpAddr,
        tjp: &TjpAddr,
        token: &str,
    ) -> Result<Option<Latest>, PeerError> {
        let path = wire::domain_path(wire::PATH_LATEST, domain);
        let request = self.client.get(self.endpoint.at(&path)).bearer_auth(token);
        let request = request.query(&[("tjp", tjp.as_str())]);
        match self.within(self.answer_text(request, MAX_SHORT_BODY)).await {
            Ok(text) => {
                let unexpected = |_| self.unexpected("something else than a latest address");
                serde_json::from_str(&text).map(Some).map_err(unexpected)
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where the domain's data stands on the server, by a token that is for this alone. What is no
    /// answer within 10 s is none.
    pub async fn state(&self, domain: &TjpAddr, token: &str) -> Result<ServerState, PeerError> {
        let path = wire::domain_path(wire::PATH_STATE, domain);
        let request = self.client.get(self.endpoint.at(&path)).bearer_auth(token);
        let answered = timeout(STATE_TIME, self.answer_text(request, MAX_STATE)).await;
        let text = answered.map_err(|_| late(self.endpoint.url(), "the answer", STATE_TIME))??;
        serde_json::from_str(&text).map_err(|_| self.unexpected("something else than a state"))
    }

    /// One ibGib's JSON; none where the server does not have it. Nothing is validated here.
    pub async fn ibgib(
        &self,
        domain: &TjpAddr,
        addr: &Addr,
        token: &str,
    ) -> Result<Option<String>, PeerError> {
        let path = wire::domain_path(wire::PATH_IBGIBS, domain);
        let request = self.client.get(self.endpoint.at(&path)).bearer_auth(token);
        let request = request.query(&[("addr", addr.as_str())]);
        match self.within(self.answer_text(request, MAX_IBGIB_BYTES)).await {
            Ok(text) => Ok(Some(text)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an ibGib's dependency graph, dependencies first, one JSON text after the other.
    /// Returns whether the server has it. Nothing is validated here.
    pub async fn graph(
        &self,
        domain: &TjpAddr,
        addr: &Addr,
        live: bool,
        token: &str,
        mut each: impl FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        let path = wire::domain_path(wire::PATH_IBGIBS, domain);
        let live = if live { "true" } else { "false" };
        let query = [("addr", addr.as_str()), ("getGraph", "true"), ("live", live)];
        let request = self.client.get(self.endpoint.at(&path)).bearer_auth(token).query(&query);
        match self.lines(request).await {
            Ok(response) => {
                let each = |line: &str| each(line).map(ControlFlow::Continue);
                read_lines(response, MAX_IBGIB_BYTES, each).await.map(|()| true)
            }
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a server lives there.
    pub async fn health(&self) -> Result<(), PeerError> {
        let request = self.client.get(self.endpoint.at(wire::PATH_HEALTH));
        self.within(self.answer_text(request, MAX_SHORT_BODY)).await.map(drop)
    }

    async fn lines(&self, request: RequestBuilder) -> Result<Lines, PeerError> {
        let response = self.within(self.answer(request)).await?;
        let (line_time, whole_time) = (self.answer_time, self.whole_time);
        Ok(Lines { response, url: self.endpoint.url().to_owned(), line_time, whole_time })
    }

    /// The result of some work, which must be there in time: a server that is never silent for long
    /// could hold it without end.
    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, PeerError>>,
    ) -> Result<T, PeerError> {
        let late = |_| late(self.endpoint.url(), "the answer", self.answer_time);
        timeout(self.answer_time, work).await.map_err(late)?
    }

    async fn answer_text(&self, request: RequestBuilder, most: usize) -> Result<String, PeerError> {
        let response = self.answer(request).await?;
        self.body(response, most).await
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, PeerError> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        self.agree(response.headers())?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refusal(response).await),
        }
    }

    /// What an answer says that is none of what was asked for.
    async fn refusal(&self, response: Response) -> PeerError {
        let status = response.status();
        let after = retry_after(response.headers());
        let text = match self.body(response, MAX_SHORT_BODY).await {
            Ok(text) => text,
            Err(error) => return error,
        };
        match serde_json::from_str::<ErrorBody>(&text) {
            Ok(body) if status == StatusCode::SERVICE_UNAVAILABLE => {
                let url = self.endpoint.url().to_owned();
                let reason = wire::peer_text(&body.error.message);
                match after {
                    Some(after) => PeerError::Busy { url, reason, after },
                    None => PeerError::Unreachable { url, reason, source: None },
                }
            }
            Ok(body) if status == StatusCode::REQUEST_TIMEOUT => {
                self.not_heard(wire::peer_text(&body.error.message))
            }
            Ok(body) => {
                let message = wire::peer_text(&body.error.message);
                SyncError::Refused(Refusal { code: body.error.exact_code(), message }).into()
            }
            Err(_) => self.unexpected(&status.to_string()),
        }
    }

    /// A body of at most `most` bytes; a longer one is not what was asked for.
    async fn body(&self, response: Response, most: usize) -> Result<String, PeerError> {
        let mut answer = Answer::new(response, self.endpoint.url())?;
        let mut held: Vec<u8> = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            held.extend_from_slice(&chunk);
            if held.len() > most {
                return Err(self.unexpected("a body that does not end"));
            }
        }
        Ok(String::from_utf8_lossy(&held).into_owned())
    }

    /// The server says that it heard nothing of what was sent for too long.
    pub(super) fn not_heard(&self, message: String) -> PeerError {
        let reason = format!("it did not hear this side ({message})");
        PeerError::Late { url: self.endpoint.url().to_owned(), reason }
    }

    fn unexpected(&self, what: &str) -> PeerError {
        PeerError::UnexpectedResponse { url: self.endpoint.url().to_owned(), what: what.to_owned() }
    }

    fn failed(&self, error: reqwest::Error) -> PeerError {
        failed(self.endpoint.url(), error)
    }
}

/// The code and text by which the server says that it does not have something.
fn is_not_found(error: &PeerError) -> bool {
    matches!(
        error,
        PeerError::Sync(SyncError::Refused(Refusal { code: RefusalCode::NotFound, .. }))
    )
}

fn content(error: IbGibError) -> PeerError {
    SyncError::Content(error.to_string()).into()
}

fn empty_tls() -> Result<rustls::ClientConfig, TlsError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.into()))?;
    let roots = rustls::RootCertStore::empty();
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What both sides speak, as the headers of an answer from `url` tell; `here` is what this one does.
fn common(here: &Capabilities, headers: &HeaderMap, url: &str) -> Result<Capabilities, PeerError> {
    let there = wire::named_capabilities(headers).map_err(|error| {
        PeerError::UnexpectedResponse { url: url.to_owned(), what: error.to_string() }
    })?;
    let url = || url.to_owned();
    here.common(&there).map_err(|versions| PeerError::Version { url: url(), versions })
}
