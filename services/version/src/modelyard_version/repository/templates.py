"""A project's own templates as documents. Used by handlers/templates."""

from typing import Final

from modelyard_contracts.outcome import Outcome
from modelyard_store.aggregates import Aggregates
from modelyard_store.documents import Collection, Documents, Equals, Index, Query, Sort
from modelyard_version.domain.templates import Template

TEMPLATES: Final = Collection("templates", indexes=(Index(("project", "template_name"), unique=True),))


class TemplateRepository:
    def __init__(self, documents: Documents) -> None:
        self._templates = Aggregates(documents, TEMPLATES, Template, "version", lambda: None)

    async def add(self, project: str, template: Template) -> None:
        """Raises Duplicate, by id or by name."""
        await self._templates.add(project, template.template_id, Outcome(template))

    async def get(self, project: str, template_id: str) -> Template | None:
        """None also for another project's."""
        return await self._templates.get(project, template_id)

    async def of(self, project: str, limit: int) -> list[Template]:
        """By name."""
        query = Query(where=(Equals("project", project),), sort=(Sort("template_name"),), limit=limit)
        return await self._templates.find(query)

    async def count(self, project: str) -> int:
        return await self._templates.count((Equals("project", project),))

    async def remove(self, project: str, template_id: str) -> bool:
        """False when there is none. Raises Stale."""
        return await self._templates.remove(project, template_id)
