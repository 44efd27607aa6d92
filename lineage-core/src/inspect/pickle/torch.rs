//! What torch writes into its pickles: references to raw numbers, and tensors made of them.

use super::value::{Global, Value};

/// The element type of a storage class, in the words of safetensors.
pub(super) fn storage_dtype(class: &str) -> Option<&'static str> {
    Some(match class.strip_suffix("Storage")? {
        "Double" => "F64",
        "Float" => "F32",
        "Half" => "F16",
        "BFloat16" => "BF16",
        "Long" => "I64",
        "Int" => "I32",
        "Short" => "I16",
        "Char" => "I8",
        "Byte" => "U8",
        "Bool" => "BOOL",
        "ComplexFloat" => "C64",
        "ComplexDouble" => "C128",
        "QUInt8" => "QU8",
        "QInt8" => "QI8",
        "QInt32" => "QI32",
        "QUInt4x2" => "QU4",
        "QUInt2x4" => "QU2",
        "Untyped" => "U8",
        _ => return None,
    })
}

/// The element type, when a persistent id is torch's:
/// `("storage", torch.FloatStorage, key, location, numel)`, and in older files a sixth part.
pub(super) fn storage(id: &Value) -> Option<&'static str> {
    let [
        Value::Text(word),
        Value::Global(class),
        Value::Text(_),
        Value::Text(_),
        Value::Int(_),
        rest @ ..,
    ] = id.items()?
    else {
        return None;
    };
    let module = matches!(&*class.module, "torch" | "torch.storage" | "torch.cuda");
    (&**word == "storage" && module && rest.len() <= 1)
        .then(|| storage_dtype(&class.name))
        .flatten()
}

/// The element type and number of elements of a tensor that is put together here from
/// `(storage, offset, size, stride, …)`.
pub(super) fn rebuilt(global: &Global, arguments: &Value) -> Option<(&'static str, u64)> {
    if global.module != "torch._utils" || !global.name.starts_with("_rebuild_tensor") {
        return None;
    }
    let items = arguments.items()?;
    let Some(Value::Storage(dtype)) = items.first() else { return None };
    let size = items.get(2)?;
    // Since version 3 the type stands beside a storage that has none.
    let named = items.iter().find_map(|item| match item {
        Value::Global(global) if global.module == "torch" => dtype_of(&global.name),
        _ => None,
    });
    Some((named.unwrap_or(dtype), size.elements()?))
}

fn dtype_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "float64" => "F64",
        "float32" => "F32",
        "float16" => "F16",
        "bfloat16" => "BF16",
        "float8_e4m3fn" => "F8_E4M3",
        "float8_e5m2" => "F8_E5M2",
        "int64" => "I64",
        "int32" => "I32",
        "int16" => "I16",
        "int8" => "I8",
        "uint64" => "U64",
        "uint32" => "U32",
        "uint16" => "U16",
        "uint8" => "U8",
        "bool" => "BOOL",
        "complex64" => "C64",
        "complex128" => "C128",
        _ => return None,
    })
}
