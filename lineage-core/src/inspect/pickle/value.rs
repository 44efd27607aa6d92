//! What the symbolic stack of a pickle holds: as much of each value as decides what is called.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::globals::Listing;

/// A name that a pickle imports.
#[derive(Debug)]
pub(super) struct Global {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) listing: Listing,
}

impl Global {
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.module, self.name)
    }

    pub(super) fn is(&self, module: &str, name: &str) -> bool {
        self.module == module && self.name == name
    }
}

/// The element type of a NumPy array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dtype {
    pub(super) item_bytes: u64,
    /// Its elements are Python objects: what follows is a pickle, not an array.
    pub(super) objects: bool,
    /// What its parts say about it contradicts each other.
    pub(super) doubtful: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// An index of the memo that nothing was put under.
    Absent,
    Mark,
    /// Data that cannot be called and is of no further interest.
    Other,
    /// What a call returned: it may be anything.
    Result,
    None,
    Int(i64),
    Text(Rc<str>),
    Global(Rc<Global>),
    Tuple(Rc<Tuple>),
    Dict(Rc<RefCell<Vec<(Rc<str>, Value)>>>),
    /// An object made by calling a class.
    Instance(Rc<Global>),
    Dtype(Rc<Cell<Dtype>>),
    /// Torch's reference to raw numbers of this type.
    Storage(&'static str),
}

#[derive(Debug)]
pub(super) struct Tuple {
    pub(super) items: Vec<Value>,
    depth: u32,
}

/// Longer tuples, and deeper ones, are data.
const TUPLE_ITEMS_MAX: usize = 64;
const TUPLE_DEPTH_MAX: u32 = 8;
/// Entries of a dictionary that are of interest.
const KEYS: [&str; 5] = ["shape", "dtype", "order", "numpy_array_alignment_bytes", "subclass"];

impl Value {
    pub(super) fn tuple(items: Vec<Value>) -> Value {
        if items.len() > TUPLE_ITEMS_MAX {
            return Value::Other;
        }
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        if depth > TUPLE_DEPTH_MAX {
            return Value::Other;
        }
        // A dictionary may come to hold the tuple that holds it; such rings would never be freed.
        let keep = |item| if matches!(item, Value::Dict(_)) { Value::Other } else { item };
        Value::Tuple(Rc::new(Tuple { items: items.into_iter().map(keep).collect(), depth }))
    }

    fn depth(&self) -> u32 {
        if let Value::Tuple(tuple) = self { tuple.depth } else { 0 }
    }

    /// The items of a tuple that was kept.
    pub(super) fn items(&self) -> Option<&[Value]> {
        if let Value::Tuple(tuple) = self { Some(&tuple.items) } else { None }
    }

    pub(super) fn int(&self) -> Option<i64> {
        if let Value::Int(int) = self { Some(*int) } else { None }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// What a dictionary holds under a key.
    pub(super) fn get(&self, key: &str) -> Option<Value> {
        let Value::Dict(entries) = self else { return None };
        let entries = entries.borrow();
        entries.iter().rev().find(|(name, _)| &**name == key).map(|(_, value)| value.clone())
    }

    /// Notes an entry of a dictionary.
    pub(super) fn set(&self, key: &Value, value: Value) {
        let (Value::Dict(entries), Value::Text(key)) = (self, key) else { return };
        if !KEYS.contains(&&**key) || matches!(value, Value::Dict(_)) {
            return;
        }
        let mut entries = entries.borrow_mut();
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((Rc::clone(key), value)),
        }
    }

    /// About how many bytes it keeps alive.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Value::Text(text) => 32 + text.len() as u64,
            Value::Tuple(tuple) => 48 + 24 * tuple.items.len() as u64,
            Value::Dict(_) => 48,
            Value::Dtype(_) => 48,
            _ => 0,
        }
    }

    /// The numbers in a shape, multiplied.
    pub(super) fn elements(&self) -> Option<u64> {
        self.items()?
            .iter()
            .try_fold(1_u64, |product, item| product.checked_mul(u64::try_from(item.int()?).ok()?))
    }
}

impl Dtype {
    /// Reads `f8`, `<i4`, `|O`, `V64`, `U10` as `numpy.dtype` does; `None` for anything unusual.
    pub(super) fn parse(text: &str) -> Option<Dtype> {
        let text = text.trim_start_matches(['<', '>', '|', '=']);
        let kind = text.chars().next().filter(char::is_ascii)?;
        let digits = &text[1..];
        let number = if digits.is_empty() { None } else { Some(digits.parse::<u32>().ok()?) };
        let item_bytes = match (kind, number) {
            ('b' | 'B' | '?', None) => 1,
            ('b' | 'i' | 'u', Some(size @ (1 | 2 | 4 | 8))) => u64::from(size),
            ('f', Some(size @ (2 | 4 | 8 | 12 | 16))) => u64::from(size),
            ('c', Some(size @ (8 | 16 | 24 | 32))) => u64::from(size),
            ('M' | 'm', Some(8)) => 8,
            ('S' | 'V' | 'a', size) => u64::from(size.unwrap_or(0)),
            ('U', size) => u64::from(size.unwrap_or(0)) * 4,
            ('O', None | Some(4 | 8)) => 8,
            _ => return None,
        };
        Some(Dtype { item_bytes, objects: kind == 'O', doubtful: false })
    }

    /// Applies the state that `numpy.dtype.__setstate__` is given:
    /// `(version, order, subarray, names, fields, size, alignment, flags, …)`.
    pub(super) fn set_state(&mut self, state: &Value) {
        let items = state.items().unwrap_or_default();
        let part = |index: usize| items.get(index).and_then(Value::int);
        let (Some(version), Some(size), Some(flags)) = (part(0), part(5), part(7)) else {
            self.doubtful = true;
            return;
        };
        let plain = matches!(items.get(2), Some(Value::None));
        let fields = !matches!(items.get(3), Some(Value::None));
        let objects = flags & 1 != 0;
        let agreed = size == -1 || u64::try_from(size).is_ok_and(|size| size == self.item_bytes);
        // Only a record may say on its own that it holds objects.
        if !(3..=4).contains(&version) || !plain || !agreed || (objects != self.objects && !fields)
        {
            self.doubtful = true;
        }
        self.objects = objects;
    }
}
