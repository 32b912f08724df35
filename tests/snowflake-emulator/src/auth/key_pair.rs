//! RSA keys: making a pair, its fingerprint, and the private key as a file.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs8::{DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha2::{Digest as _, Sha256};

/// The smallest key that Snowflake takes.
const KEY_BITS: usize = 2048;

/// Why a key could not be made, read or stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The text is no RSA public key.
    #[error("read an RSA public key")]
    Public(#[source] rsa::pkcs8::spki::Error),
    /// The key is too short.
    #[error("an RSA key needs at least {KEY_BITS} bits")]
    Short,
    /// No pair could be generated.
    #[error("generate an RSA key pair")]
    Generate(#[source] rsa::Error),
    /// The private key could not be written as PKCS#8.
    #[error("encode the private key")]
    Private(#[source] rsa::pkcs8::Error),
    /// The file could not be written.
    #[error("write the private key file")]
    File(#[source] std::io::Error),
}

/// The public half of a user's key.
#[derive(Clone)]
pub(crate) struct PublicKey {
    key: RsaPublicKey,
    fingerprint: String,
}

impl PublicKey {
    /// Reads what `RSA_PUBLIC_KEY` takes: a PEM, or its body without the header lines.
    ///
    /// # Errors
    /// [`KeyError::Public`] or [`KeyError::Short`].
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let body: String = text
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .flat_map(str::chars)
            .filter(|character| !character.is_whitespace())
            .collect();
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", fold(&body));
        Self::new(RsaPublicKey::from_public_key_pem(&pem).map_err(KeyError::Public)?)
    }

    fn new(key: RsaPublicKey) -> Result<Self, KeyError> {
        if key.size() * 8 < KEY_BITS {
            return Err(KeyError::Short);
        }
        let der = key.to_public_key_der().map_err(KeyError::Public)?;
        let digest = Sha256::digest(der.as_bytes());
        Ok(Self { key, fingerprint: format!("SHA256:{}", STANDARD.encode(digest)) })
    }

    /// Returns `SHA256:` and the digest of the DER SubjectPublicKeyInfo, as `DESCRIBE USER` does.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the modulus, big-endian.
    pub(super) fn modulus(&self) -> Vec<u8> {
        self.key.n().to_bytes_be()
    }

    /// Returns the public exponent, big-endian.
    pub(super) fn exponent(&self) -> Vec<u8> {
        self.key.e().to_bytes_be()
    }
}

/// Breaks base64 text into the lines of a PEM.
fn fold(body: &str) -> String {
    let mut folded = String::with_capacity(body.len() + body.len() / 64);
    for (index, character) in body.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            folded.push('\n');
        }
        folded.push(character);
    }
    folded
}

/// A fresh key pair.
pub(crate) struct KeyPair {
    pub(super) private: RsaPrivateKey,
    public: PublicKey,
}

impl KeyPair {
    /// Makes a pair of 2,048 bits. Takes a noticeable part of a second of CPU.
    ///
    /// # Errors
    /// [`KeyError::Generate`].
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let private =
            RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_BITS).map_err(KeyError::Generate)?;
        let public = PublicKey::new(private.to_public_key())?;
        Ok(Self { private, public })
    }

    /// Returns the public half.
    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Writes the private key as PKCS#8 PEM that only this user may read.
    ///
    /// # Errors
    /// [`KeyError::Private`] or [`KeyError::File`]; a file that exists is not replaced.
    pub(crate) fn write_private(&self, path: &Path) -> Result<(), KeyError> {
        let pem = self.private.to_pkcs8_pem(LineEnding::LF).map_err(KeyError::Private)?;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(KeyError::File)?;
        file.write_all(pem.as_bytes()).map_err(KeyError::File)
    }
}
