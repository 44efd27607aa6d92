//! Names that have no place in a model: they run commands or code, load code, or touch files, the
//! network or other processes. `docs/formats/model-inspection.md` describes the policy.

const COMMANDS: &str = "runs commands";
const CODE: &str = "runs or loads code";
const FILES: &str = "reads or writes files";
const NETWORK: &str = "talks to the network";
const PROCESSES: &str = "starts or steers processes";
const INDIRECT: &str = "reaches or calls other functions by name";
const NESTED: &str = "loads another pickle, unseen";
const MEMORY: &str = "reaches into memory or native libraries";

/// Whole modules, with everything below them, sorted.
#[rustfmt::skip]
const MODULES: &[(&str, &str)] = &[
    ("_aix_support", COMMANDS), ("_ctypes", MEMORY), ("_imp", CODE), ("_io", FILES),
    ("_osx_support", COMMANDS), ("_posixshmem", MEMORY), ("_posixsubprocess", COMMANDS), ("_pyrepl", CODE),
    ("_socket", NETWORK), ("_ssl", NETWORK), ("_thread", PROCESSES), ("_winapi", PROCESSES),
    ("_xxsubinterpreters", CODE), ("aiohttp", NETWORK), ("asyncio", PROCESSES), ("asyncore", NETWORK),
    ("atexit", CODE), ("bdb", CODE), ("boto3", NETWORK), ("cProfile", CODE),
    ("cffi", MEMORY), ("cgi", CODE), ("cgitb", CODE), ("cloudpickle", CODE), ("cmd", CODE),
    ("code", CODE), ("codeop", CODE), ("commands", COMMANDS), ("compileall", CODE),
    ("concurrent", PROCESSES), ("ctypes", MEMORY), ("dbm", FILES), ("dill", CODE),
    ("distutils", COMMANDS), ("doctest", CODE), ("ensurepip", COMMANDS), ("faulthandler", MEMORY), ("fcntl", FILES),
    ("fileinput", FILES), ("ftplib", NETWORK), ("gc", MEMORY), ("glob", FILES), ("http", NETWORK), ("httplib", NETWORK),
    ("httpx", NETWORK), ("idlelib", CODE), ("imaplib", NETWORK), ("imp", CODE),
    ("importlib", CODE), ("inspect", INDIRECT), ("io", FILES), ("jsonpickle", NESTED), ("lib2to3", CODE),
    ("linecache", FILES), ("logging.config", CODE), ("mailbox", FILES), ("marshal", CODE), ("mmap", FILES), ("modulefinder", CODE),
    ("msvcrt", PROCESSES), ("multiprocessing", PROCESSES), ("netrc", FILES), ("nntplib", NETWORK), ("nt", COMMANDS),
    ("ntpath", FILES), ("os", COMMANDS), ("paramiko", NETWORK), ("pdb", CODE),
    ("pexpect", COMMANDS), ("pickle", NESTED), ("_pickle", NESTED), ("cPickle", NESTED), ("pip", COMMANDS),
    ("pkg_resources", CODE), ("pkgutil", CODE), ("platform", COMMANDS), ("plistlib", FILES), ("poplib", NETWORK), ("popen2", COMMANDS),
    ("posix", COMMANDS), ("posixpath", FILES), ("profile", CODE), ("psutil", PROCESSES), ("pty", COMMANDS),
    ("py_compile", CODE), ("pyclbr", CODE), ("pydoc", INDIRECT), ("requests", NETWORK), ("resource", PROCESSES), ("rlcompleter", CODE),
    ("runpy", CODE), ("sched", PROCESSES), ("setuptools", COMMANDS), ("shelve", NESTED), ("shutil", FILES), ("signal", PROCESSES),
    ("site", CODE), ("smtplib", NETWORK), ("socket", NETWORK), ("socketserver", NETWORK),
    ("sqlite3", FILES), ("ssl", NETWORK), ("subprocess", COMMANDS), ("sys", INDIRECT), ("tarfile", FILES), ("telnetlib", NETWORK),
    ("tempfile", FILES), ("thread", PROCESSES), ("threading", PROCESSES), ("timeit", CODE), ("trace", CODE),
    ("turtle", CODE), ("unittest", CODE), ("urllib", NETWORK), ("urllib2", NETWORK), ("urllib3", NETWORK),
    ("uv", COMMANDS), ("venv", COMMANDS), ("webbrowser", COMMANDS), ("winreg", PROCESSES), ("_winreg", PROCESSES), ("wsgiref", NETWORK),
    ("xmlrpc", NETWORK), ("zipapp", CODE), ("zipfile", FILES), ("zipimport", CODE),
    ("fsspec", FILES), ("huggingface_hub", NETWORK), ("IPython", CODE),
    ("numpy.testing", CODE), ("numpy.f2py", CODE), ("numpy.distutils", COMMANDS), ("numpy.ctypeslib", MEMORY),
    ("numpy.lib.npyio", FILES), ("numpy.lib._npyio_impl", FILES),
    ("torch.hub", CODE), ("torch.serialization", NESTED), ("torch.jit", CODE), ("torch.utils.cpp_extension", COMMANDS),
    ("torch.package", CODE), ("torch.multiprocessing", PROCESSES),
    ("torch.utils.bottleneck", CODE), ("torch.utils.collect_env", COMMANDS), ("torch._inductor", CODE), ("torch._dynamo", CODE),
    ("torch.fx", CODE), ("torch.ops", CODE), ("torch.utils.model_zoo", NETWORK),
    ("tensorflow.io", FILES), ("tensorflow.python.platform", FILES), ("keras.utils", CODE), ("keras.models", CODE), ("keras.saving", CODE),
    ("pandas.io", FILES), ("pandas.eval", CODE), ("pandas.core.computation", CODE),
];

/// Single names of modules that are otherwise harmless.
#[rustfmt::skip]
const NAMES: &[(&str, &str, &str)] = &[
    ("_codecs", "open", FILES), ("_operator", "attrgetter", INDIRECT), ("_operator", "methodcaller", INDIRECT), ("_operator", "call", INDIRECT),
    ("operator", "attrgetter", INDIRECT), ("operator", "methodcaller", INDIRECT), ("operator", "call", INDIRECT),
    ("functools", "partial", INDIRECT), ("functools", "partialmethod", INDIRECT), ("functools", "reduce", INDIRECT),
    ("_functools", "partial", INDIRECT), ("_functools", "reduce", INDIRECT),
    ("types", "CodeType", CODE), ("types", "FunctionType", CODE), ("types", "LambdaType", CODE), ("types", "MethodType", INDIRECT),
    ("types", "ModuleType", CODE), ("types", "DynamicClassAttribute", INDIRECT), ("types", "coroutine", CODE),
    ("codecs", "open", FILES), ("logging", "FileHandler", FILES), ("logging", "shutdown", INDIRECT),
    ("pathlib", "Path.write_text", FILES), ("pathlib", "Path.write_bytes", FILES), ("pathlib", "Path.unlink", FILES),
    ("joblib", "load", NESTED), ("joblib.numpy_pickle", "load", NESTED), ("sklearn.externals.joblib", "load", NESTED),
    ("joblib", "Parallel", PROCESSES), ("joblib.parallel", "Parallel", PROCESSES),
    ("numpy", "load", NESTED), ("numpy", "save", FILES), ("numpy", "savez", FILES), ("numpy", "savetxt", FILES), ("numpy", "loadtxt", FILES),
    ("numpy", "fromfile", FILES), ("numpy", "memmap", FILES), ("numpy", "genfromtxt", FILES), ("numpy", "DataSource", FILES),
    ("numpy", "vectorize", INDIRECT), ("numpy", "apply_along_axis", INDIRECT), ("numpy", "fromfunction", INDIRECT), ("numpy", "frompyfunc", INDIRECT),
    ("numpy.core.multiarray", "fromfile", FILES), ("numpy._core.multiarray", "fromfile", FILES),
    ("torch", "load", NESTED), ("torch", "save", FILES), ("torch", "compile", CODE), ("torch.storage", "_load_from_bytes", NESTED),
    ("torch._utils", "_import_dotted_name", INDIRECT), ("torch", "from_file", FILES),
    ("pandas", "read_pickle", NESTED), ("pandas", "eval", CODE), ("pandas", "read_csv", FILES), ("pandas", "read_json", FILES),
    ("pandas", "read_html", NETWORK), ("pandas", "read_sql", FILES),
    ("site", "main", CODE),
    ("ast", "literal_eval", CODE), ("ast", "parse", CODE),
    ("getpass", "getpass", INDIRECT), ("uuid", "_get_command_stdout", COMMANDS), ("uuid", "_popen", COMMANDS),
    ("ssl", "get_server_certificate", NETWORK), ("weakref", "finalize", INDIRECT),
];

/// Built-in functions with which a pickle leaves data behind; the rest of them is not listed at all.
#[rustfmt::skip]
const BUILTINS: &[&str] = &[
    "__build_class__", "__import__", "apply", "breakpoint", "compile", "copyright", "credits", "delattr", "dir", "eval", "exec", "execfile",
    "exit", "file", "filter", "getattr", "globals", "help", "input", "license", "locals", "map", "memoryview", "open", "quit", "raw_input",
    "reduce", "reload", "setattr", "super", "vars",
];

/// Parts of a dotted name that lead from an object to its module, its class or its code.
#[rustfmt::skip]
const PARTS: &[&str] = &[
    "__base__", "__bases__", "__builtins__", "__class__", "__code__", "__dict__", "__getattribute__", "__globals__", "__import__", "__init__",
    "__loader__", "__mro__", "__reduce__", "__setstate__", "__spec__", "__subclasses__", "eval", "exec", "getattr", "popen", "setattr",
    "spawn", "system",
];

/// What a module is known for, when nothing in it belongs into a model.
pub(super) fn module(module: &str) -> Option<&'static str> {
    let below = |top: &str| {
        module.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    MODULES.iter().find(|(name, _)| below(name)).map(|(_, what)| *what)
}

/// What a single name is known for.
pub(super) fn name(module: &str, name: &str) -> Option<&'static str> {
    if matches!(module, "builtins" | "__builtin__" | "__builtins__") && BUILTINS.contains(&name) {
        return Some(CODE);
    }
    NAMES.iter().find(|entry| entry.0 == module && entry.1 == name).map(|entry| entry.2)
}

/// What one part of a dotted name is known for.
pub(super) fn part(part: &str) -> Option<&'static str> {
    if PARTS.contains(&part) { Some(INDIRECT) } else { module(part) }
}

/// Whether the name is a bad module that another module happens to have imported, as `torch.os`.
pub(super) fn module_inside(outer: &str, name: &str) -> Option<&'static str> {
    const REACHED: [&str; 14] = [
        "builtins",
        "ctypes",
        "importlib",
        "marshal",
        "nt",
        "os",
        "pickle",
        "posix",
        "pty",
        "runpy",
        "shutil",
        "socket",
        "subprocess",
        "sys",
    ];
    (outer != name && REACHED.contains(&name)).then_some(INDIRECT)
}
