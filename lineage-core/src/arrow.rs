//! The parts of Arrow that this library speaks: arrays, schemas, buffers and IPC.
//!
//! They are re-exported so that a program that hands batches to this library uses the same version.
//! The modules are named as in the crate `arrow`, which is not used itself: it always brings the kernels for
//! casts, comparisons, sorting and arithmetic, which nothing here needs and which take long to build.

/// Arrays, their builders and record batches.
pub mod array {
    pub use arrow_array::builder::*;
    pub use arrow_array::cast::*;
    pub use arrow_array::*;
    pub use arrow_data::{ArrayData, ByteView, transform::MutableArrayData};
}

/// Memory that arrays share.
pub use arrow_buffer as buffer;

/// Kernels that choose and join values.
pub mod compute {
    pub use arrow_select::concat::{concat, concat_batches};
    pub use arrow_select::take::take;
}

/// Types of columns.
pub mod datatypes {
    pub use arrow_array::ArrowPrimitiveType;
    pub use arrow_array::types::*;
    pub use arrow_buffer::{ArrowNativeType, i256};
    pub use arrow_schema::{
        DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaBuilder, SchemaRef,
        TimeUnit, UnionFields, UnionMode,
    };
}

/// What went wrong in Arrow.
pub mod error {
    pub use arrow_schema::ArrowError;
}

/// The file and stream formats.
pub use arrow_ipc as ipc;
