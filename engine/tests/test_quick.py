"""The engine's quicker predictions are Rasa's own: both are asked about thousands of conversations made at random."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from carethread_engine.quick import IndexedRules, SequentialRunner, could_read_text, quicken
from rasa.core.policies.policy import PolicyPrediction
from rasa.core.policies.rule_policy import RulePolicy
from rasa.engine.exceptions import GraphRunError
from rasa.engine.loader import load_predict_graph_runner
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.shared.core.constants import ACTION_LISTEN_NAME
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActiveLoop,
    Event,
    LoopInterrupted,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker

CONVERSATIONS = 150
TURNS = 12


@pytest.fixture(scope="module")
def runners(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DaskGraphRunner, SequentialRunner, str]:
    model = next((project / "models").glob("*.tar.gz"))
    found = []
    for name in ("rasa", "quick"):
        metadata, runner = load_predict_graph_runner(
            tmp_path_factory.mktemp(name), model, LocalModelStorage, DaskGraphRunner
        )
        found.append(runner)
    return found[0], quicken(found[1]), metadata.core_target


def rules_of(runner: DaskGraphRunner) -> RulePolicy:
    return next(
        node._component for node in runner._instantiated_nodes.values() if isinstance(node._component, RulePolicy)
    )


def conversations(domain: Domain, chance: random.Random) -> Iterator[DialogueStateTracker]:
    """Trackers at every point where an action would be chosen: sense and nonsense, forms, reverts, new sessions."""
    intents, actions = sorted(domain.intents), sorted(set(domain.action_names_or_texts) - {ACTION_LISTEN_NAME})
    slots, forms = [slot.name for slot in domain.slots], sorted(domain.form_names)
    for number in range(CONVERSATIONS):
        tracker = DialogueStateTracker(f"demo/{number}", domain.slots)
        tracker.update(ActionExecuted(ACTION_LISTEN_NAME), domain)
        for _ in range(chance.randrange(1, TURNS)):
            intent = {"name": chance.choice(intents), "confidence": 0.9}
            tracker.update(UserUttered("words", intent, parse_data={"intent": intent, "text": "words"}), domain)
            yield tracker
            for _ in range(chance.randrange(0, 4)):
                tracker.update(a_happening(chance, actions, slots, forms), domain)
                yield tracker
            tracker.update(ActionExecuted(ACTION_LISTEN_NAME), domain)


def a_happening(chance: random.Random, actions: list[str], slots: list[str], forms: list[str]) -> Event:
    kinds: list[Event] = [
        ActionExecuted(chance.choice(actions), hide_rule_turn=chance.random() < 0.5),
        ActionExecuted(chance.choice(actions)),
        SlotSet(chance.choice(slots), chance.choice(["x", None, True])),
        UserUtteranceReverted() if chance.random() < 0.3 else ActionExecuted(chance.choice(actions)),
        SessionStarted() if chance.random() < 0.1 else ActionExecuted(chance.choice(actions)),
    ]
    if forms:
        form = chance.choice(forms)
        kinds += [
            ActiveLoop(form), ActionExecuted(form), ActionExecuted(form), ActiveLoop(None), LoopInterrupted(True),
            ActionExecutionRejected(form),
        ]  # fmt: skip
    return chance.choice(kinds)


def decision(prediction: PolicyPrediction) -> tuple[object, ...]:
    return (
        prediction.probabilities, prediction.policy_name, prediction.hide_rule_turn, prediction.is_no_user_prediction,
        [event.type_name for event in prediction.events],
    )  # fmt: skip


def test_the_same_decision_at_every_point_of_any_conversation(
    runners: tuple[DaskGraphRunner, SequentialRunner, str], project: Path
) -> None:
    rasa, quick, target = runners
    domain = Domain.load(project / "domain.yml")
    chosen = set()
    for tracker in conversations(domain, random.Random(20)):  # noqa: S311
        expected, found = (runner.run({"__tracker__": tracker}, [target])[target] for runner in (rasa, quick))
        assert decision(found) == decision(expected), [event.as_dict() for event in tracker.events]
        chosen.add(domain.action_names_or_texts[expected.max_confidence_index])
    assert len(chosen) > 5  # many rules were met, not the fallback alone


def test_only_the_rules_that_could_match_are_tried(runners: tuple[DaskGraphRunner, SequentialRunner, str]) -> None:
    quick = rules_of(runners[1])
    assert isinstance(quick, IndexedRules)
    assert sum(map(len, quick._index.values())) > 1
    assert type(rules_of(runners[0])) is RulePolicy


@pytest.mark.parametrize(
    ("rule", "reads"),
    [
        ([{"prev_action": {"action_name": "action_listen"}, "user": {"intent": "greet"}}], False),
        ([{"prev_action": {"action_name": "action_listen"}}], True),
        ([{"prev_action": {"action_name": "utter_greet"}}], False),
        ([{"prev_action": {"action_name": "action_listen"}, "user": {"text": "hello"}}], True),
        ([{"user": {"text": "hello"}}, {"prev_action": {"action_name": "utter_greet"}}], True),
    ],
)
def test_a_rule_that_could_read_the_text_itself_is_noticed(rule: list[dict[str, dict[str, str]]], reads: bool) -> None:
    assert could_read_text(rule) is reads


def test_a_missing_input_is_named(runners: tuple[DaskGraphRunner, SequentialRunner, str]) -> None:
    with pytest.raises(GraphRunError, match="Missing input"):
        runners[1].run({}, [runners[2]])
