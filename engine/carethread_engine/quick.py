"""The same predictions as Rasa's own, with less work: a third of a turn went into finding them.

Only the running engine uses this. Training, `rasa shell` and `rasa test` keep Rasa's own parts, and
`tests/test_quick.py` holds both to the same answers.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rasa.core.policies.rule_policy import RULES, RULES_FOR_LOOP_UNHAPPY_PATH, RulePolicy
from rasa.engine.exceptions import GraphRunError
from rasa.engine.graph import GraphNode, GraphSchema
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.shared.core.constants import ACTION_LISTEN_NAME, PREVIOUS_ACTION, SHOULD_NOT_BE_SET, USER
from rasa.shared.core.domain import Domain, State
from rasa.shared.core.events import ActionExecuted
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.constants import ACTION_NAME, INTENT, TEXT

logger = logging.getLogger(__name__)

Step = tuple[str, tuple[str, ...]]  # a node and the nodes it reads
Key = tuple[str, "str | None"]  # the action before, and the intent where a rule names one


class SequentialRunner(DaskGraphRunner):
    """Runs a model's graph one node after the other, in an order found once; dask finds it anew for every run."""

    def __init__(self, schema: GraphSchema, nodes: Mapping[str, GraphNode]) -> None:
        self._graph_schema = schema
        self._instantiated_nodes = dict(nodes)
        self._orders: dict[tuple[str, ...], list[Step]] = {}

    @classmethod
    def over(cls, runner: DaskGraphRunner) -> SequentialRunner:
        """The same model as `runner` holds."""
        return cls(runner._graph_schema, runner._instantiated_nodes)

    def run(self, inputs: dict[str, Any] | None = None, targets: list[str] | None = None) -> dict[str, Any]:
        """The targets' outputs. Raises `GraphRunError` as Rasa's runner does."""
        wanted = tuple(targets or self._graph_schema.target_names)
        outputs: dict[str, Any] = {name: (name, value) for name, value in (inputs or {}).items()}
        if wanted not in self._orders:
            self._orders[wanted] = in_order(self._graph_schema.minimal_graph_schema(list(wanted)))
        try:
            for name, needs in self._orders[wanted]:
                outputs[name] = self._instantiated_nodes[name](*(outputs.get(need, need) for need in needs))
        except RuntimeError as error:
            raise GraphRunError("Error running runner.") from error
        return dict(outputs[name] for name in wanted)


def in_order(schema: GraphSchema) -> list[Step]:
    """Every node behind those it reads. What no node makes is an input."""
    steps: list[Step] = []
    done: set[str] = set()

    def add(name: str) -> None:
        if name in done or name not in schema.nodes:
            return
        done.add(name)
        needs = tuple(schema.nodes[name].needs.values())
        for need in needs:
            add(need)
        steps.append((name, needs))

    for name in schema.nodes:
        add(name)
    return steps


class IndexedRules(RulePolicy):
    """Rasa's rules, looked up by what just happened instead of one by one, over as many states as a rule can ask for.

    Made from a loaded policy by `of`.
    """

    _longest: int
    _reads_text: bool
    _index: dict[int, dict[Key, list[str]]]

    @classmethod
    def of(cls, policy: RulePolicy) -> IndexedRules:
        """`policy` itself, quicker."""
        policy.__class__ = cls
        assert isinstance(policy, IndexedRules)
        lookups = [policy.lookup.get(name, {}) for name in (RULES, RULES_FOR_LOOP_UNHAPPY_PATH)]
        rules = [policy._rule_key_to_state(key) for lookup in lookups for key in lookup]
        policy._longest = max(map(len, rules), default=1)
        policy._reads_text = any(map(could_read_text, rules))
        policy._index = {id(lookup): indexed(lookup, policy) for lookup in lookups}
        return policy

    def _prediction_states(
        self,
        tracker: DialogueStateTracker,
        domain: Domain,
        use_text_for_last_user_input: bool = False,
        rule_only_data: dict[str, Any] | None = None,
    ) -> list[State]:
        """The last states, as many as the longest rule has: no rule looks at those before."""
        applied = tracker.applied_events()
        before = sum(isinstance(event, ActionExecuted) for event in applied) + 1 - self._longest
        past = tracker.init_copy()
        states: list[State] = []
        for event in applied:
            if isinstance(event, ActionExecuted):
                if before <= 0:
                    states.append(domain.get_active_state(past))
                before -= 1
            past.update(event)
        states.append(domain.get_active_state(past))
        self.featurizer._choose_last_user_input([states], use_text_for_last_user_input)
        return states

    def _find_action_from_rules(
        self, tracker: DialogueStateTracker, domain: Domain, use_text_for_last_user_input: bool
    ) -> tuple[str | None, str | None, bool]:
        if use_text_for_last_user_input and not self._reads_text:
            return None, None, False
        found: tuple[str | None, str | None, bool] = super()._find_action_from_rules(
            tracker, domain, use_text_for_last_user_input
        )
        return found

    def _get_possible_keys(self, lookup: dict[str, str], states: list[State]) -> set[str]:
        index = self._index.get(id(lookup))
        action = states[-1].get(PREVIOUS_ACTION, {}).get(ACTION_NAME)
        if index is not None and isinstance(action, str):
            intent = states[-1].get(USER, {}).get(INTENT)
            keys = index.get((action, None), []) + (index.get((action, intent), []) if intent else [])
            lookup = {key: lookup[key] for key in keys}
        found: set[str] = super()._get_possible_keys(lookup, states)
        return found

    @staticmethod
    def format_tracker_states(states: list[dict[str, Any]]) -> str:
        """Words for the debug log, which is where they go; Rasa copies them whether it is on or not."""
        if not logger.isEnabledFor(logging.DEBUG):
            return ""
        words: str = RulePolicy.format_tracker_states(states)
        return words


# Rasa's ensemble knows the policy by this name.
IndexedRules.__name__ = RulePolicy.__name__


def indexed(lookup: Mapping[str, str], policy: RulePolicy) -> dict[Key, list[str]]:
    """A lookup's rules by the action before and the intent in their last state; none are left out that could match.

    A rule that names no action before is a conversation's first: it matches only a state that names none either, and
    those are not looked up here.
    """
    found: defaultdict[Key, list[str]] = defaultdict(list)
    for rule in lookup:
        last = policy._rule_key_to_state(rule)[-1]
        action = last.get(PREVIOUS_ACTION, {}).get(ACTION_NAME)
        intent = last.get(USER, {}).get(INTENT)
        if isinstance(action, str):
            found[action, intent if intent != SHOULD_NOT_BE_SET else None].append(rule)
    return dict(found)


def could_read_text(rule: Sequence[State]) -> bool:
    """Whether a rule could match right behind a message whose intent is hidden, for its text is to decide."""
    last = rule[-1]
    user = last.get(USER, {})
    behind_message = last.get(PREVIOUS_ACTION, {}).get(ACTION_NAME, ACTION_LISTEN_NAME) == ACTION_LISTEN_NAME
    return any(TEXT in state.get(USER, {}) for state in rule) or (
        behind_message and user.get(INTENT, SHOULD_NOT_BE_SET) == SHOULD_NOT_BE_SET
    )


def quicken(runner: DaskGraphRunner) -> SequentialRunner:
    """A loaded model that predicts the same, sooner."""
    for node in runner._instantiated_nodes.values():
        if type(node._component) is RulePolicy:
            IndexedRules.of(node._component)
    return SequentialRunner.over(runner)
