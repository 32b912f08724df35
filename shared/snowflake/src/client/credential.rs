//! Secrets and what is proved with them: a key pair that signs short-lived tokens, an access token,
//! an OAuth client, or a password.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::der::pem::PemLabel;
use rsa::pkcs8::{
    DecodePrivateKey, EncodePrivateKey, EncodePublicKey, EncryptedPrivateKeyInfo, LineEnding,
    SecretDocument,
};
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::account::Account;
use super::oauth::OAuthClient;
use crate::SnowflakeError;

/// How long a sign-in token is valid. Snowflake accepts up to an hour; the drivers use a minute.
const TOKEN_LIFE_S: i64 = 60;

/// Snowflake's least key size ("Key-pair authentication").
const KEY_MIN_BITS: usize = 2048;

/// The DER frame around a SHA-256 digest in a PKCS#1 v1.5 signature (RFC 8017, section 9.2).
const SHA256_FRAME: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// A text that is in no log, message or `Debug` output, and is wiped when dropped.
///
/// ```compile_fail
/// let secret = snowferry_snowflake::client::Secret::new("s3cret".to_owned());
/// println!("{secret}");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the secret itself; only for handing it to who needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a connection signs in with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// An RSA key whose public half the user has at Snowflake; perhaps the next one too.
    KeyPair(KeyPair),
    /// A programmatic access token of the user.
    AccessToken(Secret),
    /// A client at the customer's identity provider, trusted by a security integration.
    OAuth(OAuthClient),
    /// A password. Snowflake is ending single-factor passwords.
    Password(Secret),
}

impl Credential {
    /// Returns what the operator should know about this way to sign in, if anything.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        match self {
            Self::Password(_) => Some(
                "sign-in by password alone is ending: Snowflake refuses it account by account \
                 from August to October 2026; make a key with `snowferry keygen`",
            ),
            _ => None,
        }
    }
}

/// An RSA private key, and the one that follows it while a rotation is under way.
#[derive(Clone)]
pub struct KeyPair {
    key: Box<RsaPrivateKey>,
    public_key: String,
    fingerprint: String,
    next: Option<Box<Self>>,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl KeyPair {
    /// Makes a new key of 2048 bits, and returns it with its PEM (PKCS#8, not encrypted).
    ///
    /// # Errors
    /// [`SnowflakeError::Credential`] when this machine gives no random numbers.
    pub fn generate() -> Result<(Self, Secret), SnowflakeError> {
        const NAME: &str = "the new key";
        let refuse = |reason: &str| SnowflakeError::Credential {
            name: NAME.to_owned(),
            reason: reason.to_owned(),
        };
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_MIN_BITS)
            .map_err(|_| refuse("it cannot be made on this machine"))?;
        let pem =
            key.to_pkcs8_pem(LineEnding::LF).map_err(|_| refuse("it cannot be written as PEM"))?;
        let secret = Secret(pem);
        Ok((Self::from_pem(NAME, &secret)?, secret))
    }

    /// Reads an unencrypted private key in PEM, PKCS#8 or PKCS#1. `name` says where it came from.
    ///
    /// # Errors
    /// [`SnowflakeError::Credential`] for an encrypted key, anything that is no RSA private key,
    /// or a key of less than 2048 bits.
    pub fn from_pem(name: &str, pem: &Secret) -> Result<Self, SnowflakeError> {
        let text = pem.expose().trim();
        if text.contains("ENCRYPTED") {
            return Err(refuse(
                name,
                "the private key is encrypted; name its passphrase in the connection file, as \
                 `key_pair: { private_key_file: PATH, passphrase: { file: PATH } }`",
            ));
        }
        if text.contains("PUBLIC KEY") {
            return Err(refuse(name, "it is the public key; the private key is needed"));
        }
        let key = if text.contains("BEGIN RSA PRIVATE KEY") {
            RsaPrivateKey::from_pkcs1_pem(text).ok()
        } else {
            RsaPrivateKey::from_pkcs8_pem(text).ok()
        };
        let key = key.ok_or_else(|| {
            refuse(
                name,
                "it is no RSA private key in PEM (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY)",
            )
        })?;
        Self::of(name, key)
    }

    /// Reads a private key in PKCS#8 PEM that is encrypted with a passphrase (PBES2 with AES or
    /// triple DES, as `openssl pkcs8 -topk8` writes it). An unencrypted key is taken as it is.
    ///
    /// # Errors
    /// [`SnowflakeError::Credential`] for another passphrase, for a key that is encrypted in the
    /// older form of PKCS#1 (with the command that converts it), and as [`KeyPair::from_pem`].
    pub fn from_encrypted_pem(
        name: &str,
        pem: &Secret,
        passphrase: &Secret,
    ) -> Result<Self, SnowflakeError> {
        let text = pem.expose().trim();
        if text.contains("Proc-Type:") {
            return Err(refuse(
                name,
                "it is encrypted in the older form of PKCS#1; convert it with \
                 `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out key.p8`",
            ));
        }
        if !text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Self::from_pem(name, pem);
        }
        let sealed = SecretDocument::from_pem(text)
            .ok()
            .filter(|(label, _)| *label == EncryptedPrivateKeyInfo::PEM_LABEL);
        let (_, sealed) = sealed.ok_or_else(|| refuse(name, "it is no whole PEM"))?;
        let sealed = EncryptedPrivateKeyInfo::try_from(sealed.as_bytes())
            .map_err(|_| refuse(name, "it is encrypted in a way that is not known; use AES-256"))?;
        let opened = sealed.decrypt(passphrase.expose()).map_err(|_| {
            refuse(name, "the passphrase does not open it, or its cipher is not known")
        })?;
        let key = RsaPrivateKey::from_pkcs8_der(opened.as_bytes())
            .map_err(|_| refuse(name, "it holds no RSA private key"))?;
        Self::of(name, key)
    }

    /// Adds the key that follows this one. A sign-in that one of them is refused at tries the
    /// other, so that a rotation at Snowflake breaks no run.
    #[must_use]
    pub fn with_next(mut self, next: Self) -> Self {
        self.next = Some(Box::new(next));
        self
    }

    pub(super) fn next(&self) -> Option<&Self> {
        self.next.as_deref()
    }

    fn of(name: &str, key: RsaPrivateKey) -> Result<Self, SnowflakeError> {
        if key.size() * 8 < KEY_MIN_BITS {
            return Err(refuse(
                name,
                "the key has less than 2048 bits; make one with `snowferry keygen`",
            ));
        }
        let spki = key.to_public_key().to_public_key_der();
        let spki = spki.map_err(|_| refuse(name, "its public key cannot be encoded"))?;
        let fingerprint = format!("SHA256:{}", STANDARD.encode(Sha256::digest(spki.as_bytes())));
        let public_key = STANDARD.encode(spki.as_bytes());
        Ok(Self { key: Box::new(key), public_key, fingerprint, next: None })
    }

    /// Returns the public key as RSA_PUBLIC_KEY takes it: the PEM's body on one line.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Returns the fingerprint as DESCRIBE USER shows it in RSA_PUBLIC_KEY_FP.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Signs a token for one sign-in attempt; `now_s` is in seconds since 1970.
    pub(super) fn token(
        &self,
        account: &Account,
        user: &str,
        now_s: i64,
    ) -> Result<Secret, SnowflakeError> {
        let subject = format!("{}.{}", account.name(), user.to_uppercase());
        let claims = serde_json::json!({
            "iss": format!("{subject}.{}", self.fingerprint),
            "sub": subject,
            "iat": now_s,
            "exp": now_s + TOKEN_LIFE_S,
        });
        let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let scheme = Pkcs1v15Sign { hash_len: Some(32), prefix: SHA256_FRAME.into() };
        let digest = Sha256::digest(signed.as_bytes());
        let signature = self
            .key
            .sign_with_rng(&mut rsa::rand_core::OsRng, scheme, &digest)
            .map_err(|_| SnowflakeError::Credential {
                name: "the private key".to_owned(),
                reason: "it cannot sign".to_owned(),
            })?;
        Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

fn refuse(name: &str, reason: &str) -> SnowflakeError {
    SnowflakeError::Credential { name: name.to_owned(), reason: reason.to_owned() }
}
