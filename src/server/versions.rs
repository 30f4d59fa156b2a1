//! What this server speaks is named in every answer, and clients that speak something else are
//! refused before anything else is done (docs/protocol.md, section 5, "Versions and features").

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::body;
use super::failure::Failure;
use super::state::Shared;
use crate::peer::wire::{name_capabilities, named_capabilities};
use crate::sync::SyncError;
use crate::sync::capabilities::Capabilities;

/// What this server speaks.
pub(super) fn capabilities(shared: &Shared) -> Capabilities {
    Capabilities::with(shared.opts.features.clone())
}

/// Names in an answer what this server speaks.
pub(super) async fn name(State(shared): State<Arc<Shared>>, mut response: Response) -> Response {
    name_capabilities(response.headers_mut(), &capabilities(&shared));
    response
}

/// Refuses a request of a client that names no version spoken here. Others find what both sides
/// speak, [`Capabilities`], among the request's extensions.
pub(super) async fn agree(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let theirs = named_capabilities(request.headers());
    let common = theirs.and_then(|theirs| Ok(capabilities(&shared).common(&theirs)?));
    match common.map_err(|error: SyncError| Failure::from(error)) {
        Ok(common) => {
            request.extensions_mut().insert(common);
            next.run(request).await
        }
        Err(refusal) => {
            body::refuse(request.into_body()).await;
            refusal.into_response()
        }
    }
}
