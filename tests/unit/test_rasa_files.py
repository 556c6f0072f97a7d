"""Rasa's files at the project's root fit together: domain, rules, stories, config, credentials, endpoints.

That actions, content and training data name the same things is in test_architecture_dialogue.py.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from carethread.clinic import Channel
from carethread.config import PROJECT, Settings
from carethread.conversations.handoff import EXITS
from carethread.yamls import parse

RULES = sorted((PROJECT / "data/rules").glob("*.yml"))
STORIES = sorted((PROJECT / "tests/stories").glob("*.yml"))

# Components of Rasa's that draw random numbers, and how each is told its seed.
SEEDS = {
    "DIETClassifier": "random_seed",
    "ResponseSelector": "random_seed",
    "TEDPolicy": "random_seed",
    "UnexpecTEDIntentPolicy": "random_seed",
    "LogisticRegressionClassifier": "random_state",
    "SklearnIntentClassifier": "random_state",
}


@cache
def read(name: str) -> Any:
    return parse((PROJECT / name).read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for rule in read(f"data/rules/{path.name}")["rules"]]


def stories() -> list[dict[str, Any]]:
    return [story for path in STORIES for story in read(f"tests/stories/{path.name}")["stories"]]


def values(steps: list[dict[str, Any]], name: str) -> Iterator[Any]:
    """Every value of `name` in `steps`; of a slot, what it was set to."""
    for step in steps:
        if name in step:
            yield step[name]
        for slot in step.get("slot_was_set", ()):
            if name in slot:
                yield slot[name]


def components() -> list[dict[str, Any]]:
    return [*read("config.yml")["pipeline"], *read("config.yml")["policies"]]


def names_in(file: Path) -> set[str]:
    """Classes and functions that a module defines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def assert_ours(path: str) -> None:
    module, _, name = path.rpartition(".")
    file = PROJECT / "engine" / f"{module.replace('.', '/')}.py"
    assert file.exists(), f"{path}: there is no {file.relative_to(PROJECT)}"
    assert name in names_in(file), f"{path}: {file.relative_to(PROJECT)} defines no {name}"


# --- domain -----------------------------------------------------------------------------------------------------------


def test_no_text_lives_in_the_domain() -> None:
    assert not read("domain.yml").get("responses")


def test_conversations_never_expire() -> None:
    """An expired session would un-pause a conversation and forget its form."""
    session = read("domain.yml")["session_config"]
    assert session == {"session_expiration_time": 0, "carry_over_slots_to_new_session": True}


def test_only_actions_fill_slots() -> None:
    """A slot that Rasa fills by a mapping keeps its value even when its validation fails."""
    for name, slot in read("domain.yml")["slots"].items():
        assert slot["mappings"] == [{"type": "custom"}], name
        assert slot["influence_conversation"] is False, name


def test_entities_do_not_steer() -> None:
    """Rules name intents alone, so an entity in the message must not hide one."""
    for intent in read("domain.yml")["intents"]:
        [(name, options)] = intent.items()
        assert options == {"use_entities": []}, name


def test_nothing_is_named_twice() -> None:
    domain = read("domain.yml")
    for kind in ("actions", "entities"):
        assert [name for name, count in Counter(domain[kind]).items() if count > 1] == []
    intents = Counter(next(iter(intent)) for intent in domain["intents"])
    assert [name for name, count in intents.items() if count > 1] == []
    for titles in ([rule["rule"] for rule in rules()], [story["story"] for story in stories()]):
        assert [name for name, count in Counter(titles).items() if count > 1] == []


# --- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", read("domain.yml")["forms"])
def test_a_form_can_be_entered_and_ends_with_its_submit_action(form: str) -> None:
    opening = [
        rule
        for rule in rules()
        if rule["steps"][1:] == [{"action": form}, {"active_loop": form}] and "intent" in rule["steps"][0]
    ]
    assert opening, f"no rule opens {form}"
    ending = [rule for rule in rules() if rule.get("condition") == [{"active_loop": form}]]
    assert [rule["steps"] for rule in ending] == [
        [
            {"action": form},
            {"active_loop": None},
            {"slot_was_set": [{"requested_slot": None}]},
            {"action": f"action_submit_{form}"},
        ]
    ]


def test_a_form_has_both_its_actions() -> None:
    actions = read("domain.yml")["actions"]
    for form in read("domain.yml")["forms"]:
        assert {f"validate_{form}", f"action_submit_{form}"} <= set(actions), form


def test_actions_of_forms_belong_to_a_form() -> None:
    named = {re.sub(r"^(validate|action_submit)_", "", name) for name in read("domain.yml")["actions"]}
    forms = {name for name in named if name.endswith("_form")}
    assert forms == set(read("domain.yml")["forms"])


def test_every_action_of_a_rule_is_in_the_domain() -> None:
    domain = read("domain.yml")
    known = {*domain["actions"], *domain["forms"]}
    for rule in rules():
        assert set(values(rule["steps"], "action")) <= known, rule["rule"]


def test_one_intent_has_one_rule() -> None:
    """Two rules for one intent would contradict each other, or one would never fire."""
    intents = Counter(intent for rule in rules() for intent in values(rule["steps"], "intent"))
    assert [name for name, count in intents.items() if count > 1] == []


# --- stories ----------------------------------------------------------------------------------------------------------


def test_rasa_takes_the_stories_for_tests() -> None:
    """Only a file `test_*.yml` may hold what the patient writes."""
    assert STORIES
    assert [path.name for path in STORIES if not path.name.startswith("test_")] == []


def test_every_story_says_what_the_patient_wants() -> None:
    for path in STORIES:
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if line.startswith("  - story: "):
                above = lines[number - 1]
                assert above.startswith("  # "), f"{path.name}:{number + 1}: no comment above the story"


def test_every_rule_is_told_by_stories_in_both_languages() -> None:
    told = Counter(intent for story in stories() for intent in set(values(story["steps"], "intent")))
    ruled = {intent for rule in rules() for intent in values(rule["steps"], "intent")}
    # What has no words has no language.
    assert {intent for intent in ruled if told[intent] < (1 if intent == "nlu_fallback" else 2)} == set()


def test_every_way_out_of_a_form_is_told() -> None:
    left = {why for story in stories() for why in values(story["steps"], "form_exit")}
    # Asked for with words that leave nothing for Rasa to hear: the platform's screening comes first.
    heard_before = {"emergency", "stop_messages"}
    seldom = {"complaint", "grief", "deceased"}  # as `request_human`, with another ending
    assert set(EXITS) - heard_before - seldom <= left
    assert {"failed", "start:cancel_form"} <= left


def test_every_form_is_opened_and_ended_in_stories() -> None:
    done = {action for story in stories() for action in values(story["steps"], "action")}
    for form in read("domain.yml")["forms"]:
        assert {form, f"action_submit_{form}"} <= done


def test_who_plays_a_story_is_somebody() -> None:
    from sandbox.clinic import cast

    for story in stories():
        who = story.get("metadata")
        if who is None:
            continue
        assert set(who) <= {"channel", "patient", "phone"}, story["story"]
        assert who["channel"] in get_args(Channel.__value__ if hasattr(Channel, "__value__") else Channel)
        if who["channel"] == "web":
            assert set(who) == {"channel"}, story["story"]
        elif "patient" in who:
            assert cast()[who["patient"]].phone, story["story"]
        else:
            assert re.fullmatch(r"\+1\d{3}55501\d\d", who["phone"]), story["story"]


# --- config, credentials, endpoints -----------------------------------------------------------------------------------


def test_rules_decide_and_nothing_guesses() -> None:
    policies = [policy["name"] for policy in read("config.yml")["policies"]]
    assert policies == ["RulePolicy", "carethread_engine.policies.StoryPolicy"]
    [rule_policy, _] = read("config.yml")["policies"]
    assert rule_policy["core_fallback_action_name"] in read("domain.yml")["actions"]


def test_a_model_is_the_same_whenever_it_is_trained() -> None:
    for component in components():
        seed = SEEDS.get(component["name"])
        assert seed is None or isinstance(component.get(seed), int), f"{component['name']} needs {seed} in config.yml"


def test_components_named_in_config_exist() -> None:
    ours = [component["name"] for component in components() if "." in component["name"]]
    assert ours
    for path in ours:
        assert_ours(path)


def test_the_assistant_has_a_name_of_its_own() -> None:
    assert read("config.yml")["assistant_id"] not in (None, "placeholder_default")


def test_stories_look_as_far_back_as_the_engine_keeps() -> None:
    [history] = [policy["max_history"] for policy in read("config.yml")["policies"] if "max_history" in policy]
    kept = re.search(
        r"^STORY_TURNS = (\d+)$", (PROJECT / "engine/carethread_engine/compaction.py").read_text(), re.MULTILINE
    )
    assert kept
    assert int(kept[1]) >= history


def test_the_engine_has_one_door() -> None:
    """Rasa's own channels ask nobody who they are; ours does, for the platform's channels."""
    [(path, options)] = read("credentials.yml").items()
    assert_ours(path)
    assert set(options["channels"]) == set(get_args(Channel))


def test_endpoints_lead_to_our_actions_process() -> None:
    endpoints = read("endpoints.yml")
    assert set(endpoints) == {"action_endpoint", "nlg"}, "trackers are carethread_engine.serve's to keep"
    port = Settings.model_fields["actions_port"].default
    assert endpoints["action_endpoint"]["url"] == f"http://127.0.0.1:{port}/webhook"
    assert endpoints["nlg"]["url"] == f"http://127.0.0.1:{port}/nlg"
    assert_ours(endpoints["nlg"]["type"])
    assert set(endpoints["nlg"]["rendered_elsewhere"]) == set(get_args(Channel))
