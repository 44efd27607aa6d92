#!/usr/bin/env python3
"""Makes the small model files in testdata/models/ (standard library only).

    python3 testdata/make_models.py

The evil ones are assembled by hand, opcode by opcode, and would at worst run `true`. Nothing loads
them: `lineage inspect` reads them, and its tests say what it must find.
"""

import bz2
import gzip
import io
import json
import lzma
import pathlib
import struct
import tarfile
import zipfile
import zlib

FOLDER = pathlib.Path(__file__).parent / "models"


def write(name, data):
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / name).write_bytes(data)


# --- pickles, protocol by protocol


def text(word):
    """SHORT_BINUNICODE"""
    encoded = word.encode()
    return b"\x8c" + bytes([len(encoded)]) + encoded


def named(module, name):
    """STACK_GLOBAL"""
    return text(module) + text(name) + b"\x93"


PROTO4 = b"\x80\x04"
RUN = b"(S'true'\ntR"
OS_SYSTEM = b"cos\nsystem\n" + RUN + b"."

write("ok.pkl", PROTO4 + b"}\x94(" + text("coef") + b"]\x94(G?\xb9\x99\x99\x99\x99\x99\x9aK\x02e" + text("n") + b"K\x03u.")
write("ok-ordered.pkl", b"\x80\x02ccollections\nOrderedDict\n)R.")
write("evil-global.pkl", b"cposix\nsystem\n" + RUN + b".")
write("evil-stack-global.pkl", PROTO4 + named("builtins", "eval") + text("1") + b"\x85R.")
write("evil-inst.pkl", b"(S'true'\nios\nsystem\n.")
write("evil-obj.pkl", b"(cos\nsystem\nS'true'\no.")
write("evil-build.pkl", PROTO4 + named("__main__", "X") + b")\x81}" + text("__setstate__") + b"cos\nsystem\nsb" + text("true") + b"b.")
write("evil-newobj-ex.pkl", PROTO4 + named("subprocess", "Popen") + text("true") + b"\x85}\x92.")
write("evil-memo.pkl", PROTO4 + text("os") + b"\x94" + text("system") + b"\x94h\x00h\x01\x93" + text("true") + b"\x85R.")
write("evil-escaped.pkl", b"S'o\\x73'\nV\\u0073ystem\n\x93(S'true'\ntR.")
write("evil-dotted.pkl", PROTO4 + named("collections", "OrderedDict.__init__.__globals__") + b".")
write("evil-member-module.pkl", PROTO4 + named("torch", "os.system") + text("true") + b"\x85R.")
write("evil-second.pkl", PROTO4 + b"}." + OS_SYSTEM)
write("evil-extension.pkl", b"\x80\x02\x82\x01.")
write("evil-persistent.pkl", b"Pabc\n.")
write("evil-cut.pkl", b"cos\nsystem\n" + RUN + b"\xff")
write("evil-locate.pkl", PROTO4 + named("pydoc", "locate") + text("os.system") + b"\x85R" + text("true") + b"\x85R.")
write("evil-runstring.pkl", b"cnumpy.testing._private.utils\nrunstring\n(S'x=1'\n}tR.")
write("unlisted-call.pkl", PROTO4 + named("mypkg.io", "load") + text("x") + b"\x85R.")
write("unlisted-import.pkl", PROTO4 + named("mypkg.io", "Thing") + b".")
write("class-changed.pkl", PROTO4 + named("collections", "OrderedDict") + b"}" + text("update") + b"Nsb.")
write("trailing.pkl", PROTO4 + b"}.\xff\xff\xff")

# --- joblib: compressed, and raw numbers in mid-stream


def joblib_array(raw, state=b""):
    """An object of NumpyArrayWrapper for two float64, then the padding byte and the numbers."""
    dtype = named("numpy", "dtype") + text("f8") + b"\x89\x88\x87R(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    pairs = text("subclass") + named("numpy", "ndarray") + text("shape") + b"K\x02\x85" + text("order") + text("C")
    pairs += text("dtype") + dtype + text("allow_mmap") + b"\x88" + text("numpy_array_alignment_bytes") + b"K\x10"
    return named("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81}(" + pairs + state + b"ub" + raw


OK_ARRAY = PROTO4 + joblib_array(b"\x03\xff\xff\xff" + struct.pack("<dd", 0.5, -2.0)) + b"."
write("ok.joblib", OK_ARRAY)
# Sixteen bytes that joblib.load takes for numbers and pickle.load for opcodes.
write("evil-two-readers.joblib", PROTO4 + joblib_array(b"0cos\nsystem\n)R.x") + b".")
for name, packed in [
    ("zlib", zlib.compress(OS_SYSTEM)),
    ("gzip", gzip.compress(OS_SYSTEM, mtime=0)),
    ("bz2", bz2.compress(OS_SYSTEM)),
    ("xz", lzma.compress(OS_SYSTEM)),
    ("lzma", lzma.compress(OS_SYSTEM, format=lzma.FORMAT_ALONE)),
]:
    write(f"evil-{name}.joblib", packed)
write("ok-zlib.joblib", zlib.compress(OK_ARRAY))
write("bomb-gzip.joblib", gzip.compress(gzip.compress(b"\x8e" + struct.pack("<Q", 1 << 40) + bytes(300 << 20), mtime=0), mtime=0))

# --- archives


def zipped(members, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return out.getvalue()


def tarred(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


TENSOR = (
    b"\x80\x02ccollections\nOrderedDict\n)R" + b"X\x01\x00\x00\x00w" + b"ctorch._utils\n_rebuild_tensor_v2\n"
    b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
    b"K\x00K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtRs."
)
TORCH = [("archive/data.pkl", TENSOR), ("archive/byteorder", b"little"), ("archive/data/0", bytes(16)), ("archive/version", b"3\n")]
write("ok.pt", zipped(TORCH))
write("evil.pt", zipped([("archive/data.pkl", OS_SYSTEM)] + TORCH[1:]))
write("evil-member.pt", zipped(TORCH + [("archive/extra.pkl", OS_SYSTEM)]))
write("evil-storage.pt", zipped(TORCH[:2] + [("archive/data/0", OS_SYSTEM)] + TORCH[3:]))
write("evil-named-otherwise.zip", zipped([("weights.bin", OS_SYSTEM)], zipfile.ZIP_DEFLATED))
write("evil-nested.zip", zipped([("inner.zip", zipped([("data.pkl", OS_SYSTEM)], zipfile.ZIP_DEFLATED))], zipfile.ZIP_DEFLATED))
write("evil.tar", tarred([("model/weights.bin", OS_SYSTEM)]))
write("evil.tar.gz", gzip.compress(tarred([("model/weights.bin", zlib.compress(OS_SYSTEM))]), mtime=0))
# Two members of one name: readers take the first or the last.
double = io.BytesIO()
with zipfile.ZipFile(double, "w") as archive:
    for content in (OS_SYSTEM, TENSOR):
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), content)
write("evil-double.pt", double.getvalue())
# Marked as encrypted, which one reader refuses and another does not look at.
flagged = bytearray(zipped([("archive/data.pkl", OS_SYSTEM)]))
flagged[6] |= 1
flagged[flagged.rindex(b"PK\x01\x02") + 8] |= 1
write("evil-flagged.pt", bytes(flagged))
write("code.pt", zipped(TORCH + [("archive/code/__torch__.py", b"def forward(self): pass\n")]))

# --- arrays


def npy(descr, shape, body):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


write("ok.npy", npy("<f8", (2, 3), bytes(48)))
write("evil-object.npy", npy("|O", (1,), OS_SYSTEM))
write("ok.npz", zipped([("x.npy", npy("<f4", (2,), bytes(8)))], zipfile.ZIP_DEFLATED))

# --- safetensors


def safetensors(header, data, pad=True):
    encoded = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8 if pad else 0)
    return struct.pack("<Q", len(encoded)) + encoded + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


TWO = {"__metadata__": {"format": "pt"}, "a": tensor("F32", [2], 0, 8), "b": tensor("BF16", [2, 2], 8, 16)}
OK_SAFETENSORS = safetensors(TWO, bytes(16))
write("ok.safetensors", OK_SAFETENSORS)
write("hole.safetensors", safetensors(TWO, bytes(24)))
write("cut.safetensors", safetensors(TWO, bytes(12)))
write("overlap.safetensors", safetensors({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)}, bytes(12)))
write("shape.safetensors", safetensors({"a": tensor("F32", [4], 0, 8)}, bytes(8)))
write("overflow.safetensors", safetensors({"a": tensor("F32", [1 << 62, 4], 0, 8)}, bytes(8)))
write("dtype.safetensors", safetensors({"a": tensor("F33", [2], 0, 8)}, bytes(8)))
write("huge-header.safetensors", struct.pack("<Q", 10**12) + b"{}")
write("double.safetensors", safetensors(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}', b"\0"))
write("space.safetensors", safetensors(b' {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\0"))
write("metadata.safetensors", safetensors({"__metadata__": {"n": 3}}, b""))
write("evil-polyglot.safetensors", OK_SAFETENSORS + zipped([("archive/data.pkl", OS_SYSTEM)]))

# --- GGUF


def gguf_text(word):
    encoded = word.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def gguf(keys, tensors=1, version=3):
    out = b"GGUF" + struct.pack("<IQQ", version, tensors, len(keys))
    for key, value in keys:
        out += gguf_text(key) + (struct.pack("<II", 4, value) if isinstance(value, int) else struct.pack("<I", 8) + gguf_text(value))
    out += gguf_text("w") + struct.pack("<IQQIQ", 2, 4, 2, 0, 0)
    return out + bytes(-len(out) % 32) + bytes(32)


KEYS = [("general.architecture", "llama"), ("general.alignment", 32), ("llama.context_length", 128)]
write("ok.gguf", gguf(KEYS))
write("template.gguf", gguf(KEYS + [("tokenizer.chat_template", "{% for m in messages %}{{ m }}{% endfor %}")]))
write("evil-template.gguf", gguf(KEYS + [("tokenizer.chat_template", "{{ ''.__class__.__mro__ }}")]))
write("count.gguf", gguf(KEYS, tensors=1 << 60))
write("cut.gguf", gguf(KEYS)[:-1])
write("version.gguf", gguf(KEYS, version=9))

# --- ONNX


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx(initializer, domain=""):
    node = field(1, "x") + field(2, "y") + field(4, "MatMul") + (field(7, domain) if domain else b"")
    graph = field(1, node) + field(2, "g") + field(5, initializer)
    return field(1, 9) + field(2, "lineage-test") + field(7, graph) + field(8, field(2, 17)) + field(14, field(1, "k") + field(2, "v"))


WEIGHT = field(1, 2) + field(1, 3) + field(2, 1) + field(8, "w")


def external(path):
    return WEIGHT + field(13, field(1, "location") + field(2, path)) + field(14, 1)


write("ok.onnx", onnx(WEIGHT + field(9, bytes(24))))
write("beside.onnx", onnx(external("weights.bin")))
write("evil-outside.onnx", onnx(external("../../etc/passwd")))
write("evil-absolute.onnx", onnx(external("/etc/passwd")))
write("operator.onnx", onnx(WEIGHT + field(9, bytes(24)), "com.example"))
write("cut.onnx", onnx(WEIGHT + field(9, bytes(24)))[:-4])

# --- others

LAYER = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": None}


def keras(layer):
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    return zipped([("config.json", json.dumps(config)), ("metadata.json", json.dumps({"keras_version": "3.1.0"}))])


write("ok.keras", keras(LAYER))
write("lambda.keras", keras({**LAYER, "class_name": "Lambda"}))
write("evil-module.keras", keras({**LAYER, "module": "os", "class_name": "system"}))
write("ok.skops", zipped([("schema.json", json.dumps({"__class__": "Pipeline", "__module__": "sklearn.pipeline", "__loader__": "ObjectNode"}))]))
write("evil.skops", zipped([("schema.json", json.dumps({"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode"}))]))
write("ok.json", b'{"learner": {"version": [2, 0, 3], "weights": [0.5, 1.5]}}')
write("lightgbm.txt", b"tree\nversion=v4\nnum_class=1\n\nend of trees\n")
write("keras.h5", b"\x89HDF\r\n\x1a\n" + bytes(24))
write("unknown.bin", bytes(range(1, 30)))
write("empty.bin", b"")
