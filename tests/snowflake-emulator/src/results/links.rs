//! Links to chunks and staged files: signed, and dead after their time or on demand.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use md5::Md5;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};

/// What a request with a link carries in its query string.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Signature {
    /// Last second, since 1970, in which the link works.
    #[serde(rename = "X-Expires")]
    pub(crate) expires_s: i64,
    /// In which generation of links it was made.
    #[serde(rename = "X-Generation")]
    pub(crate) generation: u64,
    /// Proof of the above.
    #[serde(rename = "X-Signature")]
    pub(crate) signature: String,
}

/// Why a link does not open its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkRefusal {
    /// Not signed by us for this object.
    Forged,
    /// Too old.
    Expired,
}

/// Signs and checks links.
#[derive(Debug)]
pub(crate) struct Links {
    secret: [u8; 64],
    generation: AtomicU64,
    lifetime_s: i64,
}

impl Links {
    /// Makes a signer whose links live `lifetime_s` seconds.
    pub(crate) fn new(lifetime_s: u64) -> Self {
        let mut secret = [0; 64];
        rand::rng().fill_bytes(&mut secret);
        Self {
            secret,
            generation: AtomicU64::new(1),
            lifetime_s: i64::try_from(lifetime_s).unwrap_or(i64::MAX),
        }
    }

    /// Returns the path and query of a link to one chunk, made at `now_s`.
    pub(crate) fn issue(&self, query_id: &str, chunk: usize, now_s: i64) -> String {
        let signature = self.sign(&format!("{query_id}/{chunk}"), now_s);
        format!(
            "/chunks/{query_id}/{chunk}?x-amz-server-side-encryption-customer-algorithm=AES256\
             &response-content-encoding=gzip&{signature}"
        )
    }

    /// Returns the query string that opens `subject`, made at `now_s`.
    pub(crate) fn sign(&self, subject: &str, now_s: i64) -> String {
        let generation = self.generation.load(Ordering::Relaxed);
        let expires_s = now_s.saturating_add(self.lifetime_s);
        let signature = URL_SAFE_NO_PAD
            .encode(self.mac(subject, expires_s, generation).finalize().into_bytes());
        format!("X-Expires={expires_s}&X-Generation={generation}&X-Signature={signature}")
    }

    /// Checks a link at `now_s`.
    ///
    /// # Errors
    /// [`LinkRefusal`].
    pub(crate) fn check(
        &self,
        query_id: &str,
        chunk: usize,
        link: &Signature,
        now_s: i64,
    ) -> Result<(), LinkRefusal> {
        self.verify(&format!("{query_id}/{chunk}"), link, now_s)
    }

    /// Checks at `now_s` that a link opens `subject`.
    ///
    /// # Errors
    /// [`LinkRefusal`].
    pub(crate) fn verify(
        &self,
        subject: &str,
        link: &Signature,
        now_s: i64,
    ) -> Result<(), LinkRefusal> {
        let signature = URL_SAFE_NO_PAD.decode(&link.signature).map_err(|_| LinkRefusal::Forged)?;
        self.mac(subject, link.expires_s, link.generation)
            .verify_slice(&signature)
            .map_err(|_| LinkRefusal::Forged)?;
        let current = self.generation.load(Ordering::Relaxed);
        if now_s > link.expires_s || link.generation < current {
            return Err(LinkRefusal::Expired);
        }
        Ok(())
    }

    /// Makes every link issued so far expire now.
    pub(crate) fn expire_all(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    fn mac(&self, subject: &str, expires_s: i64, generation: u64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.secret.into());
        mac.update(format!("{subject}/{expires_s}/{generation}").as_bytes());
        mac
    }
}

/// Returns base64 of the MD5 of a decoded customer key, as S3 wants it beside the key.
pub(crate) fn customer_key_md5(key_base64: &str) -> String {
    let standard = base64::engine::general_purpose::STANDARD;
    let key = standard.decode(key_base64).unwrap_or_default();
    standard.encode(Md5::digest(key))
}
