//! Inflates gzip in one shot; the announced size is a hint and a limit, never trusted.

use libdeflater::{DecompressionError, Decompressor};

/// The longest output that is accepted whatever was announced: CLIENT_RESULT_CHUNK_SIZE goes to
/// 160 MB.
const INFLATED_MAX_BYTES: usize = 512 << 20;

/// Returns whether bytes begin as gzip does.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Inflates one gzip member; `hint` is the expected size, `limit` the most that is taken.
pub(super) fn inflate(bytes: &[u8], hint: usize, limit: usize) -> Result<Vec<u8>, &'static str> {
    let limit = limit.min(INFLATED_MAX_BYTES);
    let mut size = hint.max(4096).min(limit);
    let mut decompressor = Decompressor::new();
    loop {
        let mut out = vec![0; size];
        match decompressor.gzip_decompress(bytes, &mut out) {
            Ok(written) => {
                out.truncate(written);
                return Ok(out);
            }
            Err(DecompressionError::BadData) => return Err("the gzip data are damaged or cut"),
            Err(DecompressionError::InsufficientSpace) if size >= limit => {
                return Err("the data inflate to much more than announced");
            }
            Err(DecompressionError::InsufficientSpace) => {
                size = size.saturating_mul(2).min(limit);
            }
        }
    }
}

/// Returns how many bytes are taken where `announced` were: a quarter more, for servers that
/// count without some frame. Nothing announced: as much as a reply of `received` bytes may hold.
pub(super) fn limit(announced: u64, received: usize) -> usize {
    const SLACK_BYTES: usize = 64 << 10;
    const UNANNOUNCED_BYTES: usize = 32 << 20;
    match usize::try_from(announced).unwrap_or(usize::MAX) {
        0 => received.saturating_mul(4).saturating_add(UNANNOUNCED_BYTES),
        announced => announced.saturating_add(announced / 4).saturating_add(SLACK_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libdeflater::{CompressionLvl, Compressor};

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::best());
        let mut out = vec![0; compressor.gzip_compress_bound(data.len())];
        let length = compressor.gzip_compress(data, &mut out).unwrap();
        out.truncate(length);
        out
    }

    #[test]
    fn a_wrong_announced_size_does_no_harm() {
        let data = vec![7_u8; 100_000];
        for hint in [0, 1, 99_999, 100_000, 5_000_000] {
            assert_eq!(inflate(&gzip(&data), hint, 1 << 20).unwrap(), data);
        }
    }

    #[test]
    fn a_cut_body_is_refused_wherever_it_is_cut() {
        let data: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        let whole = gzip(&data);
        for end in (2..whole.len()).step_by(whole.len() / 50 + 1) {
            assert!(inflate(&whole[..end], data.len(), 1 << 20).is_err());
        }
    }
    #[test]
    fn a_bomb_is_refused_at_its_limit() {
        let bomb = gzip(&vec![0; 64 << 20]);
        for announced in [0, 1000, 1 << 20] {
            let limit = limit(announced, bomb.len());
            assert!(limit <= (32 << 20) + 4 * bomb.len() && limit < 64 << 20);
            assert!(inflate(&bomb, usize::MAX, limit).is_err(), "{announced}");
        }
    }
}
