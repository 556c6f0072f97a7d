"""Nothing above grade 6 is published, and first contact says who writes: refused where it is loaded, with the mend."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from carethread import bootstrap
from carethread.channels.words import load_words
from carethread.cli import main
from carethread.cli.content import content as command
from carethread.cli.content import everything
from carethread.clinic import ConfigError, load_clinics
from carethread.config import PROJECT, Settings
from carethread.dialogue.content import ContentStore, load_content
from carethread.dialogue.plain import troubles
from carethread.programs.library import load_programs
from carethread.safety.guard import load_guard
from carethread.safety.reading import LIMIT, load_reading

READING = load_reading(PROJECT / "content" / "reading.yml")
GUARD = load_guard(PROJECT / "content" / "safety" / "guard.yml")
TEXTS = everything(Settings())
HARD = "Documentation regarding administration necessitates professional consultation."
HARD_ES = "La documentación sobre la administración requiere consulta profesional especializada."


def test_everything_that_is_published_reads_easily() -> None:
    assert troubles(TEXTS, READING) == []


def test_every_kind_of_text_is_measured_in_both_languages() -> None:
    for language in ("en", "es"):
        said = {(Path(text.place.split(":")[0]).name, text.what) for text in TEXTS if text.language == language}
        assert {
            ("conversation.yml", "'utter_introduction'"),
            ("conversation.yml", "a button of 'utter_greet'"),
            ("widget.yml", "'greeting'"),
            ("clinic.yml", "fact 'billing'"),
            ("clinic.yml", "specialty 'cardiology'"),
            ("questionnaire.json", "'wound'"),
            ("questionnaire.json", "an answer to 'wound'"),
        } <= said


@pytest.fixture
def made(tmp_path: Path) -> Settings:
    """An installation's files, to be spoiled."""
    for folder in ("content", "clinics", "programs"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    return Settings(
        content_dir=tmp_path / "content", clinics_dir=tmp_path / "clinics", programs_dir=tmp_path / "programs"
    )


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def load(settings: Settings) -> None:
    clinics = load_clinics(settings.clinics_dir)
    bootstrap.content(settings, clinics)
    bootstrap.programs(settings, clinics)
    load_words(settings.content_dir, bootstrap.reading(settings))


_MESSAGES = "content/messages/conversation.yml"
_CLINIC = "clinics/riverbend/clinic.yml"
_FORM = "programs/post_discharge/questionnaire.json"
PLACES = [
    (_MESSAGES, "How can I help you today?", HARD, r"conversation\.yml:\d+: 'utter_greet' \(en\)"),
    (_MESSAGES, "Hacer una cita", HARD_ES, r"conversation\.yml:\d+: a button of 'utter_greet' \(es\)"),
    ("content/widget.yml", "Hello! How can I help?", HARD, r"widget\.yml:\d+: 'greeting' \(en\)"),
    (_CLINIC, "Parking in the garage", HARD, r"clinic\.yml:\d+: fact 'parking' \(en\)"),
    (_CLINIC, "es: cardiología", f"es: {HARD_ES}", r"clinic\.yml:\d+: specialty 'cardiology' \(es\)"),
    (_FORM, "What would you like help with?", HARD, r"questionnaire\.json:\d+: 'help-what' \(en\)"),
]


@pytest.mark.parametrize(("file", "old", "new", "says"), PLACES)
def test_a_hard_text_is_refused_wherever_it_stands(made: Settings, file: str, old: str, new: str, says: str) -> None:
    change(made.content_dir.parent / file, old, new)
    with pytest.raises(ConfigError, match=says + rf" is at reading grade [\d.]+, and {LIMIT:g} is the most; .*plainer"):
        load(made)


def test_the_line_is_the_one_to_mend(made: Settings) -> None:
    file = made.programs_dir / "post_discharge" / "questionnaire.json"
    change(file, "What would you like help with?", HARD)
    line = next(n for n, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if HARD in text)
    with pytest.raises(ConfigError, match=rf"questionnaire\.json:{line}: "):
        load(made)


def test_words_for_one_channel_are_measured_too(tmp_path: Path) -> None:
    folder = tmp_path / "messages"
    folder.mkdir()
    (folder / "topic.yml").write_text(f"utter_a:\n  en: {{text: Hi, sms: {HARD}}}\n  es: Hola\n")
    with pytest.raises(ConfigError, match=r"topic\.yml:1: 'utter_a' \(en\) is at reading grade"):
        load_content(tmp_path, reading=READING)


def test_several_hard_texts_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "messages"
    folder.mkdir()
    (folder / "topic.yml").write_text(f"utter_a:\n  en: {HARD}\n  es: {HARD_ES}\n")
    with pytest.raises(ConfigError, match=r"\(1 more: `carethread content check` lists them\)"):
        load_content(tmp_path, reading=READING)


def test_a_running_installation_keeps_the_last_easy_text(tmp_path: Path) -> None:
    folder = tmp_path / "messages"
    folder.mkdir()
    (folder / "topic.yml").write_text("utter_a: {en: Hello, es: Hola}")
    store = ContentStore(tmp_path, reading=READING)
    (folder / "topic.yml").write_text(f"utter_a: {{en: {HARD}, es: Hola}}")
    assert store.current.message("utter_a").wordings["en"].text == "Hello"


def test_a_draft_may_still_be_hard(made: Settings) -> None:
    folder = made.programs_dir / "post_discharge"
    change(folder / "questionnaire.json", "What would you like help with?", HARD)
    change(folder / "program.yml", "status: published", "status: draft")
    clinics = load_clinics(made.clinics_dir)
    assert load_programs(made.programs_dir, clinics, READING)


def test_a_translation_of_a_region_is_measured_as_its_language(made: Settings) -> None:
    file = made.programs_dir / "post_discharge" / "questionnaire.json"
    resource = json.loads(file.read_text(encoding="utf-8"))
    resource["language"] = "en-US"
    file.write_text(json.dumps(resource, ensure_ascii=False, indent=2).replace("What would you like help with?", HARD))
    with pytest.raises(ConfigError, match=r"'help-what' \(en\)"):
        load(made)


def test_the_command_lists_everything_and_says_how_hard_it_is(made: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARETHREAD_CONTENT_DIR", str(made.content_dir))
    fine = CliRunner().invoke(command, ["check"])
    assert fine.exit_code == 0
    assert "texts, the hardest at grade" in fine.output
    change(made.content_dir / "messages" / "conversation.yml", "How can I help you today?", HARD)
    change(made.content_dir / "widget.yml", "Hello! How can I help?", HARD)
    wrong = CliRunner().invoke(command, ["check"])
    assert wrong.exit_code == 1
    assert "'utter_greet' (en) is at reading grade" in wrong.output
    assert "'greeting' (en) is at reading grade" in wrong.output


def test_the_console_script_exits_with_what_a_command_found(made: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    change(made.content_dir / "widget.yml", "Hello! How can I help?", HARD)
    monkeypatch.setenv("CARETHREAD_CONTENT_DIR", str(made.content_dir))
    monkeypatch.setattr("sys.argv", ["carethread", "content", "check"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1


# --- first contact ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("key", ["utter_introduction", "utter_help"])
def test_each_text_that_may_begin_a_conversation_must_say_everything(made: Settings, key: str, language: str) -> None:
    """Take any of it away, in either language, and the content is refused."""
    lines = [line for line in GUARD.disclosure if key in line.said_in]
    assert {"automated assistant", "{clinic}", '"human"', "STOP", "{emergency_number}"} == {
        line.words["en"] for line in lines
    }
    wording = load_content(made.content_dir, facts=_facts(made), guard=GUARD).message(key).wordings[language].text
    for line in lines:
        settings = made.content_dir / "messages" / "conversation.yml"
        before = settings.read_text(encoding="utf-8")
        for part in wording.splitlines():
            change(settings, part, part.replace(line.words[language], "it"))
        with pytest.raises(ConfigError, match=rf"'{key}' \({language}\) does not say .*{line.tells}"):
            load_content(made.content_dir, facts=_facts(made), guard=GUARD)
        settings.write_text(before, encoding="utf-8")


@pytest.mark.parametrize("key", ["utter_safety_emergency", "utter_safety_crisis"])
def test_guidance_says_what_to_do_first_and_then_that_no_person_wrote_it(key: str) -> None:
    message = load_content(PROJECT / "content", facts=_facts(Settings()), guard=GUARD).message(key)
    for language, machine in (("en", "automated assistant"), ("es", "asistente automático")):
        text = message.wordings[language].text
        number = "{crisis_line}" if key.endswith("crisis") else "{emergency_number}"
        assert 0 <= text.index(number) < text.index(machine)


def _facts(settings: Settings) -> list[str]:
    return load_clinics(settings.clinics_dir).shared_facts()
