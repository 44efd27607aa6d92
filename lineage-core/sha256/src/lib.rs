//! The compression function of SHA-256 (FIPS 180-4 §6.2.2) over several streams at once.
//!
//! A round needs the result of the round before, so that a processor with instructions for SHA-256
//! mostly waits for them. The rounds of other streams fill that time. `sha2` compresses one stream at
//! a time; here the same instructions stand for several, on x86-64 processors that have them. Elsewhere two
//! streams give `sha2` their blocks by turns. It is a crate of its own so that it is optimised in every
//! build, and the rest of the project forbids `unsafe`.
//!
//! The feature `portable` takes the second way everywhere, to test it on x86-64.

use sha2::block_api::compress256;

/// The working state between two blocks.
pub type State = [u32; 8];

/// What the function takes at a time.
pub type Block = [u8; 64];

/// A stream's state, and the blocks that it has not taken yet.
pub struct Stream<'a> {
    /// Before the blocks.
    pub state: &'a mut State,
    /// The next of the stream.
    pub blocks: &'a [Block],
}

/// Compresses all blocks of all streams. Up to four streams are worked at together.
pub fn compress(mut streams: Vec<Stream<'_>>) {
    // The longest first, so that few are left alone at the end.
    streams.sort_by_key(|stream| std::cmp::Reverse(stream.blocks.len()));
    loop {
        streams.retain(|stream| !stream.blocks.is_empty());
        match &mut streams[..] {
            [] => break,
            [a] => compress256(a.state, std::mem::take(&mut a.blocks)),
            [a, b] => compress_together([a, b]),
            [a, b, c] => compress_together([a, b, c]),
            [a, b, c, d, ..] => compress_together([a, b, c, d]),
        }
    }
}

/// Compresses of each stream as many blocks as the shortest has.
fn compress_together<const N: usize>(mut streams: [&mut Stream<'_>; N]) {
    let count = streams.iter().map(|stream| stream.blocks.len()).min().unwrap_or(0);
    let mut states = [State::default(); N];
    let mut blocks: [&[Block]; N] = [&[]; N];
    for (place, stream) in streams.iter_mut().enumerate() {
        states[place] = *stream.state;
        (blocks[place], stream.blocks) = stream.blocks.split_at(count);
    }
    #[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
    let done = x86::compress(&mut states, blocks);
    #[cfg(not(all(target_arch = "x86_64", not(feature = "portable"))))]
    let done = false;
    if !done {
        by_turns(&mut states, blocks);
    }
    for (stream, state) in streams.into_iter().zip(states) {
        *stream.state = state;
    }
}

/// Compresses the blocks of each stream, as many of each. Two streams take their blocks by turns, so that a
/// processor that executes out of order begins with a block of the one while it waits for the other.
fn by_turns<const N: usize>(states: &mut [State; N], blocks: [&[Block]; N]) {
    for (states, blocks) in states.chunks_mut(2).zip(blocks.chunks(2)) {
        match (states, blocks) {
            ([first, second], [blocks, others]) => {
                for (block, other) in blocks.iter().zip(*others) {
                    compress256(first, std::slice::from_ref(block));
                    compress256(second, std::slice::from_ref(other));
                }
            }
            (states, blocks) => {
                states
                    .iter_mut()
                    .zip(blocks)
                    .for_each(|(state, blocks)| compress256(state, blocks));
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", any(test, not(feature = "portable"))))]
mod x86 {
    // No closure here: one has the features of the function around it, so that a function without them
    // which calls it, as those of iterators and arrays do, cannot contain its code.
    use std::arch::x86_64::*;

    use super::{Block, State};

    /// Compresses the blocks of each stream, as many of each, if the processor can.
    #[allow(unsafe_code, reason = "see SAFETY")]
    pub(super) fn compress<const N: usize>(states: &mut [State; N], blocks: [&[Block]; N]) -> bool {
        let can = is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1");
        if can {
            // SAFETY: a function with `target_feature` may be called where the processor has the
            // features it names, which was asked just now, and those which they imply, which no
            // processor with these lacks. It is safe otherwise: it takes references and uses no
            // pointer.
            unsafe { compress_with_sha(states, blocks) };
        }
        can
    }

    #[expect(clippy::needless_range_loop, reason = "an iterator's closure, as said above")]
    #[target_feature(enable = "sha,sse4.1")]
    fn compress_with_sha<const N: usize>(states: &mut [State; N], blocks: [&[Block]; N]) {
        // The instructions want the words a, b, e, f in one register and c, d, g, h in another.
        let (mut abef, mut cdgh) = ([_mm_setzero_si128(); N], [_mm_setzero_si128(); N]);
        for stream in 0..N {
            let [a, b, c, d, e, f, g, h] = states[stream];
            abef[stream] = _mm_set_epi32(a as i32, b as i32, e as i32, f as i32);
            cdgh[stream] = _mm_set_epi32(c as i32, d as i32, g as i32, h as i32);
        }
        let mut count = usize::MAX;
        for blocks in blocks {
            count = count.min(blocks.len());
        }
        for index in 0..count {
            let (abef_before, cdgh_before) = (abef, cdgh);
            let mut schedule = [[_mm_setzero_si128(); 4]; N];
            for stream in 0..N {
                schedule[stream] = load(&blocks[stream][index]);
            }
            for stream in 0..N {
                rounds::<0>(&mut abef[stream], &mut cdgh[stream], &mut schedule[stream]);
            }
            for stream in 0..N {
                rounds::<16>(&mut abef[stream], &mut cdgh[stream], &mut schedule[stream]);
            }
            for stream in 0..N {
                rounds::<32>(&mut abef[stream], &mut cdgh[stream], &mut schedule[stream]);
            }
            for stream in 0..N {
                rounds::<48>(&mut abef[stream], &mut cdgh[stream], &mut schedule[stream]);
            }
            for stream in 0..N {
                abef[stream] = _mm_add_epi32(abef[stream], abef_before[stream]);
                cdgh[stream] = _mm_add_epi32(cdgh[stream], cdgh_before[stream]);
            }
        }
        for stream in 0..N {
            let [f, e, b, a] = store(abef[stream]);
            let [h, g, d, c] = store(cdgh[stream]);
            states[stream] = [a, b, c, d, e, f, g, h];
        }
    }

    /// Sixteen rounds, beginning with round `FIRST`. The schedule holds the sixteen words before
    /// them, or, for the first rounds, those of the block itself.
    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn rounds<const FIRST: usize>(
        abef: &mut __m128i,
        cdgh: &mut __m128i,
        schedule: &mut [__m128i; 4],
    ) {
        for four in 0..4 {
            if FIRST > 0 {
                let (w0, w1) = (schedule[four], schedule[(four + 1) % 4]);
                let (w2, w3) = (schedule[(four + 2) % 4], schedule[(four + 3) % 4]);
                let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2));
                schedule[four] = _mm_sha256msg2_epu32(sum, w3);
            }
            let [k0, k1, k2, k3] = K[FIRST / 4 + four];
            let k = _mm_set_epi32(k3 as i32, k2 as i32, k1 as i32, k0 as i32);
            let words = _mm_add_epi32(schedule[four], k);
            *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, words);
            *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0E>(words));
        }
    }

    /// The sixteen big-endian words of a block.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn load(block: &Block) -> [__m128i; 4] {
        let swap = _mm_set_epi64x(0x0C0D_0E0F_0809_0A0B, 0x0405_0607_0001_0203);
        let halves = block.as_chunks::<8>().0;
        let mut words = [_mm_setzero_si128(); 4];
        for four in 0..4 {
            let low = i64::from_le_bytes(halves[2 * four]);
            let high = i64::from_le_bytes(halves[2 * four + 1]);
            words[four] = _mm_shuffle_epi8(_mm_set_epi64x(high, low), swap);
        }
        words
    }

    /// The words of a register, the lowest first.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn store(register: __m128i) -> [u32; 4] {
        [
            _mm_extract_epi32::<0>(register) as u32,
            _mm_extract_epi32::<1>(register) as u32,
            _mm_extract_epi32::<2>(register) as u32,
            _mm_extract_epi32::<3>(register) as u32,
        ]
    }

    /// The constants of FIPS 180-4 §4.2.2.
    #[rustfmt::skip]
    const K: [[u32; 4]; 16] = [
        [0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5], [0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5],
        [0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3], [0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174],
        [0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc], [0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da],
        [0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7], [0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967],
        [0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13], [0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85],
        [0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3], [0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070],
        [0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5], [0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3],
        [0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208], [0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2],
    ];
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_n<const N: usize>(states: &[State], blocks: &[Vec<Block>]) {
        let states: [State; N] = std::array::from_fn(|stream| states[stream]);
        let blocks: [&[Block]; N] = std::array::from_fn(|stream| &*blocks[stream]);
        let mut expected = states;
        for (state, blocks) in expected.iter_mut().zip(blocks) {
            compress256(state, blocks);
        }
        let mut turns = states;
        by_turns(&mut turns, blocks);
        assert_eq!(turns, expected);
        #[cfg(target_arch = "x86_64")]
        {
            let mut together = states;
            if x86::compress(&mut together, blocks) {
                assert_eq!(together, expected);
            }
        }
    }

    proptest! {
        /// The crate `sha2` is the judge.
        #[test]
        fn streams_compressed_together_have_the_states_of_each_alone(
            states in prop::collection::vec(any::<State>(), 4),
            bytes in prop::collection::vec(any::<[u8; 32]>(), 4 * 2 * 5),
            count in 0..=5usize,
        ) {
            let all = bytes.as_flattened().as_chunks().0;
            let blocks: Vec<Vec<Block>> = all.chunks(5).map(|part| part[..count].to_vec()).collect();
            of_n::<2>(&states, &blocks);
            of_n::<3>(&states, &blocks);
            of_n::<4>(&states, &blocks);
        }

        /// As many streams as there are, of any lengths, by the way that this build takes.
        #[test]
        fn streams_of_any_lengths_have_the_states_of_each_alone(
            streams in prop::collection::vec(
                (any::<State>(), prop::collection::vec(any::<u8>(), 0..9 * size_of::<Block>())),
                0..=9,
            ),
        ) {
            let mut found: Vec<State> = streams.iter().map(|(state, _)| *state).collect();
            let parts = found.iter_mut().zip(&streams);
            compress(
                parts
                    .map(|(state, (_, bytes))| Stream { state, blocks: bytes.as_chunks().0 })
                    .collect(),
            );
            for (found, (state, bytes)) in found.into_iter().zip(streams) {
                let mut expected = state;
                compress256(&mut expected, bytes.as_chunks().0);
                prop_assert_eq!(found, expected);
            }
        }
    }
}
