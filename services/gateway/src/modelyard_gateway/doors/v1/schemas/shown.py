"""The answers of the register and of templates as they are described; `doors/v1/shown` makes them.

The types that differ from the contract's are those that clients of ModelArts read.
"""

from pydantic import BaseModel, Field

from modelyard_contracts.calls import templates, version
from modelyard_contracts.package import DependencyGroup, PackageConfig


class SpecificationTexts(BaseModel):
    """Least hardware: cores, MiB, cards; numbers as text."""

    min_cpu: str | None
    min_memory: str | None
    min_gpu: str | None
    min_ascend: str | None


class HealthTexts(BaseModel):
    """Seconds as text."""

    url: str
    protocol: str
    initial_delay_seconds: str
    timeout_seconds: str


class Flat(BaseModel):
    owner: str = Field(description="who made it, as `created_by`")
    tenant: str = Field(description="as `project`")
    model_source: str = Field(description="`auto`: made by automatic learning; else `custom`")
    publishable_flag: bool = Field(description="it is published, so it can be listed in the gallery")
    tunable: bool = Field(description="false: nothing is tuned here")
    market_flag: bool = Field(description="false: it was imported by this project")


class ModelRow(Flat, version.VersionSummary):
    specification: SpecificationTexts  # type: ignore[assignment]  # a type of theirs


class ModelPage(version.VersionPage):
    models: tuple[ModelRow, ...]


class Tag(BaseModel):
    key: str
    value: str


class ModelView(Flat, version.VersionView):
    """One version with everything that is known of it."""

    specification: SpecificationTexts  # type: ignore[assignment]  # a type of theirs
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
    tags: tuple[Tag, ...] = Field(description="labels of the form `key=value`")


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
