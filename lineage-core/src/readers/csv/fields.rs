//! The fields of a few records, column by column.

use std::borrow::Cow;

use super::tokens::first_field;

/// Records are converted in groups of so many, which with their ends fit into the fastest cache. The
/// bits of a word say which of them are null.
pub(super) const GROUP: usize = 64;

/// A group of records.
pub(super) struct Rows<'a> {
    pub bytes: &'a [u8],
    /// The ends of their fields, with the end before the first.
    pub ends: &'a [u32],
    pub columns: usize,
    /// At most [`GROUP`].
    pub count: usize,
    pub quote: u8,
}

/// Where the text of a field is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub row: usize,
    pub start: usize,
    pub end: usize,
}

impl<'a> Rows<'a> {
    /// Calls `visit` with the fields of a column as they stand, quotes and all.
    #[inline(always)]
    pub(super) fn raw(&self, column: usize, from: usize, mut visit: impl FnMut(Place) -> bool) {
        let first = column == 0;
        let last = column + 1 == self.columns;
        let bounds = self.ends[column..].array_windows::<2>().step_by(self.columns);
        for (row, [before, end]) in bounds.enumerate().take(self.count).skip(from) {
            let mut start = before.wrapping_add(1) as usize;
            let mut end = *end as usize;
            if first {
                start = first_field(self.bytes, start, end);
            }
            if last && end > start && self.bytes[end - 1] == b'\r' {
                end -= 1;
            }
            if !visit(Place { row, start, end }) {
                return;
            }
        }
    }

    /// Calls `visit` with the texts of a column that are not empty, until it refuses one, which is
    /// returned.
    #[inline(always)]
    pub(super) fn texts(
        &self,
        column: usize,
        from: usize,
        mut visit: impl FnMut(Place) -> bool,
    ) -> Option<Place> {
        let mut refused = None;
        self.raw(column, from, |mut place| {
            if place.start == place.end {
                return true;
            }
            if self.bytes[place.start] == self.quote {
                place.start += 1;
                place.end -= 1;
                if place.start >= place.end {
                    return true;
                }
            }
            let fits = visit(place);
            if !fits {
                refused = Some(place);
            }
            fits
        });
        refused
    }

    #[inline]
    pub(super) fn text(&self, place: Place) -> &'a [u8] {
        &self.bytes[place.start..place.end]
    }
}

/// What a field says: without its quotes, doubled ones single.
pub(super) fn unquoted(field: &[u8], quote: u8) -> Cow<'_, [u8]> {
    match field {
        [first, inner @ .., _] if *first == quote => single_quotes(inner, quote),
        field => Cow::Borrowed(field),
    }
}

/// The inside of a quoted field with doubled quotes single.
pub(super) fn single_quotes(inner: &[u8], quote: u8) -> Cow<'_, [u8]> {
    if memchr::memchr(quote, inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(quote, rest) {
        text.extend_from_slice(rest.get(..=at).unwrap_or_default());
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}
