//! Answers that are errors: one form, whoever finds the fault (docs/protocol.md, section 5, "HTTP").

use axum::body::to_bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::refusals::{self, FullDisk};
use crate::peer::wire::{self, ErrorBody, ErrorDetail};
use crate::space::SpaceError;
use crate::sync::SyncError;
use crate::sync::msg::RefusalCode;

/// How many bytes of a refusal that was not written here are looked at.
const MAX_REASON: usize = 4096;

/// Gives refusals that were not written here, such as of a method, the form that all have.
pub(super) async fn in_form(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let has_form = kind.is_some_and(|kind| kind == "application/json");
    if has_form || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (head, body) = response.into_parts();
    let text = to_bytes(body, MAX_REASON).await.unwrap_or_default();
    let mut message = String::from_utf8_lossy(&text).into_owned();
    if message.is_empty() {
        message = status.canonical_reason().unwrap_or("refused").to_owned();
    }
    let code = match status.is_server_error() {
        true => RefusalCode::Internal,
        false => RefusalCode::Protocol,
    };
    let mut response = Failure::new(status, code, message).into_response();
    if let Some(allowed) = head.headers.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allowed.clone());
    }
    response
}

/// An answer that is an error.
pub(super) struct Failure {
    status: StatusCode,
    code: RefusalCode,
    message: String,
    is_full_disk: bool,
}

impl Failure {
    pub(super) fn new(
        status: StatusCode,
        code: RefusalCode,
        message: impl Into<String>,
    ) -> Failure {
        Failure { status, code, message: message.into(), is_full_disk: false }
    }

    /// What a person reads.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// There is no place left.
    pub(super) fn busy(message: &str) -> Failure {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, RefusalCode::Limit, message)
    }

    /// Something broke here; the log says what.
    pub(super) fn internal() -> Failure {
        let (status, code) = (StatusCode::INTERNAL_SERVER_ERROR, RefusalCode::Internal);
        Failure::new(status, code, "the server failed; its log says why")
    }

    pub(super) fn not_found(message: &str) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, RefusalCode::NotFound, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let detail = ErrorDetail::of(self.code, self.message);
        let mut response = (self.status, axum::Json(ErrorBody { error: detail })).into_response();
        if self.is_full_disk {
            response.extensions_mut().insert(FullDisk);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Failure {
        let refusal = refusals::of(&error);
        let status = match refusal.code {
            RefusalCode::Auth => StatusCode::FORBIDDEN,
            RefusalCode::Conflict => StatusCode::CONFLICT,
            RefusalCode::Limit => StatusCode::PAYLOAD_TOO_LARGE,
            RefusalCode::Busy | RefusalCode::Staged => StatusCode::SERVICE_UNAVAILABLE,
            RefusalCode::Quota | RefusalCode::File => StatusCode::INSUFFICIENT_STORAGE,
            RefusalCode::Identities => StatusCode::TOO_MANY_REQUESTS,
            RefusalCode::Timeout => StatusCode::REQUEST_TIMEOUT,
            RefusalCode::NotFound => StatusCode::NOT_FOUND,
            RefusalCode::Internal if error.is_full_disk() => StatusCode::INSUFFICIENT_STORAGE,
            RefusalCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            RefusalCode::Protocol
            | RefusalCode::Content
            | RefusalCode::Version
            | RefusalCode::Other(_) => StatusCode::BAD_REQUEST,
        };
        if refusal.code == RefusalCode::Internal {
            tracing::error!(%error, "a request failed");
        } else {
            let error = wire::peer_text(&error.to_string());
            refusals::log(format_args!("request refused ({:?}): {error}", refusal.code));
        }
        let failure = Failure::new(status, refusal.code, refusal.message);
        Failure { is_full_disk: error.is_full_disk(), ..failure }
    }
}

impl From<SpaceError> for Failure {
    fn from(error: SpaceError) -> Failure {
        SyncError::from(error).into()
    }
}

pub(super) fn bad_request(message: &str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, RefusalCode::Protocol, message)
}
