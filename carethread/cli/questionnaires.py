"""`carethread questionnaire`: look at a FHIR Questionnaire, hold it as a conversation, try every way through it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import click

from carethread.bootstrap import content as load_texts
from carethread.bootstrap import utc_now
from carethread.clinic import Clinic, load_clinics
from carethread.config import Settings
from carethread.conversations.checkin import in_words
from carethread.dialogue.content import Content
from carethread.questionnaires import Input, Question, QuestionnaireRefused, Step, answer, load, start, to_response
from carethread.questionnaires.definition import Item, Questionnaire
from carethread.questionnaires.meaning import MODEL, Meaning, MeaningError
from carethread.questionnaires.walking import Walk, walk
from carethread.safety.encoder import encoder

REFUSED = 2
FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group()
def questionnaire() -> None:
    """Check, hold and try out FHIR R4 Questionnaires, anybody's. Nothing has to run."""


@questionnaire.command()
@FILE
def check(file: Path) -> None:
    """Say what FILE will ask, and what is odd about it. Exits 2 when it cannot be run, with what to change."""
    found = read(file)
    questions = [item for item in found.walk() if item.is_question and not item.silent]
    click.echo(f"{found.title.text or found.canonical} ({found.canonical})")
    click.echo(f"{sum(1 for _ in found.walk())} items, {len(questions)} questions")
    for item in found.walk():
        click.echo("  " * len(found.ancestors(item.link_id)) + _line(item))
    for warning in found.warnings:
        click.echo(f"warning: {warning}")


@questionnaire.command()
@FILE
@click.option("--answers", type=click.File(encoding="utf-8"), help="Answers, one a line, instead of the keyboard.")
@click.option("--lang", default="en", show_default=True, help="The language to hold it in.")
@click.option("--patient", help="The FHIR id of whom it is about.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: status, transcript, response.")
def run(file: Path, answers: Any, lang: str, patient: str | None, as_json: bool) -> None:
    """Hold FILE as a conversation; prints the transcript and the QuestionnaireResponse.

    Exits 1 when it did not come to its end: answers ran out, or a person would have to help.
    """
    held = Held(read(file), lang, utc_now(), quiet=as_json)
    lines = answers if answers is not None else sys.stdin
    asks = answers is None and sys.stdin.isatty() and not as_json
    step = held.hold(_typed() if asks else (line.rstrip("\n") for line in lines))
    response = to_response(held.questionnaire, step.session, subject=f"Patient/{patient}" if patient else None)
    if as_json:
        report = {"status": step.status, "transcript": held.transcript, "response": response}
        click.echo(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        click.echo(json.dumps(response, ensure_ascii=False, indent=1))
    if step.status != "completed":
        click.echo(f"It is not finished: {step.status}.", err=True)
        raise click.exceptions.Exit(1)


@questionnaire.command("walk")
@FILE
@click.option("--lang", default="en", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def walk_through(file: Path, lang: str, as_json: bool) -> None:
    """Let an automatic patient try every question, option and branch of FILE.

    Exits 1 when it came to a dead end or ran in a circle, 2 when FILE cannot be run.
    """
    found = walk(read(file), now=utc_now(), language=lang)
    click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=1) if as_json else _told(found))
    if found.dead_ends or found.loops:
        raise click.exceptions.Exit(1)


@questionnaire.command()
def learn() -> None:
    """Fit the reading of meanings to carethread/questionnaires/answers again, and say how well it reads new items.

    It takes a few minutes. Run it when the answers, or the readers of answers, have changed.
    """
    try:
        from carethread.questionnaires.meaning_training import ANSWERS, read_answers
        from carethread.questionnaires.meaning_training import learn as fit
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}; fitting needs the development environment (make setup)") from None

    learned = fit(read_answers(ANSWERS), encoder())
    learned.meaning.save(MODEL)
    click.echo("Of answers to items that the model was not fitted to, grammar alone → with meaning:")
    for tally in learned.tallies:
        click.echo(f"  {tally}")
    click.echo(f"limits: {asdict(learned.meaning.limits)}")
    click.echo(f"Wrote {MODEL}.")


class Held:
    """A questionnaire held with whoever gives the lines."""

    def __init__(self, found: Questionnaire, language: str, now: datetime, *, quiet: bool) -> None:
        self.questionnaire = found
        self.transcript: list[dict[str, str]] = []
        self._language = language
        self._now = now
        self._meaning = _meaning()
        self._quiet = quiet
        settings = Settings()
        clinics = load_clinics(settings.clinics_dir)
        self._clinic: Clinic = next(iter(clinics.values()))
        self._content: Content = load_texts(settings, clinics).current

    def hold(self, lines: Iterable[str]) -> Step:
        step = start(self.questionnaire, language=self._language, now=self._now)
        self._put(step)
        for number, line in enumerate(lines, 1):
            if step.question is None or step.status not in ("in-progress", "postponed"):
                break
            if not line.strip():
                continue
            self._note("patient", line)
            message = Input(line, self._language, f"line-{number}", self._now)
            step = answer(self.questionnaire, step.session, message, meaning=self._meaning)
            self._put(step)
        return step

    def _put(self, step: Step) -> None:
        if step.question is not None:
            self._note("assistant", self._words(step.question))
        for text in step.closing:
            self._note("assistant", text)

    def _words(self, question: Question) -> str:
        key, parameters = in_words(self._content, question, self._language)
        rendered = self._content.render(key, parameters, clinic=self._clinic, language=self._language, channel="sms")
        return rendered.text

    def _note(self, who: str, text: str) -> None:
        self.transcript.append({"who": who, "text": text})
        if not self._quiet:
            click.echo(f"{'>' if who == 'patient' else ' '} {text}")


def read(file: Path) -> Questionnaire:
    """The questionnaire in a file; says why not and exits 2 when it cannot be run."""
    try:
        return load(cast(dict[str, Any], json.loads(file.read_text(encoding="utf-8"))))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        click.echo(f"{file}: this is no JSON: {error}", err=True)
    except QuestionnaireRefused as refusal:
        click.echo(f"{file}: it cannot be run:", err=True)
        for problem in refusal.problems:
            click.echo(f"  {problem}", err=True)
    raise click.exceptions.Exit(REFUSED)


def _meaning() -> Meaning | None:
    """What reads answers by their meaning; without it, and told so, the conversation is held all the same."""
    try:
        return Meaning.load(MODEL, encoder())
    except MeaningError as error:
        click.echo(f"warning: answers are read by their words alone: {error}", err=True)
        return None


def _typed() -> Iterator[str]:
    while True:
        try:
            yield input("> ")
        except EOFError:
            return


def _line(item: Item) -> str:
    notes = [
        item.type,
        *(["required"] if item.required and item.is_question else []),
        *(["not asked"] if item.silent else []),
        *([f"{len(item.options)} options"] if item.options else []),
        *(
            [("if all of " if item.all_conditions else "if ") + ", ".join(c.question for c in item.conditions)]
            if item.conditions
            else []
        ),
    ]
    return f"  {item.link_id}: {item.wording.text or '-'} [{', '.join(notes)}]"


def _told(found: Walk) -> str:
    lines = [f"{len(found.reached)} of {found.items} questions were reached, {found.questions_asked} asked."]
    for name, link_ids in (
        ("unreachable", found.unreachable),
        ("dead ends", found.dead_ends),
        ("circles", found.loops),
    ):
        lines += [f"{name}: {', '.join(link_ids)}"] if link_ids else []
    return "\n".join(lines)
