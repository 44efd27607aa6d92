//! tmp
use crate::table::ColumnKind;
/// A declared column.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredColumn {
    /// Its name.
    pub name: String,
    /// Its kind, or none when that is to be inferred.
    pub kind: Option<ColumnKind>,
}
/// tmp
#[derive(Debug, thiserror::Error)]
#[error("tmp")]
pub struct SchemaError;
/// tmp
pub fn parse(_: &[u8]) -> Result<Vec<DeclaredColumn>, SchemaError> {
    Err(SchemaError)
}
