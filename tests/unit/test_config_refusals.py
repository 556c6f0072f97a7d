"""Files that cannot work are refused at start, each in one line: the file, the line, and how to mend it.

Each case breaks one thing in a copy of the project's own files and says what `carethread up` must answer.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from carethread.bootstrap import content, programs, screens
from carethread.channels.twilio import check_accounts
from carethread.channels.words import load_words
from carethread.cli.demo import check_files
from carethread.clinic import ConfigError, load_clinics
from carethread.config import DEMO_SECRET, PROJECT, Settings, SettingsError
from carethread.safety.keywords import load_keywords
from carethread.safety.language import load_language_table
from carethread.safety.triage_loading import load_triage

FOLDERS = ("clinics", "content", "programs")


@dataclass(frozen=True)
class Broken:
    """`old` of `file` becomes `new` ("": the whole file becomes `new`); the refusal must hold `says`."""

    why: str
    file: str
    old: str
    new: str
    says: str
    # The line it must name; None where a whole file or folder is at fault.
    at: str | None = None


CLINIC = "clinics/riverbend/clinic.yml"
MESSAGES = "content/messages/conversation.yml"
PROGRAM = "programs/post_discharge/program.yml"
QUESTIONS = "programs/post_discharge/questionnaire.json"
KEYWORDS = "content/safety/keywords.yml"
WIDGET = "content/widget.yml"
PAGE = "content/page.yml"
TRIAGE = "content/safety/triage/cough.yml"
FACTS = "content/safety/triage/facts.yml"
RULES = "content/safety/emergencies/bleeding.yml"

CASES = [
    # clinic.yml
    Broken("not YAML", CLINIC, "phone: ", "phone: [", "not YAML", at="emergency_number:"),
    Broken("not a mapping", CLINIC, "", "- a list\n", "a clinic is a mapping of settings"),
    Broken("empty", CLINIC, "", "", "a clinic is a mapping of settings"),
    Broken(
        "a zone nobody knows", CLINIC, "America/Chicago", "America/Chcago", "is not an IANA time zone", at="timezone:"
    ),
    Broken("a setting nobody reads", CLINIC, "timezone:", "colour: blue\ntimezone:", "colour", at="colour:"),
    Broken("a setting is missing", CLINIC, "name: Riverbend Clinic\n", "", "name: Field required"),
    Broken(
        "a team that is not there",
        CLINIC,
        "billing: front-desk",
        "billing: cashier",
        "names team 'cashier'",
        at="routing:",
    ),
    Broken("no default team", CLINIC, "  default: nurse-line\n", "", "there is no 'default' team", at="routing:"),
    Broken(
        "a team without a severity",
        CLINIC,
        ", routine: 1440}",
        "}",
        "gives no minutes for routine",
        at="care-coordination:",
    ),
    Broken(
        "minutes of nought",
        CLINIC,
        "{emergency: 2, urgent: 30",
        "{emergency: 0, urgent: 30",
        "minutes are whole numbers from 1",
        at="care-coordination:",
    ),
    Broken(
        "a channel nobody speaks",
        CLINIC,
        "channel: whatsapp",
        "channel: telegram",
        "'web', 'sms' or 'whatsapp'",
        at="channel: telegram",
    ),
    Broken(
        "one number twice",
        CLINIC,
        '"+13125550151"',
        '"+13125550150", rate: 1}\n  - {channel: sms, address: "+13125550150"',
        "already belongs to clinic 'riverbend'",
        at='+13125550150", account_sid',
    ),
    Broken(
        "a number that is none",
        CLINIC,
        '"+13125550150"',
        '"3125550150"',
        "is not a phone number in E.164 form",
        at="3125550150",
    ),
    Broken(
        "no Twilio account",
        CLINIC,
        "account_sid: AC00000000000000000000000000000001, auth",
        "auth",
        "has no account_sid",
        at="+13125550150",
    ),
    Broken(
        "quiet hours that are no times",
        CLINIC,
        'start: "20:00"',
        'start: "8 in the evening"',
        "quiet_hours.start",
        at="8 in the evening",
    ),
    Broken(
        "a program that is not there",
        CLINIC,
        "programs: [post_discharge]",
        "programs: [post_dicharge]",
        "programs: 'post_dicharge' is not in",
    ),
    # messages
    Broken("not YAML", MESSAGES, "utter_greet:", "utter_greet: {", "not YAML"),
    Broken("a list", MESSAGES, "", "- utter_greet\n", "maps keys to messages"),
    Broken(
        "a language is missing",
        MESSAGES,
        "  es: De nada. ¿Hay algo más en que pueda ayudarle?\n",
        "",
        "'utter_thank' has no 'es'",
        at="utter_thank:",
    ),
    Broken(
        "a language without words",
        MESSAGES,
        "De nada. ¿Hay algo más en que pueda ayudarle?",
        '""',
        "'utter_thank' (es) has no text",
        at="utter_thank:",
    ),
    Broken(
        "a field nobody reads",
        MESSAGES,
        "utter_thank:\n",
        "utter_thank:\n  fr: De rien\n",
        "unknown fields: fr",
        at="utter_thank:",
    ),
    Broken(
        "a key twice",
        MESSAGES,
        "utter_thank:",
        "utter_deny:\n  en: No.\n  es: No.\n\nutter_thank:",
        "'utter_deny' stands twice",
    ),
    Broken(
        "a key in two files",
        MESSAGES,
        "utter_thank:",
        "utter_faq_hours:\n  en: Soon.\n  es: Ya.\n\nutter_thank:",
        "'utter_faq_hours' is already in",
    ),
    Broken(
        "a key with capitals",
        MESSAGES,
        "utter_thank:",
        "utterThank:",
        "is not lower_case_with_underscores",
        at="utterThank:",
    ),
    Broken(
        "a placeholder nobody fills",
        MESSAGES,
        "Thank you for asking.",
        "Thank you, {nmae}.",
        "uses {nmae}",
        at="utter_small_talk:",
    ),
    Broken(
        "a fact the clinic does not have",
        MESSAGES,
        "Thank you for asking.",
        "We have {fact_pets}.",
        "uses {fact_pets}",
        at="utter_small_talk:",
    ),
    Broken(
        "a parameter of no type",
        MESSAGES,
        "utter_small_talk:\n",
        "utter_small_talk:\n  parameters: {who: person}\n",
        "has type 'person'",
        at="utter_small_talk:",
    ),
    Broken(
        "a list of no message",
        MESSAGES,
        "utter_small_talk:\n",
        "utter_small_talk:\n  parameters: {who: [line_nobody]}\n",
        "lists 'line_nobody', which is no message",
        at="utter_small_talk:",
    ),
    Broken(
        "parameters that are a list",
        MESSAGES,
        "utter_small_talk:\n",
        "utter_small_talk:\n  parameters: [who]\n",
        "the parameters of 'utter_small_talk' map",
        at="utter_small_talk:",
    ),
    Broken(
        "a placeholder in capitals",
        MESSAGES,
        "Thank you for asking.",
        "Thank you, {Name}.",
        "has a brace",
        at="utter_small_talk:",
    ),
    Broken(
        "a brace left open",
        MESSAGES,
        "Thank you for asking.",
        "Thank you, {clinic.",
        "has a brace",
        at="utter_small_talk:",
    ),
    Broken(
        "an answer that YAML reads as no text",
        MESSAGES,
        "quick_replies: [Book a visit,",
        "quick_replies: [Yes,",
        "in quotes",
    ),
    Broken(
        "answers that are no list",
        MESSAGES,
        "quick_replies: [Book a visit, My appointments, I have a symptom, Talk to a human]",
        "quick_replies: Yes please",
        "a quick reply of",
    ),
    Broken(
        "a text that is a number",
        MESSAGES,
        "    text: What would you like to do next?",
        "    text: 911",
        "is no text (911)",
    ),
    Broken("a key that YAML reads as no text", MESSAGES, "utter_thank:", "yes:", "'yes' has unknown fields", at="yes:"),
    # the widget's words
    Broken("not YAML", WIDGET, "launcher: {", "launcher: {{", "not YAML"),
    Broken("a word is missing", WIDGET, "send: {en: Send, es: Enviar}\n", "", "lacks 'send'"),
    Broken(
        "a language is missing",
        WIDGET,
        "send: {en: Send, es: Enviar}",
        "send: {en: Send}",
        "'send' has no text in 'es'",
        at="send:",
    ),
    Broken("a placeholder nobody fills", WIDGET, "{en: Send, ", "{en: 'Send {it}', ", "holds {it}", at="send:"),
    # programs
    Broken("not YAML", PROGRAM, "rules:", "rules: [", "not YAML"),
    Broken("empty", PROGRAM, "", "", "a program is a mapping"),
    Broken("a field nobody reads", PROGRAM, "status: published", "status: published\nowner: me", "owner", at="owner:"),
    Broken("a status nobody knows", PROGRAM, "status: published", "status: live", "status", at="status:"),
    Broken(
        "another name than its folder",
        PROGRAM,
        "name: post_discharge",
        "name: discharge",
        "differs from its folder",
        at="name:",
    ),
    Broken(
        "no duration", PROGRAM, "within: 72h", "within: three days", "is no duration (like 36h or 2d)", at="within:"
    ),
    Broken("no time of day", PROGRAM, 'at: "10:00"', "at: ten", "touchpoints.0.at", at="at: ten"),
    Broken("a severity nobody knows", PROGRAM, "severity: routine", "severity: mild", "severity", at="severity: mild"),
    Broken(
        "a team that is not there",
        PROGRAM,
        "    why: The patient lacks help at home.",
        "    team: woundcare\n    why: The patient lacks help at home.",
        "names team 'woundcare'",
        at="- id: no-help-at-home",
    ),
    Broken(
        "a rule that is no FHIRPath",
        PROGRAM,
        "when: QuestionnaireResponse.item.where(linkId='fever')",
        "when: QuestionnaireResponse.item.where(linkId='fever'",
        "is not FHIRPath",
        at="- id: fever",
    ),
    Broken(
        "a rule about a question that is not asked",
        PROGRAM,
        "linkId='fever'",
        "linkId='feverish'",
        "looks at linkId 'feverish'",
        at="- id: fever",
    ),
    Broken(
        "a questionnaire that is not there",
        PROGRAM,
        "questionnaire: questionnaire.json",
        "questionnaire: questions.json",
        "names questions.json, which is not beside it",
    ),
    Broken("not JSON", QUESTIONS, '"resourceType"', "resourceType", "not JSON"),
    Broken(
        "not a Questionnaire",
        QUESTIONS,
        '"resourceType": "Questionnaire"',
        '"resourceType": "Patient"',
        "resourceType must be 'Questionnaire'",
    ),
    Broken("a question of no type", QUESTIONS, '"type": "boolean"', '"type": "sonnet"', "sonnet"),
    # safety tables
    Broken("not YAML", KEYWORDS, "keywords:", "keywords: [", "not YAML"),
    Broken(
        "a keyword nobody knows",
        KEYWORDS,
        "keyword: stop",
        "keyword: halt",
        "keyword 'halt' is not known",
        at="- keyword: halt",
    ),
    Broken("one word, two keywords", KEYWORDS, "words: [help,", "words: [stop, help,", "'stop' is already 'stop'"),
    Broken(
        "a level nobody knows", RULES, "level: emergency", "level: dire", "level 'dire' is not known", at="level: dire"
    ),
    Broken(
        "a rule without a source",
        RULES,
        '    source: MedlinePlus, "Bleeding"',
        '    sauce: MedlinePlus, "Bleeding"',
        "lacks 'source'",
    ),
    Broken("a pattern that cannot be read", RULES, "(keeps) ..2 @bleeding", "(keeps ..2 @bleeding", "bracket"),
    Broken(
        "a list that is not there",
        RULES,
        "(keeps) ..2 @bleeding",
        "(keeps) ..2 @blood_loss",
        "list '@blood_loss' is not",
    ),
    Broken(
        "a level nobody knows",
        TRIAGE,
        "level: within_3_days",
        "level: soonish",
        "level 'soonish' is not known",
        at="soonish",
    ),
    Broken("a range that is none", TRIAGE, "duration: 3w-", "duration: bad", "not a range", at="duration: bad"),
    Broken("a rule twice", TRIAGE, "id: breathless", "id: blue", "stands twice"),
    Broken(
        "a fact nobody listed", TRIAGE, "cough_blood: yes", "cough_blod: yes", "fact 'cough_blod' is not in facts.yml"
    ),
    Broken("no rules", TRIAGE, "\nrules:\n", "\nrulez:\n", "lacks 'rules'"),
    Broken("a kind nobody knows", FACTS, "kind: severity", "kind: pain", "kind 'pain' is not known"),
    Broken("no rules at all", "content/safety/context.yml", "", "", "the table is empty"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CARETHREAD_")]:
        monkeypatch.delenv(name)


def settings(project: Path) -> Settings:
    return Settings(
        env="test",
        clinics_dir=project / "clinics",
        content_dir=project / "content",
        programs_dir=project / "programs",
    )


# Tables that can be read alone: reading the rules takes a second.
TABLES: dict[str, Callable[[Path], object]] = {
    "keywords.yml": load_keywords,
    "language.yml": load_language_table,
}


def check(project: Path, file: str) -> None:
    """What `carethread up` reads of the folder that `file` is in. All of it at once takes longer."""
    made = settings(project)
    if file.startswith("content/safety/triage/"):
        load_triage((project / file).parent)
    elif Path(file).name in TABLES:
        TABLES[Path(file).name](project / file)
    elif file.startswith("content/safety"):
        screens(made)
    elif file in (WIDGET, PAGE):
        load_words(made.content_dir)
    else:
        clinics = load_clinics(made.clinics_dir)
        if not file.startswith("programs"):
            content(made, clinics)
        if not file.startswith("content"):
            programs(made, clinics)
        check_accounts(clinics, made)


@pytest.mark.slow  # reads every file of the project
def test_the_files_as_they_are_start(project: Path) -> None:
    check_files(settings(project))


@pytest.mark.slow  # reads every file of the project, each time
@pytest.mark.parametrize("file", [CLINIC, MESSAGES, PROGRAM, KEYWORDS, WIDGET, TRIAGE])
def test_starting_reads_every_kind_of_file(project: Path, file: str) -> None:
    (project / file).write_text("{", encoding="utf-8")
    with pytest.raises((ConfigError, ValueError), match=re.escape(str(project / file))):
        check_files(settings(project))


@pytest.mark.parametrize("broken", CASES, ids=lambda case: f"{Path(case.file).stem}: {case.why}")
def test_a_file_that_cannot_work_is_refused(project: Path, broken: Broken) -> None:
    place = project / broken.file
    before = place.read_text(encoding="utf-8")
    if broken.old:
        assert broken.old in before, "the case no longer fits the file"
    after = before.replace(broken.old, broken.new, 1) if broken.old else broken.new
    place.write_text(after, encoding="utf-8")

    with pytest.raises((ConfigError, ValueError)) as refused:
        check(project, broken.file)

    said = str(refused.value)
    assert broken.says in said
    assert "\n" not in said
    named = re.match(r"(?P<file>[^:]+?):(?:(?P<line>\d+):)? ", said)
    assert named, said
    assert Path(named["file"]) == place
    if broken.at is not None:
        lines = after.splitlines()
        assert named["line"] is not None, said
        assert broken.at in lines[int(named["line"]) - 1], f"{said}\nwhich is: {lines[int(named['line']) - 1]}"


MISSING = [
    (CLINIC, "holds no clinic"),
    ("content/messages", "holds no messages"),
    (QUESTIONS, "which is not beside it"),
    (KEYWORDS, "the table is missing"),
    ("content/safety/language.yml", "the table is missing"),
    ("content/safety/context.yml", "the table is missing"),
    (FACTS, "the table is missing"),
    ("content/safety/triage/other.yml", "the table is missing"),
    (WIDGET, "cannot be read"),
]


@pytest.mark.parametrize(("file", "says"), MISSING)
def test_a_file_that_is_missing_is_named(project: Path, file: str, says: str) -> None:
    place = project / file
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()
    with pytest.raises((ConfigError, ValueError)) as refused:
        check(project, file)
    assert says in str(refused.value)
    assert str(project) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text_are_refused(project: Path) -> None:
    for file in (CLINIC, MESSAGES, PROGRAM, KEYWORDS, WIDGET):
        place = project / file
        before = place.read_bytes()
        place.write_bytes(b"\xff\xfe" + before)
        with pytest.raises((ConfigError, ValueError)) as refused:
            check(project, file)
        assert str(place) in str(refused.value), file
        place.write_bytes(before)


# --- settings

SECRET = "correct-horse-battery-staple-of-32-and-more"
PRODUCTION = {
    "env": "production",
    "engine_token": SECRET,
    "session_secret": SECRET[::-1],
    "database_url": "postgresql://carethread_app@db/carethread",
    "public_url": "https://care.example.org",
}

REFUSED_SETTINGS = [
    ({"engine_token": DEMO_SECRET}, "CARETHREAD_ENGINE_TOKEN has its demo value or is short"),
    ({"engine_token": "sh0rt"}, "CARETHREAD_ENGINE_TOKEN has its demo value or is short"),
    ({"session_secret": DEMO_SECRET}, "CARETHREAD_SESSION_SECRET has its demo value or is short"),
    ({"database_url": None}, "CARETHREAD_DATABASE_URL is not set"),
    ({"public_url": "http://care.example.org"}, "CARETHREAD_PUBLIC_URL must be the https:// address"),
    ({"port": "eighty"}, "CARETHREAD_PORT is 'eighty'"),
    ({"port": 70000}, "CARETHREAD_PORT is '70000'"),
    ({"env": "live"}, "CARETHREAD_ENV is 'live': input should be 'demo', 'test' or 'production'"),
    ({"log_level": "loud"}, "CARETHREAD_LOG_LEVEL is 'loud'"),
    ({"lease_seconds": 0}, "CARETHREAD_LEASE_SECONDS is '0'"),
    ({"database_pool": 0}, "CARETHREAD_DATABASE_POOL is '0'"),
    ({"ehr_timeout": 15}, "CARETHREAD_EHR_TIMEOUT (15 s) must be shorter than CARETHREAD_ACTION_TIMEOUT (15 s)"),
    ({"action_timeout": 25}, "CARETHREAD_ACTION_TIMEOUT (25 s) must be shorter than CARETHREAD_TURN_TIMEOUT (20 s)"),
]


def test_production_with_secrets_of_its_own_starts() -> None:
    assert Settings(**PRODUCTION).production


@pytest.mark.parametrize(("change", "says"), REFUSED_SETTINGS)
def test_a_setting_that_cannot_work_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(**{**PRODUCTION, **change})
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    for secret in (SECRET, SECRET[::-1], "sh0rt"):
        assert secret not in str(refused.value)


def test_every_mistake_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(env="production")
    for name in ("ENGINE_TOKEN", "SESSION_SECRET", "DATABASE_URL", "PUBLIC_URL"):
        assert f"CARETHREAD_{name}" in str(refused.value)


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARETHREAD_ENV", "production")
    monkeypatch.setenv("CARETHREAD_ENGINE_TOKEN", "an-unfinished-secret")
    monkeypatch.setenv("CARETHREAD_DATABASE_URL", "postgresql://carethread_app:hunter2@db/x")
    monkeypatch.setenv("CARETHREAD_PORT", "70000")
    with pytest.raises(SettingsError) as refused:
        Settings()
    assert refused.value.__cause__ is None
    for secret in ("an-unfinished-secret", "hunter2"):
        assert secret not in str(refused.value)


def test_secrets_do_not_show_where_settings_are_printed() -> None:
    assert SECRET not in repr(Settings(**PRODUCTION)) + str(Settings(**PRODUCTION))


def test_demo_twilio_tokens_do_not_survive_production(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    production = Settings(
        **PRODUCTION,
        clinics_dir=project / "clinics",
        content_dir=project / "content",
        programs_dir=project / "programs",
    )
    with pytest.raises(ConfigError, match="CARETHREAD_RIVERBEND_TWILIO_TOKEN is not set"):
        check_accounts(load_clinics(production.clinics_dir), production)
    monkeypatch.setenv("CARETHREAD_RIVERBEND_TWILIO_TOKEN", "a" * 32)
    check_accounts(load_clinics(production.clinics_dir), production)
