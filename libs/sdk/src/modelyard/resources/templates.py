"""Templates fix engine, runtime and input/output mode, so that a model needs no config.json."""

from typing import Any

from modelyard.client import Client, Reply, at
from modelyard.references import template_id


class Templates:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(
        self,
        *,
        model_type: str | None = None,
        engine: str | None = None,
        environment: str | None = None,
        keyword: str | None = None,
    ) -> Reply:
        """Built-in ones and this project's. `environment`: a Python version or a processor, `py36`, `gpu`."""
        return self._client.get(
            "models/template", model_type=model_type, engine=engine, environment=environment, keyword=keyword
        )

    def show(self, template: str) -> Reply:
        return self._client.get(at("models", "template", template_id(self._client, template)))

    def create(self, template: dict[str, Any]) -> Reply:
        """`template_name`, `model_type`, `infer_format`, `template_inputs` and more: docs/templates.md."""
        return self._client.post("models/template", template)

    def delete(self, template: str) -> Reply:
        return self._client.delete(at("models", "template", template_id(self._client, template)))

    def infer_formats(self) -> Reply:
        """Input/output modes with the JSON Schema of their requests and responses."""
        return self._client.get("models/infer-formats")

    def runtimes(self, *, model_type: str | None = None) -> Reply:
        """What `runtime` of a config.json may name."""
        return self._client.get("models/ai-engine-runtimes", model_type=model_type)
