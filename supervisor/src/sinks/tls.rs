//! Whom an encrypted sink trusts: the system's authorities, those of a file, or anybody.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::SinkError;
use crate::config::SinkConfig;

/// Files in which systems keep the authorities they trust.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Makes encrypted connections of plain ones.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    ca_file: Option<PathBuf>,
    insecure: bool,
}

impl Trust {
    pub(super) fn of(config: &SinkConfig) -> Self {
        Self {
            ca_file: config.ca_file.clone(),
            insecure: config.tls_insecure,
        }
    }

    /// Shakes hands as a client that expects `host`.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, SinkError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| SinkError::Retry("tls: the host has no valid name".to_owned()))?;
        let trust = self.clone();
        // Reading the system's certificates takes milliseconds.
        let config = tokio::task::spawn_blocking(move || trust.config()).await;
        let config = config.map_err(|error| SinkError::Retry(error.to_string()))??;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(connector.connect(name, stream).await?)
    }

    fn config(&self) -> Result<ClientConfig, SinkError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| SinkError::Retry(format!("tls: {error}")))?;
        if self.insecure {
            let anybody = Arc::new(Anybody(provider));
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(anybody)
                .with_no_client_auth());
        }
        Ok(builder
            .with_root_certificates(self.roots()?)
            .with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore, SinkError> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.ca_file {
            roots.add_parsable_certificates(read(file)?);
            if roots.is_empty() {
                let text = format!("ca_file: no certificate in {}", file.display());
                return Err(SinkError::Retry(text));
            }
            return Ok(roots);
        }
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let files = named.into_iter().chain(SYSTEM.map(PathBuf::from));
        if let Some(file) = files.into_iter().find(|file| file.exists()) {
            roots.add_parsable_certificates(read(&file)?);
        }
        if roots.is_empty() {
            return Err(SinkError::Retry(
                "tls: this system has no CA certificates; install ca-certificates or set ca_file"
                    .to_owned(),
            ));
        }
        Ok(roots)
    }
}

/// The certificates of a PEM file.
fn read(file: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, SinkError> {
    let text = std::fs::read(file)
        .map_err(|error| SinkError::Retry(format!("{}: {error}", file.display())))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    certificates.map_err(|_| SinkError::Retry(format!("{} is not a PEM file", file.display())))
}

/// Believes every certificate: `tls_insecure`. Signatures are checked all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
