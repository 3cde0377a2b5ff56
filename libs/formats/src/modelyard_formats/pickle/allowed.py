"""What a model of each kind may name in its pickle, with the reason beside each group. Used by `pickle.rules`.

Three lists: values (a type or function that is kept, never called while loading), instances (classes that are made
without arguments and then given their attributes, as pickle's protocol 2 does), and what `pickle.calls` allows to be
called with certain arguments. Whatever is here must stay harmless in every release of its library.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from modelyard_formats.pickle.values import Global


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STORAGES = (
    "DoubleStorage FloatStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage "
    "ByteStorage BoolStorage ComplexDoubleStorage ComplexFloatStorage QUInt8Storage QInt8Storage QInt32Storage "
    "QUInt4x2Storage QUInt2x4Storage"
)
_TORCH_DTYPES = (
    "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool complex64 complex128 "
    "complex32 quint8 qint8 qint32 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu "
    "strided sparse_coo sparse_csr per_tensor_affine per_channel_affine contiguous_format preserve_format channels_last"
)
# Functions of numbers alone, without code of anybody else: FunctionTransformer, kernels and scorers keep them.
_UFUNCS = (
    "abs absolute add arccos arcsin arctan arctan2 cbrt ceil clip cos cosh deg2rad degrees divide exp exp2 expm1 fabs "
    "float_power floor floor_divide fmax fmin hypot invert isfinite isinf isnan log log10 log1p log2 logaddexp "
    "logical_and logical_not logical_or maximum minimum mod multiply negative power rad2deg radians reciprocal "
    "remainder rint sign sin sinh sqrt square subtract tan tanh true_divide trunc"
)
_SPECIAL = (
    "expit logit log_expit xlogy xlog1py entr erf erfc gammaln digamma boxcox boxcox1p inv_boxcox log1p expm1 exp2"
)
_NUMBERS = (
    "mean median nanmean nanmedian average sum nansum prod min max amin amax nanmin nanmax std var nanstd nanvar ptp "
    "argmax argmin nan_to_num round around ravel asarray array atleast_2d squeeze cumsum diff "
    "flip fliplr flipud hstack vstack column_stack concatenate stack unique cumprod tile repeat reshape digitize sort "
    "argsort transpose swapaxes roll quantile percentile nanquantile nanpercentile nanprod nancumsum gradient interp"
)
_DTYPES = (
    "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 longdouble intp uintp int_ "
    "float_ double complex64 complex128 str_ bytes_ void object_ datetime64 timedelta64 number floating integer generic"
)
VALUES: dict[str, frozenset[str]] = {
    # Types: factories of a defaultdict, `dtype=`, bases for `copyreg._reconstructor`.
    "builtins": names(
        "int float bool str bytes bytearray complex list dict tuple set frozenset object slice range Ellipsis "
        "NotImplemented"
    ),
    # NumPy: types of arrays and of their items; the functions above.
    "numpy": names(f"ndarray matrix recarray record memmap {_DTYPES} {_UFUNCS} {_NUMBERS}"),
    "numpy.matrixlib.defmatrix": names("matrix"),
    "numpy.ma": names("MaskedArray"),
    "numpy.ma.core": names("MaskedArray"),
    "numpy.core._multiarray_umath": names(_UFUNCS),
    "numpy._core._multiarray_umath": names(_UFUNCS),
    "numpy.core.fromnumeric": names(_NUMBERS),
    "numpy._core.fromnumeric": names(_NUMBERS),
    "numpy.lib.function_base": names(_NUMBERS),
    **{f"numpy.lib._{module}_impl": names(_NUMBERS) for module in ("function_base", "shape_base", "arraysetops")},
    "numpy.linalg": names("norm"),
    "numpy.linalg.linalg": names("norm"),
    "numpy.linalg._linalg": names("norm"),
    "scipy.stats": names("zscore"),
    "scipy.stats._stats_py": names("zscore"),
    "scipy.stats.stats": names("zscore"),
    # PyTorch's functions of tensors that layers keep.
    "torch.nn.functional": names("relu gelu silu elu selu leaky_relu mish tanh sigmoid softmax log_softmax softplus"),
    "torch._C._nn": names("gelu"),
    "numpy.random.mtrand": names("RandomState"),
    "numpy.random._mt19937": names("MT19937"),
    "numpy.random._pcg64": names("PCG64 PCG64DXSM"),
    "numpy.random._philox": names("Philox"),
    "numpy.random._sfc64": names("SFC64"),
    "numpy.random.bit_generator": names("SeedSequence"),
    "numpy.random._generator": names("Generator"),
    # SciPy: link functions, and what scikit-learn keeps of the array API.
    "scipy.special._ufuncs": names(_SPECIAL),
    "scipy.special._special_ufuncs": names(_SPECIAL),
    "scipy._lib.array_api_compat.numpy._aliases": names("asarray"),
    "sklearn.externals.array_api_compat.numpy._aliases": names("asarray"),
    # scikit-learn's own parts of its estimators.
    "sklearn.metrics._scorer": names("_passthrough_scorer positive_likelihood_ratio negative_likelihood_ratio"),
    "sklearn.preprocessing._data": names(
        "scale minmax_scale maxabs_scale robust_scale normalize binarize add_dummy_feature"
    ),
    "xgboost.collective": names("communicator_print"),
    "sklearn.metrics.scorer": names("_passthrough_scorer"),
    "sklearn.cluster._kmeans": names("_kmeans_single_lloyd _kmeans_single_elkan lloyd_iter_chunked_dense"),
    # PyTorch: types of storages, tensors and their items.
    "torch": names(f"Size Tensor device dtype {_STORAGES} {_TORCH_DTYPES}"),
    "torch.cuda": names(_STORAGES),
    "torch.storage": names("TypedStorage UntypedStorage _TypedStorage _UntypedStorage"),
    "torch._tensor": names("Tensor"),
    "torch.nn.parameter": names("Parameter Buffer"),
    "numpy.rec": names("recarray record"),
    "numpy.core.records": names("recarray record"),
    # pandas: what stands for nothing.
    "pandas": names("NA NaT"),
    "pandas._libs.missing": names("NA"),
}
# Scores, distances and tests of features, kept by searches, selectors and scorers.
_VALUE_FUNCTIONS = (
    (
        r"sklearn\.metrics\.(_?classification|_?regression|_?ranking|pairwise|cluster(\.\w+)?)",
        r"[a-z]\w*(_score|_loss|_error|_distances?|_kernel|_similarity|_curve|_deviance|_index|_rate|_report|_matrix|_corrcoef|_ratios)",
    ),
    (r"sklearn\.feature_selection\.(_?univariate_selection|_?mutual_info_?)", r"(f|r|mutual_info)_\w+|chi2"),
    (r"sklearn\._loss\.loss|sklearn\._loss\.link", r"[A-Z]\w+"),
    (r"scipy\.interpolate\._?interpolate", r"interp1d\._call_\w+"),
)
_SKLEARN = r"sklearn(?!.*\.(_?tests?|_testing|externals|datasets|callback|conftest|utils\.parallel|_mocking)\b)(\.\w+)+"
# What scikit-learn's modules import from elsewhere, now or in older releases.
_NOT_SKLEARN = (
    r"(?!(Parallel|Memory|Path|Thread|Queue|Client|Listener|Connection|Progress|Style|StringIO|BytesIO|MethodType|UserDict"
    r"|ThreadpoolController|LinearOperator|Parameter|Enum|ABC|ABCMeta|Protocol|Popen|GzipFile|URLError|HTTPError|Request"
    r"|Counter|Mapping|MutableMapping|Callable|Signature|Template|HTMLDocumentationLinkMixin|Fraction|BarColumn"
    r"|TextColumn|TimeRemainingColumn|SkipTest|[A-Z0-9_]*DTYPE[A-Z0-9_]*)$)"
)
_PANDAS = r"DataFrame|Series|Flags|(Single)?BlockManager|Categorical|[A-Z]\w*(Dtype|Array|Index)|Index"
INSTANCES = (
    # scikit-learn: estimators, and what they are made of. They store what they are given.
    (_SKLEARN, rf"{_NOT_SKLEARN}_?[A-Z]\w*"),
    (r"sklearn\.compose\._column_transformer", r"make_column_selector"),
    # NumPy: polynomials, and functions of items that distributions keep.
    (r"numpy(\.lib\.\w+)?", r"poly1d|vectorize"),
    (r"numpy\.polynomial\.\w+", r"Polynomial|Chebyshev|Legendre|Laguerre|Hermite|HermiteE"),
    (r"numpy\.ma\.core", r"MaskedConstant"),
    # Gradient boosting: native models that are read as data.
    (r"xgboost\.sklearn", r"XGB\w+"),
    (r"xgboost\.core", r"Booster"),
    (r"xgboost\.compat", r"XGBoostLabelEncoder"),
    (r"xgboost\.callback", r"EarlyStopping|EvaluationMonitor|LearningRateScheduler"),
    (r"lightgbm\.sklearn", r"LGBM\w+"),
    (r"lightgbm\.basic", r"Booster"),
    (r"lightgbm\.engine", r"CVBooster"),
    (r"lightgbm\.compat", r"_?LGBMLabelEncoder"),
    (r"catboost\.core", r"CatBoost\w*|_CatBoostBase"),
    # SciPy: sparse matrices, splines of SplineTransformer and isotonic regression, trees of neighbours.
    (r"scipy\.sparse(\._?\w+)?", r"(csr|csc|coo|bsr|dia|dok|lil)_(matrix|array)"),
    (
        r"scipy\.interpolate(\._?\w+)?",
        r"BSpline|PPoly|BPoly|interp1d|CubicSpline|CubicHermiteSpline|PchipInterpolator|Akima1DInterpolator|UnivariateSpline",
    ),
    (r"scipy\.interpolate(\._?\w+)?", r"RegularGridInterpolator"),
    (r"scipy\.optimize\._?optimize", r"OptimizeResult"),
    (r"scipy\.spatial(\._?\w+)?", r"c?KDTree"),
    # Distributions of a randomized search; `pickle.calls` reads the code in their state.
    (r"scipy\.stats\._((continuous|discrete)_distns|levy_stable)", r"\w+_gen|rv_histogram"),
    (r"scipy\.stats\._distn_infrastructure", r"rv_(continuous_|discrete_)?frozen|rv_sample"),
    (r"scipy\.stats\._(multivariate|covariance|kde)", r"\w+_(gen|frozen)|_PSD|Cov\w+|gaussian_kde"),
    # pandas in pipelines.
    (r"pandas(\.arrays|\.core\.(frame|series|arrays|indexes|dtypes|internals)(\.\w+)*)?", _PANDAS),
    (r"pandas\._libs\.tslibs\.offsets", r"[A-Z]\w*"),
    # PyTorch: modules; what they do is done when the model is used.
    (r"torch\.nn\.modules\.\w+", r"(?!OrderedDict|Any|Parameter$|Callable|Union|Optional)[A-Z]\w*"),
    (r"torch\.utils\.data\.dataset", r"TensorDataset"),
    (r"torch\.distributions\.\w+", r"Normal|Bernoulli|Categorical|Uniform|Independent|MultivariateNormal|Beta|Gamma"),
    (r"joblib\.numpy_pickle", r"NumpyArrayWrapper"),
    # Zones of time: read by their key from the tables of the system.
    (r"zoneinfo", r"ZoneInfo"),
    (r"argparse", r"Namespace"),
    (r"types", r"SimpleNamespace"),
    (r"random", r"Random"),
    (r"uuid", r"UUID"),
    (r"collections", r"UserDict|ChainMap"),
)
# Classes of libraries that models are written with: not known to be harmless, recorded when they are only made.
RECORDED = (
    (r"torch\.optim(\.\w+)*|torchvision\.(models|ops|transforms)(\.\w+)*|torchaudio\.models(\.\w+)*", r"_?[A-Z]\w*"),
    (r"timm\.(models|layers)(\.\w+)*|transformers\.(models\.\w+\.\w+|training_args|modeling_utils)", r"_?[A-Z]\w*"),
    (r"(tensorflow\.python\.)?keras(\.src)?\.(models|layers|engine)(\.\w+)*", r"_?[A-Z]\w*"),
)


class _Pattern(NamedTuple):
    module: re.Pattern[str]
    name: re.Pattern[str]

    def fits(self, what: Global) -> bool:
        return bool(self.module.fullmatch(what.module) and self.name.fullmatch(what.name))


def _patterns(texts: tuple[tuple[str, str], ...]) -> tuple[_Pattern, ...]:
    return tuple(_Pattern(re.compile(module), re.compile(name)) for module, name in texts)


_FUNCTIONS, _INSTANCES, _RECORDED = _patterns(_VALUE_FUNCTIONS), _patterns(INSTANCES), _patterns(RECORDED)


# One name may be asked for in each of millions of calls.
KNOWN = 2**14


@lru_cache(KNOWN)
def is_value(what: Global) -> bool:
    return what.name in VALUES.get(what.module, ()) or any(each.fits(what) for each in _FUNCTIONS)


@lru_cache(KNOWN)
def is_instance(what: Global) -> bool:
    return any(each.fits(what) for each in _INSTANCES)


@lru_cache(KNOWN)
def is_recorded(what: Global) -> bool:
    return any(each.fits(what) for each in _RECORDED)


def is_torch_script(what: Global) -> bool:
    """TorchScript's own classes: its C++ reader makes them, Python's unpickler finds no such module."""
    return what.module.partition(".")[0] == "__torch__"
