//! The profile of a column, from those of its blocks.

use std::collections::HashMap;

use serde_json::Value;

use super::block::{BlockProfile, Listed};
use super::counter::Registers;
use super::extremes::Extremes;
use super::moments::Moments;
use super::ranks::{Levels, Ranks};
use super::{ColumnProfile, Distinct, Lengths, Quantiles, TopValue, key};
use crate::table::ColumnKind;

/// Values whose counts are followed from block to block.
const FOLLOWED: usize = 512;
/// Values that are shown.
const TOP: usize = 10;
/// Characters of a value that are shown.
const SHOWN_CHARS: usize = 80;

/// Puts the profiles of a column's blocks together, in the order of the blocks.
#[derive(Debug)]
pub struct ColumnProfiler {
    kind: ColumnKind,
    rows: u64,
    nulls: u64,
    nan: u64,
    infinite: u64,
    lengths: Option<Lengths>,
    extremes: Extremes,
    moments: Moments,
    levels: Levels,
    followed: HashMap<u64, Followed>,
    blocks: u64,
    /// No value that is not followed occurs more often than this.
    others_at_most: u64,
    /// Present unless all values are followed.
    registers: Option<Registers>,
}

#[derive(Debug)]
struct Followed {
    count: u64,
    /// How often it may have occurred without being counted.
    missed_at_most: u64,
    seen_in_block: u64,
    text: Option<Box<[u8]>>,
}

impl Followed {
    fn at_most(&self) -> u64 {
        self.count + self.missed_at_most
    }
}

impl ColumnProfiler {
    /// Of a column without rows.
    pub fn new(kind: ColumnKind) -> ColumnProfiler {
        ColumnProfiler {
            kind,
            rows: 0,
            nulls: 0,
            nan: 0,
            infinite: 0,
            lengths: None,
            extremes: Extremes::None,
            moments: Moments::default(),
            levels: Levels::default(),
            followed: HashMap::new(),
            blocks: 0,
            others_at_most: 0,
            registers: None,
        }
    }

    /// Adds the next block.
    pub fn absorb(&mut self, block: BlockProfile) {
        self.blocks += 1;
        self.rows += block.rows;
        self.nulls += block.nulls;
        self.nan += block.nan;
        self.infinite += block.infinite;
        self.lengths = Lengths::merge(self.lengths, block.lengths);
        self.extremes = std::mem::take(&mut self.extremes).merge(block.extremes);
        self.moments = self.moments.merge(block.moments);
        if let Some(ranks) = block.ranks {
            self.levels.add(ranks);
        }
        if let Some(registers) = &block.registers {
            self.sketch().merge(registers);
        } else if let Some(own) = &mut self.registers {
            block.listed.iter().for_each(|listed| own.add(listed.id));
        }
        self.follow(block.listed, block.others_at_most);
    }

    /// The sketch of different values, which begins with those followed up to now.
    fn sketch(&mut self) -> &mut Registers {
        let followed = &self.followed;
        self.registers.get_or_insert_with(|| {
            let mut registers = Registers::new();
            followed.keys().for_each(|id| registers.add(*id));
            registers
        })
    }

    /// Frequent values with bounds of their counts (Misra and Gries 1982; merged as in Agarwal et al. 2013).
    fn follow(&mut self, listed: Vec<Listed>, others_at_most: u64) {
        for Listed { id, count, text } in listed {
            let followed = self.followed.entry(id).or_insert(Followed {
                count: 0,
                missed_at_most: self.others_at_most,
                seen_in_block: 0,
                text,
            });
            followed.count += count;
            followed.seen_in_block = self.blocks;
        }
        if others_at_most > 0 {
            self.others_at_most += others_at_most;
            for followed in self.followed.values_mut() {
                if followed.seen_in_block != self.blocks {
                    followed.missed_at_most += others_at_most;
                }
            }
        }
        if self.followed.len() > FOLLOWED {
            self.sketch();
            let mut order: Vec<(u64, u64)> =
                self.followed.iter().map(|(id, followed)| (followed.at_most(), *id)).collect();
            order.sort_unstable();
            for (at_most, id) in &order[..order.len() - FOLLOWED] {
                self.followed.remove(id);
                self.others_at_most = self.others_at_most.max(*at_most);
            }
        }
    }

    /// The profile of all blocks.
    pub fn finish(self) -> ColumnProfile {
        let is_float = matches!(self.kind, ColumnKind::Float32 | ColumnKind::Float64);
        let (min, max) = self.extremes();
        let (top_values, others_at_most) = self.top();
        ColumnProfile {
            count: self.rows - self.nulls,
            nulls: self.nulls,
            nan: is_float.then_some(self.nan),
            infinite: is_float.then_some(self.infinite),
            min,
            max,
            mean: self.moments.mean().map(|mean| key::mean_to_json(&self.kind, mean)),
            standard_deviation: self.moments.deviation(),
            quantiles: self.levels.total().map(|ranks| self.quantiles(&ranks)),
            distinct: self.distinct(),
            top_values,
            others_at_most,
            lengths: self.lengths,
        }
    }

    fn extremes(&self) -> (Option<Value>, Option<Value>) {
        let both = match &self.extremes {
            Extremes::None => return (None, None),
            Extremes::Keys(least, greatest) => {
                (key::to_json(&self.kind, *least), key::to_json(&self.kind, *greatest))
            }
            Extremes::Texts(least, greatest) => {
                (shown(&self.kind, least), shown(&self.kind, greatest))
            }
            Extremes::Decimals(least, greatest) => {
                (least.to_string().into(), greatest.to_string().into())
            }
        };
        (Some(both.0), Some(both.1))
    }

    fn quantiles(&self, ranks: &Ranks) -> Quantiles {
        let at = |share| ranks.at(share).map_or(Value::Null, |key| key::to_json(&self.kind, key));
        Quantiles {
            p01: at(0.01),
            p05: at(0.05),
            p25: at(0.25),
            p50: at(0.5),
            p75: at(0.75),
            p95: at(0.95),
            p99: at(0.99),
            rank_error: ranks.error_share(),
        }
    }

    fn has_values(&self) -> bool {
        !matches!(
            self.kind,
            ColumnKind::Null | ColumnKind::List(_) | ColumnKind::Struct(_) | ColumnKind::Map(..)
        )
    }

    fn distinct(&self) -> Option<Distinct> {
        let followed = self.followed.len() as u64;
        let values = self.rows - self.nulls - self.nan;
        self.has_values().then(|| match &self.registers {
            None => Distinct { count: followed, exact: true },
            Some(registers) => {
                let estimate = registers.estimate().round() as u64;
                Distinct { count: estimate.clamp(followed.min(values), values), exact: false }
            }
        })
    }

    /// The most frequent values, and how often any other may occur.
    fn top(&self) -> (Vec<TopValue>, Option<u64>) {
        // What was missed more often than counted says nothing.
        let is_known = |followed: &Followed| followed.count >= followed.missed_at_most;
        let mut order: Vec<(&u64, &Followed)> = self.followed.iter().collect();
        order.sort_unstable_by(|(left_id, left), (right_id, right)| {
            let by_count = is_known(right).cmp(&is_known(left)).then(right.count.cmp(&left.count));
            by_count.then_with(|| left.text.cmp(&right.text)).then(left_id.cmp(right_id))
        });
        let end = order.iter().take(TOP).take_while(|(_, followed)| is_known(followed)).count();
        let (top, others) = order.split_at(end);
        let others = others.iter().map(|(_, followed)| followed.at_most()).max().unwrap_or(0);
        let values = top.iter().map(|(id, followed)| TopValue {
            value: match &followed.text {
                Some(text) => shown(&self.kind, text),
                None => key::to_json(&self.kind, **id),
            },
            count: followed.count,
            exact: followed.missed_at_most == 0,
            count_at_most: (followed.missed_at_most > 0).then(|| followed.at_most()),
        });
        (values.collect(), self.has_values().then_some(others.max(self.others_at_most)))
    }
}

/// The beginning of a text; bytes in hex digits.
fn shown(kind: &ColumnKind, text: &[u8]) -> Value {
    let text = match kind {
        ColumnKind::Binary => hex::encode(text),
        _ => String::from_utf8_lossy(text).into_owned(),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
