//! Whose certificates are believed: what the system trusts, and what the configuration adds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::tls::{self, TlsError};

/// Reads the certificates of `federation.extra_ca`.
pub fn load_extra(files: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut extra = Vec::new();
    for file in files {
        let certificates = tls::certificates(file)?;
        for certificate in &certificates {
            let mut roots = RootCertStore::empty();
            roots.add(certificate.clone()).map_err(|error| TlsError::Unusable(Path::to_path_buf(file), error))?;
        }
        extra.extend(certificates);
    }
    Ok(extra)
}

/// A client's side of TLS, which offers HTTP/2 and HTTP/1.1.
pub fn config(extra: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's trusted certificates cannot be read");
    }
    let (_, unusable) = roots.add_parsable_certificates(system.certs);
    if unusable > 0 {
        tracing::debug!(unusable, "some of the system's trusted certificates make no sense");
    }
    roots.add_parsable_certificates(extra);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
