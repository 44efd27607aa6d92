//! The walk down a pointer's stack.

/// Where a rollback leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The version that becomes live.
    pub target: u64,
    /// How many holdings are taken off to reach it.
    pub popped: u64,
    /// Versions passed over because they are quarantined.
    pub passed_over: Vec<u64>,
}

/// Walks down from the top of `stack` (its last element) to the first holding that is a version
/// other than the one on top and is not quarantined. None when there is no such holding.
pub fn walk_down(stack: &[Option<u64>], quarantined: &dyn Fn(u64) -> bool) -> Option<Walk> {
    let (top, below) = stack.split_last()?;
    let mut passed_over = Vec::new();
    for (index, holding) in below.iter().rev().enumerate() {
        match holding {
            Some(version) if Some(*version) == *top => {}
            Some(version) if quarantined(*version) => passed_over.push(*version),
            Some(version) => {
                let popped = index as u64 + 1;
                passed_over.sort_unstable();
                passed_over.dedup();
                return Some(Walk { target: *version, popped, passed_over });
            }
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Plays moves on a stack: n > 0 promotes n, 0 rolls back. Returns what was live after each.
    fn play(moves: &[u64]) -> Vec<Option<u64>> {
        let (mut stack, mut quarantined, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for step in moves {
            if *step > 0 {
                quarantined.retain(|version| version != step);
                stack.push(Some(*step));
                seen.push(Some(*step));
                continue;
            }
            let walk = walk_down(&stack, &|version| quarantined.contains(&version));
            seen.push(walk.as_ref().map(|walk| walk.target));
            if let Some(walk) = walk {
                quarantined.extend(stack.last().copied().flatten());
                stack.truncate(stack.len() - walk.popped as usize);
            }
        }
        seen
    }

    #[test]
    fn the_examples_of_the_protocol() {
        assert_eq!(play(&[1, 2, 3, 0, 0, 0])[3..], [Some(2), Some(1), None]);
        assert_eq!(play(&[1, 2, 0, 3, 0])[2..], [Some(1), Some(3), Some(1)]);
        assert_eq!(play(&[1, 2, 1, 0])[3..], [Some(2)]);
    }

    #[test]
    fn a_time_without_a_version_is_stepped_over() {
        let walk = walk_down(&[Some(1), Some(2), None], &|_| false).unwrap();
        assert_eq!((walk.target, walk.popped), (2, 1));
        let walk = walk_down(&[Some(1), None, Some(2)], &|_| false).unwrap();
        assert_eq!((walk.target, walk.popped), (1, 2));
    }

    proptest! {
        #[test]
        fn repeated_rollbacks_visit_distinct_versions_and_end(
            promoted in prop::collection::vec(1_u64..6, 1..12)
        ) {
            let mut moves = promoted.clone();
            moves.extend(std::iter::repeat_n(0, promoted.len() + 1));
            let seen = play(&moves);
            let visited: Vec<u64> = seen[promoted.len()..].iter().flatten().copied().collect();
            let mut distinct = visited.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), visited.len());
            prop_assert!(!visited.contains(promoted.last().unwrap()));
            prop_assert_eq!(seen.last().unwrap(), &None);
        }
    }
}
