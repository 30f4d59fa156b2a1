//! A server behind TLS with a private authority. The certificates in `certificates/` were made for
//! these tests; the authority's key was thrown away.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile_common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use hostile_common::*;
use rustls::ClientConnection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use sync_gib::cli::error::CliError;
use sync_gib::peer::{Endpoint, NoObserver, PeerError, ReceiverLink, Remote, Timeouts, client, ws};
use sync_gib::server::{Server, ServerError, ServerOpts, TlsFiles};
use sync_gib::space::{Space, SpaceExt};
use sync_gib::sync::{Capabilities, SenderOpts};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

fn host() -> Host {
    Host::with(|opts| {
        opts.tls = Some(TlsFiles { cert: file("server.pem"), key: file("server.key") });
    })
}

fn link<'h>(host: &'h Host, url: &str, ca_cert: Option<&str>) -> Remote<'h> {
    let ca_cert = ca_cert.map(file);
    let endpoint = Endpoint::new(url, ca_cert.as_deref(), false).unwrap();
    Remote::new(&host.runtime, endpoint, Timeouts::default()).unwrap()
}

#[test]
fn a_sync_goes_over_tls() {
    let host = host();
    assert!(host.server.url().starts_with("https://"));
    let by_name = host.server.url().replace("127.0.0.1", "localhost");
    for url in [host.server.url(), by_name] {
        let person = Person::unregistered("a");
        let made = timeline("x", json!({}));
        person.space.put_all(&made).unwrap();
        let link = link(&host, &url, Some("ca.pem"));
        link.register(&person.genesis).unwrap();
        let opts = SenderOpts::new(person.dir.path().to_owned());
        let synced =
            client::sync(&person.space, &link, &person.identity, &opts, &mut NoObserver).unwrap();
        let tip = tip_of(&made).addr().unwrap();
        assert!(host.space(person.domain()).find(&tip).unwrap().is_some());
        let token = synced.token.unwrap().value;
        let mut nodes = 0;
        let each = &mut |_: &str| {
            nodes += 1;
            Ok(())
        };
        assert!(link.graph(person.domain(), &tip, false, &token, each).unwrap());
        assert_eq!(nodes, made.len());
    }
    host.all_closed();
}

#[test]
fn an_authority_that_is_not_known_is_not_trusted() {
    let host = host();
    let person = Person::unregistered("a");
    let link = link(&host, &host.server.url(), None);
    let failed = link.register(&person.genesis).unwrap_err();
    assert!(matches!(failed, PeerError::Unreachable { .. }), "{failed:?}");
    let message = CliError::from(failed).message;
    assert!(message.contains("certificate") && message.contains("--ca-cert"), "{message}");

    // The WebSocket trusts no more than the requests do.
    let opened = host.runtime.block_on(ws::open(
        link.endpoint(),
        &Capabilities::default(),
        Timeouts::default(),
    ));
    let failed = opened.map(|_| ()).unwrap_err();
    assert!(matches!(failed, PeerError::Unreachable { .. }), "{failed:?}");
    let message = CliError::from(failed).message;
    assert!(message.contains("certificate") && message.contains("--ca-cert"), "{message}");
}

#[test]
fn a_certificate_is_for_its_host_alone() {
    let host = host();
    let elsewhere = host.server.url().replace("127.0.0.1", "127.0.0.2");
    let person = Person::unregistered("a");
    let failed = link(&host, &elsewhere, Some("ca.pem")).register(&person.genesis).unwrap_err();
    assert!(matches!(failed, PeerError::Unreachable { .. }), "{failed:?}");
}

#[test]
fn plain_text_is_not_spoken_with_tls() {
    let host = host();
    let person = Person::unregistered("a");
    let plain = host.server.url().replace("https", "http");
    let failed = link(&host, &plain, None).register(&person.genesis).unwrap_err();
    assert!(failed.to_string().contains("is its URL https?"), "{failed}");
    let opened = host.runtime.block_on(ws::open(
        &Endpoint::new(&plain, None, false).unwrap(),
        &Capabilities::default(),
        Timeouts::default(),
    ));
    let failed = opened.map(|_| ()).unwrap_err();
    assert!(failed.to_string().contains("is its URL https?"), "{failed}");

    let open = Host::new();
    let secure = open.server.url().replace("http", "https");
    let failed = link(&open, &secure, Some("ca.pem")).register(&person.genesis).unwrap_err();
    assert!(matches!(failed, PeerError::Unreachable { .. }), "{failed:?}");
    assert!(failed.to_string().contains("is its URL http?"), "{failed}");
}

#[test]
fn files_that_are_no_certificates_are_told() {
    let host = host();
    let not_pem = host.dir.path().join("not.pem");
    std::fs::write(&not_pem, "nothing").unwrap();
    for path in [&not_pem, &file("nowhere.pem"), &file("server.key")] {
        let failed = Endpoint::new("https://127.0.0.1:1", Some(path), false).unwrap_err();
        assert!(failed.to_string().contains(&*path.to_string_lossy()), "{failed}");
    }
    for (cert, key) in [
        (not_pem.clone(), file("server.key")),
        (file("server.pem"), not_pem.clone()),
        (file("nowhere.pem"), file("server.key")),
        (file("ca.pem"), file("server.key")),
    ] {
        let space = host.dir.path().join("other.db");
        let mut opts = ServerOpts::new(([127, 0, 0, 1], 0).into(), space);
        opts.tls = Some(TlsFiles { cert, key });
        let failed = host.runtime.block_on(Server::start(opts)).unwrap_err();
        assert!(matches!(failed, ServerError::Tls(_)), "{failed:?}");
    }
}

/// A TLS connection whose client offers these protocols.
fn offering(host: &Host, offered: &[&str]) -> std::io::Result<(ClientConnection, TcpStream)> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(config.into(), name).unwrap();
    let mut tcp = TcpStream::connect(host.server.addr()).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    Ok((tls, tcp))
}

#[test]
fn http_1_is_all_that_is_spoken() {
    let host = host();
    let agreed = |offered: &[&str]| {
        offering(&host, offered).map(|(tls, _)| tls.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(agreed(&["h2", "http/1.1"]).unwrap().unwrap(), b"http/1.1");
    assert_eq!(agreed(&[]).unwrap(), None);
    assert!(agreed(&["h2"]).is_err());
    // Who agrees on nothing may begin with HTTP/2 anyway.
    let (mut tls, mut tcp) = offering(&host, &[]).unwrap();
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
}
