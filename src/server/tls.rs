//! The server's certificate.

use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{ServerError, TlsFiles};

/// Reads a certificate chain and its key.
pub(super) fn config(files: &TlsFiles) -> Result<RustlsConfig, ServerError> {
    let bad_cert =
        |reason: String| ServerError::Tls(format!("--tls-cert {}: {reason}", files.cert.display()));
    let bad_key =
        |reason: String| ServerError::Tls(format!("--tls-key {}: {reason}", files.key.display()));
    let certs: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|error| bad_cert(error.to_string()))?;
    if certs.is_empty() {
        return Err(bad_cert("no certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| bad_key(e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ServerError::Tls(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(|error| bad_cert(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
