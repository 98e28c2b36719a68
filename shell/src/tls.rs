//! TLS listeners: a certificate chain and its key, from PEM files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a listener has no TLS.
#[derive(Debug)]
pub enum TlsError {
    Unreadable(PathBuf, std::io::Error),
    /// The file has no section of the kind that was sought.
    Missing(PathBuf, &'static str),
    Malformed(PathBuf, String),
    /// The certificate and the key do not go together, or their kind is not supported.
    Unusable(PathBuf, rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Unreadable(path, error) => write!(f, "{}: cannot be read: {error}", path.display()),
            TlsError::Missing(path, what) => write!(f, "{}: has no {what} in PEM", path.display()),
            TlsError::Malformed(path, why) => write!(f, "{}: is not well-formed PEM: {why}", path.display()),
            TlsError::Unusable(path, error) => write!(f, "{}: cannot be used: {error}", path.display()),
        }
    }
}

/// Reads the files and makes what a listener needs. It offers HTTP/2 and HTTP/1.1.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem_error(certificate, "certificate", &error))?;
    if chain.is_empty() {
        return Err(TlsError::Missing(certificate.to_path_buf(), "certificate"));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| pem_error(key, "private key", &error))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let unusable = |error| TlsError::Unusable(key.to_path_buf(), error);
    let mut config = builder
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Unreadable(path.to_path_buf(), error))
}

fn pem_error(path: &Path, what: &'static str, error: &pem::Error) -> TlsError {
    match error {
        pem::Error::NoItemsFound => TlsError::Missing(path.to_path_buf(), what),
        error => TlsError::Malformed(path.to_path_buf(), error.to_string()),
    }
}
