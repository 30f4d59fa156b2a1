//! The server's certificate.

use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsFiles;
use crate::peer::{BoxError, TlsError, TlsFile};

/// Reads a certificate chain and its key.
pub(super) fn config(files: &TlsFiles) -> Result<RustlsConfig, TlsError> {
    let bad_cert = |source: BoxError| TlsError::File {
        which: TlsFile::Certificate,
        path: files.cert.clone(),
        source,
    };
    let bad_key =
        |source: BoxError| TlsError::File { which: TlsFile::Key, path: files.key.clone(), source };
    let certs: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|error| bad_cert(error.into()))?;
    if certs.is_empty() {
        return Err(bad_cert("no certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| bad_key(e.into()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.into()))?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(|error| bad_cert(error.into()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
