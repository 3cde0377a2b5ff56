"""Libraries that may be installed where a model is loaded: what they hold can be reached by its name alone.

Used by `pickle.rules`. The list is what model servers and data science environments bring; what is importable right
here is asked as well, without importing it.
"""

import sys
import sysconfig
from functools import cache
from importlib.machinery import PathFinder

from modelyard_formats.pickle.allowed import names

OWN = names("__main__ __torch__ __mp_main__")
TOOLS = names("dill cloudpickle pip setuptools pkg_resources distutils wheel jsonpickle _distutils_hack")
STANDARD = sys.stdlib_module_names | names("commands httplib urllib2 cPickle copy_reg __builtin__ nt imp asyncore")
INSTALLED = TOOLS | names(
    # Parts of Python that its own list leaves out, or that older releases have.
    "test _testcapi _testinternalcapi _testbuffer _testmultiphase _xxsubinterpreters _interpreters idlelib lib2to3 "
    "turtledemo asynchat smtpd cgi cgitb pipes telnetlib crypt nntplib uu xdrlib msilib formatter parser symbol "
    "binhex "
    # Numbers, tables, pictures.
    "numpy scipy pandas polars pyarrow numba llvmlite numexpr bottleneck sympy mpmath networkx xarray dask distributed "
    "ray modin cupy cudf cuml h5py tables zarr fsspec s3fs gcsfs matplotlib mpl_toolkits pylab seaborn plotly bokeh "
    "altair PIL cv2 imageio skimage tifffile pydicom SimpleITK librosa soundfile av decord statsmodels patsy shapely "
    "geopandas numpy_financial ml_dtypes opt_einsum narwhals pytz tzlocal "
    # Models.
    "sklearn joblib xgboost lightgbm catboost imblearn mlxtend skops torch torchvision torchaudio torchtext functorch "
    "torchgen triton tensorflow tensorboard tensorflow_estimator keras tf_keras tensorflow_hub tensorflow_probability "
    "jax jaxlib flax optax haiku onnx onnxruntime onnxconverter_common skl2onnx onnxmltools tf2onnx onnxslim onnxsim "
    "openvino nncf mindspore mxnet gluoncv paddle paddlenlp caffe caffe2 theano pymc tvm tensorrt pycuda ncnn tflite "
    "tflite_runtime coremltools lightning pytorch_lightning torchmetrics ignite fastai fastcore timm transformers "
    "tokenizers datasets evaluate accelerate peft diffusers sentence_transformers safetensors huggingface_hub nltk "
    "spacy thinc gensim textblob stanza flair sentencepiece tiktoken langchain llama_index openai vllm deepspeed "
    "bitsandbytes ultralytics detectron2 mmcv mmdet gym gymnasium stable_baselines3 optuna hyperopt ConfigSpace shap "
    "lime eli5 mlflow wandb neptune comet_ml clearml bentoml gradio streamlit dash tritonclient seldon_core kserve "
    "pyspark py4j findspark feast great_expectations prefect airflow luigi "
    # What they bring along.
    "requests urllib3 httpx httpcore aiohttp websockets boto3 botocore s3transfer google grpc azure paramiko fabric "
    "invoke psutil sh pexpect ptyprocess plumbum docker kubernetes yaml ruamel toml tomlkit jinja2 Jinja2 markupsafe "
    "mako chameleon flask werkzeug django fastapi starlette uvicorn gunicorn tornado bottle cherrypy celery kombu "
    "sqlalchemy pymysql psycopg2 pymongo redis IPython ipykernel ipywidgets jupyter_client jupyter_core nbformat "
    "notebook traitlets cffi cython Cython pyximport pybind11 pycparser lxml bs4 html5lib simplejson ujson orjson "
    "msgpack attr attrs pydantic pydantic_core marshmallow omegaconf hydra click typer rich tqdm loguru structlog "
    "absl fire docopt six future past decorator wrapt toolz cytoolz more_itertools packaging filelock platformdirs "
    "tenacity sortedcontainers threadpoolctl gast astunparse google_pasta flatbuffers asttokens astor executing "
    "stack_data pdb pytest _pytest nose numpydoc sphinx docutils pygments black jedi parso mypy pylint hypothesis "
    "twisted gevent greenlet eventlet trio anyio uvloop zmq pyzmq Crypto cryptography nacl OpenSSL certifi idna "
    "win32api win32com pythoncom pywintypes "
    # What these bring along, with one function that starts programs or runs text.
    "graphviz pydot pygraphviz multiprocess coloredlogs humanfriendly cpuinfo patsy plotnine vega altair streamlit "
    "gradio mlserver torchserve bentoml vllm deepspeed onnxscript timm fsspec s3fs gcsfs smart_open "
    # Readers of pickles that spaCy, PyTables, Zarr, pathos, dask and others bring.
    "srsly blosc blosc2 ndindex numcodecs catalogue confection wasabi weasel hickle klepto diskcache zict mat73 "
    "deepdish pathos ppft pox loky partd billiard torchdata tensordict isympy execnet lz4 zstandard fastparquet "
    "rpy2 pythonnet"
)


@cache
def is_here(first: str) -> bool:
    """Whether a package of that name is installed in this interpreter. A mere folder of that name is none."""
    if first.partition("_")[0] == "modelyard":
        return True
    paths = sysconfig.get_paths()
    places = [paths[kind] for kind in ("purelib", "platlib", "stdlib", "platstdlib")]
    places.append(f"{paths['platstdlib']}/lib-dynload")
    found = PathFinder.find_spec(first, places) if first.isidentifier() else None
    return found is not None and found.origin is not None


def is_folder(first: str) -> bool:
    """Whether it names a folder in which Python looks for modules, as a package without code of its own: below it every
    one of them has a second name."""
    return "-" in first or first.casefold() in _FOLDERS


_FOLDERS = names("lib lib64 libs dlls scripts tools bin include src site_packages dist_packages")


def is_standard(first: str) -> bool:
    return first in STANDARD and first not in OWN


def is_installed(first: str) -> bool:
    return first in INSTALLED or is_here(first)
