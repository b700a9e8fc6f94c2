//! How long the certificate of a server or of a file is valid.
//!
//! A handshake is begun and not finished: nothing is asked or sent over the connection, and
//! nobody is trusted by what is read here. Of X.509 only the two dates are read.

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brain::CertificateLook;
use jiff::Timestamp;
use jiff::civil::DateTime;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

/// The certificate that a server shows.
pub(super) fn of_server(host: &str, port: u16, limit: Duration) -> Option<CertificateLook> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let seen = Arc::new(Seen {
        provider: Arc::clone(&provider),
        first: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let address = (host, port).to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.set_write_timeout(Some(limit)).ok()?;
    while connection.is_handshaking() && seen.taken().is_none() {
        match connection.complete_io(&mut stream) {
            Ok((0, 0)) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let der = seen.taken()?;
    look(format!("{host}:{port}"), &der)
}

/// The first certificate of a PEM file.
pub(super) fn of_file(shown: &str, path: &Path) -> Option<CertificateLook> {
    let der = CertificateDer::from_pem_file(path).ok()?;
    look(shown.to_owned(), &der)
}

fn look(of: String, der: &[u8]) -> Option<CertificateLook> {
    let (not_before, not_after) = validity(der)?;
    Some(CertificateLook {
        of,
        not_before,
        not_after,
    })
}

/// The two dates of a certificate.
fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xA0;
    let (_, certificate, _) = element(der)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (tag, dates, _) = element(rest)?;
    if tag != SEQUENCE {
        return None;
    }
    let (kind, from, rest) = element(dates)?;
    let (other, to, _) = element(rest)?;
    Some((time(kind, from)?, time(other, to)?))
}

/// Tag, content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(*first & 0x7F))?;
        let length = bytes.iter().try_fold(0_usize, |sum, byte| {
            sum.checked_mul(256)?.checked_add(usize::from(*byte))
        })?;
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED: u8 = 0x18;
    let text = std::str::from_utf8(text).ok()?;
    let whole = match tag {
        UTC_TIME => {
            // Two digits mean 1950 to 2049.
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 {
                "20"
            } else {
                "19"
            };
            format!("{century}{text}")
        }
        GENERALIZED => text.to_owned(),
        _ => return None,
    };
    let date: DateTime = DateTime::strptime("%Y%m%d%H%M%SZ", &whole).ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Keeps the certificate that is shown, and believes it: nothing follows from it.
#[derive(Debug)]
struct Seen {
    provider: Arc<CryptoProvider>,
    first: Mutex<Option<Vec<u8>>>,
}

impl Seen {
    fn taken(&self) -> Option<Vec<u8>> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.clone()
    }
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| end_entity.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_both_forms() {
        let at = |tag, text: &str| time(tag, text.as_bytes()).map(|time| time.to_string());
        assert_eq!(
            at(0x17, "210101000000Z").as_deref(),
            Some("2021-01-01T00:00:00Z")
        );
        assert_eq!(
            at(0x17, "991231235959Z").as_deref(),
            Some("1999-12-31T23:59:59Z")
        );
        assert_eq!(
            at(0x18, "20500101000000Z").as_deref(),
            Some("2050-01-01T00:00:00Z")
        );
        assert_eq!(at(0x17, "yesterday"), None);
    }

    /// The first bytes of a certificate as `openssl` writes it: version, serial number,
    /// algorithm, an empty issuer, and the two dates.
    #[test]
    fn a_certificate_tells_how_long_it_is_valid() {
        let dates = [
            &[0x17, 13][..],
            b"200101000000Z",
            &[0x17, 13],
            b"210101000000Z",
        ]
        .concat();
        let mut tbs = vec![
            0xA0,
            3,
            2,
            1,
            2,
            0x02,
            1,
            7,
            0x30,
            0,
            0x30,
            0,
            0x30,
            dates.len() as u8,
        ];
        tbs.extend(dates);
        let inner = [&[0x30, tbs.len() as u8][..], &tbs].concat();
        let der = [&[0x30, 0x81, inner.len() as u8][..], &inner].concat();
        let (from, to) = validity(&der).unwrap();
        assert_eq!(from.to_string(), "2020-01-01T00:00:00Z");
        assert_eq!(to.to_string(), "2021-01-01T00:00:00Z");
        for cut in 0..der.len() {
            assert_eq!(validity(&der[..cut]), None);
        }
    }

    #[test]
    fn a_server_that_speaks_no_tls_shows_none() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(of_server("127.0.0.1", port, Duration::from_millis(50)).is_none());
    }
}
