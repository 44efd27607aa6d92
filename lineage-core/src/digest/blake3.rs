//! BLAKE3: of bytes in one stream, and of an input whose parts are hashed apart and merged.
//!
//! BLAKE3 is a tree of chunks (its paper of 2020, section 2.1). A part that begins at a multiple of its
//! own power of two is a subtree of it, so that threads hash parts, and the merged digest is that of the
//! whole.

use ::blake3::hazmat::{self, ChainingValue, HasherExt as _, Mode};

use super::hex_digits;

/// A BLAKE3 digest: 32 bytes, written as 64 lower-case hex digits.
///
/// It is taken of what a pointer serves, beside SHA-256, so that `resolve` can compare the bytes on all
/// cores (`docs/formats/fingerprint.md`, What is served). It is never an identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blake3([u8; 32]);

hex_digits!(Blake3);

impl Blake3 {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Blake3 {
        Blake3(*::blake3::hash(bytes).as_bytes())
    }

    /// The digest of an input from all its parts, in order: each but the last of the same size, a power of
    /// two of chunks of 1024 bytes. None of fewer than two: a single part is the root of the tree, and
    /// the paper gives a root another value than a subtree.
    pub(crate) fn of_parts(parts: &[Part]) -> Option<Blake3> {
        if parts.len() < 2 {
            return None;
        }
        let (left, right) = parts.split_at(left_parts(parts.len()));
        let root = hazmat::merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash);
        Some(Blake3(*root.as_bytes()))
    }
}

/// How many of several parts are left of the root: the greatest power of two below their number.
fn left_parts(parts: usize) -> usize {
    parts.div_ceil(2).next_power_of_two()
}

fn subtree(parts: &[Part]) -> ChainingValue {
    if let [part] = parts {
        return part.0;
    }
    let (left, right) = parts.split_at(left_parts(parts.len()));
    hazmat::merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// The value of a part of an input in the input's tree.
#[derive(Clone, Copy)]
pub(crate) struct Part(ChainingValue);

/// BLAKE3 over a stream of bytes: of an input, or of one part of it.
#[derive(Clone, Default)]
pub(crate) struct Blake3Hasher(::blake3::Hasher);

impl Blake3Hasher {
    /// A hasher of an input that has seen no bytes.
    pub(crate) fn new() -> Blake3Hasher {
        Blake3Hasher::default()
    }

    /// A hasher of the part that begins at byte `start`, a multiple of the size of the parts.
    pub(crate) fn of_part(start: u64) -> Blake3Hasher {
        let mut hasher = ::blake3::Hasher::new();
        hasher.set_input_offset(start);
        Blake3Hasher(hasher)
    }

    /// Takes the next bytes of the stream.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of an input.
    pub(crate) fn finish(&self) -> Blake3 {
        Blake3(*self.0.finalize().as_bytes())
    }

    /// The value of a part; none of an empty one, which no tree has.
    pub(crate) fn finish_part(&self) -> Option<Part> {
        (self.0.count() > 0).then(|| Part(self.0.finalize_non_root()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn merged(bytes: &[u8], part_bytes: usize) -> Option<Blake3> {
        let part = |(number, part): (usize, &[u8])| {
            let mut hasher = Blake3Hasher::of_part((number * part_bytes) as u64);
            // In two steps, as a reader that gets less than it asked for.
            let (first, rest) = part.split_at(part.len() / 3);
            hasher.update(first);
            hasher.update(rest);
            hasher.finish_part().unwrap()
        };
        let parts: Vec<Part> = bytes.chunks(part_bytes).enumerate().map(part).collect();
        Blake3::of_parts(&parts)
    }

    fn numbered(size: usize) -> Vec<u8> {
        (0..size).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn merged_parts_are_the_whole_around_every_boundary() {
        let chunk = ::blake3::CHUNK_LEN;
        for part_bytes in [chunk, 2 * chunk, 8 * chunk] {
            let bytes = numbered(part_bytes * 19);
            for parts in 0..=17 {
                for edge in [0, 1, 63, 64, 65, chunk - 1, chunk, chunk + 1] {
                    for size in
                        [parts * part_bytes + edge, (parts * part_bytes).saturating_sub(edge)]
                    {
                        let bytes = &bytes[..size];
                        let expected = (size > part_bytes).then(|| Blake3::of(bytes));
                        assert_eq!(merged(bytes, part_bytes), expected, "{size} by {part_bytes}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn merged_parts_are_the_whole(size in 0..200_000_usize, power in 0..6_u32, seed: u8) {
            let bytes: Vec<u8> = numbered(size).iter().map(|byte| byte ^ seed).collect();
            let part_bytes = ::blake3::CHUNK_LEN << power;
            let expected = (size > part_bytes).then(|| Blake3::of(&bytes));
            prop_assert_eq!(merged(&bytes, part_bytes), expected);
        }
    }

    /// From the test vectors of BLAKE3: inputs of bytes that count from 0 to 250 again and again.
    #[test]
    fn digests_are_those_that_blake3_publishes() {
        for (size, digest) in [
            (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
            (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
            (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
            (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
            (102_400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"),
        ] {
            assert_eq!(Blake3::of(&numbered(size)).to_string(), digest, "{size}");
            assert_eq!(digest.parse::<Blake3>().unwrap(), Blake3::of(&numbered(size)));
        }
        assert!("AF".repeat(32).parse::<Blake3>().unwrap_err().to_string().contains("BLAKE3"));
    }
}
