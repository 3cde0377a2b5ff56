"""Templates, modes and runtimes: shown, added, deleted, and resolved when a version is requested from a template."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from modelyard_contracts.calls import templates as calls
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.calls.version import CreateVersion, InstallType
from modelyard_contracts.events import Assembly, Original
from modelyard_contracts.runtimes import RUNTIMES
from modelyard_contracts.shapes import TemplateSource
from modelyard_store.documents import Duplicate
from modelyard_version import built_in
from modelyard_version.domain import templates as domain
from modelyard_version.domain.templates import Mode, Template
from modelyard_version.errors import (
    BuiltInTemplate,
    NoBatch,
    TemplateExists,
    TemplateMissing,
    TemplateRefused,
    TooManyTemplates,
)
from modelyard_version.repository.templates import TemplateRepository

OWN: Final = 200
"""Templates of its own that a project may have."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What a request comes to. `assembly` is set exactly for a template source, `original` for a promotion, whose
    `request` has what it leaves to that; `imported_from` are ids of versions of the project."""

    request: CreateVersion
    install_type: tuple[InstallType, ...]
    assembly: Assembly | None = None
    original: Original | None = None
    imported_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class TemplateCalls:
    repository: TemplateRepository
    now: Callable[[], int]
    modes: dict[str, Mode] = field(default_factory=built_in.modes)
    built_in: dict[str, Template] = field(default_factory=built_in.templates)

    async def arrange(self, project: str, request: CreateVersion) -> Arrangement:
        """Raises TemplateMissing, TemplateRefused, NoBatch. Called when a version is created."""
        assembly, mode = None, None
        if isinstance(request.source, TemplateSource):
            template = await self._found(project, request.source.template_id, "source.template_id")
            assembly = self._assembly(template, request.source, request.declared.config)
            named = template.template_name if template.template_id not in self.built_in else None
            source = request.source.model_copy(update={"template_name": named})
            request = request.model_copy(update={"source": source})
            mode = self.modes[assembly.infer_format]
        allowed = domain.install_types(request.install_type, mode)
        if allowed is None:
            raise NoBatch(mode.infer_format if mode else "")
        return Arrangement(request, allowed, assembly)

    async def create(self, context: CallContext, request: calls.CreateTemplate) -> calls.TemplateView:
        """Raises TemplateRefused, TemplateExists, TooManyTemplates, KeyReused."""
        wanted = self._wanted(context, request)
        if problems := domain.problems_of(wanted, self.modes):
            raise TemplateRefused(problems)
        if any(wanted.template_name == known.template_name for known in self.built_in.values()):
            raise TemplateExists(wanted.template_name)
        if made := await self.repository.get(context.project, wanted.template_id):
            return _repeated(made, wanted)
        if await self.repository.count(context.project) >= OWN:
            raise TooManyTemplates(OWN)
        try:
            await self.repository.add(context.project, wanted)
        except Duplicate as taken:
            if made := await self.repository.get(context.project, wanted.template_id):
                return _repeated(made, wanted)
            raise TemplateExists(wanted.template_name) from taken
        return _view(wanted)

    async def get(self, context: CallContext, request: calls.GetTemplate) -> calls.TemplateView:
        return _view(await self._found(context.project, request.template_id, "template_id"))

    async def list(self, context: CallContext, request: calls.ListTemplates) -> calls.TemplateList:
        own = await self.repository.of(context.project, OWN)
        found = [template for template in (*self.built_in.values(), *own) if domain.fits(template, request)]
        page = tuple(_view(template) for template in found[request.offset : request.offset + request.limit])
        return calls.TemplateList(total_count=len(found), count=len(page), templates=page)

    async def delete(self, context: CallContext, request: calls.GetTemplate) -> Nothing:
        """Versions that came from it keep what it fixed. Raises TemplateMissing, BuiltInTemplate."""
        if request.template_id in self.built_in:
            raise BuiltInTemplate(request.template_id)
        if not await self.repository.remove(context.project, request.template_id):
            raise TemplateMissing(request.template_id)
        return Nothing()

    async def list_modes(self, _: CallContext, __: Nothing) -> calls.ModeList:
        return calls.ModeList(modes=tuple(_mode_view(mode) for mode in self.modes.values()))

    async def list_runtimes(self, _: CallContext, request: calls.ListRuntimes) -> calls.RuntimeList:
        rows = [row for row in RUNTIMES if request.model_type in (None, row.model_type)]
        page = rows[request.offset : request.offset + request.limit]
        views = tuple(calls.RuntimeView(**asdict(row)) for row in page)
        engines = {
            row.model_type: tuple(each.runtime for each in page if each.model_type == row.model_type) for row in page
        }
        return calls.RuntimeList(
            total_count=len(rows),
            count=len(views),
            runtimes=views,
            engine_runtimes=tuple(
                calls.EngineRuntimes(ai_engine=name, runtimes=tuple(of)) for name, of in engines.items()
            ),
        )

    def _assembly(self, template: Template, source: TemplateSource, declared: dict[str, Any]) -> Assembly:
        if problems := domain.choice_problems(template, source, self.modes, declared):
            raise TemplateRefused(problems)
        return domain.assembly_of(template, source, self.modes, declared)

    async def _found(self, project: str, template_id: str, named: str) -> Template:
        template = self.built_in.get(template_id) or await self.repository.get(project, template_id)
        if template is None:
            raise TemplateMissing(template_id, named)
        return template

    def _wanted(self, context: CallContext, request: calls.CreateTemplate) -> Template:
        return Template(
            template_id=created_id(context, calls.CREATE_TEMPLATE),
            **{name: getattr(request, name) for name in calls.CreateTemplate.model_fields},
            project=context.project,
            created_at=self.now(),
            created_by=context.actor,
            request_digest=request_digest(request),
        )


def _repeated(made: Template, wanted: Template) -> calls.TemplateView:
    if made.request_digest != wanted.request_digest:
        raise KeyReused
    return _view(made)


def _mode_view(mode: Mode) -> calls.ModeView:
    apis = tuple(api.model_dump(mode="json") for api in mode.apis)
    return calls.ModeView(infer_format=mode.infer_format, description=mode.description, batch=mode.batch, apis=apis)


def _view(template: Template) -> calls.TemplateView:
    runtime = template.environment
    return calls.TemplateView(
        **{name: getattr(template, name) for name in calls.CreateTemplate.model_fields},
        theme=template.theme,
        template_id=template.template_id,
        built_in=template.project is None,
        engine=template.engine,
        python=runtime.python if runtime else None,
        processors=runtime.processors if runtime else (),
        created_at=template.created_at,
        created_by=template.created_by,
    )
