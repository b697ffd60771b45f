//! A certificate for `localhost` with an authority of its own, made afresh for each server.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The PEM files that a TLS server needs, and the one that its clients must trust.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The authority: what a client trusts.
    pub authority: PathBuf,
    /// The server's certificate, for `localhost` and `127.0.0.1`.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
}

impl Certificate {
    /// Writes the three files into `folder`.
    pub fn write_into(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names to be wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().expect("a key pair");
        let authority = params
            .self_signed(&authority_key)
            .expect("an authority signs itself");
        let issuer = Issuer::new(params, authority_key);

        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().expect("a key pair");
        let params = CertificateParams::new(names).expect("two valid names");
        let certificate = params
            .signed_by(&key, &issuer)
            .expect("the authority signs");

        Self {
            authority: write(folder, "ca.pem", &authority.pem()),
            certificate: write(folder, "server.pem", &certificate.pem()),
            key: write(folder, "server.key", &key.serialize_pem()),
        }
    }
}

fn write(folder: &Path, name: &str, pem: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, pem).expect("the temporary folder is writable");
    path
}
