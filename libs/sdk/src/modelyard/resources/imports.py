"""Every way in. Each method registers a version and returns at once; `wait` follows its import to the end."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from modelyard.gateway import Gateway, Reply, at
from modelyard.transfer import upload
from modelyard.transfer.line import Begun, Progress, not_told


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

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def storage(
        self, model_name: str, location: str, *, by_reference: bool = False, **details: Unpack[Details]
    ) -> Reply:
        """A package in a bucket, `s3://bucket/folder/`; by reference its objects stay there, pinned by digest."""
        source: dict[str, Any] = {"source_location": location}
        return self._create(model_name, source | ({"source_copy": False} if by_reference else {}), details)

    def upload(
        self,
        model_name: str,
        folder: Path,
        *,
        progress: Progress = lambda _: None,
        begun: Begun = not_told,
        **details: Unpack[Details],
    ) -> Reply:
        """A package on this machine. Raises NotFoundHere, and TaskFailed naming the file that was not taken."""
        return self.uploaded(model_name, upload(self._gateway, folder, progress, begun), **details)

    def uploaded(self, model_name: str, upload_id: str, **details: Unpack[Details]) -> Reply:
        """A package that was uploaded before."""
        return self._create(model_name, {"upload_id": upload_id}, details)

    def training(self, model_name: str, training_job_id: str, **details: Unpack[Details]) -> Reply:
        """One finished run of a training job; metrics, parameters, dataset and code come with it."""
        return self._create(model_name, {"training_job_id": training_job_id}, details)

    def template(
        self,
        model_name: str,
        template_id: str,
        inputs: Mapping[str, str],
        *,
        infer_format: str | None = None,
        **details: Unpack[Details],
    ) -> Reply:
        """Files without a config.json: `inputs` maps each of the template's inputs to `s3://bucket/folder/`."""
        template: dict[str, Any] = {
            "template_id": template_id,
            "template_inputs": [{"input_id": name, "input": location} for name, location in inputs.items()],
        }
        if infer_format:
            template["infer_format"] = infer_format
        return self._create(model_name, {"template": template}, details)

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

    def show(self, model_id: str) -> Reply:
        """How a version came in: state, bytes, log, every problem and finding."""
        return self._gateway.get(at("models", model_id, "import"))

    def wait(self, model_id: str, on_change: Callable[[Reply], None] = lambda _: None) -> Reply:
        """The version once it is published. Raises TaskFailed with the reason and every problem."""
        return self._gateway.follow(lambda: self._gateway.get(at("models", model_id)), "model_status", on_change)

    def _create(self, model_name: str, source: dict[str, Any], details: Details) -> Reply:
        given = {name: value for name, value in details.items() if value is not None}
        return self._gateway.post("models", {"model_name": model_name, **given, **source})
