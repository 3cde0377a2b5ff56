"""What a request may say of the package itself, as clients of ModelArts do: fields of a config.json, one by one or as a
whole. Used by the body that registers a version; docs/api.md, "For clients of ModelArts"."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError
from pydantic_core import InitErrorDetails

from modelyard_contracts.json_text import crowded
from modelyard_contracts.package import IMAGE, MODEL_TYPES, PackageConfig
from modelyard_gateway.doors.v1.schemas.places import Place
from modelyard_gateway.doors.v1.schemas.rules import HttpModel, broken
from modelyard_gateway.edge import MOST_VALUES
from modelyard_gateway.json_bounds import misfits

TEMPLATE: Final = "Template"
CODE: Final = "customize_service.py"
FIELDS: Final = (
    "model_type", "runtime", "model_algorithm", "model_metrics", "metrics", "apis", "dependencies", "health",
    "initial_config", "execution_code",
)  # fmt: skip
_BY_TYPE: Final = ("runtime", "swr_location", "health", "apis")
"""What is judged by the model type, and cannot be while nobody has said it."""
_STAND_INS: Final = {"model_algorithm": "unknown", "model_type": "Custom"}
_USUAL_ALGORITHM: Final = "predict_analysis"

JsonText = Annotated[str, Field(min_length=2, max_length=10_000)]


class DeclaredFields(HttpModel):
    model_type: Literal[MODEL_TYPES] | None = None  # type: ignore[valid-type]  # one list serves schema and code
    runtime: str | None = Field(default=None, max_length=100, description="a row of /models/ai-engine-runtimes")
    model_algorithm: str | None = Field(default=None, max_length=36)
    model_metrics: JsonText | None = Field(default=None, description="`metrics` as JSON text")
    metrics: dict[str, Any] | JsonText | None = Field(default=None, description="f1, recall, precision, accuracy")
    apis: Annotated[list[dict[str, Any]], Field(max_length=50)] | JsonText | None = Field(
        default=None, description="as in config.json; or with `input_params` and `output_params`; or as JSON text"
    )
    dependencies: list[dict[str, Any]] | None = Field(default=None, max_length=20)
    health: dict[str, Any] | None = Field(default=None, description="Image only")
    initial_config: str | None = Field(
        default=None, min_length=2, max_length=200_000, description="config.json as text"
    )
    execution_code: Place | None = Field(default=None, description=f"where {CODE} lies: in the package")


@dataclass
class Said:
    """`config`: fields of a config.json, all together. `problems` of the body as it came."""

    config: dict[str, Any] = field(default_factory=dict)
    problems: list[InitErrorDetails] = field(default_factory=list)

    def problem(self, rule: str, name: str, message: str) -> None:
        self.problems.append(broken(rule, name, message, None))


def said_in(given: Mapping[str, Any]) -> Said:
    """Of a raw body: what has another type than it should have is passed over, as the fields' own rules tell that."""
    said = Said()
    image = given.get("image")
    inline = image.get("config") if isinstance(image, Mapping) else None
    whole = _object(said, "initial_config", given.get("initial_config"))
    if whole is not None and isinstance(inline, dict):
        said.problem("one of both", "initial_config", "give it, or image.config")
    base, base_name = (inline, "image.config") if isinstance(inline, dict) else (whole or {}, "initial_config")
    single = dict(_single(said, given))
    for name in base.keys() & single.keys():
        if base[name] != single[name] and base[name] not in ({}, [], None):
            text = f"it is not what {base_name} says: {json.dumps(base[name], ensure_ascii=False)[:200]}"
            said.problem(f"as in {base_name}", name, text)
    said.config = {**base, **single}
    if not said.problems:
        said.problems.extend(_config_problems({**(whole or {}), **single}, set(single)))
    return said


def usual_for_images(config: dict[str, Any]) -> dict[str, Any]:
    """What clients of ModelArts leave out when an image has no config.json."""
    return {"model_type": IMAGE, "model_algorithm": _USUAL_ALGORITHM, **config}


def _single(said: Said, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Fields that are said one by one, as config.json would have them."""
    for name in ("model_type", "runtime", "model_algorithm", "dependencies", "health"):
        value = given.get(name)
        if value is not None and value != TEMPLATE:
            yield name, value
    metrics = [_object(said, name, given.get(name)) for name in ("metrics", "model_metrics")]
    found = [each for each in metrics if each is not None]
    if len(found) == 2 and found[0] != found[1]:
        said.problem("as in metrics", "model_metrics", "it is not what metrics says")
    if found:
        yield "metrics", found[0]
    apis = given.get("apis")
    if isinstance(apis, str):
        apis = _parsed(said, "apis", apis)
    if isinstance(apis, list):
        yield "apis", [_api(each) for each in apis]


def _api(given: Any) -> Any:
    """`input_params` and `output_params` are JSON Schemas of what config.json calls request and response."""
    if not isinstance(given, dict) or not given.keys() & {"input_params", "output_params"}:
        return given
    api = {name: value for name, value in given.items() if name not in {"input_params", "output_params"}}
    for theirs, ours in (("input_params", "request"), ("output_params", "response")):
        if theirs in given:
            message = api.get(ours, {})
            api[ours] = {**message, "data": given[theirs]} if isinstance(message, dict) else message
    return api


def _object(said: Said, name: str, given: Any) -> dict[str, Any] | None:
    value = _parsed(said, name, given) if isinstance(given, str) else given
    if isinstance(given, str) and value is not None and not isinstance(value, dict):
        said.problem("JSON", name, "it is the text of one JSON object")
    return value if isinstance(value, dict) else None


def _parsed(said: Said, name: str, text: str) -> Any:
    if crowded(text.encode(errors="surrogatepass"), MOST_VALUES):
        said.problem(f"at most {MOST_VALUES:,} values", name, f"it holds more than {MOST_VALUES:,} values")
        return None
    try:
        value = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        said.problem("JSON", name, f"it is no JSON text that can be read: {str(error)[:200]}")
        return None
    for problem in misfits(value):
        said.problem(problem.rule or "JSON", f"{name}.{problem.field}", problem.message)
    return value if not said.problems else None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _config_problems(config: dict[str, Any], single: set[str]) -> Iterator[InitErrorDetails]:
    """What no config.json may say, before anything is fetched. That of an image is judged when it is imported."""
    known = config.get("model_type") in MODEL_TYPES
    judged = {name: value for name, value in config.items() if known or name not in _BY_TYPE}
    try:
        PackageConfig.model_validate_json(json.dumps({**_STAND_INS, **judged}), strict=True)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            name = ".".join(map(str, found["loc"]))
            place = name if found["loc"][:1] and found["loc"][0] in single else f"initial_config.{name}"
            yield broken(found["type"], place, found["msg"].removeprefix("Value error, "), None)
