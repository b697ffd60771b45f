//! `rediss://`: rustls with ring.

use redis::{Client, ConnectionInfo, TlsCertificates};

use crate::error::ConfigError;

/// A client that checks the server's certificate against the given authority, else against those of the system.
pub(super) fn client(
    info: ConnectionInfo,
    root_ca: Option<Vec<u8>>,
) -> Result<Client, ConfigError> {
    // rustls panics where the process has chosen no provider and several are compiled in. One that the application has
    // chosen stays.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let Some(pem) = root_ca else {
        return Client::open(info).map_err(|error| {
            ConfigError::new("TLS of the Redis connection", error.category().to_owned())
        });
    };
    if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(ConfigError::new(
            "root CA of the Redis connection",
            "holds no certificate in PEM form",
        ));
    }
    Client::build_with_tls(
        info,
        TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        },
    )
    .map_err(|_| {
        ConfigError::new(
            "root CA of the Redis connection",
            "is not a certificate in PEM form",
        )
    })
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
