//! Inflates gzip in one shot; the announced size is a hint, never trusted.

use libdeflater::{DecompressionError, Decompressor};

/// The longest output that is accepted. Chunks of the server's default size inflate to about
/// 100 MB.
const INFLATED_MAX_BYTES: usize = 1 << 30;

/// Returns whether bytes begin as gzip does.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Inflates one gzip member; `hint` is the expected size.
pub(super) fn inflate(bytes: &[u8], hint: usize) -> Result<Vec<u8>, &'static str> {
    let mut size = hint.clamp(4096, INFLATED_MAX_BYTES);
    let mut decompressor = Decompressor::new();
    loop {
        let mut out = vec![0; size];
        match decompressor.gzip_decompress(bytes, &mut out) {
            Ok(written) => {
                out.truncate(written);
                return Ok(out);
            }
            Err(DecompressionError::BadData) => return Err("the gzip data are damaged or cut"),
            Err(DecompressionError::InsufficientSpace) if size >= INFLATED_MAX_BYTES => {
                return Err("the data inflate to more than 1 GiB");
            }
            Err(DecompressionError::InsufficientSpace) => {
                size = size.saturating_mul(2).min(INFLATED_MAX_BYTES);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libdeflater::{CompressionLvl, Compressor};

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::fastest());
        let mut out = vec![0; compressor.gzip_compress_bound(data.len())];
        let length = compressor.gzip_compress(data, &mut out).unwrap();
        out.truncate(length);
        out
    }

    #[test]
    fn a_wrong_announced_size_does_no_harm() {
        let data = vec![7_u8; 100_000];
        for hint in [0, 1, 99_999, 100_000, 5_000_000] {
            assert_eq!(inflate(&gzip(&data), hint).unwrap(), data);
        }
    }

    #[test]
    fn a_cut_body_is_refused_wherever_it_is_cut() {
        let data: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        let whole = gzip(&data);
        for end in (2..whole.len()).step_by(whole.len() / 50 + 1) {
            assert!(inflate(&whole[..end], data.len()).is_err());
        }
    }
}
