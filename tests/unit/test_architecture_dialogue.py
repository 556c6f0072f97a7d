"""Domain, training data, actions and content name the same things: nothing dangles, nothing is dead."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rasa_sdk.executor import ActionExecutor

from carethread.config import PROJECT
from carethread.conversations.handoff import EXITS, INTENTS
from carethread.conversations.wishes import ASIDES, BOUNDARIES, TASKS
from carethread.dialogue.content import Content, load_content
from carethread.safety.triage_loading import load_triage
from carethread.yamls import parse

LANGUAGES = ("en", "es")
ROOTS = ("carethread", "actions")
# Fewer sentences than this teach a classifier nothing.
FEWEST_EXAMPLES = 15

# Their `say` prints in a terminal.
SPEAK_TO_OPERATORS = ("carethread/cli/", "carethread/supervisor.py")

_KEY = re.compile(r"^(utter|word|line|channel)_[a-z0-9_]+$")


@cache
def content() -> Content:
    clinic = parse((PROJECT / "clinics/riverbend/clinic.yml").read_text(encoding="utf-8"))
    return load_content(PROJECT / "content", facts=sorted(clinic["facts"]))


@cache
def domain() -> dict[str, Any]:
    return parse((PROJECT / "domain.yml").read_text(encoding="utf-8"))


@cache
def trees() -> dict[str, ast.Module]:
    return {
        path.relative_to(PROJECT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for root in ROOTS
        for path in sorted((PROJECT / root).rglob("*.py"))
    }


def intents() -> set[str]:
    return {next(iter(intent)) if isinstance(intent, dict) else intent for intent in domain()["intents"]}


def nlu(language: str) -> Counter[str]:
    """How many different examples each intent has."""
    examples: dict[str, set[str]] = {}
    for path in (PROJECT / "data/nlu" / language).glob("*.yml"):
        for block in parse(path.read_text(encoding="utf-8"))["nlu"]:
            if "intent" in block:
                lines = {line.strip("- ").strip().lower() for line in block["examples"].splitlines()}
                examples.setdefault(block["intent"], set()).update(lines - {""})
    return Counter({intent: len(lines) for intent, lines in examples.items()})


def steps(name: str) -> set[str]:
    """Every value of `name` (`intent`, `action`, `active_loop`) in rules and stories."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            value = node.get(name)
            found.update({value} if isinstance(value, str) else set())
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    for folder in ("rules", "stories"):
        for path in (PROJECT / "data" / folder).rglob("*.yml"):
            walk(parse(path.read_text(encoding="utf-8")))
    return found


def keys_in_code() -> dict[str, str]:
    """Content keys named in Python as plain strings, with a place each."""
    return {
        node.value: f"{file}:{node.lineno}"
        for file, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _KEY.match(node.value)
        # the start of a family of keys, as in startswith("utter_safety_")
        if not node.value.endswith("_")
    }


QUESTIONS = {
    fact.question for fact in load_triage(PROJECT / "content/safety/triage").facts.values() if fact.question is not None
}
# Keys that are put together: file → the f-string → every key it can become.
COMPOSED: dict[tuple[str, str], set[str]] = {
    ("carethread/conversations/handoff.py", "utter_{ctx.intent}"): {
        f"utter_{intent}" for intent in ASIDES - {"repeat"}
    },
    ("carethread/conversations/appointments.py", "{key}_plain"): {
        "utter_booked_plain", "utter_rescheduled_plain", "utter_confirmed_plain",
    },
}  # fmt: skip


def composed_in_code() -> set[tuple[str, str]]:
    """F-strings that make a content key: they stand where a key is said, or begin like one."""
    found = set()
    for file, tree in trees().items():
        said = {
            id(call.args[0])
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and call.args and getattr(call.func, "attr", "") == "say"
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                written = "".join(
                    part.value if isinstance(part, ast.Constant) else "{" + ast.unparse(part.value) + "}"  # type: ignore[attr-defined]
                    for part in node.values
                )
                if (id(node) in said or written.startswith("utter_")) and not file.startswith(SPEAK_TO_OPERATORS):
                    found.add((file, written))
    return found


def keys_used() -> set[str]:
    listed = {kind.strip("[]") for message in content() for kind in message.parameters.values() if kind.startswith("[")}
    return (
        set(keys_in_code())
        | QUESTIONS
        | {f"{question}_help" for question in QUESTIONS}  # said where it exists: not every question needs it
        | set().union(*COMPOSED.values())
        | {action for action in {*domain()["actions"], *steps("action")} if action.startswith("utter_")}
        | listed
    )


def test_every_content_key_in_code_exists() -> None:
    written = {message.key for message in content()}
    assert {key: place for key, place in keys_in_code().items() if key not in written} == {}


def test_every_key_that_is_put_together_is_known_and_exists() -> None:
    written = {message.key for message in content()}
    assert composed_in_code() == set(COMPOSED)
    assert {key for keys in COMPOSED.values() for key in keys} - written == set()


def test_every_key_in_domain_and_rules_exists() -> None:
    said = {action for action in {*domain()["actions"], *steps("action")} if action.startswith("utter_")}
    assert said - {message.key for message in content()} == set()


def test_no_content_is_dead() -> None:
    assert {message.key for message in content()} - keys_used() == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_intent_has_examples_in_both_languages(language: str) -> None:
    examples = nlu(language)
    own = {intent for intent in intents() if not intent.startswith("EXTERNAL_")}
    assert {intent: examples[intent] for intent in own if examples[intent] < FEWEST_EXAMPLES} == {}
    assert set(examples) - own == set()


def test_no_example_belongs_to_two_intents() -> None:
    owners: dict[str, set[str]] = {}
    for path in (PROJECT / "data/nlu").rglob("*.yml"):
        for block in parse(path.read_text(encoding="utf-8"))["nlu"]:
            for line in block["examples"].splitlines() if "intent" in block else ():
                text = re.sub(r"\[([^\]]+)\][({][^)}]*[)}]", r"\1", line.strip("- ").strip().lower())
                owners.setdefault(text, set()).add(block["intent"])
    assert {text: sorted(intents) for text, intents in owners.items() if len(intents) > 1 and text} == {}


def test_every_intent_leads_somewhere() -> None:
    handled = steps("intent")
    assert intents() - handled == set()
    assert handled - intents() - {"nlu_fallback"} == set()  # Rasa's own


def test_intents_that_conversations_name_are_in_the_domain() -> None:
    named = ASIDES | BOUNDARIES | set(TASKS) | set(INTENTS)
    assert named - intents() == set()
    assert BOUNDARIES <= ASIDES
    assert set(TASKS.values()) <= set(domain()["forms"])


def test_every_wish_that_leaves_a_form_has_an_exit() -> None:
    """`leave(ctx, "why")` anywhere: the submit action must know what follows."""
    whys = {
        node.args[1].value
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "leave"
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    }
    assert whys
    assert whys - set(EXITS) == set()


def registered() -> set[str]:
    executor = ActionExecutor()
    executor.register_package("actions")
    return set(executor.actions)


def test_actions_and_domain_name_the_same() -> None:
    assert registered() == {action for action in domain()["actions"] if not action.startswith("utter_")}


def test_every_action_of_a_rule_is_known() -> None:
    known = {*domain()["actions"], *domain()["forms"]}
    assert steps("action") - known == set()
    assert steps("active_loop") - set(domain()["forms"]) == set()


def test_every_form_has_both_its_actions() -> None:
    names = registered()
    for form in domain()["forms"]:
        assert {f"validate_{form}", f"action_submit_{form}"} <= names


def test_slots_of_forms_are_in_the_domain() -> None:
    slots = {slot for form in domain()["forms"].values() for slot in form["required_slots"]}
    assert slots - set(domain()["slots"]) == set()


def test_actions_set_only_slots_that_exist() -> None:
    """`ctx.set("x", …)`, `own_slots` and steps' `slot`: Rasa drops what the domain does not know, in silence."""
    rasas_own = {"requested_slot"}
    named: dict[str, str] = {}
    for file, tree in trees().items():
        if not file.startswith(("carethread/conversations/", "actions/")):
            continue
        for node in ast.walk(tree):
            called = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and called in ("set", "SlotSet") and node.args:
                if isinstance(first := node.args[0], ast.Constant) and isinstance(first.value, str):
                    named[first.value] = f"{file}:{node.lineno}"
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if {getattr(target, "id", "") for target in targets} & {"slot", "own_slots", "required"}:
                    for child in ast.walk(node.value):
                        if isinstance(child, ast.Constant) and isinstance(child.value, str):
                            named[child.value] = f"{file}:{node.lineno}"
    assert named
    assert {slot: place for slot, place in named.items() if slot not in {*domain()["slots"], *rasas_own}} == {}


def test_action_classes_are_thin() -> None:
    """An action reads the tracker and calls `carethread.conversations`; it reaches for no database and no EHR."""
    reached: set[str] = set()
    for path in Path(PROJECT / "actions").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                reached.add(node.module)
    allowed = (
        "carethread.conversations", "carethread.bootstrap", "carethread.config", "carethread.dialogue.content",
        "carethread.ehr.errors", "actions", "rasa_sdk", "sanic", "typing", "__future__", "contextlib", "sqlalchemy.exc",
    )  # fmt: skip
    assert {module for module in reached if not module.startswith(allowed)} == set()
