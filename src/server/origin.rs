//! Keeps web pages away: a browser on this machine reaches a server on loopback, and runs what
//! any site sends it (docs/protocol.md, section 5).

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::CorsLayer;

use super::connection::Connection;
use super::failure::Failure;
use super::refusals;
use super::state::Shared;
use crate::peer::wire;
use crate::sync::msg::RefusalCode;

/// An origin that may ask, as a browser writes it: `https://example.org`, `http://localhost:3000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Origin, String> {
        let refused = || format!("{text:?} is no origin, such as https://example.org");
        let lower = text.trim_end_matches('/').to_ascii_lowercase();
        let (scheme, authority) = lower.split_once("://").ok_or_else(refused)?;
        let authority = Authority::from_str(authority).map_err(|_| refused())?;
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(refused()),
        };
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(refused());
        }
        // Browsers leave out the port that goes without saying.
        let written = match authority.port_u16() {
            Some(port) if port == default_port => format!("{scheme}://{}", authority.host()),
            _ => lower.clone(),
        };
        HeaderValue::from_str(&written).map(Origin).map_err(|_| refused())
    }
}

/// A name under which a server on loopback may be asked, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<HostName, String> {
        let refused = || format!("{text:?} is no host name, such as example.org");
        let authority = Authority::from_str(text).map_err(|_| refused())?;
        if authority.as_str() != authority.host() {
            return Err(refused());
        }
        Ok(HostName(folded(authority.host())))
    }
}

/// A host's name in the form in which names are compared.
fn folded(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// How each side names what it speaks.
const NAMING: [HeaderName; 2] = [
    HeaderName::from_static(wire::HEADER_PROTOCOLS),
    HeaderName::from_static(wire::HEADER_FEATURES),
];

/// Answers what a browser asks first on behalf of an origin that may ask.
pub(super) fn cors(origins: &[Origin]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.iter().map(|origin| origin.0.clone()).collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([&[header::AUTHORIZATION, header::CONTENT_TYPE][..], &NAMING].concat())
        .expose_headers(NAMING)
}

/// Refuses what a web page sends, and what names this server as somebody else.
pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let connection = request.extensions().get::<Connection>();
    let on_loopback = connection.is_none_or(|connection| connection.on_loopback());
    let headers = request.headers();
    let refusal = if on_loopback && !is_named_here(&shared.opts.allow_hosts, &request) {
        Some(misdirected())
    } else if !may_ask(&shared.opts.allow_origins, headers) {
        Some(foreign())
    } else {
        None
    };
    match refusal {
        Some(refusal) => {
            refusals::log(format_args!("request refused: {}", refusal.message()));
            refusal.into_response()
        }
        None => next.run(request).await,
    }
}

/// Refuses a body that is not said to be JSON: a page can make a browser post forms and plain
/// text to anybody without asking first.
pub(super) async fn want_json(request: Request, next: Next) -> Response {
    if is_json(request.headers()) {
        return next.run(request).await;
    }
    let refusal = no_json();
    refusals::log(format_args!("request refused: {}", refusal.message()));
    refusal.into_response()
}

/// Whether all names that the request gives the server are loopback's or allowed. A page whose
/// own name was made to point here (DNS rebinding) gives that name.
fn is_named_here(allowed: &[HostName], request: &Request) -> bool {
    let names_here = |authority: &Authority| {
        let host = folded(authority.host());
        !authority.as_str().contains('@')
            && (is_loopback(&host) || allowed.iter().any(|allowed| allowed.0 == host))
    };
    let mut hosts = request.headers().get_all(header::HOST).iter().peekable();
    hosts.peek().is_some()
        && hosts.all(|host| Authority::try_from(host.as_bytes()).is_ok_and(|a| names_here(&a)))
        && request.uri().authority().is_none_or(names_here)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_local = |ip: IpAddr| ip.to_canonical().is_loopback();
    host == "localhost" || bare.parse().is_ok_and(is_local)
}

/// Browsers name the origin of what may change something or is read by a script. Of images and
/// the like they say only whether another site's page wants them.
fn may_ask(allowed: &[Origin], headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter().peekable();
    if origins.peek().is_some() {
        return origins.all(|origin| allowed.iter().any(|allowed| allowed.0 == *origin));
    }
    let sites = headers.get_all("sec-fetch-site").iter();
    sites.into_iter().all(|site| site == "none" || site == "same-origin")
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let kind = kind.to_str().unwrap_or("").split(';').next().unwrap_or("");
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn misdirected() -> Failure {
    let message = "on loopback this server is asked by loopback's own names only; \
                   `serve --allow-host NAME` adds one";
    Failure::new(StatusCode::MISDIRECTED_REQUEST, RefusalCode::Protocol, message)
}

fn foreign() -> Failure {
    let message = "web pages may not ask this server; `serve --allow-origin ORIGIN` lets one";
    Failure::new(StatusCode::FORBIDDEN, RefusalCode::Protocol, message)
}

fn no_json() -> Failure {
    let message = "a body is JSON, and its content-type is application/json";
    Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, RefusalCode::Protocol, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for (text, written) in [
            ("https://Example.org", "https://example.org"),
            ("https://example.org:443/", "https://example.org"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(text.parse::<Origin>().map(|o| o.0), Ok(written.parse().unwrap()));
        }
        for text in
            ["", "null", "*", "example.org", "ftp://x", "https://", "https://a@b", "https://a/b"]
        {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn host_names_have_no_port_and_no_path() {
        assert_eq!("Example.org.".parse(), Ok(HostName("example.org".into())));
        for text in ["", "example.org:80", "https://example.org", "a/b", "a@b"] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_has_these_names() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.example.org",
            "127.0.0.1.example.org",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
            "2130706433",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
