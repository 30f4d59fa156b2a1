//! The HTTP endpoints (docs/protocol.md, section 5).

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state, map_response, map_response_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tracing::info;

use super::body::BodyText;
use super::client_addr::ClientAddr;
use super::connection::Connection;
use super::failure::{Failure, bad_request, in_form};
use super::ledger::Ledger;
use super::sessions::Establishment;
use super::state::{End, Shared};
use super::stream::Reader;
use super::{body, newcomers, origin, refusals, sessions, socket, stream, versions};
use crate::ibgib::{Addr, Moment, TjpAddr, Valid};
use crate::keystone::{self, KEYSTONE, MAX_FRAME_BYTES};
use crate::peer::wire::{self, Latest, MAX_BODY, ServerState};
use crate::space::{DomainState, Pooled, Space, graph_ids};
use crate::sync::domain::{IdentityCheck, StoredFrames};
use crate::sync::msg::RefusalCode;
use crate::sync::{Capabilities, Feature, SyncError, domain};

/// How many frames of an identity one answer holds.
const MAX_IDENTITY: usize = 1000;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let json = from_fn(origin::want_json);
    Router::new()
        .route(wire::PATH_KEYSTONES, post(register).route_layer(json.clone()))
        .route(wire::PATH_EVOLUTION, post(evolve).route_layer(json.clone()))
        .route(wire::PATH_REVOCATION, post(revoke).route_layer(json.clone()))
        .route(wire::PATH_RENEWAL, post(renew).route_layer(json))
        .route(wire::PATH_IDENTITY, get(identity))
        .route(wire::PATH_IBGIBS, get(ibgibs))
        .route(wire::PATH_LATEST, get(latest))
        .route(wire::PATH_STATE, get(state))
        .route(wire::PATH_WS, get(socket::upgrade))
        .fallback(|| async { Failure::not_found("there is nothing under this path") })
        .layer(from_fn_with_state(Arc::clone(&shared), versions::agree))
        // Whoever asks only what is spoken here is told, whatever it speaks itself.
        .route(wire::PATH_HEALTH, get(health))
        .layer(origin::cors(&shared.opts.allow_origins))
        .layer(from_fn_with_state(Arc::clone(&shared), origin::guard))
        .layer(map_response(in_form))
        .layer(map_response_with_state(Arc::clone(&shared), refusals::note_full_disk))
        .layer(map_response_with_state(Arc::clone(&shared), versions::name))
        .with_state(shared)
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let Capabilities { protocols, features } = versions::capabilities(&shared);
    axum::Json(serde_json::json!({
        "ok": true,
        "version": env!("CARGO_PKG_VERSION"),
        "protocols": protocols,
        "features": features,
    }))
    .into_response()
}

async fn register(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Result<Response, Failure> {
    let from = shared.client(&connection, request.headers());
    let text = read_body(&shared, from, (None, request), MAX_FRAME_BYTES).await?;
    let (at, weight) = (Arc::clone(&shared), wire::weight(&text));
    blocking(&at, from, weight, move || {
        let genesis = keystone::read_frame(&text).map_err(SyncError::from)?;
        let genesis = Valid::check(genesis).map_err(SyncError::from)?;
        let addr = TjpAddr::from(genesis.addr().clone());
        if !shared.may_register(&addr) {
            let message = format!("{addr} may not register here: it is not on the server's list");
            return Err(SyncError::Auth(message).into());
        }
        let space = shared.space(&addr)?;
        newcomers::register(&shared, &space, &addr, &genesis, from)?;
        let signs = keystone::described(&genesis);
        info!(domain = %addr, %signs, "identity registered");
        Ok(axum::Json(serde_json::json!({ "addr": addr })).into_response())
    })
    .await
}

/// What was posted of an identity.
struct Posted {
    identity: TjpAddr,
    client: ClientAddr,
    text: BodyText,
    weight: usize,
}

/// Reads what is posted of an identity; `listed` refuses one that may not be here, before its body is
/// read.
async fn posted(
    shared: &Arc<Shared>,
    connection: &Connection,
    (gib, request): (&str, Request),
    listed: bool,
) -> Result<Posted, Failure> {
    let identity = domain_addr(gib)?;
    if listed && !shared.may_register(&identity) {
        body::refuse(request.into_body()).await;
        return Err(SyncError::Auth("the identity is not on the server's list".into()).into());
    }
    let client = shared.client(connection, request.headers());
    let text = read_body(shared, client, (Some(&identity), request), MAX_BODY).await?;
    let weight = wire::weight(&text);
    Ok(Posted { identity, client, text, weight })
}

async fn evolve(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    Path(gib): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    let posted = posted(&shared, &connection, (&gib, request), true).await?;
    let Posted { identity, client, text, weight } = posted;
    let (queues, of) = (Arc::clone(&shared.queues), identity.clone());
    let at = Arc::clone(&shared);
    let Establishment { session, is_new, .. } = blocking(&at, client, weight, move || {
        let (frames, session) = wire::read_evolution(&text)?;
        let space = shared.space(&identity)?;
        let quota = &shared.opts.quota;
        let (ledger, now) = (Ledger::of(&space), Moment::now().ms());
        let claim = (&identity, frames.as_slice(), &session);
        let made = sessions::establish(&*space, &ledger, claim, quota, now)?;
        if made.renews {
            shared.end_sockets(&identity, End::Renewed);
            info!(domain = %identity, "the identity has another secret");
        }
        info!(domain = %identity, session = %made.session, "session established");
        Ok(made)
    })
    .await?;
    // Who posts the same again has waited, or is the one that others wait for.
    if is_new {
        queues.wait(&of, &session).await;
    }
    Ok(axum::Json(serde_json::json!({ "session": session })).into_response())
}

async fn revoke(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    Path(gib): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    let posted = posted(&shared, &connection, (&gib, request), false).await?;
    let Posted { identity, client, text, weight } = posted;
    let at = Arc::clone(&shared);
    blocking(&at, client, weight, move || {
        let frames = wire::read_revocation(&text)?;
        let space = shared.space(&identity)?;
        domain::revoke(&*space, &identity, &frames)?;
        shared.end_domain(&space, &identity, End::Revoked)?;
        info!(domain = %identity, "identity revoked");
        Ok(axum::Json(serde_json::json!({ "revoked": identity })).into_response())
    })
    .await
}

async fn renew(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    Path(gib): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    let posted = posted(&shared, &connection, (&gib, request), true).await?;
    let Posted { identity, client, text, weight } = posted;
    let at = Arc::clone(&shared);
    blocking(&at, client, weight, move || {
        let frames = wire::read_revocation(&text)?;
        let space = shared.space(&identity)?;
        // Anybody may post again what everybody may read.
        if domain::renew(&*space, &identity, &frames, &shared.opts.quota)? {
            shared.end_domain(&space, &identity, End::Renewed)?;
            info!(domain = %identity, "the identity has another secret");
        }
        Ok(axum::Json(serde_json::json!({ "renewed": identity })).into_response())
    })
    .await
}

async fn identity(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    Extension(common): Extension<Capabilities>,
    Path(gib): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let client = shared.client(&connection, &headers);
    let identity = domain_addr(&gib)?;
    let after = query.get("after").map(|addr| parse(addr)).transpose()?;
    // It would take the secret of an identity with a recovery code for a wrong one. Others that may
    // read the frames say who they are.
    let is_0_1_0 = shared.opts.features.contains(&Feature::SIGNING_KEYS)
        && !common.features.contains(&Feature::SIGNING_KEYS)
        && !headers.contains_key(header::USER_AGENT);
    let reader = Reader::of(client, &headers).unknown();
    let at = Arc::clone(&shared);
    blocking(&at, client, 0, move || {
        let space = shared.space(&identity)?;
        if is_0_1_0 && domain::has_lock(&*space, &identity)? {
            // It knows no code for an identity that needs another version.
            let text = "this client is too old for the identity, whose frames are signed";
            return Err(SyncError::Auth(text.to_owned()).into());
        }
        let frames = StoredFrames::after(&*space, &identity, after.as_ref())?;
        let absent = || Failure::not_found("no such identity is registered here");
        let mut frames = frames.ok_or_else(absent)?;
        let mut left = MAX_IDENTITY;
        stream::answer(&shared, reader, &identity, &space, move |space| {
            if left == 0 {
                return Ok(None);
            }
            left -= 1;
            frames.next(space)
        })
    })
    .await
}

async fn latest(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    Path(gib): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let client = shared.client(&connection, &headers);
    let tjp: TjpAddr = parse(query.get("tjp").map_or("", String::as_str))?.into();
    let identity = domain_addr(&gib)?;
    let at = Arc::clone(&shared);
    blocking(&at, client, 0, move || {
        let space = authorized(&shared, &identity, &headers)?;
        let tip = space.tip(&tjp)?;
        let tip = tip.ok_or_else(|| Failure::not_found("the timeline is not here"))?;
        Ok(axum::Json(Latest { tjp, tip: tip.addr, n: tip.n }).into_response())
    })
    .await
}

async fn state(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    Path(gib): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let client = shared.client(&connection, &headers);
    if !shared.opts.features.contains(&Feature::STATE_DIGEST) {
        return Err(Failure::not_found("there is nothing under this path"));
    }
    let identity = domain_addr(&gib)?;
    let at = Arc::clone(&shared);
    blocking(&at, client, 0, move || {
        let refused = || unauthorized("a token for this alone is needed, as auth_ok hands it out");
        let token = bearer(&headers).ok_or_else(refused)?;
        let space = shared.space(&identity)?;
        let (ledger, now) = (Ledger::of(&space), Moment::now().ms());
        let newest = sessions::may_ask_state(&*space, &ledger, &identity, token, now)?;
        let newest = newest.ok_or_else(refused)?;
        // A sync that commits in between makes it a newer state than the frame's: then the asking
        // side finds a difference, or fetches the frames that it lacks.
        let DomainState { digest, timelines } = space.state()?;
        Ok(axum::Json(ServerState { digest, timelines, identity: newest }).into_response())
    })
    .await
}

async fn ibgibs(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    Path(gib): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let addr = parse(query.get("addr").map_or("", String::as_str))?;
    let is_set = |key: &str| query.get(key).is_some_and(|value| value == "true");
    let client = shared.client(&connection, &headers);
    let (graph, live) = (is_set("getGraph"), is_set("live"));
    let reader = Reader::of(client, &headers);
    let identity = domain_addr(&gib)?;
    let at = Arc::clone(&shared);
    blocking(&at, client, 0, move || {
        let space = authorized(&shared, &identity, &headers)?;
        let id = space.find(&addr)?;
        let id = id.ok_or_else(|| Failure::not_found("the ibGib is not here"))?;
        if !graph {
            let text: String = space.text(id)?.into();
            return Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response());
        }
        let mut ids = graph_ids(&*space, &[id], live)?.into_iter();
        let (of, mut check) = (identity.clone(), IdentityCheck::default());
        stream::answer(&shared, reader, &identity, &space, move |space| {
            check.check(space, &of)?;
            Ok(ids.next().map(|id| space.text_to_send(id)).transpose()?)
        })
    })
    .await
}

/// The domain's space, where the request carries a token for it.
fn authorized(shared: &Shared, identity: &TjpAddr, headers: &HeaderMap) -> Result<Pooled, Failure> {
    let refused =
        || unauthorized("a bearer token of this domain is needed, as auth_ok hands it out");
    let token = bearer(headers).ok_or_else(refused)?;
    let space = shared.space(identity)?;
    let now = Moment::now().ms();
    match sessions::may_read(&*space, &Ledger::of(&space), identity, token, now)? {
        true => Ok(space),
        false => Err(refused()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn unauthorized(message: &str) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, RefusalCode::Auth, message)
}

async fn read_body(
    shared: &Arc<Shared>,
    client: ClientAddr,
    (identity, request): (Option<&TjpAddr>, Request),
    most: usize,
) -> Result<BodyText, Failure> {
    let (head, body) = request.into_parts();
    body::read(shared, client, &head.headers, (identity, body), most).await
}

fn parse(addr: &str) -> Result<Addr, Failure> {
    Addr::parse(addr).map_err(|error| bad_request(&error.to_string()))
}

/// A domain is named by the gib of I's tjp, whose ib is always `keystone`.
fn domain_addr(gib: &str) -> Result<TjpAddr, Failure> {
    let genesis = Addr::from_parts(KEYSTONE, gib);
    genesis.map(TjpAddr::from).map_err(|error| bad_request(&error.to_string()))
}

/// Runs what waits for the disk, and reads input of this [`wire::weight`], where waiting is fine.
async fn blocking<T: Send + 'static>(
    shared: &Shared,
    client: ClientAddr,
    weight: usize,
    f: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    shared.work(client, weight, f).await.unwrap_or_else(|| Err(Failure::internal()))
}
