//! Names that a model file may import and call: they make data and nothing else. Exact names of
//! exact modules, because a harmless class says nothing of its neighbours.

use super::known_sklearn::SKLEARN;

/// Whether a name is listed.
pub(super) fn contains(module: &str, name: &str) -> bool {
    let listed = |table: &[(&str, &[&str])]| {
        table.iter().any(|(listed, names)| *listed == module && names.contains(&name))
    };
    let storage = || {
        matches!(module, "torch" | "torch.cuda" | "torch.storage")
            && super::torch::storage_dtype(name).is_some()
    };
    // NumPy 2 renamed its inner modules; old and new names lie in files.
    let numpy =
        || module.strip_prefix("numpy._core.").is_some_and(|rest| listed_numpy_core(rest, name));
    let old_numpy =
        || module.strip_prefix("numpy.core.").is_some_and(|rest| listed_numpy_core(rest, name));
    listed(OTHERS) || listed(SKLEARN) || storage() || numpy() || old_numpy()
}

fn listed_numpy_core(module: &str, name: &str) -> bool {
    match module {
        "multiarray" => matches!(name, "_reconstruct" | "scalar" | "ndarray" | "dtype"),
        "numeric" => name == "_frombuffer",
        _ => false,
    }
}

/// Modules, each with its names.
#[rustfmt::skip]
const OTHERS: &[(&str, &[&str])] = &[
    ("builtins", BUILTINS), ("__builtin__", BUILTINS),
    ("copyreg", &["_reconstructor", "__newobj__"]), ("copy_reg", &["_reconstructor", "__newobj__"]),
    ("collections", &["Counter", "OrderedDict", "defaultdict", "deque"]),
    ("_codecs", &["encode"]),
    ("datetime", &["date", "datetime", "time", "timedelta", "timezone"]),
    ("decimal", &["Decimal"]), ("_decimal", &["Decimal"]), ("fractions", &["Fraction"]), ("uuid", &["UUID"]),
    ("types", &["SimpleNamespace", "NoneType"]), ("array", &["_array_reconstructor", "array"]),
    ("pathlib", &["PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"]),
    ("numpy", &[
        "bool", "bool_", "bytes_", "complex128", "complex64", "datetime64", "dtype", "float16", "float32", "float64", "int16", "int32", "int64",
        "int8", "longdouble", "matrix", "ndarray", "object_", "str_", "timedelta64", "uint16", "uint32", "uint64", "uint8", "void"]),
    ("numpy.dtypes", &[
        "BoolDType", "Float16DType", "Float32DType", "Float64DType", "Int16DType", "Int32DType", "Int64DType", "Int8DType", "ObjectDType",
        "StrDType", "UInt16DType", "UInt32DType", "UInt64DType", "UInt8DType"]),
    ("numpy.ma.core", &["MaskedArray", "_mareconstruct"]),
    ("numpy.random", &["RandomState"]),
    ("numpy.random._pickle", &["__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor"]),
    ("numpy.random.mtrand", &["RandomState"]), ("numpy.random._generator", &["Generator"]),
    ("numpy.random._mt19937", &["MT19937"]), ("numpy.random._pcg64", &["PCG64", "PCG64DXSM"]),
    ("numpy.random._philox", &["Philox"]), ("numpy.random._sfc64", &["SFC64"]),
    ("numpy.random.bit_generator", &["SeedSequence", "__pyx_unpickle_SeedSequence"]),
    ("joblib.numpy_pickle", &["NumpyArrayWrapper"]), ("sklearn.externals.joblib.numpy_pickle", &["NumpyArrayWrapper"]),
    ("scipy.sparse", &["bsr_matrix", "coo_matrix", "csc_matrix", "csr_matrix", "dia_matrix", "lil_matrix"]),
    ("scipy.sparse._bsr", &["bsr_array", "bsr_matrix"]), ("scipy.sparse._coo", &["coo_array", "coo_matrix"]),
    ("scipy.sparse._csc", &["csc_array", "csc_matrix"]), ("scipy.sparse._csr", &["csr_array", "csr_matrix"]),
    ("scipy.sparse._dia", &["dia_array", "dia_matrix"]), ("scipy.sparse._lil", &["lil_array", "lil_matrix"]),
    ("scipy.sparse.csr", &["csr_matrix"]), ("scipy.sparse.csc", &["csc_matrix"]), ("scipy.sparse.coo", &["coo_matrix"]),
    ("pandas", &["DataFrame", "Index", "RangeIndex", "Series", "Timedelta", "Timestamp"]),
    ("pandas.core.frame", &["DataFrame"]), ("pandas.core.series", &["Series"]),
    ("pandas.core.indexes.base", &["Index", "_new_Index"]), ("pandas.core.indexes.range", &["RangeIndex"]),
    ("pandas.core.indexes.multi", &["MultiIndex"]), ("pandas.core.indexes.datetimes", &["DatetimeIndex", "_new_DatetimeIndex"]),
    ("pandas.core.indexes.category", &["CategoricalIndex"]), ("pandas.core.indexes.numeric", &["Float64Index", "Int64Index"]),
    ("pandas.core.internals.managers", &["BlockManager", "SingleBlockManager"]),
    ("pandas.core.internals.blocks", &["Block", "new_block"]), ("pandas._libs.internals", &["_unpickle_block", "BlockManager", "BlockPlacement"]),
    ("pandas.core.arrays.categorical", &["Categorical"]), ("pandas.core.dtypes.dtypes", &["CategoricalDtype", "DatetimeTZDtype"]),
    ("pandas.core.arrays.datetimes", &["DatetimeArray"]), ("pandas.core.arrays.string_", &["StringArray", "StringDtype"]),
    ("pandas._libs.arrays", &["NDArrayBacked", "__pyx_unpickle_NDArrayBacked"]),
    ("pandas._libs.tslibs.timestamps", &["Timestamp", "_unpickle_timestamp"]),
    ("pandas._libs.tslibs.timedeltas", &["Timedelta", "_timedelta_unpickle"]),
    ("xgboost.core", &["Booster", "FeatureTypes"]),
    ("xgboost.sklearn", &["XGBClassifier", "XGBModel", "XGBRFClassifier", "XGBRFRegressor", "XGBRanker", "XGBRegressor"]),
    ("lightgbm.basic", &["Booster"]), ("lightgbm.sklearn", &["LGBMClassifier", "LGBMModel", "LGBMRanker", "LGBMRegressor"]),
    ("torch", &[
        "Size", "Tensor", "bfloat16", "bool", "complex128", "complex64", "device", "float", "float16", "float32", "float64", "half", "int16",
        "int32", "int64", "int8", "long", "per_channel_affine", "per_tensor_affine", "qint8", "quint8", "strided", "uint16", "uint32", "uint64",
        "uint8"]),
    ("torch._utils", &[
        "_rebuild_device_tensor_from_numpy", "_rebuild_meta_tensor_no_storage", "_rebuild_parameter", "_rebuild_parameter_with_state",
        "_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"]),
    ("torch.nn.parameter", &["Buffer", "Parameter"]), ("torch._tensor", &["_rebuild_from_type_v2"]),
    ("torch.nn.modules.activation", &[
        "ELU", "GELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSoftmax", "Mish", "MultiheadAttention", "PReLU", "ReLU", "ReLU6",
        "SELU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh"]),
    ("torch.nn.modules.batchnorm", &["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"]),
    ("torch.nn.modules.container", &["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]),
    ("torch.nn.modules.conv", &["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]),
    ("torch.nn.modules.dropout", &["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d"]),
    ("torch.nn.modules.flatten", &["Flatten", "Unflatten"]),
    ("torch.nn.modules.linear", &["Bilinear", "Identity", "Linear", "NonDynamicallyQuantizableLinear"]),
    ("torch.nn.modules.loss", &["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "L1Loss", "MSELoss", "NLLLoss", "SmoothL1Loss"]),
    ("torch.nn.modules.normalization", &["GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]),
    ("torch.nn.modules.padding", &["ConstantPad1d", "ConstantPad2d", "ReflectionPad2d", "ReplicationPad2d", "ZeroPad2d"]),
    ("torch.nn.modules.pooling", &[
        "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"]),
    ("torch.nn.modules.rnn", &["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN"]),
    ("torch.nn.modules.sparse", &["Embedding", "EmbeddingBag"]),
    ("torch.nn.modules.transformer", &[
        "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer"]),
    ("torch.nn.modules.upsampling", &["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]),
];

const BUILTINS: &[&str] = &[
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "long",
    "object",
    "range",
    "set",
    "slice",
    "str",
    "tuple",
    "unicode",
    "xrange",
];
