//! TLS: the certificate, read anew when its files change, and the handshake.
//!
//! Versions, ciphers and session tickets are rustls' own safe defaults (TLS 1.2 and 1.3).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::session::Stream;
use crate::telemetry::Metrics;

/// What is spoken below the TLS, told to clients that ask (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    Http,
    /// One of the dialects, without HTTP.
    Raw,
}

/// Why a certificate cannot be used; the text names the setting.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {path}: {reason}")]
pub struct CertificateError {
    setting: &'static str,
    path: String,
    reason: String,
}

/// A server's certificate and private key, from two PEM files.
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
    metrics: Arc<Metrics>,
}

struct Current {
    http: Arc<ServerConfig>,
    raw: Arc<ServerConfig>,
    /// What the files looked like when they were read.
    stamp: Stamp,
}

/// Time of the last change and length of both files; `None` for one that cannot be looked at.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// # Errors
    /// When a file cannot be read, or the two do not belong together.
    pub async fn read(chain: &Path, key: &Path, metrics: Arc<Metrics>) -> Result<Self, CertificateError> {
        let current = current(chain, key).await?;
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), current: Mutex::new(current), metrics })
    }

    /// Goes through the handshake with a client; `None` when that does not end well within `limit`.
    pub async fn handshake(&self, stream: TcpStream, inside: Inside, limit: Duration) -> Option<Stream> {
        let config = {
            let current = self.current.lock();
            if inside == Inside::Http { current.http.clone() } else { current.raw.clone() }
        };
        match tokio::time::timeout(limit, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => Some(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                self.metrics.tls_failures_total.inc();
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                self.metrics.tls_failures_total.inc();
                tracing::debug!("a TLS handshake was not finished in time");
                None
            }
        }
    }

    /// Looks at the files every now and then until `stop`, and reads them again when they have changed. What cannot be used
    /// is not: the former certificate stays.
    pub async fn follow(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            self.look().await;
        }
    }

    async fn look(&self) {
        if stamp(&self.chain, &self.key).await == self.current.lock().stamp {
            return;
        }
        match current(&self.chain, &self.key).await {
            Ok(renewed) => {
                tracing::info!(certificate = %self.chain.display(), "the certificate was renewed");
                *self.current.lock() = renewed;
                self.metrics.tls_renewals_total.with_label_values(&["renewed"]).inc();
            }
            Err(error) => {
                tracing::warn!(%error, "the changed certificate cannot be used, the former one stays");
                self.metrics.tls_renewals_total.with_label_values(&["failed"]).inc();
            }
        }
    }
}

async fn stamp(chain: &Path, key: &Path) -> Stamp {
    let look = async |path: &Path| {
        let metadata = tokio::fs::metadata(path).await.ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [look(chain).await, look(key).await]
}

async fn current(chain: &Path, key: &Path) -> Result<Current, CertificateError> {
    let wrong = |setting, path: &Path, reason: &dyn std::fmt::Display| CertificateError {
        setting,
        path: path.display().to_string(),
        reason: reason.to_string(),
    };
    // Before the files are read: what changes meanwhile is seen at the next look.
    let stamp = stamp(chain, key).await;
    let chain_pem = tokio::fs::read(chain).await.map_err(|error| wrong("tls.certificate", chain, &error))?;
    let key_pem = tokio::fs::read(key).await.map_err(|error| wrong("tls.key", key, &error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain_pem).collect();
    let certificates = certificates.map_err(|error| wrong("tls.certificate", chain, &error))?;
    if certificates.is_empty() {
        return Err(wrong("tls.certificate", chain, &"there is no certificate in it"));
    }
    let private_key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| wrong("tls.key", key, &error))?;
    let raw = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private_key))
        .map_err(|error| wrong("tls.certificate", chain, &error))?;
    let mut http = raw.clone();
    http.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Current { http: Arc::new(http), raw: Arc::new(raw), stamp })
}
