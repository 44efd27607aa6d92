//! SHA-256 digests: the identity of everything `lineage` records.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// A SHA-256 digest (FIPS 180-4): 32 bytes, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// What the first entry of a log gives as the digest of the entry before it.
    pub const ZERO: Sha256 = Sha256([0; 32]);

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Sha256 {
        Sha256(sha2::Sha256::digest(bytes).into())
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hex digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a SHA-256 digest of 64 lower-case hex digits")]
pub struct DigestError(String);

impl FromStr for Sha256 {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        if text.bytes().any(|byte| byte.is_ascii_uppercase())
            || hex::decode_to_slice(text, &mut bytes).is_err()
        {
            return Err(DigestError(text.chars().take(80).collect()));
        }
        Ok(Sha256(bytes))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What SHA-256 takes at a time (FIPS 180-4 §5.3.3).
const BLOCK_BYTES: usize = 64;

/// SHA-256 over a stream of bytes.
#[derive(Clone, Default)]
pub struct Hasher {
    hasher: sha2::Sha256,
    /// Bytes taken that do not fill a block yet.
    begun_bytes: usize,
}

impl Hasher {
    /// A hasher that has seen no bytes.
    pub fn new() -> Hasher {
        Hasher::default()
    }

    /// Takes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.begun_bytes = (self.begun_bytes + bytes.len()) % BLOCK_BYTES;
    }

    /// Gives each of several streams its next bytes, as [`Hasher::update`] would.
    ///
    /// Two streams take their blocks by turns. A block of one does not depend on one of the other, so
    /// that a processor with instructions for SHA-256, which mostly waits for their results, works at
    /// both at once and needs three quarters of the time.
    pub fn update_together<'a>(streams: impl Iterator<Item = (&'a mut Hasher, &'a [u8])>) {
        let mut aligned = streams.map(|(hasher, bytes)| {
            let missing = (BLOCK_BYTES - hasher.begun_bytes) % BLOCK_BYTES;
            let (missing, bytes) = bytes.split_at(missing.min(bytes.len()));
            hasher.update(missing);
            (hasher, bytes)
        });
        let Some((mut longer, mut bytes)) = aligned.next() else { return };
        for (mut shorter, mut fewer) in aligned {
            if fewer.len() > bytes.len() {
                (longer, bytes, shorter, fewer) = (shorter, fewer, longer, bytes);
            }
            let (blocks, rest) = fewer.as_chunks::<BLOCK_BYTES>();
            let (others, left) = bytes.split_at(blocks.as_flattened().len());
            for (block, other) in blocks.iter().zip(others.as_chunks::<BLOCK_BYTES>().0) {
                shorter.hasher.update(block);
                longer.hasher.update(other);
            }
            shorter.update(rest);
            bytes = left;
        }
        longer.update(bytes);
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Sha256 {
        Sha256(self.hasher.finalize().into())
    }
}

/// What a digest is of. It travels with every digest, because a file whose bytes happen to be a
/// manifest is not the directory which that manifest describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The bytes of one regular file.
    File,
    /// The canonical manifest of a directory (`docs/formats/fingerprint.md`).
    Directory,
}

impl Kind {
    /// `file` or `directory`, as written in entries and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Directory => "directory",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any number of streams, of any lengths, in any parts.
        #[test]
        fn streams_hashed_together_have_their_own_digests(
            rounds in prop::collection::vec(
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 4),
                1..5,
            ),
            streams in 0..=4usize,
        ) {
            let mut hashers = vec![Hasher::new(); streams];
            let mut all = vec![Vec::new(); streams];
            for parts in &rounds {
                Hasher::update_together(hashers.iter_mut().zip(parts.iter().map(Vec::as_slice)));
                for (all, part) in all.iter_mut().zip(parts) {
                    all.extend_from_slice(part);
                }
            }
            for (hasher, all) in hashers.into_iter().zip(&all) {
                prop_assert_eq!(hasher.finish(), Sha256::of(all));
            }
        }
    }
}
