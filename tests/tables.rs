//! Tables through the content digest: the published vectors, random tables in every format and
//! encoding, and files that mean harm.

mod arrays;
mod files;
mod hostile;
mod large_csv;
mod properties;
mod texts;
mod types;
mod unordered;
mod values;
mod vectors;
