//! What is known of the values of a dictionary, so that each is looked at once and not with every row.

use std::sync::Arc;

use crate::arrow::array::ArrayRef;

/// One value of a dictionary.
#[derive(Debug)]
pub(super) struct Word {
    /// Its identity.
    pub(super) id: u64,
    /// Its bytes. More than fit have no place in a table.
    pub(super) length: u32,
    /// One more than its entry in the block's counter, once it was met there among few values, or 0.
    pub(super) slot: u16,
    /// Whether it was compared with the least and the greatest of the block.
    pub(super) is_noted: bool,
}

/// The values of the last dictionary.
#[derive(Debug, Default)]
pub(super) struct Words {
    dictionary: Option<ArrayRef>,
    words: Vec<Word>,
}

impl Words {
    /// Forgets what was met in a block.
    pub(super) fn begin_block(&mut self) {
        for word in &mut self.words {
            (word.slot, word.is_noted) = (0, false);
        }
    }

    /// Makes this dictionary the last one. `look` gives a value's identity and its length in bytes.
    pub(super) fn look_at(&mut self, values: &ArrayRef, look: impl Fn(usize) -> (u64, usize)) {
        if self.dictionary.as_ref().is_some_and(|known| Arc::ptr_eq(known, values)) {
            return;
        }
        self.words.clear();
        self.words.extend((0..values.len()).map(look).map(|(id, length)| Word {
            id,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            slot: 0,
            is_noted: false,
        }));
        self.dictionary = Some(Arc::clone(values));
    }

    #[inline]
    pub(super) fn get(&mut self, index: usize) -> &mut Word {
        &mut self.words[index]
    }
}
