//! What is known of the values of a dictionary, so that each is looked at once and not with every row.

use std::sync::Arc;

use crate::arrow::array::{Array as _, ArrayRef};

/// One value of a dictionary.
#[derive(Debug)]
pub(super) struct Word {
    /// Its identity.
    pub(super) id: u64,
    /// Its bytes. More than fit have no place in a table.
    pub(super) length: u32,
    /// The bucket of the block's counter that it falls into.
    pub(super) bucket: u16,
    /// One more than its entry in the block's counter, once it has one, or 0.
    pub(super) slot: u16,
    /// Whether nothing more can come of it when its bucket is frequent.
    pub(super) is_settled: bool,
}

/// The values of the last dictionary, and how often each was met.
#[derive(Debug, Default)]
pub(super) struct Words {
    dictionary: Option<ArrayRef>,
    words: Vec<Word>,
    /// How often each was met since it was drained.
    counts: Vec<u32>,
    /// Those met.
    met: Vec<usize>,
}

impl Words {
    /// Forgets what became of the words in a block, when nothing is left to drain.
    pub(super) fn begin_block(&mut self) {
        for word in &mut self.words {
            (word.slot, word.is_settled) = (0, false);
        }
    }

    /// Whether this dictionary is the last one.
    pub(super) fn are_of(&self, values: &ArrayRef) -> bool {
        self.dictionary.as_ref().is_some_and(|known| Arc::ptr_eq(known, values))
    }

    /// Makes this dictionary the last one, when nothing is left to drain.
    pub(super) fn look_at(&mut self, values: &ArrayRef, look: impl Fn(usize) -> Word) {
        self.words.clear();
        self.words.extend((0..values.len()).map(look));
        self.counts.clear();
        self.counts.resize(values.len(), 0);
        self.dictionary = Some(Arc::clone(values));
    }

    /// Counts a word. True when it had not been met.
    #[inline]
    pub(super) fn count(&mut self, index: usize) -> bool {
        let count = &mut self.counts[index];
        *count += 1;
        if *count == 1 {
            self.met.push(index);
        }
        *count == 1
    }

    #[inline]
    pub(super) fn get(&mut self, index: usize) -> &mut Word {
        &mut self.words[index]
    }

    /// Gives each word that was met, and how often; it has not been met then.
    pub(super) fn drain(&mut self, mut take: impl FnMut(&Word, u32)) {
        for index in self.met.drain(..) {
            take(&self.words[index], std::mem::take(&mut self.counts[index]));
        }
    }
}
