//! Why a connection failed, by the errors of the libraries that made it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::PeerError;

/// Any error, as a cause.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Which file TLS needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFile {
    /// The authorities that a client trusts besides the system's.
    Authorities,
    /// A server's certificate, with its chain.
    Certificate,
    /// The key of a server's certificate.
    Key,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is not usable.
    #[error("{}: {source}", path.display())]
    File {
        /// What it should hold.
        which: TlsFile,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BoxError,
    },
    /// The libraries refuse to be set up.
    #[error("{0}")]
    Setup(#[source] BoxError),
}

/// What a person can do something about, of all that keeps a connection from being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectFault {
    /// Nobody who is trusted here signed the server's certificate.
    UnknownAuthority,
    /// The certificate is for another host.
    OtherHost,
    /// TLS was spoken to a server that speaks plain HTTP.
    NotTls,
    /// Plain HTTP was spoken to a server that does not speak it.
    NotPlainHttp,
}

impl ConnectFault {
    /// What it means, where the library's own words do not say it.
    #[cfg(feature = "client")]
    pub(super) fn meaning(self) -> Option<&'static str> {
        match self {
            ConnectFault::UnknownAuthority => None,
            ConnectFault::OtherHost => Some("the certificate is for another host"),
            ConnectFault::NotTls => Some("it does not speak TLS: is its URL http?"),
            ConnectFault::NotPlainHttp => Some("it does not speak plain HTTP: is its URL https?"),
        }
    }

    #[cfg(feature = "client")]
    fn of(error: &(dyn Error + 'static)) -> Option<ConnectFault> {
        use rustls::{CertificateError, InvalidMessage};
        use tokio_tungstenite::tungstenite;

        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return match error {
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    Some(ConnectFault::UnknownAuthority)
                }
                rustls::Error::InvalidCertificate(CertificateError::NotValidForName) => {
                    Some(ConnectFault::OtherHost)
                }
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                    Some(ConnectFault::NotTls)
                }
                _ => None,
            };
        }
        let is_no_http = match error.downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Protocol(error)) => {
                matches!(error, tungstenite::error::ProtocolError::HttparseError(_))
            }
            Some(error) => matches!(error, tungstenite::Error::HttpFormat(_)),
            None => error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse),
        };
        is_no_http.then_some(ConnectFault::NotPlainHttp)
    }

    #[cfg(not(feature = "client"))]
    fn of(_: &(dyn Error + 'static)) -> Option<ConnectFault> {
        None
    }
}

impl PeerError {
    /// What kept a connection from being made, where it is something that a person can mend.
    pub fn connect_fault(&self) -> Option<ConnectFault> {
        fault_in(self)
    }
}

/// The first fault in an error and its causes.
fn fault_in(error: &(dyn Error + 'static)) -> Option<ConnectFault> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = ConnectFault::of(error) {
            return Some(fault);
        }
        next = cause(error);
    }
    None
}

/// The text of the innermost cause.
#[cfg(feature = "client")]
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = cause(innermost) {
        innermost = source;
    }
    innermost.to_string()
}

/// What a library said, and what its error means for a person.
#[cfg(feature = "client")]
pub(super) fn explained(said: String, error: &(dyn Error + 'static)) -> String {
    match fault_in(error).and_then(ConnectFault::meaning) {
        Some(meaning) => format!("{said} ({meaning})"),
        None => said,
    }
}

/// What caused an error. An I/O error that wraps another one gives out that one's cause as its own.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
