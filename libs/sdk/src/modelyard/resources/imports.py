"""Every way in. Each method registers a version and returns at once; `wait` follows its import to the end."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack

from modelyard.client import Client, Reply, at
from modelyard.errors import Refused
from modelyard.packages import package
from modelyard.references import meant, model_id, template_id, training_run
from modelyard.transfer import Chosen, nobody_told, upload
from modelyard.transfer.line import Begun, Progress, not_told

_CHECKED: Final = ("model_version", "description", "labels", "model_docs", "workspace_id")
_NO_SUCH_PATH: Final = (404, 405)


class Details(TypedDict, total=False):
    """What a version may have beside name and source. Without `model_version` it gets the next free number."""

    model_version: str | None
    description: str
    labels: list[str]
    model_docs: list[dict[str, str]]
    install_type: list[Literal["real-time", "batch", "edge"]]
    specification: dict[str, float]
    workspace_id: str | None
    source_type: Literal["auto"] | None
    plan: dict[str, Any]


class Imports:
    """Raises Refused naming field and rule, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def storage(
        self, model_name: str, location: str, *, by_reference: bool = False, **details: Unpack[Details]
    ) -> Reply:
        """A package in a bucket, `s3://bucket/folder/`; by reference its objects stay there, pinned by digest."""
        source: dict[str, Any] = {"source_location": location}
        return self._create(model_name, source | ({"source_copy": False} if by_reference else {}), details)

    def upload(
        self,
        model_name: str,
        folder: Path | str,
        *,
        progress: Progress = lambda _: None,
        begun: Begun = not_told,
        chosen: Chosen = nobody_told,
        hidden: bool = False,
        model_type: str | None = None,
        algorithm: str | None = None,
        **details: Unpack[Details],
    ) -> Reply:
        """A package on this machine: a folder, or one model file.

        With a model file go the files that it names as its own (external data of ONNX, the `.bin` of OpenVINO), and a
        config.json with `model_type`, by its ending if it is not given, and `algorithm` (predict_analysis).

        `left_out` of the reply lists what of a folder was not sent, each with `path` and `reason`, `notes` what was
        made; `chosen` hears it before anything moves. With `hidden` files that begin with a dot go too.

        Name, number and the rest are checked before the first byte. Raises NotFoundHere, and TaskFailed naming the file
        that was not taken.
        """
        with package(Path(folder), hidden=hidden, model_type=model_type, algorithm=algorithm) as contents:
            chosen(contents)
            self.check(model_name, **details)
            made = self.uploaded(model_name, upload(self._client, contents, progress, begun), **details)
        return {**made, **contents.told()}

    def check(self, model_name: str, **details: Unpack[Details]) -> Reply | None:
        """Whether a version could be called so, and the number that it would get; nothing is made.

        None where the gateway is too old to be asked.
        """
        _known(details)
        given = {name: details[name] for name in _CHECKED if details.get(name) is not None}
        try:
            return self._client.post("models/check", {"model_name": model_name, **given})
        except Refused as refused:
            if refused.status not in _NO_SUCH_PATH:
                raise
            return None

    def uploaded(self, model_name: str, upload_id: str, **details: Unpack[Details]) -> Reply:
        """A package that was uploaded before."""
        return self._create(model_name, {"upload_id": upload_id}, details)

    def training(
        self,
        model_name: str | None,
        job: str,
        run: str | None = None,
        *,
        latest: bool = False,
        **details: Unpack[Details],
    ) -> Reply:
        """One finished run of a training job; metrics, parameters, dataset and code come with it.

        `job` is its name, or the id of a run. `run` is V001, V002, …; when several have finished it is needed, unless
        `latest` takes the newest. Without `model_name` the model is named after the job. Raises NotFoundHere.
        """
        found = training_run(self._client, job, run, latest=latest)
        name = model_name or found["training"]["job_name"]
        return self._create(name, {"training_job_id": found["training_job_id"]}, details)

    def template(
        self,
        model_name: str,
        template: str,
        inputs: Mapping[str, str],
        *,
        infer_format: str | None = None,
        **details: Unpack[Details],
    ) -> Reply:
        """Files without a config.json: `inputs` maps each of the template's inputs to `s3://bucket/folder/`."""
        wanted: dict[str, Any] = {
            "template_id": template_id(self._client, template),
            "template_inputs": [{"input_id": name, "input": location} for name, location in inputs.items()],
        }
        if infer_format:
            wanted["infer_format"] = infer_format
        return self._create(model_name, {"template": wanted}, details)

    def image(
        self,
        model_name: str,
        reference: str,
        config: Mapping[str, Any] | str,
        *,
        platform: str | None = None,
        **details: Unpack[Details],
    ) -> Reply:
        """An image in a registry, pinned to its digest. `config`: config.json itself, or `s3://bucket/…/config.json`."""
        image: dict[str, Any] = {"reference": reference}
        image |= {"config_location": config} if isinstance(config, str) else {"config": dict(config)}
        if platform:
            image["platform"] = platform
        return self._create(model_name, {"image": image}, details)

    def show(self, model: str) -> Reply:
        """How a version came in: state, bytes, log, every problem and finding."""
        return self._client.get(at("models", model_id(self._client, model), "import"))

    def wait(self, model: str, on_change: Callable[[Reply], None] = lambda _: None) -> Reply:
        """The version once it is published. Raises TaskFailed with the reason and every problem."""
        path = at("models", model_id(self._client, model))
        return self._client.follow(lambda: self._client.get(path), "model_status", on_change)

    def _create(self, model_name: str, source: dict[str, Any], details: Details) -> Reply:
        _known(details)
        given = {name: value for name, value in details.items() if value is not None}
        return self._client.post("models", {"model_name": model_name, **given, **source})


def _known(details: Details) -> None:
    """Raises TypeError, as Python does for an argument that there is not."""
    for name in details:
        if name not in Details.__annotations__:
            close = meant(name, Details.__annotations__) or f"there are {', '.join(Details.__annotations__)}"
            raise TypeError(f"a version takes no {name!r}; {close.strip()}")
