//! How often the values of a block occur, and how many different ones there are.

use super::hash;

/// Different values of a block that are counted one by one. With more than these, only the frequent
/// ones are.
pub(super) const FEW: usize = 1024;
/// Values that are remembered at most: the first `FEW`, and those that may turn out to be frequent.
const REMEMBERED: usize = 2 * FEW;
const SLOTS: usize = 4096;
const BUCKETS: usize = 8192;
/// A value is remembered once its bucket has so many: four times what it has when 65,536 rows are all
/// different, which none of them reaches by chance.
const FREQUENT: u32 = 32;
/// Frequent values of a block that are handed on.
const LISTED: usize = 256;
/// Registers of the sketch of different values; its standard error is 1.04 / √16384 = 0.8 %.
const REGISTER_BITS: u32 = 14;
pub(super) const REGISTERS: usize = 1 << REGISTER_BITS;

/// Counts identities of values.
#[derive(Debug)]
pub(super) struct Counter {
    /// One more than the entry, or 0.
    slots: Box<[u16; SLOTS]>,
    ids: Vec<u64>,
    counts: Vec<u32>,
    /// Present when there are many different values.
    sketch: Option<Box<Sketch>>,
    spare: Option<Box<Sketch>>,
}

/// What is kept of values that are too many to be counted one by one.
#[derive(Debug)]
pub(super) struct Sketch {
    /// How many values fell into each bucket.
    buckets: [u32; BUCKETS],
    registers: [u8; REGISTERS],
    /// A frequent value found no room.
    full: bool,
}

/// What a counter found.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Entry and count of values; of all values, or of the most frequent ones.
    pub(super) listed: Vec<(usize, u64)>,
    /// No value that is not listed occurs more often than this.
    pub(super) others_at_most: u64,
    /// The sketch of different values, unless all are listed.
    pub(super) registers: Option<Registers>,
}

impl Counter {
    pub(super) fn new() -> Counter {
        Counter {
            slots: Box::new([0; SLOTS]),
            ids: Vec::new(),
            counts: Vec::new(),
            sketch: None,
            spare: None,
        }
    }

    /// Forgets everything but the memory.
    pub(super) fn clear(&mut self) {
        self.slots.fill(0);
        self.ids.clear();
        self.counts.clear();
        if let Some(sketch) = self.sketch.take() {
            self.spare = Some(sketch);
        }
    }

    /// The identity of an entry.
    pub(super) fn id(&self, entry: usize) -> u64 {
        self.ids[entry]
    }

    /// Whether there are more different values than are counted one by one.
    pub(super) fn is_many(&self) -> bool {
        self.sketch.is_some()
    }

    /// Gives a value an entry, whose occurrences are added later: one more than it, and whether it is new. `None`
    /// when there are, with this one, too many different values.
    pub(super) fn enter(&mut self, id: u64) -> Option<(u16, bool)> {
        match self.find(id, hash::spread(id)) {
            Ok(entry) => Some((entry as u16 + 1, false)),
            Err(slot) if self.ids.len() < FEW => {
                self.add(id, slot, 0);
                Some((self.ids.len() as u16, true))
            }
            Err(_) => None,
        }
    }

    /// Adds occurrences of a value to its entry, if it has one.
    pub(super) fn add_times(&mut self, slot: u16, times: u32) {
        if let Some(entry) = usize::from(slot).checked_sub(1) {
            self.counts[entry] += times;
        }
    }

    /// The bucket of a value.
    pub(super) fn bucket(id: u64) -> u16 {
        (hash::spread(id) % BUCKETS as u64) as u16
    }

    /// Notes that a value occurs, when there are many different ones.
    pub(super) fn note(&mut self, id: u64) {
        if let Some(sketch) = &mut self.sketch {
            note(&mut sketch.registers, hash::spread(id));
        }
    }

    /// Counts an occurrence of a noted value, when there are many different ones. Whether it may be frequent.
    #[inline]
    pub(super) fn observe_in(&mut self, bucket: u16) -> bool {
        let Some(sketch) = &mut self.sketch else { return false };
        let count = &mut sketch.buckets[usize::from(bucket) % BUCKETS];
        *count += 1;
        *count >= FREQUENT
    }

    /// Counts values that are told by their identities alone, from that index on.
    pub(super) fn observe_keys(&mut self, all: &[u64], from: usize) {
        let mut index = from;
        while self.sketch.is_none() && index < all.len() {
            self.observe_one_of_few(all[index], &all[..index]);
            index += 1;
        }
        if let Some(sketch) = &mut self.sketch {
            // Which of them are frequent is seen in the end.
            all[index.min(all.len())..].iter().for_each(|id| sketch.observe(hash::spread(*id)));
        }
    }

    /// Counts one more value; `earlier` are all of the block before it. True when it is remembered from
    /// now on, as the last entry, so that what shows it must be kept.
    #[inline]
    pub(super) fn observe(&mut self, id: u64, earlier: &[u64]) -> bool {
        if let Some(sketch) = &mut self.sketch {
            let hash = hash::spread(id);
            sketch.observe(hash);
            return sketch.is_frequent(hash) && self.remember(id);
        }
        self.observe_one_of_few(id, earlier)
    }

    #[inline]
    fn observe_one_of_few(&mut self, id: u64, earlier: &[u64]) -> bool {
        let hash = hash::spread(id);
        match self.find(id, hash) {
            Ok(entry) => {
                self.counts[entry] += 1;
                false
            }
            Err(slot) if self.ids.len() < FEW => {
                self.add(id, slot, 1);
                true
            }
            Err(_) => {
                // The value after which there are many is remembered only if it occurs again.
                self.become_many(earlier).observe(hash);
                false
            }
        }
    }

    /// The entry of a value, or the slot where it belongs.
    #[inline]
    fn find(&self, id: u64, hash: u64) -> Result<usize, usize> {
        let mut slot = (hash >> 52) as usize;
        loop {
            // Half of the slots are always free, so that this ends.
            slot %= SLOTS;
            match usize::from(self.slots[slot]) {
                0 => return Err(slot),
                entry if self.ids[entry - 1] == id => return Ok(entry - 1),
                _ => slot += 1,
            }
        }
    }

    fn add(&mut self, id: u64, slot: usize, count: u32) {
        self.ids.push(id);
        self.counts.push(count);
        self.slots[slot] = self.ids.len() as u16;
    }

    /// Begins to count in buckets; `earlier` are all values of the block so far.
    #[cold]
    pub(super) fn become_many(&mut self, earlier: &[u64]) -> &mut Sketch {
        let mut sketch = self.spare.take().unwrap_or_else(Sketch::new);
        sketch.clear();
        for id in earlier {
            sketch.observe(hash::spread(*id));
        }
        self.sketch.insert(sketch)
    }

    /// Remembers a value that may be frequent, if there is room. True when it is remembered from now on.
    #[inline(never)]
    pub(super) fn remember(&mut self, id: u64) -> bool {
        match self.find(id, hash::spread(id)) {
            Ok(_) => false,
            Err(slot) if self.ids.len() < REMEMBERED => {
                self.add(id, slot, 1);
                true
            }
            Err(_) => {
                if let Some(sketch) = &mut self.sketch {
                    sketch.full = true;
                }
                false
            }
        }
    }

    /// What was counted, of all the values of the block. Where identities alone tell the values, frequent
    /// ones may still be found.
    pub(super) fn finish(&mut self, all: &[u64], are_keys: bool) -> Counted {
        let Some(mut sketch) = self.sketch.take() else {
            let counts = self.counts.iter().map(|count| u64::from(*count));
            return Counted { listed: counts.enumerate().collect(), ..Counted::default() };
        };
        self.recount(&mut sketch, all, are_keys);
        let mut others_at_most = self.others_at_most(&sketch);
        let mut listed: Vec<(usize, u64)> =
            self.counts.iter().map(|count| u64::from(*count)).enumerate().collect();
        listed.retain(|(_, count)| *count >= u64::from(FREQUENT / 4));
        listed.sort_unstable_by_key(|&(entry, count)| (std::cmp::Reverse(count), self.ids[entry]));
        if let Some((_, count)) = listed.get(LISTED) {
            others_at_most = others_at_most.max(*count);
        }
        listed.truncate(LISTED);
        let registers = Some(Registers(sketch.registers.into()));
        self.spare = Some(sketch);
        Counted { listed, others_at_most, registers }
    }

    /// Counts the remembered values in frequent buckets; all that others can say is that there are few.
    fn recount(&mut self, sketch: &mut Sketch, all: &[u64], are_keys: bool) {
        if are_keys {
            // Makes room: the first values need not be frequent ones.
            self.slots.fill(0);
            self.ids.clear();
            self.counts.clear();
        }
        self.counts.fill(0);
        if sketch.buckets.iter().all(|count| *count < FREQUENT) {
            return;
        }
        for &id in all {
            let hash = hash::spread(id);
            if !sketch.is_frequent(hash) {
                continue;
            }
            match self.find(id, hash) {
                Ok(entry) => self.counts[entry] += 1,
                Err(slot) if are_keys && self.ids.len() < REMEMBERED => self.add(id, slot, 1),
                Err(_) => sketch.full |= are_keys,
            }
        }
    }
}

impl Counter {
    /// How often a value may occur that was not counted.
    fn others_at_most(&self, sketch: &Sketch) -> u64 {
        // As long as there was room, whatever met a frequent bucket was remembered.
        let mut others = sketch.buckets;
        if sketch.full {
            for (id, count) in self.ids.iter().zip(&self.counts) {
                others[hash::spread(*id) as usize % BUCKETS] -= count;
            }
        }
        let most = others.into_iter().max().unwrap_or(0);
        u64::from(if sketch.full { most } else { most.min(FREQUENT) })
    }
}

impl Sketch {
    fn new() -> Box<Sketch> {
        Box::new(Sketch { buckets: [0; BUCKETS], registers: [0; REGISTERS], full: false })
    }

    fn clear(&mut self) {
        self.buckets.fill(0);
        self.registers.fill(0);
        self.full = false;
    }

    #[inline]
    fn observe(&mut self, hash: u64) {
        note(&mut self.registers, hash);
        self.buckets[hash as usize % BUCKETS] += 1;
    }

    #[inline]
    fn is_frequent(&self, hash: u64) -> bool {
        self.buckets[hash as usize % BUCKETS] >= FREQUENT
    }
}

#[inline]
fn note(registers: &mut [u8; REGISTERS], hash: u64) {
    let rank = ((hash << REGISTER_BITS) | 1 << (REGISTER_BITS - 1)).leading_zeros() + 1;
    let register = &mut registers[(hash >> (64 - REGISTER_BITS)) as usize];
    *register = (*register).max(rank as u8);
}

/// A HyperLogLog sketch (Flajolet et al. 2007) of a set of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Registers(Box<[u8]>);

impl Registers {
    pub(super) fn new() -> Registers {
        Registers(vec![0; REGISTERS].into())
    }

    pub(super) fn add(&mut self, id: u64) {
        if let Ok(registers) = <&mut [u8; REGISTERS]>::try_from(&mut *self.0) {
            note(registers, hash::spread(id));
        }
    }

    pub(super) fn merge(&mut self, other: &Registers) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own = (*own).max(*other);
        }
    }

    /// How many values there are, about: the estimator of Ertl (2017), which needs no corrections.
    pub(super) fn estimate(&self) -> f64 {
        const TOP: usize = 65 - REGISTER_BITS as usize;
        let size = REGISTERS as f64;
        let mut histogram = [0.0_f64; TOP + 1];
        for register in &self.0 {
            histogram[usize::from(*register).min(TOP)] += 1.0;
        }
        let mut sum = size * tau(1.0 - histogram[TOP] / size);
        for count in histogram[1..TOP].iter().rev() {
            sum = 0.5 * (sum + count);
        }
        sum += size * sigma(histogram[0] / size);
        size * size / (2.0 * std::f64::consts::LN_2 * sum)
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * y;
        y += y;
        if sum == before {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        y *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * y;
        if sum == before {
            return sum / 3.0;
        }
    }
}
