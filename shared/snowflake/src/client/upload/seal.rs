//! Client-side encryption of a staged file: a key and an initialisation vector of its own,
//! AES in CBC with PKCS#7 padding, the key wrapped by the stage's master key (AES in ECB, padded).
//!
//! The master key's length decides that of the file's key: 128 or 256 bits.

use aes::cipher::inout::InOutBuf;
use aes::cipher::{BlockEncrypt, BlockEncryptMut, KeyInit, KeyIvInit};
use aes::{Aes128, Aes256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::super::credential::Secret;
use super::protocol;
use crate::SnowflakeError;

const BLOCK_BYTES: usize = 16;

/// What the server gives to seal a file with.
#[derive(Clone, Deserialize)]
#[serde(from = "WireMaterial")]
pub(super) struct Material {
    master_key: Secret,
    query_id: String,
    smk_id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMaterial {
    query_stage_master_key: String,
    query_id: String,
    smk_id: i64,
}

impl From<WireMaterial> for Material {
    fn from(wire: WireMaterial) -> Self {
        let WireMaterial { query_stage_master_key, query_id, smk_id } = wire;
        Self { master_key: Secret::new(query_stage_master_key), query_id, smk_id }
    }
}

/// What the reader of a sealed file must know; kept beside it in the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    /// The wrapped key, base64.
    pub(super) key: String,
    /// The initialisation vector, base64.
    pub(super) iv: String,
    /// Which master key wrapped it, as JSON text.
    pub(super) matdesc: String,
}

enum Cipher {
    Bits128(Box<cbc::Encryptor<Aes128>>),
    Bits256(Box<cbc::Encryptor<Aes256>>),
}

/// Encrypts one file, piece by piece.
pub(super) struct Sealer {
    cipher: Cipher,
    /// Less than a block that waits for more.
    rest: Vec<u8>,
    description: Description,
}

impl Sealer {
    /// Takes a new key and a new initialisation vector.
    pub(super) fn new(material: &Material) -> Result<Self, SnowflakeError> {
        let iv: [u8; BLOCK_BYTES] = rand::random();
        let master = Zeroizing::new(
            STANDARD
                .decode(material.master_key.expose())
                .map_err(|_| protocol("the stage's key is no base64"))?,
        );
        match master.len() {
            16 => Self::with(material, &master, &rand::random::<[u8; 16]>(), iv),
            32 => Self::with(material, &master, &rand::random::<[u8; 32]>(), iv),
            _ => Err(protocol("the stage's key has neither 128 nor 256 bits")),
        }
    }

    fn with(
        material: &Material,
        master: &[u8],
        key: &[u8],
        iv: [u8; BLOCK_BYTES],
    ) -> Result<Self, SnowflakeError> {
        let unusable = |_| protocol("the stage's key has an odd length");
        let mut wrapped = padded(key);
        let cipher = if master.len() == 16 {
            wrap(&Aes128::new_from_slice(master).map_err(unusable)?, &mut wrapped);
            let cipher = cbc::Encryptor::new_from_slices(key, &iv).map_err(unusable)?;
            Cipher::Bits128(Box::new(cipher))
        } else {
            wrap(&Aes256::new_from_slice(master).map_err(unusable)?, &mut wrapped);
            let cipher = cbc::Encryptor::new_from_slices(key, &iv).map_err(unusable)?;
            Cipher::Bits256(Box::new(cipher))
        };
        let matdesc = json!({
            "smkId": material.smk_id.to_string(),
            "queryId": material.query_id,
            "keySize": (master.len() * 8).to_string(),
        });
        let description = Description {
            key: STANDARD.encode(wrapped),
            iv: STANDARD.encode(iv),
            matdesc: matdesc.to_string(),
        };
        Ok(Self { cipher, rest: Vec::new(), description })
    }

    pub(super) fn description(&self) -> &Description {
        &self.description
    }

    /// Encrypts what is whole blocks together with what waited before.
    pub(super) fn seal(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.rest);
        text.reserve(piece.len());
        text.extend_from_slice(piece);
        let whole = text.len() - text.len() % BLOCK_BYTES;
        self.rest = text.split_off(whole);
        self.blocks(&mut text);
        text
    }

    /// Encrypts the last block, which always carries padding.
    pub(super) fn last(mut self) -> Vec<u8> {
        let mut text = padded(&self.rest);
        self.blocks(&mut text);
        text
    }

    fn blocks(&mut self, text: &mut [u8]) {
        let (blocks, _) = InOutBuf::from(text).into_chunks();
        match &mut self.cipher {
            Cipher::Bits128(cipher) => cipher.encrypt_blocks_inout_mut(blocks),
            Cipher::Bits256(cipher) => cipher.encrypt_blocks_inout_mut(blocks),
        }
    }
}

/// Returns how many bytes a sealed file has.
pub(super) fn sealed_length(bytes: u64) -> u64 {
    (bytes / BLOCK_BYTES as u64 + 1) * BLOCK_BYTES as u64
}

/// PKCS#7: up to the next block, each added byte says how many there are.
fn padded(text: &[u8]) -> Vec<u8> {
    let length = (text.len() / BLOCK_BYTES + 1) * BLOCK_BYTES;
    let fill = u8::try_from(length - text.len()).unwrap_or(0);
    let mut out = text.to_vec();
    out.resize(length, fill);
    out
}

fn wrap(cipher: &impl BlockEncrypt, text: &mut [u8]) {
    let (blocks, _) = InOutBuf::from(text).into_chunks();
    cipher.encrypt_blocks_inout(blocks);
}

#[cfg(test)]
mod tests {
    use aes::cipher::block_padding::Pkcs7;
    use aes::cipher::{BlockDecrypt, BlockDecryptMut};

    use super::*;

    fn material(key: &[u8]) -> Material {
        let key = STANDARD.encode(key);
        serde_json::from_value(json!({"queryStageMasterKey": key, "queryId": "q", "smkId": 123}))
            .unwrap()
    }

    /// Opens a sealed file by other calls than it was sealed with: whole texts, padding checked.
    fn open(master: &[u8], description: &Description, sealed: &[u8]) -> Vec<u8> {
        let iv = STANDARD.decode(&description.iv).unwrap();
        let mut key = STANDARD.decode(&description.key).unwrap();
        let (blocks, _) = InOutBuf::from(key.as_mut_slice()).into_chunks();
        if master.len() == 16 {
            Aes128::new_from_slice(master).unwrap().decrypt_blocks_inout(blocks);
        } else {
            Aes256::new_from_slice(master).unwrap().decrypt_blocks_inout(blocks);
        }
        let fill = key.split_off(master.len());
        assert_eq!(fill, [16; 16]);
        if master.len() == 16 {
            let opener = cbc::Decryptor::<Aes128>::new_from_slices(&key, &iv).unwrap();
            return opener.decrypt_padded_mut::<Pkcs7>(&mut sealed.to_vec()).unwrap().to_vec();
        }
        let opener = cbc::Decryptor::<Aes256>::new_from_slices(&key, &iv).unwrap();
        opener.decrypt_padded_mut::<Pkcs7>(&mut sealed.to_vec()).unwrap().to_vec()
    }

    #[test]
    fn sealed_files_open_with_the_stages_key_however_they_were_cut() {
        for master in [vec![7_u8; 16], vec![9_u8; 32]] {
            for (length, cut) in
                [(0, 1), (1, 1), (15, 4), (16, 16), (17, 5), (1000, 7), (4096, 1024)]
            {
                let text: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
                let mut sealer = Sealer::new(&material(&master)).unwrap();
                let description = sealer.description().clone();
                let mut sealed: Vec<u8> =
                    text.chunks(cut).flat_map(|piece| sealer.seal(piece)).collect();
                sealed.extend(sealer.last());
                assert_eq!(u64::try_from(sealed.len()).unwrap(), sealed_length(length));
                assert_eq!(open(&master, &description, &sealed), text);
            }
        }
    }

    /// Computed by `openssl enc -aes-128-ecb` and `-aes-128-cbc` with the same keys.
    #[test]
    fn a_sealed_file_is_what_openssl_makes_of_it() {
        let key: Vec<u8> = (0..16).collect();
        let master: Vec<u8> = (16..32).collect();
        let mut sealer = Sealer::with(&material(&master), &master, &key, [0x42; 16]).unwrap();
        assert_eq!(sealer.description().key, WRAPPED);
        assert_eq!(sealer.description().iv, STANDARD.encode([0x42; 16]));
        assert_eq!(
            sealer.description().matdesc,
            r#"{"keySize":"128","queryId":"q","smkId":"123"}"#
        );
        let mut sealed = sealer.seal(b"hello, stage of twenty-six");
        sealed.extend(sealer.last());
        assert_eq!(STANDARD.encode(sealed), SEALED);
    }

    const WRAPPED: &str = "nFTVcXAs+g8D82IVZ2ureM1N+Y9qS0VXYKUjr6Boffw=";
    const SEALED: &str = "TesKj5QOb2OG6GuBa1++D7Owi5AhMTF7YqktbgO20uk=";

    #[test]
    fn two_files_never_share_a_key() {
        let one = Sealer::new(&material(&[1; 16])).unwrap();
        let two = Sealer::new(&material(&[1; 16])).unwrap();
        assert_ne!(one.description(), two.description());
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for length in [0, 15, 24, 33] {
            assert!(Sealer::new(&material(&vec![1; length])).is_err(), "{length}");
        }
    }
}
