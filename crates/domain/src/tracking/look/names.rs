//! What a pickle may name: what is known of models, what is dangerous, and everything else.

use serde::{Deserialize, Serialize};

/// How much there is to fear of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Danger {
    /// Nobody knows it, or it holds code of its own: whoever loads the file must trust whoever made it.
    Suspicious,
    /// It could not be read to its end.
    Unread,
    /// It runs code of its maker's choice as soon as the file is loaded.
    Dangerous,
}

/// Modules of which nothing belongs into a model: whatever is called of them acts on the machine.
const DANGEROUS: &str = "\
    os posix nt ntpath posixpath subprocess _posixsubprocess sys socket _socket ssl shutil pty runpy pdb bdb code \
    codeop importlib imp _imp zipimport pkgutil pickle _pickle cPickle pickletools marshal shelve dbm ctypes _ctypes \
    cffi webbrowser http httplib urllib urllib2 urllib3 requests aiohttp httpx ftplib smtplib poplib imaplib telnetlib \
    socketserver xmlrpc asyncio multiprocessing _multiprocessing concurrent threading _thread thread signal commands \
    popen2 platform getpass tempfile fileinput glob sysconfig site pip ensurepip venv distutils setuptools idlelib \
    lib2to3 pydoc doctest timeit trace cProfile profile _testcapi gc sqlite3";
/// The same that any module may have imported, and so hand out under its own name.
const MACHINE: &str = "\
    os sys posix nt subprocess shutil socket importlib builtins pickle ctypes pty runpy";
/// What is dangerous of modules that are not so as a whole.
const DANGEROUS_NAMES: &str = "\
    builtins.eval builtins.exec builtins.execfile builtins.compile builtins.__import__ builtins.__build_class__ \
    builtins.getattr builtins.setattr builtins.delattr builtins.open builtins.file builtins.input builtins.raw_input \
    builtins.breakpoint builtins.globals builtins.locals builtins.vars builtins.apply builtins.reload builtins.help \
    builtins.exit builtins.quit operator.attrgetter operator.methodcaller _operator.attrgetter _operator.methodcaller \
    io.open io.open_code io.FileIO _io.open _io.open_code _io.FileIO codecs.open logging.FileHandler \
    types.FunctionType types.LambdaType numpy.load numpy.fromfile numpy.save numpy.memmap torch.load joblib.load \
    dill.load dill.loads cloudpickle.load cloudpickle.loads pandas.read_pickle";
/// Submodules of known libraries that run what they are given.
const DANGEROUS_BELOW: &str = "\
    logging.config numpy.testing numpy.f2py numpy.distutils numpy.ctypeslib numpy.lib.npyio numpy.lib._npyio_impl \
    torch.hub torch.serialization.load torch.utils.cpp_extension torch.utils.bottleneck torch.utils.collect_env \
    torch.utils._config_module torch.utils.data.datapipes.utils.decoder torch._dynamo torch._inductor \
    torch.distributed torch.jit.unsupported_tensor_ops torch.fx.experimental torch.cuda._memory_viz pandas.io \
    pandas.eval sklearn.datasets joblib.numpy_pickle.load cloudpickle.cloudpickle.subimport pandas.core.computation \
    mlflow.models.utils._load_model_code_path mlflow.pyfunc.load_model mlflow.pyfunc._load_pyfunc \
    mlflow.sklearn.load_model mlflow.sklearn._load_pyfunc mlflow.sklearn._load_model_from_local_file \
    keras.src.utils.python_utils.func_load keras.models.load_model keras.src.saving.saving_api.load_model \
    keras.src.saving.saving_lib.load_model statsmodels.iolib.smpickle tensorflow.python.framework.load_library";
/// Modules that models of known libraries hold, with what is below them.
const KNOWN: &str = "\
    numpy scipy sklearn pandas xgboost lightgbm catboost statsmodels collections _collections _collections_abc \
    datetime _datetime decimal _decimal fractions uuid itertools enum abc _abc array dataclasses numbers random \
    _random zoneinfo pytz dateutil weakref ordered_set joblib.numpy_pickle joblib.hashing torch.nn torch.optim \
    torch._utils torch.storage torch._tensor torch.distributions torch.ao.nn torch.quantization torch.amp \
    torchvision.models torchvision.ops torchvision.transforms torchaudio.models transformers.models \
    transformers.configuration_utils transformers.tokenization_utils tokenizers pyarrow.lib polars.dataframe \
    polars.series keras.src keras.models keras.layers tensorflow.python imblearn category_encoders umap hdbscan \
    gensim.models nltk.tokenize spacy.vocab flaml.automl skops.io mlflow.models mlflow.types mlflow.pyfunc \
    mlflow.sklearn mlflow.entities prophet.forecaster cloudpickle.cloudpickle._empty_cell_value";
/// Libraries that are known by their classes alone: among their functions are those that run or load what they are given.
const CLASSES_ALONE: &str = "mlflow keras tensorflow statsmodels";
/// What is known of modules of which not everything is.
const KNOWN_NAMES: &[(&str, &str)] = &[
    (
        "builtins",
        "\
         object int float complex bool str bytes bytearray list tuple dict set frozenset slice range xrange long \
         unicode memoryview type NotImplemented Ellipsis print len max min sum abs round sorted reversed zip map \
         filter enumerate property staticmethod classmethod super isinstance hash ValueError TypeError KeyError \
         IndexError Exception RuntimeError AttributeError NotImplementedError StopIteration OverflowError \
         ArithmeticError",
    ),
    ("copyreg", "_reconstructor __newobj__ __newobj_ex__"),
    ("_codecs", "encode"),
    ("functools", "partial reduce cmp_to_key"),
    ("operator", "itemgetter add sub mul truediv floordiv mod neg pos eq ne lt le gt ge"),
    ("_operator", "itemgetter add sub mul truediv"),
    ("types", "SimpleNamespace NoneType MappingProxyType GenericAlias UnionType"),
    ("typing", "Any Optional Union List Dict Tuple Callable Generic"),
    ("re", "_compile compile"),
    ("time", "struct_time"),
    ("math", "log log1p log2 log10 exp expm1 sqrt sin cos tan tanh pow floor ceil fabs inf nan"),
    ("string", "Template"),
    ("pathlib", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"),
    ("pathlib._local", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"),
    ("logging", "Logger getLogger RootLogger"),
    ("io", "BytesIO StringIO"),
    ("_io", "BytesIO StringIO"),
    (
        "torch",
        "\
         device dtype Size Tensor Generator Parameter float double half int long short bool float16 float32 float64 \
         bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 complex64 complex128 qint8 quint8 qint32 strided \
         FloatStorage DoubleStorage HalfStorage LongStorage IntStorage ShortStorage CharStorage ByteStorage \
         BoolStorage BFloat16Storage ComplexFloatStorage ComplexDoubleStorage QInt8Storage QUInt8Storage \
         QInt32Storage _utils",
    ),
];
/// Functions that were pickled with their code: it runs when the model is used, if not before. With all that is below a module.
const CODE: &str = "\
    types.CodeType types.ModuleType types.CellType types.MethodType builtins.code cloudpickle dill _dill \
    joblib.externals.cloudpickle joblib.externals.loky.cloudpickle_wrapper mlflow.utils._cloudpickle \
    pyspark.cloudpickle ray.cloudpickle srsly.cloudpickle";

/// Whether a module is this one, or lies below it.
fn is_below(module: &str, known: &str) -> bool {
    module.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn holds(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

fn holds_above(list: &str, whole: &str) -> bool {
    list.split_ascii_whitespace().any(|known| is_below(whole, known))
}

/// What is to be feared of a name; nothing of what is known.
pub(super) fn judge(module: &str, name: &str) -> Option<Danger> {
    // As Python 2 called them; a newer one maps them.
    let module = match module {
        "__builtin__" | "__builtins__" => "builtins",
        "copy_reg" => "copyreg",
        other => other,
    };
    let whole = format!("{module}.{name}");
    // A name with dots is walked: `logging` and `os.system` is `os.system`, and what a known module imported is no different.
    let is_walked = name.contains('.');
    let acts = |part: &str| {
        holds(if is_walked { DANGEROUS } else { MACHINE }, part)
            || matches!(part, "system" | "popen" | "eval" | "exec" | "__import__" | "__builtins__")
            || (is_walked && part.starts_with("__"))
    };
    if holds_above(DANGEROUS, module)
        || holds_above(DANGEROUS_BELOW, &whole)
        || holds(DANGEROUS_NAMES, &whole)
        || name.split('.').any(acts)
    {
        return Some(Danger::Dangerous);
    }
    let is_listed = |(known, names): &(&str, &str)| *known == module && holds(names, name);
    let is_class = name.split('.').all(|part| part.starts_with(|first: char| first.is_ascii_uppercase()));
    let is_of_library = holds_above(KNOWN, &whole) && (is_class || !holds_above(CLASSES_ALONE, module));
    let is_known = !holds_above(CODE, &whole) && (is_of_library || KNOWN_NAMES.iter().any(is_listed));
    (!is_known).then_some(Danger::Suspicious)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_the_machine_is_dangerous_however_it_is_reached() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("nt", "system"),
            ("os.path", "join"),
            ("subprocess", "Popen"),
            ("builtins", "eval"),
            ("__builtin__", "exec"),
            ("builtins", "getattr"),
            ("builtins", "__import__"),
            ("sys", "modules"),
            ("importlib", "import_module"),
            ("importlib._bootstrap", "_gcd_import"),
            ("runpy", "_run_code"),
            ("numpy.testing._private.utils", "runstring"),
            ("numpy", "load"),
            ("torch.hub", "load"),
            ("torch.serialization", "load"),
            ("pandas.io.pickle", "read_pickle"),
            ("sklearn.utils", "os.system"),
            ("logging", "os.system"),
            ("numpy", "f2py.os.system"),
            ("collections", "sys"),
            ("collections", "OrderedDict.__init__.__globals__"),
            ("operator", "attrgetter"),
            ("types", "FunctionType"),
            ("pickle", "loads"),
            ("mlflow.models.utils", "_load_model_code_path"),
            ("mlflow.pyfunc", "load_model"),
            ("mlflow", "pyfunc.load_model"),
            ("mlflow.pyfunc", "_load_pyfunc"),
            ("mlflow.sklearn", "load_model"),
            ("keras.src.utils.python_utils", "func_load"),
            ("statsmodels.iolib.smpickle", "load_pickle"),
            ("tensorflow.python.framework.load_library", "load_op_library"),
        ] {
            assert_eq!(judge(module, name), Some(Danger::Dangerous), "{module}.{name}");
        }
    }

    #[test]
    fn what_models_hold_is_known_and_the_rest_is_suspicious() {
        for (module, name) in [
            ("sklearn.linear_model._logistic", "LogisticRegression"),
            ("sklearn.tree._tree", "Tree"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "scalar"),
            ("numpy", "dtype"),
            ("scipy.sparse._csr", "csr_matrix"),
            ("collections", "OrderedDict"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch", "FloatStorage"),
            ("torch.nn.modules.linear", "Linear"),
            ("xgboost.sklearn", "XGBClassifier"),
            ("copy_reg", "_reconstructor"),
            ("__builtin__", "object"),
            ("_codecs", "encode"),
            ("joblib.numpy_pickle", "NumpyArrayWrapper"),
            ("statsmodels.regression.linear_model", "OLS"),
            ("mlflow.pyfunc.model", "PythonModel"),
            ("keras.src.layers.core.dense", "Dense"),
        ] {
            assert_eq!(judge(module, name), None, "{module}.{name}");
        }
        for (module, name) in [
            ("__main__", "Net"),
            ("mymodel", "os_like"),
            ("torch", "compile"),
            ("numpyx", "dtype"),
            ("cloudpickle.cloudpickle", "_make_function"),
            ("types", "CodeType"),
            ("builtins", "memoryview2"),
            ("operator", "call"),
            ("mlflow.pyfunc", "spark_udf"),
            ("mlflow.models", "Model.load"),
            ("keras.src.saving.pickle_utils", "deserialize_model_from_bytecode"),
            ("tensorflow.python.ops.script_ops", "numpy_function"),
            ("statsmodels.datasets", "get_rdataset"),
        ] {
            assert_eq!(judge(module, name), Some(Danger::Suspicious), "{module}.{name}");
        }
    }
}
