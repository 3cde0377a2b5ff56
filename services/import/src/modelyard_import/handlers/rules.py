"""Calls about import rules: what shall become a version by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.imports import (
    CREATE_RULE,
    CreateRule,
    DryRunRule,
    GetRule,
    RuleDryRun,
    RuleList,
    RuleVerdict,
    RuleView,
)
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.outcome import Outcome
from modelyard_import.domain.training import Rule, rule_view, verdict
from modelyard_import.errors import NameTaken, NotFound, TooManyRules
from modelyard_import.repository import Repository
from modelyard_import.runs import Runs
from modelyard_store.documents import Duplicate, Stale

MAX_ANSWER_BYTES: Final = 800_000  # of verdicts in one answer, which has to fit one message
MAX_RULES: Final = 500  # every rule is looked at for every run, and the list is one answer


@dataclass(frozen=True, slots=True)
class RuleCalls:
    repository: Repository
    now: Callable[[], int]

    async def create(self, context: CallContext, request: CreateRule) -> RuleView:
        rule = self._rule(context, request, created_id(context, CREATE_RULE))
        if await self.repository.count_rules(context.project) >= MAX_RULES:
            raise TooManyRules(MAX_RULES)
        try:
            await self.repository.rules.add(context.project, rule.rule_id, Outcome(rule))
        except Duplicate as error:
            return rule_view(await self._made_before(rule, error))
        return rule_view(rule)

    def _rule(self, context: CallContext, request: CreateRule, rule_id: str) -> Rule:
        return Rule(
            rule_id=rule_id,
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

    async def _made_before(self, rule: Rule, duplicate: Duplicate) -> Rule:
        kept = await self.repository.rules.get(rule.project, rule.rule_id)
        if kept is None:
            raise NameTaken("import rule", rule.name) from duplicate
        if kept.request_digest != rule.request_digest:
            raise KeyReused from duplicate
        return kept

    async def dry_run(self, context: CallContext, request: DryRunRule) -> RuleDryRun:
        """What the rule would have made of the newest runs. Costs in proportion to `runs`, and changes nothing."""
        rule = self._rule(context, request, rule_id="")
        verdicts, room, looked_at, taken, left_out = list[RuleVerdict](), MAX_ANSWER_BYTES, 0, 0, 0
        async for run in Runs(self.repository).newest(context.project, request.runs):
            looked_at += 1
            if (found := verdict(rule, run)) is None:
                continue
            taken += found.taken
            room -= len(found.model_dump_json())
            if room > 0:
                verdicts.append(found)
            else:
                left_out += 1
        return RuleDryRun(looked_at=looked_at, taken=taken, verdicts=tuple(verdicts), left_out=left_out)

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
