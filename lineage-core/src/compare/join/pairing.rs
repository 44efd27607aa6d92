//! Which columns of two tables belong together.

use serde::Serialize;

use super::{JoinError, Side, Source};
use crate::table::ColumnKind;

/// A column that two tables do not share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotCompared {
    /// Its name.
    pub name: String,
    /// Its kind in the left table, when it is there.
    pub left: Option<ColumnKind>,
    /// Its kind in the right table, when it is there.
    pub right: Option<ColumnKind>,
}

/// Columns of one name and kind: first those of the key, then the others in the order of the left table.
pub(super) struct Pairing {
    pub(super) key_width: usize,
    names: Vec<String>,
    left: Vec<usize>,
    right: Vec<usize>,
    pub(super) not_compared: Vec<NotCompared>,
}

impl Pairing {
    pub(super) fn of(
        left: &Source<'_>,
        right: &Source<'_>,
        key: &[String],
    ) -> Result<Pairing, JoinError> {
        if key.is_empty() {
            return Err(JoinError::NoKey);
        }
        let mut pairing = Pairing {
            key_width: key.len(),
            names: Vec::new(),
            left: Vec::new(),
            right: Vec::new(),
            not_compared: Vec::new(),
        };
        for name in key {
            if pairing.names.contains(name) {
                return Err(JoinError::KeyNamedTwice(name.clone()));
            }
            let at_left = key_place(left, name, Side::Left)?;
            let at_right = key_place(right, name, Side::Right)?;
            let (kind_left, kind_right) =
                (&left.columns()[at_left].1, &right.columns()[at_right].1);
            if kind_left != kind_right {
                let (left, right) = (kind_left.clone(), kind_right.clone());
                return Err(JoinError::KeyKinds { column: name.clone(), left, right });
            }
            pairing.push(name, at_left, at_right);
        }
        pairing.add_the_rest(left.columns(), right.columns());
        Ok(pairing)
    }

    /// Of several columns of one name, the first belongs to the first, the second to the second.
    fn add_the_rest(&mut self, left: &[(String, ColumnKind)], right: &[(String, ColumnKind)]) {
        let mut taken = vec![false; right.len()];
        for at in &self.right {
            taken[*at] = true;
        }
        for (at_left, (name, kind)) in left.iter().enumerate() {
            if self.left[..self.key_width].contains(&at_left) {
                continue;
            }
            let same_name = |at: &usize| !taken[*at] && right[*at].0 == *name;
            let at_right = (0..right.len()).find(same_name);
            if let Some(at) = at_right {
                taken[at] = true;
            }
            match at_right {
                Some(at) if right[at].1 == *kind => self.push(name, at_left, at),
                other => self.not_compared.push(NotCompared {
                    name: name.clone(),
                    left: Some(kind.clone()),
                    right: other.map(|at| right[at].1.clone()),
                }),
            }
        }
        let rest = right.iter().zip(taken).filter(|(_, taken)| !taken);
        self.not_compared.extend(rest.map(|((name, kind), _)| NotCompared {
            name: name.clone(),
            left: None,
            right: Some(kind.clone()),
        }));
    }

    fn push(&mut self, name: &str, left: usize, right: usize) {
        self.names.push(name.to_owned());
        self.left.push(left);
        self.right.push(right);
    }

    /// The columns in their places in one of the tables.
    pub(super) fn columns(&self, side: Side) -> &[usize] {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// The names of the key columns.
    pub(super) fn key(&self) -> &[String] {
        &self.names[..self.key_width]
    }

    /// The names of the compared columns outside the key.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names[self.key_width..].iter().map(String::as_str)
    }

    /// How many columns outside the key are compared.
    pub(super) fn width(&self) -> usize {
        self.names.len() - self.key_width
    }
}

fn key_place(source: &Source<'_>, name: &str, side: Side) -> Result<usize, JoinError> {
    let mut places = (0..source.columns().len()).filter(|at| source.columns()[*at].0 == name);
    let place = places.next();
    let column = name.to_owned();
    match (place, places.next()) {
        (Some(place), None) => Ok(place),
        (None, _) => Err(JoinError::KeyMissing { column, side }),
        (Some(_), Some(_)) => Err(JoinError::KeyAmbiguous { column, side }),
    }
}
