"""Calls about import rules: what shall become a version by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_bus.calls import CallContext
from modelyard_bus.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.imports import CREATE_RULE, CreateRule, GetRule, RuleList, RuleView
from modelyard_import.domain.training import Rule, rule_view
from modelyard_import.errors import NameTaken, NotFound, NotKeepable, TooManyRules
from modelyard_import.repository import Repository
from modelyard_store.documents import Duplicate, NotStorable, Stale

MAX_RULES: Final = 500  # every rule is looked at for every run, and the list is one answer


@dataclass(frozen=True, slots=True)
class RuleHandlers:
    repository: Repository
    now: Callable[[], int]

    async def create(self, context: CallContext, request: CreateRule) -> RuleView:
        rule = Rule(
            rule_id=created_id(context, CREATE_RULE),
            project=context.project,
            name=request.name,
            job_name=request.job_name,
            min_metrics=request.min_metrics,
            model_name=request.model_name,
            labels=request.labels,
            plan=request.plan,
            created_at=self.now(),
            created_by=context.actor,
            request_digest=request_digest(request),
        )
        if await self.repository.count_rules(context.project) >= MAX_RULES:
            raise TooManyRules(MAX_RULES)
        try:
            await self.repository.rules.add(context.project, rule.rule_id, rule)
        except Duplicate as error:
            return rule_view(await self._made_before(rule, error))
        except NotStorable as error:
            raise NotKeepable(str(error)) from error
        return rule_view(rule)

    async def _made_before(self, rule: Rule, duplicate: Duplicate) -> Rule:
        kept = await self.repository.rules.get(rule.project, rule.rule_id)
        if kept is None:
            raise NameTaken("import rule", rule.name) from duplicate
        if kept.request_digest != rule.request_digest:
            raise KeyReused from duplicate
        return kept

    async def list(self, context: CallContext, _: Nothing) -> RuleList:
        return RuleList(rules=tuple(rule_view(rule) for rule in await self.repository.rules_of(context.project)))

    async def delete(self, context: CallContext, request: GetRule) -> Nothing:
        """What the rule has already started goes on."""
        try:
            removed = await self.repository.rules.remove(context.project, request.rule_id)
        except Stale:  # somebody else removed it just now
            removed = False
        if not removed:
            raise NotFound("import rule", request.rule_id)
        return Nothing()
