"""Every code of a refusal, with what it means and what a caller can do about it.

Who refuses names a code from here; docs/errors.md is written from this table (`make generate`). On the wire and in
documents a code is its text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from modelyard_contracts.failures import Code
from modelyard_contracts.failures import FailureKind as Kind


@dataclass(frozen=True, slots=True)
class Explanation:
    """`kinds` are those that it is refused with, each with when, where that is not the usual one. `remedy` is empty
    where there is none. `status` is what HTTP has for this alone, instead of the kind's."""

    code: Code
    kinds: Mapping[Kind, str]
    meaning: str
    remedy: str
    status: int | None


_explained: dict[Code, Explanation] = {}
EXPLAINED: Final[Mapping[Code, Explanation]] = MappingProxyType(_explained)
"""All codes, in the order of docs/errors.md."""


def _code(
    number: int, kinds: Kind | Mapping[Kind, str], meaning: str, remedy: str = "", *, status: int | None = None
) -> Code:
    code = Code(f"ModelArts.{number}")
    if code in _explained:
        raise ValueError(f"{code} is declared already")
    kinds = {kinds: ""} if isinstance(kinds, Kind) else kinds
    _explained[code] = Explanation(code, kinds, meaning, remedy, status)
    return code


# Things of a project.
NOT_FOUND: Final = _code(
    3001, Kind.NOT_FOUND, "not found in this project", "look at the list; another project's things are invisible"
)
EXISTS: Final = _code(
    3002,
    Kind.CONFLICT,
    "(name, version) or name exists",
    "choose another, or omit `model_version` for the next free one",
)
IN_USE: Final = _code(3009, Kind.CONFLICT, "in use, cannot be deleted", "the message says what holds it")

# Packages and where they come from.
_CONFIG_RULES: Final = "`problems` names file and field; rules in `package.md`"
CONFIG_MISSING: Final = _code(3015, Kind.UNPROCESSABLE, "`config.json` is missing, or is no JSON object", _CONFIG_RULES)
CONFIG_INVALID: Final = _code(3016, Kind.UNPROCESSABLE, "`config.json` is invalid", _CONFIG_RULES)
BAD_SOURCE: Final = _code(
    3017,
    {
        Kind.INVALID: "",
        Kind.UNPROCESSABLE: "",
        Kind.FORBIDDEN: "reserved",
        Kind.TOO_LARGE: "too many or too large files",
    },
    "bad source location, package or image; registry refused; a file kept by reference has changed",
    "the message names bucket, prefix, file, registry or tag",
)

# Templates.
_EACH_INPUT: Final = "`problems` names each input"
NO_MODE: Final = _code(3019, Kind.INVALID, "no such input/output mode", "`GET …/models/infer-formats`; `templates.md`")
TEMPLATE_MISSING: Final = _code(3021, Kind.NOT_FOUND, "no such template", "`GET …/models/template`")
TEMPLATE_EXISTS: Final = _code(3022, Kind.CONFLICT, "the name of a template is taken", "choose another")
INPUT_MISSING: Final = _code(3024, Kind.INVALID, "template: an input is missing", _EACH_INPUT)
INPUT_UNKNOWN: Final = _code(3029, Kind.INVALID, "template: an input is unknown", _EACH_INPUT)
INPUT_TWICE: Final = _code(3034, Kind.INVALID, "template: an input is given twice", _EACH_INPUT)
MODE_FIXED: Final = _code(3039, Kind.INVALID, "template: its mode cannot be replaced", _EACH_INPUT)

# Parameters.
BAD_LABELS: Final = _code(
    3023,
    Kind.INVALID,
    "labels: more than 5, or not of 1–32 characters (beside other broken rules: 3037)",
    "`problems` names the rule",
)
PARAMETER_MISSING: Final = _code(3036, Kind.INVALID, "parameter missing", "`problems` names the field")
PARAMETER_INVALID: Final = _code(
    3037,
    {
        Kind.INVALID: "",
        Kind.CONFLICT: "an upload has expired, there are as many of these as may be",
        Kind.UNPROCESSABLE: "a file is no image",
    },
    "parameter invalid",
    "`problems` names the field and the rule",
)
TOO_LARGE: Final = _code(
    3044,
    Kind.TOO_LARGE,
    "too large (an image: all layers, compressed)",
    "send files through `POST /v1/{project}/uploads`",
)

# Conversions.
_FORMAT_OR_OPERATOR: Final = "the message names format or operator"
_SAYS_WHY: Final = "the message says why"
NOT_CONVERTIBLE: Final = _code(3047, Kind.UNPROCESSABLE, "not convertible", _FORMAT_OR_OPERATOR)
QUANTISED_ALREADY: Final = _code(
    3048, Kind.UNPROCESSABLE, "not convertible: the model is already quantised", _FORMAT_OR_OPERATOR
)
UNSUPPORTED_OPERATORS: Final = _code(
    3049, Kind.UNPROCESSABLE, "not convertible: the toolchain cannot handle its operators", _FORMAT_OR_OPERATOR
)
UNKNOWN_TARGET: Final = _code(3052, Kind.INVALID, "no such conversion target", "`GET …/conversion-targets`")
PARITY_FAILED: Final = _code(3056, Kind.UNPROCESSABLE, "the conversion failed: not the same numbers", _SAYS_WHY)
NOTHING_CHANGED: Final = _code(3057, Kind.UNPROCESSABLE, "the conversion failed: nothing changed", _SAYS_WHY)
TOOLCHAIN_FAILED: Final = _code(3058, Kind.UNPROCESSABLE, "the conversion failed: the toolchain stopped", _SAYS_WHY)
BAD_RESULT: Final = _code(3059, Kind.UNPROCESSABLE, "the conversion failed: the result is no usable model", _SAYS_WHY)
BAD_CALIBRATION: Final = _code(3060, Kind.UNPROCESSABLE, "the conversion failed: the calibration data", _SAYS_WHY)
SOURCE_DAMAGED: Final = _code(3061, Kind.UNPROCESSABLE, "the conversion failed: the source is damaged", _SAYS_WHY)
VERSION_GONE: Final = _code(3062, Kind.CONFLICT, "the version was deleted meanwhile")

# Gallery and competitions.
NOT_PUBLISHED: Final = _code(
    3070,
    Kind.CONFLICT,
    "the version is not published, so it cannot be downloaded, converted, evaluated, promoted, listed or entered",
    "wait, or see why it failed",
)
LISTED_ALREADY: Final = _code(3071, Kind.CONFLICT, "listed already, in other words", "withdraw that listing first")
DATASET_NOT_HIDDEN: Final = _code(
    3072, Kind.UNPROCESSABLE, "a competition's dataset is not hidden", "create it with `hidden=true`"
)
COMPETITION_CLOSED: Final = _code(3073, Kind.CONFLICT, "the competition is closed")
TOO_MANY_ENTRIES: Final = _code(3074, Kind.TOO_MANY, "too many entries today", "tomorrow, UTC")

# Datasets and evaluations.
_FILE_CLASS_OR_RULE: Final = "the message names file, class or rule"
DATASET_REFUSED: Final = _code(
    3080,
    {Kind.UNPROCESSABLE: "", Kind.TOO_LARGE: "too much of it"},
    "dataset refused",
    "`problems` names each file",
)
DATASET_CHANGED: Final = _code(3081, Kind.CONFLICT, "the dataset is not what it was", "create it anew")
LABELS_DIFFER: Final = _code(3082, Kind.UNPROCESSABLE, "labels differ", _FILE_CLASS_OR_RULE)
NOT_EVALUABLE: Final = _code(3083, Kind.UNPROCESSABLE, "the model cannot be evaluated", _FILE_CLASS_OR_RULE)
ARTIFACT_DAMAGED: Final = _code(
    3084,
    Kind.UNPROCESSABLE,
    "artifact damaged (also: a version whose files an audit found gone)",
    _FILE_CLASS_OR_RULE,
)
WRONG_STATE: Final = _code(3085, Kind.CONFLICT, "an evaluation in the wrong state", "the message says which")
DATASET_HIDDEN: Final = _code(3086, Kind.FORBIDDEN, "hidden dataset", "enter its competition")
EVALUATION_BROKEN: Final = _code(3087, Kind.UNPROCESSABLE, "the evaluation broke", _SAYS_WHY)

# The machinery.
_QUOTE: Final = "quote the correlation id"
INTERNAL: Final = _code(9000, Kind.INTERNAL, "internal error", _QUOTE)
NO_WORKER: Final = _code(
    9001,
    Kind.UNAVAILABLE,
    "no worker does this now",
    "try again, or start one; `GET /readyz` says what is missing",
)
NO_ANSWER: Final = _code(9002, Kind.UNAVAILABLE, "no answer in time", "try again; `GET /readyz` says what is missing")
MALFORMED: Final = _code(9003, Kind.INVALID, "a call between services is malformed", _QUOTE)
MESSAGE_TOO_LARGE: Final = _code(
    9004, Kind.TOO_LARGE, "the answer is too large for one message", f"page with `limit`; otherwise {_QUOTE}"
)

# Who may do what over HTTP.
_ASK: Final = "ask an admin of the project"
UNAUTHENTICATED: Final = _code(
    9401, Kind.UNAUTHENTICATED, "no valid token or signature", f"{_ASK}; of a signature the message says what is wrong"
)
FORBIDDEN: Final = _code(9403, Kind.FORBIDDEN, "not allowed", _ASK)
NO_PATH: Final = _code(9404, Kind.NOT_FOUND, "no such path", "`docs/api.md`")
NO_METHOD: Final = _code(9405, Kind.INVALID, "not with this method", "`docs/api.md`", status=405)
CHANGED: Final = _code(
    9412, Kind.CONFLICT, "changed since it was read", "read it again; `If-Match` takes its `ETag`", status=412
)
TOO_SLOW: Final = _code(9408, Kind.INVALID, "the body came too slowly", "send it again", status=408)
NO_ENCODING: Final = _code(9415, Kind.INVALID, "a compressed body", "send JSON as it is", status=415)
TOO_MANY_ATTEMPTS: Final = _code(
    9427,
    Kind.TOO_MANY,
    "too many wrong tokens or signatures from one address",
    "correct it; a valid one always passes",
)
TOO_MANY_REQUESTS: Final = _code(
    9428, Kind.TOO_MANY, "too many requests at once", "wait for answers before asking more; `Retry-After`"
)
TOO_MANY_STREAMS: Final = _code(9429, Kind.TOO_MANY, "too many event streams", "close one, or poll")
TOO_MUCH_WORK: Final = _code(
    9430, Kind.TOO_MANY, "too much work of one version under way", "wait until some has ended; `Retry-After`"
)
NO_ACCESS_KEYS: Final = _code(
    9501,
    Kind.UNPROCESSABLE,
    "this yard has no access keys",
    "its operator sets `MODELYARD_ACCESS_MASTER_KEY`",
    status=501,
)
