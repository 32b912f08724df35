//! Client-side encryption of staged files: each has its own key, wrapped by the stage's.
//!
//! The content is AES-CBC with PKCS#7 padding; the file's key travels as base64 of AES-ECB under
//! the master key. Both have the master key's length, 128 or 256 bits.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{
    BlockDecrypt, BlockDecryptMut, BlockEncrypt, BlockEncryptMut, KeyInit, KeyIvInit,
};
use aes::{Aes128, Aes256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore as _;
use serde_json::{Value, json};

const BLOCK_BYTES: usize = 16;

/// The key that wraps the keys of a stage's files, or the key of one file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum MasterKey {
    Bits128([u8; 16]),
    Bits256([u8; 32]),
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MasterKey").finish_non_exhaustive()
    }
}

/// What the server tells a client that is to encrypt or decrypt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Material {
    /// Base64 of the master key.
    pub master_key: String,
    /// The statement that asked.
    pub query_id: String,
    /// Which master key it is.
    pub smk_id: u64,
}

/// What a client stores beside an encrypted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileKey {
    /// Base64 of the file's wrapped key.
    pub wrapped: String,
    /// Base64 of the initialisation vector.
    pub iv: String,
    /// The description of the master key, as JSON text.
    pub matdesc: String,
}

impl MasterKey {
    /// A random key of 128 bits.
    pub(crate) fn short() -> Self {
        let mut key = [0; 16];
        rand::rng().fill_bytes(&mut key);
        Self::Bits128(key)
    }

    /// A random key of 256 bits.
    pub(crate) fn long() -> Self {
        let mut key = [0; 32];
        rand::rng().fill_bytes(&mut key);
        Self::Bits256(key)
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let short = bytes.try_into().ok().map(Self::Bits128);
        short.or_else(|| bytes.try_into().ok().map(Self::Bits256))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bits128(key) => key,
            Self::Bits256(key) => key,
        }
    }

    /// Base64.
    pub(crate) fn to_base64(&self) -> String {
        STANDARD.encode(self.bytes())
    }

    /// Encrypts content, for files that the server itself writes.
    pub(crate) fn encrypt(&self, plain: &[u8], smk_id: u64, query_id: &str) -> (Vec<u8>, FileKey) {
        let mut iv = [0; BLOCK_BYTES];
        rand::rng().fill_bytes(&mut iv);
        let key = match self {
            Self::Bits128(_) => Self::short(),
            Self::Bits256(_) => Self::long(),
        };
        let body = match &key {
            Self::Bits128(key) => cbc::Encryptor::<Aes128>::new(key.into(), &iv.into())
                .encrypt_padded_vec_mut::<Pkcs7>(plain),
            Self::Bits256(key) => cbc::Encryptor::<Aes256>::new(key.into(), &iv.into())
                .encrypt_padded_vec_mut::<Pkcs7>(plain),
        };
        let matdesc = json!({
            "smkId": smk_id.to_string(),
            "queryId": query_id,
            "keySize": (key.bytes().len() * 8).to_string(),
        });
        let file_key = FileKey {
            wrapped: STANDARD.encode(self.wrap(key.bytes())),
            iv: STANDARD.encode(iv),
            matdesc: matdesc.to_string(),
        };
        (body, file_key)
    }

    /// Decrypts content; `None` when key and content do not belong together.
    pub(crate) fn decrypt(&self, body: &[u8], file_key: &FileKey) -> Option<Vec<u8>> {
        let key = self.unwrap_key(&STANDARD.decode(&file_key.wrapped).ok()?)?;
        let iv: [u8; BLOCK_BYTES] = STANDARD.decode(&file_key.iv).ok()?.try_into().ok()?;
        let plain = match key {
            Self::Bits128(key) => cbc::Decryptor::<Aes128>::new(&key.into(), &iv.into())
                .decrypt_padded_vec_mut::<Pkcs7>(body),
            Self::Bits256(key) => cbc::Decryptor::<Aes256>::new(&key.into(), &iv.into())
                .decrypt_padded_vec_mut::<Pkcs7>(body),
        };
        plain.ok()
    }

    /// AES-ECB with padding, block by block.
    fn wrap(&self, key: &[u8]) -> Vec<u8> {
        let padding = BLOCK_BYTES - key.len() % BLOCK_BYTES;
        let mut blocks = key.to_vec();
        blocks.resize(key.len() + padding, u8::try_from(padding).unwrap_or(0));
        self.each_block(&mut blocks, |block, short, long| match (short, long) {
            (Some(cipher), _) => cipher.encrypt_block(block.into()),
            (None, Some(cipher)) => cipher.encrypt_block(block.into()),
            (None, None) => {}
        });
        blocks
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Option<Self> {
        let mut plain = wrapped.to_vec();
        self.each_block(&mut plain, |block, short, long| match (short, long) {
            (Some(cipher), _) => cipher.decrypt_block(block.into()),
            (None, Some(cipher)) => cipher.decrypt_block(block.into()),
            (None, None) => {}
        });
        let padding = usize::from(*plain.last()?);
        let length = plain.len().checked_sub(padding)?;
        let ours = (1..=BLOCK_BYTES).contains(&padding)
            && wrapped.len().is_multiple_of(BLOCK_BYTES)
            && plain.iter().skip(length).all(|byte| usize::from(*byte) == padding);
        plain.truncate(length);
        Self::of(&plain).filter(|_| ours)
    }

    fn each_block(
        &self,
        bytes: &mut [u8],
        work: impl Fn(&mut [u8; BLOCK_BYTES], Option<&Aes128>, Option<&Aes256>),
    ) {
        let (short, long) = match self {
            Self::Bits128(key) => (Some(Aes128::new(key.into())), None),
            Self::Bits256(key) => (None, Some(Aes256::new(key.into()))),
        };
        for block in bytes.as_chunks_mut::<BLOCK_BYTES>().0 {
            work(block, short.as_ref(), long.as_ref());
        }
    }
}

impl Material {
    /// The JSON that a driver reads.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "queryStageMasterKey": self.master_key,
            "queryId": self.query_id,
            "smkId": self.smk_id,
        })
    }
}

impl FileKey {
    /// Reads what GCS and Azure clients store: `encryptiondata` and `matdesc`.
    pub(crate) fn from_blob_metadata(encryption_data: &str, matdesc: Option<&str>) -> Option<Self> {
        let data: Value = serde_json::from_str(encryption_data).ok()?;
        Some(Self {
            wrapped: data.pointer("/WrappedContentKey/EncryptedKey")?.as_str()?.to_owned(),
            iv: data.get("ContentEncryptionIV")?.as_str()?.to_owned(),
            matdesc: matdesc.unwrap_or_default().to_owned(),
        })
    }

    /// The text that GCS and Azure clients expect as `encryptiondata`.
    pub(crate) fn to_blob_metadata(&self) -> String {
        json!({
            "EncryptionMode": "FullBlob",
            "WrappedContentKey":
                {"KeyId": "symmKey1", "EncryptedKey": self.wrapped, "Algorithm": "AES_CBC_256"},
            "EncryptionAgent": {"Protocol": "1.0", "EncryptionAlgorithm": "AES_CBC_256"},
            "ContentEncryptionIV": self.iv,
            "KeyWrappingMetadata": {"EncryptionLibrary": "Java 5.3.0"},
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_comes_back_with_either_key_size() {
        for master in [MasterKey::short(), MasterKey::long()] {
            for plain in [&b""[..], b"a", b"0123456789abcdef", &[7; 1000]] {
                let (body, key) = master.encrypt(plain, 7, "q");
                assert_ne!(body, plain);
                let stored =
                    FileKey::from_blob_metadata(&key.to_blob_metadata(), Some(&key.matdesc));
                assert_eq!(stored.as_ref(), Some(&key));
                assert_eq!(master.decrypt(&body, &key).as_deref(), Some(plain));
            }
        }
    }

    #[test]
    fn another_master_key_or_a_cut_body_does_not_decrypt() {
        let master = MasterKey::short();
        let (body, key) = master.encrypt(&[1; 100], 1, "q");
        let other = MasterKey::short().decrypt(&body, &key);
        assert!(other.is_none_or(|plain| plain != [1; 100]));
        assert_eq!(master.decrypt(&body[..40], &key), None);
    }
}
