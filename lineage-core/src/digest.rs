//! Digests: SHA-256, the identity of everything `lineage` records, and BLAKE3, by which `resolve` compares.

mod blake3;

use std::fmt;

use lineage_sha256::{Block, State, Stream};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sha2::block_api::compress256;

pub use self::blake3::Blake3;
pub(crate) use self::blake3::{Blake3Hasher, Part};

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

/// The text is not 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a {algorithm} digest of 64 lower-case hex digits")]
pub struct DigestError {
    algorithm: Algorithm,
    text: String,
}

/// The text of a digest of 32 bytes, in documents and in JSON: 64 lower-case hex digits.
macro_rules! hex_digits {
    ($digest:ident) => {
        impl std::fmt::Display for $digest {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $digest {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $digest {
            type Err = $crate::digest::DigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; 32];
                if text.bytes().any(|byte| byte.is_ascii_uppercase())
                    || hex::decode_to_slice(text, &mut bytes).is_err()
                {
                    let algorithm = $crate::digest::Algorithm::$digest;
                    let text = text.chars().take(80).collect();
                    return Err($crate::digest::DigestError { algorithm, text });
                }
                Ok($digest(bytes))
            }
        }

        impl serde::Serialize for $digest {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $digest {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use hex_digits;
hex_digits!(Sha256);

/// SHA-256 over a stream of bytes.
#[derive(Clone)]
pub struct Hasher {
    /// After the whole blocks.
    state: State,
    /// Its first bytes are those that do not fill a block yet, as many as `size_bytes` says.
    begun: Block,
    /// All bytes taken.
    size_bytes: u64,
}

impl Default for Hasher {
    /// The initial state of FIPS 180-4 §5.3.3.
    fn default() -> Hasher {
        let state = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        Hasher { state, begun: [0; size_of::<Block>()], size_bytes: 0 }
    }
}

impl Hasher {
    /// A hasher that has seen no bytes.
    pub fn new() -> Hasher {
        Hasher::default()
    }

    /// Takes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        let blocks = self.take(bytes);
        compress256(&mut self.state, blocks);
    }

    /// Gives each of several streams its next bytes, as [`Hasher::update`] would.
    ///
    /// A block of one stream does not depend on one of another, so that a processor with instructions
    /// for SHA-256, which mostly waits for their results, works at several at once, and needs little
    /// more than half the time for four.
    pub fn update_together(streams: Vec<(&mut Hasher, &[u8])>) {
        let streams = streams.into_iter().map(|(hasher, bytes)| {
            let blocks = hasher.take(bytes);
            Stream { state: &mut hasher.state, blocks }
        });
        lineage_sha256::compress(streams.collect());
    }

    /// Takes bytes, but for the whole blocks which it gives back: the state has to take those next.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [Block] {
        let begun = self.begun_bytes();
        self.size_bytes += bytes.len() as u64;
        let mut rest = bytes;
        if begun > 0 {
            let room = &mut self.begun[begun..];
            let (missing, after) = bytes.split_at(room.len().min(bytes.len()));
            room[..missing.len()].copy_from_slice(missing);
            if missing.len() < room.len() {
                return &[];
            }
            compress256(&mut self.state, &[self.begun]);
            rest = after;
        }
        let (blocks, rest) = rest.as_chunks();
        self.begun[..rest.len()].copy_from_slice(rest);
        blocks
    }

    fn begun_bytes(&self) -> usize {
        (self.size_bytes % size_of::<Block>() as u64) as usize
    }

    /// The digest of all bytes taken, padded as FIPS 180-4 §5.1.1 says.
    pub fn finish(mut self) -> Sha256 {
        let size_bits = self.size_bytes.wrapping_mul(8);
        let begun = self.begun_bytes();
        self.begun[begun] = 0x80;
        self.begun[begun + 1..].fill(0);
        let size_at = size_of::<Block>() - size_of_val(&size_bits);
        if begun >= size_at {
            compress256(&mut self.state, &[self.begun]);
            self.begun.fill(0);
        }
        self.begun[size_at..].copy_from_slice(&size_bits.to_be_bytes());
        compress256(&mut self.state, &[self.begun]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        Sha256(digest)
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

/// By which function bytes were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// FIPS 180-4.
    Sha256,
    /// The BLAKE3 paper, section 2.
    Blake3,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Blake3 => "BLAKE3",
        })
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
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 7),
                1..5,
            ),
            streams in 0..=7usize,
        ) {
            let mut hashers = vec![Hasher::new(); streams];
            let mut all = vec![Vec::new(); streams];
            for parts in &rounds {
                let parts_now = parts.iter().map(Vec::as_slice);
                Hasher::update_together(hashers.iter_mut().zip(parts_now).collect());
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
