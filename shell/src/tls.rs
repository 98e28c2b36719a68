//! Certificates and keys from PEM files, and what TLS listeners make of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::exit::{self, Failure};

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

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Failure {
        let code = match error {
            TlsError::Unreadable(..) => exit::NO_INPUT,
            TlsError::Missing(..) | TlsError::Malformed(..) | TlsError::Unusable(..) => exit::DATA,
        };
        Failure::new(code, error)
    }
}

/// Reads the files and makes what a listener needs. It offers HTTP/2 and HTTP/1.1.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
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

/// The certificates of a PEM file, at least one.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem_error(file, "certificate", &error))?;
    if certificates.is_empty() {
        return Err(TlsError::Missing(file.to_path_buf(), "certificate"));
    }
    Ok(certificates)
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
