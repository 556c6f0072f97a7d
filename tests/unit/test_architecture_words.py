"""No word that a patient reads stands outside `content/`.

A scanner reads every string of our Python (docstrings left out) and of the widget, by four rules:

- a letter or sign that only Spanish has;
- a sentence that speaks to its reader (you, your, please, we, sorry, usted);
- anything but a content key and values given to what speaks to a patient (`say`, `Say`, `utter_message`);
- a row of the outbox written anywhere but where a content key is rendered, or where staff write.

What is said to operators (errors, logs, the command line) is not for patients. Each other exception is listed with its
reason, and one that is no longer needed fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from carethread.config import PROJECT
from carethread.yamls import parse

ROOTS = ("carethread", "actions", "engine/carethread_engine")
# Modules whose words an operator reads, in a terminal.
# Holds the letters that syllables are counted by, and no words.
ALPHABETS = frozenset({"carethread/safety/reading.py"})
OPERATORS = ("carethread/cli/", "carethread/supervisor.py", "carethread/config.py", "engine/carethread_engine/train.py")

_SPANISH = re.compile(r"[áéíóúüñÁÉÍÓÚÜÑ¿¡]")
_SPEAKS = re.compile(r"\b(you|your|yours|please|sorry|we|us|our|i|my|usted|su|le|gracias|por favor)\b", re.IGNORECASE)
_KEY = re.compile(r"^[a-z]+(_[a-z0-9]+)*$")
_SPEAKERS = {"say", "Say", "utter_message"}
# Parameters of utter_message that hold words, not a key.
_RASA_WORDS = {"text", "buttons", "image", "json_message", "attachment", "elements", "template"}
# A call with one of these names makes an error or a log line.
_FOR_OPERATORS = re.compile(r"(Error|Failed|Refused|Unavailable|Exception|Withheld|CannotStart|SystemExit|BadRequest)$")
_LOGGING = {"debug", "info", "warning", "error", "critical", "exception", "log"}

# file → strings that may stand there, each with why it is no text for a patient
ALLOWED: dict[str, dict[str, str]] = {
    "carethread/channels/twilio/encoding.py": {"@£$¥èéùìòÇ": "the GSM alphabet", "¡ABCDEF": "the GSM alphabet"},
    "carethread/channels/twilio/send.py": {"Sent from your Twilio trial": "Twilio's own words, to find them again"},
    "carethread/channels/twilio/routes.py": {"the message could not be stored": "the answer to Twilio, to try again"},
    "carethread/messaging/wordless.py": {"sí": "what an emoji stands for, as the assistant reads it"},
    "carethread/dialogue/deidentify.py": {
        "expediente": "words as patients write them, to be found",
        "llamo": "words as patients write them, to be found",
        "?¿": "signs at which a sentence ends or begins",
    },
    "carethread/messaging/review.py": {"with message as": "a statement for the database"},
    "carethread/dialogue/entities/amounts.py": {"U:[in_i]": "a rule over symbols"},
    "carethread/questionnaires/loading.py": {"one of its options has": "why a Questionnaire is refused"},
    "carethread/questionnaires/meaning.py": {"Sí": "a yes that answers are compared with"},
    "carethread/questionnaires/readings/polarity.py": {"sí": "a word as patients write it, to be read"},
    "carethread/safety/language.py": {"[A-ZÁÉÍÓÚÑ]": "a pattern", "[ñÑ¿¡]": "a pattern: Spanish letters"},
    "carethread/safety/text.py": {"?¿": "signs at which a sentence ends", "sí": "a word as patients write it"},
    "engine/carethread_engine/channel.py": {"who are you?": "the answer to a caller without the engine's token"},
}


@dataclass(frozen=True)
class Found:
    file: str
    line: int
    rule: str
    text: str


def scan(source: str, file: str) -> Iterator[Found]:
    tree = ast.parse(source)
    skipped = _docstrings(tree) | _for_operators(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            if _SPANISH.search(node.value) and file not in ALPHABETS:
                yield Found(file, node.lineno, "spanish", node.value)
            elif _is_sentence(node.value) and not file.startswith(OPERATORS):
                yield Found(file, node.lineno, "sentence", node.value)
        if isinstance(node, ast.Call) and _called(node) in _SPEAKERS and not file.startswith(OPERATORS):
            yield from _spoken(node, file)


def _is_sentence(text: str) -> bool:
    """Three words or more, of which one speaks to the reader or of the clinic."""
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text)
    return len(words) >= 3 and " " in text.strip() and bool(_SPEAKS.search(text)) and text != text.upper()


def _spoken(call: ast.Call, file: str) -> Iterator[Found]:
    """Constant words handed to what speaks to a patient, as the key or as a value."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    for keyword in call.keywords:
        if _called(call) == "utter_message" and keyword.arg in _RASA_WORDS:
            yield Found(file, call.lineno, "spoken", f"{keyword.arg}=")
    for argument in given:
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip():
                part_of_key = isinstance(argument, ast.JoinedStr) and re.fullmatch(r"[a-z_0-9]+", node.value)
                if not part_of_key and not _KEY.match(node.value) and " " in node.value.strip():
                    yield Found(file, node.lineno, "spoken", node.value)


def _called(call: ast.Call) -> str:
    return getattr(call.func, "id", None) or getattr(call.func, "attr", "") or ""


def _docstrings(tree: ast.AST) -> set[int]:
    """Strings that are a statement of their own: they go nowhere."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def _for_operators(tree: ast.AST) -> set[int]:
    """Every string below a `raise`, an error that is made, or a log call."""
    found: set[int] = set()
    for node in ast.walk(tree):
        error = isinstance(node, ast.Call) and bool(_FOR_OPERATORS.search(_called(node)))
        logged = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _LOGGING
            and getattr(node.func.value, "id", "") in ("log", "logger")
        )
        if isinstance(node, ast.Raise) or error or logged:
            found |= {id(child) for child in ast.walk(node)}
    return found


def everything() -> list[Found]:
    return [
        found
        for root in ROOTS
        for path in sorted((PROJECT / root).rglob("*.py"))
        for found in scan(path.read_text(encoding="utf-8"), path.relative_to(PROJECT).as_posix())
    ]


def test_no_python_string_is_a_text_for_patients() -> None:
    assert [
        found for found in everything() if not any(text in found.text for text in ALLOWED.get(found.file, ()))
    ] == []


def test_every_exception_is_still_needed() -> None:
    found = everything()
    needless = [
        (file, text)
        for file, texts in ALLOWED.items()
        for text in texts
        if not any(one.file == file and text in one.text for one in found)
    ]
    assert needless == []


PLANTED = [
    ('ctx.say("Hello there")', "spoken"),
    ('ctx.say("utter_greet", name="our dear patient")', "sentence"),
    ('Say("utter_x", {"text": "Take two of them"})', "spoken"),
    ("ctx.say(f'We are closed on {day}')", "spoken"),
    ('dispatcher.utter_message(text="ok")', "spoken"),
    ('dispatcher.utter_message(buttons=[{"title": "Yes"}])', "spoken"),
    ('greeting = "¿Cómo está?"', "spanish"),
    ('WORDS = {"es": "mañana"}', "spanish"),
    ('rows.append("Your visit is tomorrow")', "sentence"),
    ('text = f"Hi {name}, please call the clinic"', "sentence"),
    ('return "I am sorry to hear that"', "sentence"),
    ('answer = "Gracias por escribirnos"', "sentence"),
]
FOR_OTHERS = [
    '"""Says to you what this module is for."""',
    'raise ConfigError(f"{path}: your file has no text; please write it")',
    'problem = ContentError("what you wrote is no message")',
    'log.warning("we could not send your mail")',
    'ctx.say("utter_greet", name=name, day="tomorrow")',
    'ctx.say(f"utter_{intent}")',
    'dispatcher.utter_message(response="utter_greet", name=name)',
    'SCHEMA = "my_table.your_column"',
]


@pytest.mark.parametrize(("source", "rule"), PLANTED)
def test_the_scanner_finds_what_is_planted(source: str, rule: str) -> None:
    planted = f"def turn(ctx, dispatcher, rows, name, day):\n    {source}\n"
    assert rule in {found.rule for found in scan(planted, "carethread/conversations/planted.py")}


@pytest.mark.parametrize("source", FOR_OTHERS)
def test_the_scanner_leaves_other_readers_alone(source: str) -> None:
    assert list(scan(source, "carethread/conversations/planted.py")) == []


def test_an_outbox_row_is_written_by_content_or_by_staff_only() -> None:
    writers, statements = set(), set()
    for root in ROOTS:
        for path in (PROJECT / root).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and (
                    _called(node) in ("Outbox", "add_unsent")
                    or (_called(node) == "insert" and any(getattr(arg, "id", "") == "Outbox" for arg in node.args))
                ):
                    writers.add(path.relative_to(PROJECT).as_posix())
                if isinstance(node, ast.Constant) and "insert into outbox" in str(node.value).casefold():
                    statements.add(path.relative_to(PROJECT).as_posix())
    assert writers == {"carethread/messaging/outbox.py", "carethread/messaging/staff.py"}
    assert statements == {"carethread/messaging/ledger.py"}  # `add_unsent`, which only the first of them calls


def test_the_domain_holds_no_words() -> None:
    domain = parse((PROJECT / "domain.yml").read_text(encoding="utf-8"))
    assert "responses" not in domain
    assert not any("responses" in parse(path.read_text()) for path in (PROJECT / "data").rglob("*.yml"))


# --- the widget: labels come from content/widget.yml, but for what it says when it cannot be reached

_FALLBACK = re.compile(r"\nconst CANNOT_CONNECT = \{.*?\n\};", re.DOTALL)
_JS_STRING = re.compile(r"'((?:[^'\\\n]|\\.)*)'|\"((?:[^\"\\\n]|\\.)*)\"|`((?:[^`\\\n]|\\.)*)`")
_JS_COMMENT = re.compile(r"^\s*(//|/?\*).*$|\s//\s.*$", re.MULTILINE)


def widget_words(source: str) -> list[str]:
    """Strings of a script that read like words for a person: capitalised, or several plain words."""
    code = _JS_COMMENT.sub("", _FALLBACK.sub("", source))
    found = [next(group for group in match.groups() if group is not None) for match in _JS_STRING.finditer(code)]
    return [
        text
        for text in found
        if _SPANISH.search(text)
        or re.fullmatch(r"[A-Z][a-z’']+( [A-Za-z’',]+)*[.?!…]?", text)
        or re.fullmatch(r"[A-Za-z’',]+( [A-Za-z’',]+){2,}[.?!…]?", text)
    ]


# Strings of the platform (browsers, HTTP) that look like words.
_TECHNICAL = {"Escape", "Enter", "Tab", "Bearer", "Content-Type", "Authorization"}


def test_the_widget_has_no_words_but_its_fallback() -> None:
    scripts = sorted((PROJECT / "carethread/channels/web/widget").glob("*.js"))
    assert scripts
    words = {text for path in scripts for text in widget_words(path.read_text(encoding="utf-8"))}
    assert words - _TECHNICAL == set()


def test_the_widgets_fallback_is_tiny() -> None:
    [fallback] = [
        match[0]
        for path in (PROJECT / "carethread/channels/web/widget").glob("*.js")
        for match in _FALLBACK.finditer(path.read_text(encoding="utf-8"))
    ]
    assert len(_JS_STRING.findall(fallback)) <= 4


@pytest.mark.parametrize(
    "source", ["say(this.who, 'Assistant');", 'const a = "please write to us";', "h('p', {}, `¿Qué tal?`);"]
)
def test_words_planted_in_the_widget_are_found(source: str) -> None:
    assert widget_words(source)


def test_every_text_of_the_staff_console_stands_in_its_words_file() -> None:
    """Staff read English; still, no page has words of its own in Python."""
    console = (PROJECT / "carethread/console").glob("*.py")
    titles = [
        found
        for path in console
        for found in scan(path.read_text(encoding="utf-8"), path.relative_to(PROJECT).as_posix())
    ]
    assert titles == []
