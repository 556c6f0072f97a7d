"""The documents are true: settings, links, commands and examples are what the code has."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
from pydantic import SecretStr

from carethread.cli import app
from carethread.clinic import load_clinic, load_clinics
from carethread.config import PROJECT, Settings
from carethread.dialogue.content import load_content
from carethread.programs.library import load_program
from carethread.safety.screening import load_rules
from carethread.safety.triage import Ask, Disposition, next_step
from carethread.safety.triage_loading import load_triage

README = PROJECT / "README.md"
DOCUMENTS = sorted([README, PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").glob("*.md")])
LARGEST_PICTURE = 200_000  # bytes

# A mention of the product's variables: CARETHREAD_NAME, not a pattern such as CARETHREAD_*.
_VARIABLE = re.compile(r"CARETHREAD_[A-Z][A-Z_]*[A-Z]")
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
_FENCE = re.compile(r"```.*?```", re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def code_in(document: str) -> Iterator[str]:
    """Every line of code: in fences, and between backticks."""
    for fence in _FENCE.findall(document):
        yield from fence.splitlines()[1:-1]
    yield from (code.replace("\\|", "|") for code in _CODE.findall(_FENCE.sub("", document)))


def example(document: str, name: str) -> str:
    """The fenced block after `<!-- example: name -->`."""
    found = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", text_of(PROJECT / "docs" / document), re.DOTALL)
    assert found, f"{document} has no example '{name}'"
    return found[1]


def table(heading: str) -> dict[str, tuple[str, str]]:
    """First column → (second, third) of the README's table below `heading`."""
    section = text_of(README).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = (line.strip().strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `"))
    return {row[0].strip().strip("`"): (row[1].strip(), row[2].strip()) for row in rows}


def shown(default: object) -> str:
    """A setting's default as the README writes it."""
    if default is None:
        return "none"
    if isinstance(default, SecretStr):
        return "the demo's"
    if isinstance(default, Path):
        return f"`{default.relative_to(PROJECT)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_readme_lists_every_setting_with_its_default() -> None:
    said = {name: default for name, (default, _meaning) in table("Settings").items()}
    real = {f"CARETHREAD_{name.upper()}": shown(field.default) for name, field in Settings.model_fields.items()}
    assert said == real


def test_every_setting_is_explained_in_one_line() -> None:
    for name, (_default, meaning) in table("Settings").items():
        assert 10 <= len(meaning) <= 160, name


@cache
def variables() -> frozenset[str]:
    """Every variable that some part of the project reads: settings, the engine's, the scripts', the containers'."""
    named = {f"CARETHREAD_{name.upper()}" for name in Settings.model_fields}
    engine = text_of(PROJECT / "engine" / "carethread_engine" / "settings.py")
    named |= {f"CARETHREAD_{name}" for name in re.findall(r'(?:get|number)\("([A-Z_]+)"', engine)}
    others = [PROJECT / "docker-compose.yml", PROJECT / "deploy" / "roles.sql", *(PROJECT / "scripts").iterdir()]
    for path in [PROJECT / "engine" / "carethread_engine" / "settings.py", *others]:
        named |= set(_VARIABLE.findall(text_of(path)))
    for clinic in load_clinics(PROJECT / "clinics").values():
        named |= {account.auth_token_env for account in clinic.accounts if account.auth_token_env}
    return frozenset(named)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_variable_named_is_read_by_something(path: Path) -> None:
    examples = {"CARETHREAD_LAKESIDE_TWILIO_TOKEN"}
    assert set(_VARIABLE.findall(text_of(path))) - variables() - examples == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", text_of(path))):
        place, _, anchor = unquote(link).partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), f"{path.name}: {link}"
        assert target.is_relative_to(PROJECT), f"{path.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{path.name}: {link}"


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text_of(path)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [README]
    while todo:
        path = todo.pop()
        seen.add(path)
        links = (link.partition("#")[0] for link in _LINK.findall(_FENCE.sub("", text_of(path))))
        linked = {(path.parent / link).resolve() for link in links if link.endswith(".md")}
        todo += sorted(linked - seen)
    assert set(DOCUMENTS) - seen == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_named_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(PROJECT / "Makefile"), flags=re.MULTILINE))
    for line in code_in(text_of(path)):
        for words in re.findall(r"\bmake ((?:[a-z-]+ ?)+)", line):
            assert set(words.split()) <= targets, f"{path.name}: {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_named_exists(path: Path) -> None:
    for line in code_in(text_of(path)):
        # Not `carethread/…`, `carethread_app` or an image's name.
        for words in re.findall(r"(?:^|[\s/(])carethread((?: [a-z]+)+| --[a-z-]+)", line):
            check_command(words.split(), f"{path.name}: {line}")


def check_command(words: list[str], place: str) -> None:
    group: click.Command = app
    for word in words:
        if not isinstance(group, click.Group):
            break
        known = {option for parameter in group.params for option in parameter.opts} | {"--help"}
        if word in known:
            break
        assert word in group.list_commands(click.Context(group)), place
        group = group.get_command(click.Context(group), word)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_of_a_command_exists(path: Path) -> None:
    for line in code_in(text_of(path)):
        for name, rest in re.findall(r"(?:^|[\s/(])carethread ([a-z]+)((?: [^|`&;)]+)?)", line):
            command: click.Command = app.get_command(click.Context(app), name)
            for word in rest.split():
                if not isinstance(command, click.Group) or word not in command.commands:
                    break
                command = command.commands[word]
            known = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= known | {"--help"}, f"{path.name}: {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_named_is_there(path: Path) -> None:
    """Paths between backticks that begin with a folder of ours."""
    folders = sorted(entry.name for entry in PROJECT.iterdir() if entry.is_dir() and entry.name[0] not in "._")
    folders += ["emergencies", "crisis", "combinations"]
    packages = {entry.name for entry in (PROJECT / "carethread").iterdir() if entry.is_dir()}
    made = {"models", "results", "node_modules"}
    for code in _CODE.findall(_FENCE.sub("", text_of(path))):
        first = code.split("/")[0]
        if "/" not in code or re.search(r"[<>*…=\s{]", code) or first not in {*folders, *packages} - made:
            continue
        homes = (PROJECT, PROJECT / "carethread", PROJECT / "content" / "safety")
        assert any((home / code).exists() for home in homes), f"{path.name}: {code}"


def test_pictures_are_small() -> None:
    pictures = sorted((PROJECT / "docs" / "images").iterdir())
    assert len(pictures) >= 2
    for picture in pictures:
        assert picture.suffix == ".png"
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert picture.stat().st_size < LARGEST_PICTURE, picture.name
        assert any(picture.name in text_of(path) for path in DOCUMENTS), f"{picture.name} is shown nowhere"


def names_in(requirements: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", re.split(r"[\[=<>; ]", line)[0]).lower() for line in requirements}


def test_every_dependency_has_its_line() -> None:
    document = text_of(PROJECT / "docs" / "dependencies.md")
    for heading, file, extras in (
        ("Platform", "pyproject.toml", None),
        ("Sandbox and development", "pyproject.toml", ("sandbox", "dev")),
        ("Engine (Python 3.10)", "engine/pyproject.toml", None),
    ):
        section = document.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        listed = {name.lower() for name in re.findall(r"^\| ([A-Za-z][\w-]+) \|", section, flags=re.MULTILINE)}
        listed -= {"package"}
        project = tomllib.loads(text_of(PROJECT / file))["project"]
        wanted = project["dependencies"] if extras is None else []
        for extra in extras or (("dev",) if "engine" in file else ()):
            wanted = [*wanted, *project["optional-dependencies"][extra]]
        assert listed == names_in(wanted), heading


def test_every_safety_table_is_explained() -> None:
    document = text_of(PROJECT / "docs" / "safety.md")
    for path in (PROJECT / "content" / "safety").iterdir():
        assert f"`{path.name}`" in document or f"`{path.name}/*.yml`" in document, path.name


def test_the_layers_are_the_contract() -> None:
    contract = tomllib.loads(text_of(PROJECT / "pyproject.toml"))["tool"]["importlinter"]["contracts"][0]["layers"]
    block = text_of(PROJECT / "docs" / "architecture.md").split("## Layers")[1].split("```")[1]
    shown_layers = [re.split(r"\s{2,}", line)[0] for line in block.strip().splitlines()]
    told = [set(layer.split(", ")) for layer in shown_layers]
    real: list[set[str]] = []
    for layer in contract:
        names = {re.sub(r"^carethread\.", "", part.strip()) for part in re.split(r"[:|]", layer)}
        folded = {"actions" if re.fullmatch(r"actions\.(forms|answers|base)", name) else name for name in names}
        if folded != {"actions"} or "actions" not in (real[-1] if real else set()):
            real.append(folded)
    assert told == real


def test_the_content_example_reads_as_shown(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "content" / "messages", tmp_path / "messages")
    (tmp_path / "messages" / "example.yml").write_text(example("content.md", "content"), encoding="utf-8")
    clinic = load_clinics(PROJECT / "clinics")["riverbend"]
    content = load_content(tmp_path, facts=sorted(clinic.facts))
    visit = {"number": 1, "start": "2026-03-06T09:30:00-06:00", "practitioner": "Dr. Chen"}
    said = {"visits": [visit], "note": ""}
    rendered = content.render("utter_example", said, clinic=clinic, language="en", channel="web")
    assert rendered.text == example("content.md", "content-rendered").strip()
    assert [title for title, _ in rendered.quick_replies] == ["Friday, March 6 at 9:30 AM", "None of these"]
    assert rendered.care
    texts = {
        content.render("utter_example", said, clinic=clinic, language=language, channel=channel).text
        for language in ("en", "es")
        for channel in ("web", "sms")
    }
    assert len(texts) == 4


def test_the_program_example_loads(tmp_path: Path) -> None:
    folder = tmp_path / "example"
    shutil.copytree(PROJECT / "programs" / "post_discharge", folder)
    (folder / "program.yml").write_text(example("programs.md", "program"), encoding="utf-8")
    program = load_program(folder / "program.yml")
    response = {
        "resourceType": "QuestionnaireResponse",
        "status": "in-progress",
        "item": [
            {"linkId": "pain", "answer": [{"valueInteger": 9}]},
            {"linkId": "appointment-known", "answer": [{"valueBoolean": False}]},
        ],
    }
    assert [rule.id for rule in program.alarms(response)] == ["severe-pain", "follow-up-unknown"]
    assert program.alarms({**response, "item": []}) == []


def test_the_clinic_example_loads(tmp_path: Path) -> None:
    path = tmp_path / "lakeside" / "clinic.yml"
    path.parent.mkdir()
    path.write_text(example("clinic.md", "clinic"), encoding="utf-8")
    clinic = load_clinic(path)
    assert clinic.id == "lakeside"
    document = text_of(PROJECT / "docs" / "clinic.md").split("Reasons that `routing` may name:")[1].split("\n\n")[0]
    reasons = set(re.findall(r"`([a-z_]+)`", document))
    # Every reason that the demo's clinic routes or the code gives.
    given: set[str] = set()
    for source in (PROJECT / "carethread").rglob("*.py"):
        given |= set(re.findall(r'(?:escalate\(\s*|reason=|team_for\()"([a-z_]+)"', text_of(source)))
    assert given <= reasons | {"emergency", "crisis"}
    assert reasons <= given | {"crisis"}


def test_every_field_of_a_clinic_is_explained() -> None:
    document = text_of(PROJECT / "docs" / "clinic.md")
    said = {word for code in _CODE.findall(_FENCE.sub("", document)) for word in re.findall(r"[a-z_]+", code)}
    clinic = load_clinics(PROJECT / "clinics")["riverbend"]
    assert set(type(clinic).model_fields) - {"id"} <= said
    assert set(type(clinic.accounts[0]).model_fields) <= said


def test_the_rule_example_keeps_its_word(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "content" / "safety", tmp_path / "safety")
    (tmp_path / "safety" / "emergencies" / "example.yml").write_text(example("safety.md", "rule"), encoding="utf-8")
    rules = load_rules(tmp_path / "safety")
    alarming = rules.screen("my son almost drowned in the pool")
    assert alarming.level == "emergency"
    assert "example-drowning" in {match.rule for match in alarming.matches}
    assert "example-drowning" in {match.rule for match in rules.screen("mi hijo casi se ahoga en la piscina").matches}
    assert rules.screen("I almost drowned in work this week").level == "none"


def test_the_example_of_a_complaint_works(tmp_path: Path) -> None:
    folder = tmp_path / "triage"
    shutil.copytree(PROJECT / "content" / "safety" / "triage", folder)
    (folder / "hiccups.yml").write_text(example("triage.md", "triage"), encoding="utf-8")
    triage = load_triage(folder)
    operated = {"recent_surgery": True, "weak_one_side": False, "vomiting": True}
    found = {
        level: next_step(["hiccups"], facts, triage)
        for level, facts in {"today": operated, "self_care": {"weak_one_side": False, "duration": 2.0}}.items()
    }
    assert all(isinstance(end, Disposition) and end.level == level for level, end in found.items())
    assert next_step(["hiccups"], {}, triage) == Ask("weak_one_side")
