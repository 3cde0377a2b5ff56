"""The answers of the register and of templates as they are described; `doors/v1/shown` makes them.

The types that differ from the contract's are those that clients of ModelArts read.
"""

from pydantic import BaseModel, Field

from modelyard_contracts.calls import templates, version
from modelyard_contracts.package import DependencyGroup, PackageConfig


class HealthTexts(BaseModel):
    """Seconds as text."""

    url: str
    protocol: str
    initial_delay_seconds: str
    timeout_seconds: str


class ModelView(version.VersionView):
    """One version with everything that is known of it, and the flat fields of a row."""

    owner: str = Field(description="as `created_by`")
    tenant: str = Field(description="as `project`")
    specification: dict[str, str | None] = Field(  # type: ignore[assignment]  # a type of theirs
        description="least cores, MiB and cards; numbers as text"
    )
    model_source: str
    publishable_flag: bool
    tunable: bool
    market_flag: bool

    config: str | None = Field(  # type: ignore[assignment]  # a type of theirs
        description="`initial_config` as it was said, else `package_config` as JSON text"
    )
    package_config: PackageConfig | None = Field(description="its config.json, once it was read")
    runtime: str | None
    model_algorithm: str | None
    model_metrics: str = Field(description="JSON text")
    apis: str = Field(description="JSON text")
    dependencies: tuple[DependencyGroup, ...]
    health: HealthTexts | None
    source_location: str | None = Field(description="as it was said")
    source_copy: str = Field(description="`true` or `false`; an image is pinned where it lies")
    source_job_id: str | None
    source_job_version: str | None
    execution_code: str | None
    image_address: str | None = Field(description="`registry/repository@sha256:…`")
    schema_doc: str | None
    model_labels: tuple[str, ...]
    labels_map: dict[str, tuple[str, ...]]


class TemplateInput(templates.TemplateInputView):
    input_type: str
    name_en: str
    description_en: str


class TemplateLabels(BaseModel):
    theme: str
    engine: str
    environment: str | None


class TemplateView(templates.TemplateView):
    template_name_en: str
    description_en: str
    arch: str
    template_labels: TemplateLabels
    template_inputs: tuple[TemplateInput, ...]


class TemplateList(templates.TemplateList):
    templates: tuple[TemplateView, ...]
