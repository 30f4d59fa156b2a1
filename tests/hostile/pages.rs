//! Web pages that reach a server on loopback through the browser of whoever runs it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use sync_gib::peer::wire;

use crate::hostile_common::*;
use crate::http::{parts, talk};

const UPGRADE: &str = "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The whole answer to a request with these headers.
fn answer(host: &Host, method: &str, path: &str, headers: &str, body: &str) -> String {
    let connection = if headers.contains("upgrade") { "" } else { "connection: close\r\n" };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{connection}content-length: {length}\r\n{headers}\r\n{body}"
    );
    talk(host, request.as_bytes())
}

/// The status; a refusal must have the form of all errors.
fn status(host: &Host, method: &str, path: &str, headers: &str, body: &str) -> u16 {
    let (status, body) = parts(&answer(host, method, path, headers, body));
    if status >= 400 {
        let body: Value = serde_json::from_str(&body).expect("an error in JSON");
        assert!(body["error"]["code"].is_string(), "{body}");
        assert!(!body["error"]["message"].as_str().unwrap().is_empty(), "{body}");
    }
    status
}

fn health(host: &Host, headers: &str) -> u16 {
    status(host, "GET", wire::PATH_HEALTH, headers, "")
}

/// What an upgrade is answered with. A socket that was opened is not waited for.
fn upgrade(host: &Host, headers: &str) -> u16 {
    let mut tcp = TcpStream::connect(host.server.addr()).unwrap();
    write!(tcp, "GET {} HTTP/1.1\r\n{UPGRADE}{headers}\r\n", wire::PATH_WS).unwrap();
    let mut head = [0u8; 12];
    tcp.read_exact(&mut head).unwrap();
    if &head == b"HTTP/1.1 101" {
        return 101;
    }
    drop(tcp);
    status(host, "GET", wire::PATH_WS, &format!("{UPGRADE}{headers}"), "")
}

const HERE: &str = "host: 127.0.0.1\r\n";

#[test]
fn a_web_page_is_refused() {
    let host = Host::new();
    let person = Person::unregistered("a");
    let genesis = person.genesis.to_json();
    let json = "content-type: application/json\r\n";
    for origin in ["https://evil.example", "http://localhost:3000", "http://127.0.0.1", "null", ""]
    {
        let headers = format!("{HERE}{json}origin: {origin}\r\n");
        assert_eq!(health(&host, &headers), 403, "{origin}");
        assert_eq!(upgrade(&host, &headers), 403, "{origin}");
        assert_eq!(status(&host, "POST", wire::PATH_KEYSTONES, &headers, &genesis), 403);
        assert_eq!(status(&host, "OPTIONS", wire::PATH_KEYSTONES, &headers, ""), 403);
        assert_eq!(status(&host, "GET", "/nothing", &headers, ""), 403);
    }
    // An image of a page names no origin.
    for site in ["cross-site", "same-site"] {
        assert_eq!(health(&host, &format!("{HERE}sec-fetch-site: {site}\r\n")), 403, "{site}");
    }
    assert_eq!(health(&host, &format!("{HERE}sec-fetch-site: none\r\n")), 200);
    assert_eq!(health(&host, HERE), 200);
    assert_eq!(upgrade(&host, HERE), 101);
    assert_eq!(host.held(person.domain()).count.ibgibs, 0);
    let headers = format!("{HERE}{json}");
    assert_eq!(status(&host, "POST", wire::PATH_KEYSTONES, &headers, &genesis), 200);
}

#[test]
fn a_web_page_of_an_allowed_origin_may_ask() {
    let host = Host::with(|opts| {
        opts.allow_origins = vec!["https://App.example:443/".parse().unwrap()];
    });
    let from = |origin: &str| format!("{HERE}origin: {origin}\r\n");
    let allowed = answer(&host, "GET", wire::PATH_HEALTH, &from("https://app.example"), "");
    assert_eq!(parts(&allowed).0, 200);
    assert!(allowed.contains("access-control-allow-origin: https://app.example"), "{allowed}");
    assert_eq!(upgrade(&host, &from("https://app.example")), 101);
    for other in
        ["http://app.example", "https://app.example:444", "https://app.example.evil", "null"]
    {
        assert_eq!(health(&host, &from(other)), 403, "{other}");
    }
    let two = from("https://app.example") + "origin: https://evil.example\r\n";
    assert_eq!(health(&host, &two), 403);
    // What a browser asks before it posts JSON on behalf of a page.
    let asks = from("https://app.example")
        + "access-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n";
    let answer = answer(&host, "OPTIONS", wire::PATH_KEYSTONES, &asks, "");
    assert_eq!(parts(&answer).0, 200);
    assert!(
        answer.contains("access-control-allow-headers: authorization,content-type"),
        "{answer}"
    );
}

#[test]
fn a_body_that_is_not_said_to_be_json_is_refused() {
    let host = Host::new();
    let person = Person::unregistered("a");
    let genesis = person.genesis.to_json();
    let paths = [wire::PATH_KEYSTONES, wire::PATH_EVOLUTION, wire::PATH_REVOCATION];
    let paths = paths.map(|path| wire::domain_path(path, person.domain()));
    let of = |kind: &str| format!("{HERE}content-type: {kind}\r\n");
    for headers in [
        HERE.to_owned(),
        of("text/plain"),
        of("application/x-www-form-urlencoded"),
        of("multipart/form-data; boundary=application/json"),
        of("application/jsonx"),
        of("text/plain; application/json"),
        of("application/json") + "content-type: text/plain\r\n",
    ] {
        for path in &paths {
            assert_eq!(status(&host, "POST", path, &headers, &genesis), 415, "{path} {headers}");
        }
    }
    assert_eq!(host.held(person.domain()).count.ibgibs, 0);
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(status(&host, "POST", &paths[0], &of(kind), &genesis), 200, "{kind}");
    }
}

#[test]
fn on_loopback_a_server_is_asked_by_loopbacks_names() {
    let host = Host::with(|opts| {
        opts.allow_hosts = vec!["Sync.example".parse().unwrap()];
    });
    let port = host.server.addr().port();
    for name in [
        "localhost",
        "LOCALHOST.",
        "127.0.0.1",
        "127.9.8.7",
        "[::1]",
        "sync.example",
        "SYNC.example.",
    ] {
        assert_eq!(health(&host, &format!("host: {name}\r\n")), 200, "{name}");
        assert_eq!(health(&host, &format!("host: {name}:{port}\r\n")), 200, "{name}");
        assert_eq!(upgrade(&host, &format!("host: {name}\r\n")), 101, "{name}");
    }
    for name in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.sync.example",
        "localhost@evil.example",
        "evil.example@localhost",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "",
    ] {
        let headers = format!("host: {name}\r\n");
        assert_eq!(health(&host, &headers), 421, "{name}");
        assert_eq!(upgrade(&host, &headers), 421, "{name}");
        assert_eq!(status(&host, "GET", "/nothing", &headers, ""), 421, "{name}");
    }
    assert_eq!(health(&host, ""), 421, "no name at all");
    assert_eq!(health(&host, "host: localhost\r\nhost: evil.example\r\n"), 421);
    assert_eq!(status(&host, "GET", "http://evil.example/health", HERE, ""), 421);
}

#[test]
fn every_refusal_is_an_error_in_json() {
    let host = Host::new();
    let json = format!("{HERE}content-type: application/json\r\n");
    for (method, path, headers, expected) in [
        ("DELETE", wire::PATH_HEALTH, HERE, 405),
        ("PUT", wire::PATH_KEYSTONES, json.as_str(), 405),
        ("GET", wire::PATH_KEYSTONES, HERE, 405),
        ("GET", wire::PATH_WS, HERE, 400),
        ("GET", "/v1/domains/%FF/identity", HERE, 400),
        ("GET", "/nothing", HERE, 404),
    ] {
        assert_eq!(status(&host, method, path, headers, ""), expected, "{method} {path}");
    }
    let refused = answer(&host, "DELETE", wire::PATH_HEALTH, HERE, "");
    assert!(refused.to_lowercase().contains("allow: get"), "{refused}");
}
