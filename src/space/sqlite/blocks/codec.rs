//! A block's bytes: one zstd frame of texts that stand one after the other.

use std::io::{self, Read};

use crate::ibgib::MAX_IBGIB_BYTES;

use super::FULL;

/// Above this no block unpacks: it takes one more text, of any size, as long as it is not full.
pub(super) const MAX_UNPACKED: usize = FULL + MAX_IBGIB_BYTES;
/// The largest body that a block has: what does not compress is hardly longer packed.
pub(super) const MAX_BODY: usize = MAX_UNPACKED + (64 << 10);

/// How hard zstd tries: more takes longer than it saves.
const LEVEL: i32 = 3;
/// The largest window that is unpacked: what no block of ours exceeds.
const WINDOW_LOG: u32 = 23;

/// Packs texts.
pub(super) fn pack(texts: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(texts, LEVEL)
}

/// Unpacks a block into at most `size` bytes, and never into more than a block holds. Of one that is
/// damaged, or holds more, it is the beginning as far as that can be unpacked: whoever takes a text
/// out of it hashes the text.
pub fn unpack(body: &[u8], size: usize) -> Vec<u8> {
    let most = size.min(MAX_UNPACKED);
    let mut texts = match zstd::bulk::decompress(body, most) {
        Ok(texts) => texts,
        Err(_) => beginning(body, most),
    };
    texts.shrink_to_fit();
    texts
}

fn beginning(body: &[u8], most: usize) -> Vec<u8> {
    let mut texts = Vec::new();
    let Ok(mut decoder) = zstd::stream::read::Decoder::with_buffer(body) else { return texts };
    if decoder.window_log_max(WINDOW_LOG).is_ok() {
        // What came before an error stays.
        let _ = decoder.take(most as u64).read_to_end(&mut texts);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks() {
        for texts in [&b""[..], b"a", &b"abc".repeat(1 << 20)] {
            assert_eq!(unpack(&pack(texts).unwrap(), texts.len()), texts);
        }
    }

    #[test]
    fn no_more_is_unpacked_than_is_asked_for_and_than_a_block_holds() {
        let bomb = pack(&vec![0; MAX_UNPACKED + 1]).unwrap();
        assert!(bomb.len() < 4096);
        assert_eq!(unpack(&bomb, 10).len(), 10);
        assert_eq!(unpack(&bomb, usize::MAX).len(), MAX_UNPACKED);
    }

    #[test]
    fn a_window_that_no_block_has_is_not_made_room_for() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        std::io::Write::write_all(&mut encoder, &[7; 100]).unwrap();
        let body = encoder.finish().unwrap();
        assert_eq!(unpack(&body, 99), b"");
    }

    #[test]
    fn what_stands_before_damage_is_unpacked() {
        let mut random = 1_u64;
        let texts: Vec<u8> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            b'a' + (random >> 60) as u8
        })
        .take(1 << 20)
        .collect();
        let mut body = pack(&texts).unwrap();
        let half = body.len() / 2;
        body.truncate(half);
        let unpacked = unpack(&body, texts.len());
        assert!(unpacked.len() > texts.len() / 4, "{}", unpacked.len());
        assert!(texts.starts_with(&unpacked));
        assert_eq!(unpack(b"no block", 100), b"");
    }
}
