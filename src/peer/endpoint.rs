//! Where a server is and how it is spoken to: its URL, and TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{BoxError, PeerError, TlsError, TlsFile};

/// A server's address, checked, and what is needed to reach it.
#[derive(Clone)]
pub struct Endpoint {
    base: reqwest::Url,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Endpoint").field(&self.base.as_str()).finish()
    }
}

impl Endpoint {
    /// Reads a server's URL: `http` to loopback only unless `allow_plaintext`, else `https`.
    /// `ca_cert` is a PEM file of further authorities.
    pub fn new(
        url: &str,
        ca_cert: Option<&Path>,
        allow_plaintext: bool,
    ) -> Result<Endpoint, PeerError> {
        let bad = |reason: &str| PeerError::Url(format!("{url}: {reason}"));
        let base = reqwest::Url::parse(url).map_err(|_| bad("not a URL"))?;
        let credentials = !base.username().is_empty() || base.password().is_some();
        if base.host_str().is_none() || base.query().is_some() || credentials {
            return Err(bad("a server's URL is scheme, host, port and path alone"));
        }
        match base.scheme() {
            "https" => Ok(Endpoint { base, tls: Some(Arc::new(client_config(ca_cert)?)) }),
            "http" if allow_plaintext || is_loopback(&base) => Ok(Endpoint { base, tls: None }),
            "http" => Err(PeerError::Plaintext(url.to_owned())),
            _ => Err(bad("the scheme is neither http nor https")),
        }
    }

    /// The server's URL.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The URL of a path on the server.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url())
    }

    pub(super) fn tls(&self) -> Option<&Arc<rustls::ClientConfig>> {
        self.tls.as_ref()
    }
}

fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

fn client_config(ca_cert: Option<&Path>) -> Result<rustls::ClientConfig, TlsError> {
    let mut roots = rustls::RootCertStore::empty();
    // An authority of the system's that cannot be read is left out; the handshake tells when it
    // was the one that is needed.
    for cert in rustls_native_certs::load_native_certs().certs {
        let _ = roots.add(cert);
    }
    if let Some(path) = ca_cert {
        let bad = |source: BoxError| TlsError::File {
            which: TlsFile::Authorities,
            path: path.to_owned(),
            source,
        };
        let certs = CertificateDer::pem_file_iter(path).map_err(|e| bad(e.into()))?;
        let mut count = 0;
        for cert in certs {
            let cert = cert.map_err(|e| bad(e.into()))?;
            roots.add(cert).map_err(|e| bad(e.into()))?;
            count += 1;
        }
        if count == 0 {
            return Err(bad("no certificate in it".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError::Setup(e.into()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback() {
        for url in
            ["http://127.0.0.1:8787", "http://localhost", "http://[::1]:1/", "http://127.9.9.9"]
        {
            assert!(Endpoint::new(url, None, false).is_ok(), "{url}");
        }
        for url in ["http://192.168.1.5", "http://localhost.example.org", "http://127.0.0.1.nip.io"]
        {
            assert!(Endpoint::new(url, None, false).is_err(), "{url}");
            assert!(Endpoint::new(url, None, true).is_ok(), "{url}");
        }
        assert!(Endpoint::new("ftp://127.0.0.1", None, true).is_err());
        assert!(Endpoint::new("http://u:p@127.0.0.1", None, true).is_err());
        assert!(Endpoint::new("http://:p@127.0.0.1", None, true).is_err());
        assert!(Endpoint::new("127.0.0.1:8787", None, true).is_err());
    }

    #[test]
    fn paths_stand_behind_the_base() {
        let endpoint = Endpoint::new("http://127.0.0.1:1/sub/", None, false).unwrap();
        assert_eq!(endpoint.at("/health"), "http://127.0.0.1:1/sub/health");
    }
}
