"""`carethread questionnaire`: look at a FHIR Questionnaire, hold it as a conversation, try every way through it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from carethread.clinic import Clinic, load_clinics
from carethread.config import Settings
from carethread.questionnaires import (
    Input,
    Question,
    QuestionnaireRefused,
    Step,
    answer,
    load,
    start,
    to_observations,
    to_response,
)
from carethread.questionnaires.definition import Item, Questionnaire
from carethread.questionnaires.meaning import MODEL, MeaningError
from carethread.questionnaires.requests import REQUESTS, Learned
from carethread.questionnaires.walking import Walk, walk
from carethread.safety.encoder import encoder

REFUSED = 2
_PATIENCE = 6.0  # seconds after which the automatic patient begins no further conversation
_MOST_LISTED = 12  # options of a question that `check` lists

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
VALUE_SETS = click.option(
    "--value-sets", "value_sets", type=click.Path(exists=True, path_type=Path),
    help="A ValueSet or Bundle, or a folder of them, for those that FILE refers to without holding them.",
)  # fmt: skip


@click.group()
def questionnaire() -> None:
    """Check, hold and try out FHIR R4 Questionnaires, anybody's. Nothing has to run."""


@questionnaire.command()
@FILE
@VALUE_SETS
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: title, items, warnings.")
def check(file: Path, value_sets: Path | None, as_json: bool) -> None:
    """Say what FILE will ask, and what is odd about it. Exits 2 when it cannot be run, with what to change."""
    found = read(file, value_sets)
    if as_json:
        click.echo(json.dumps(_checked(found), ensure_ascii=False, indent=1))
        return
    questions = [item for item in found.walk() if item.is_question and not item.silent]
    click.echo(f"{found.title.text or found.canonical} ({found.canonical})")
    click.echo(f"{sum(1 for _ in found.walk())} items, {len(questions)} questions")
    for item in found.walk():
        depth = "  " * len(found.ancestors(item.link_id))
        click.echo(depth + _line(item))
        shown = [option.wording.text for option in item.options[:_MOST_LISTED]]
        if shown:
            more = len(item.options) - len(shown)
            click.echo(f"{depth}      {' | '.join(shown)}{f' and {more} more' if more else ''}")
    for warning in found.warnings:
        click.echo(f"warning: {warning}")


@questionnaire.command()
@FILE
@VALUE_SETS
@click.option("--answers", type=click.File(encoding="utf-8"), help="Answers, one a line, instead of the keyboard.")
@click.option("--lang", default="en", show_default=True, help="The language to hold it in.")
@click.option("--patient", help="The FHIR id of whom it is about.")
@click.option(
    "--launch", type=click.File(encoding="utf-8"), help="What expressions look at: JSON by name, or a Patient."
)
@click.option("--confirm", is_flag=True, help="Read the answers back at the end.")
@click.option("--observations", is_flag=True, help="Print the Observations that the form extracts, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: status, transcript, response.")
def run(
    file: Path,
    value_sets: Path | None,
    answers: Any,
    lang: str,
    patient: str | None,
    launch: Any,
    confirm: bool,
    observations: bool,
    as_json: bool,
) -> None:
    """Hold FILE as a conversation; prints the transcript and the QuestionnaireResponse.

    Exits 1 when it did not come to its end: answers ran out, or a person would have to help.
    """
    context = _launch(json.load(launch) if launch is not None else {}, patient)
    held = Held(read(file, value_sets), lang, datetime.now(UTC), quiet=as_json, launch=context, confirm=confirm)
    lines = answers if answers is not None else sys.stdin
    asks = answers is None and sys.stdin.isatty() and not as_json
    step = held.hold(_typed() if asks else (line.rstrip("\n") for line in lines))
    subject = f"Patient/{patient}" if patient else None
    response = to_response(held.questionnaire, step.session, subject=subject)
    report: dict[str, Any] = {"status": step.status, "transcript": held.transcript, "response": response}
    if observations:
        report["observations"] = to_observations(held.questionnaire, step.session, subject=subject or "Patient/unknown")
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        for resource in (response, *report.get("observations", ())):
            click.echo(json.dumps(resource, ensure_ascii=False, indent=1))
    if step.status != "completed":
        click.echo(f"It is not finished: {step.status}.", err=True)
        raise click.exceptions.Exit(1)


@questionnaire.command("walk")
@FILE
@VALUE_SETS
@click.option("--lang", default="en", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def walk_through(file: Path, value_sets: Path | None, lang: str, as_json: bool) -> None:
    """Let an automatic patient try every question, option and branch of FILE.

    Exits 1 when it came to a dead end or ran in a circle, 2 when FILE cannot be run.
    """
    questionnaire = read(file, value_sets)
    deadline = time.monotonic() + _PATIENCE
    now = datetime.now(UTC)
    found = walk(
        questionnaire, now=now, language=lang, launch=_launch({}, None), tired=lambda: time.monotonic() > deadline
    )
    click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=1) if as_json else _told(found))
    if found.dead_ends or found.loops:
        raise click.exceptions.Exit(1)


def _launch(given: Mapping[str, Any], patient: str | None) -> dict[str, Any]:
    """What expressions may look at: by name, a Patient that comes alone being %patient."""
    context = {"patient": given} if given.get("resourceType") == "Patient" else dict(given)
    context.setdefault("patient", {"resourceType": "Patient", **({"id": patient} if patient else {})})
    return context


@questionnaire.command()
def learn() -> None:
    """Fit the reading of meanings to carethread/questionnaires/answers again, and say how well it reads new items.

    It takes a few minutes. Run it when the answers, or the readers of answers, have changed.
    """
    try:
        from carethread.questionnaires.meaning_training import ANSWERS, read_answers
        from carethread.questionnaires.meaning_training import learn as fit
        from carethread.questionnaires.requests_training import learn_requests
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}; fitting needs the development environment (make setup)") from None

    material = read_answers(ANSWERS)
    spoken = learn_requests(ANSWERS, material, encoder())
    spoken.requests.save(REQUESTS)
    click.echo(
        f"Of {spoken.asked} requests that the model was not fitted to, {spoken.heard} are heard, "
        f"{spoken.mistaken} taken for another; "
        f"{spoken.invented} of {spoken.messages - spoken.asked} answers are taken for one."
    )
    click.echo(f"limits: {asdict(spoken.requests.limits)}")
    learned = fit(material, encoder())
    learned.meaning.save(MODEL)
    click.echo("Of answers to items that the model was not fitted to, grammar alone → with meaning:")
    for tally in learned.tallies:
        click.echo(f"  {tally}")
    click.echo(f"limits: {asdict(learned.meaning.limits)}")
    click.echo(f"Wrote {MODEL} and {REQUESTS}.")


class Held:
    """A questionnaire held with whoever gives the lines."""

    def __init__(
        self,
        found: Questionnaire,
        language: str,
        now: datetime,
        *,
        quiet: bool,
        launch: Mapping[str, Any] | None = None,
        confirm: bool = False,
    ) -> None:
        self.questionnaire = found
        self.transcript: list[dict[str, str]] = []
        self._language = language
        self._now = now
        self._meaning = _meaning()
        self._quiet = quiet
        self._launch = launch
        self._confirm = confirm
        from carethread.bootstrap import content as load_texts  # seconds to import, and only this command needs it

        settings = Settings()
        clinics = load_clinics(settings.clinics_dir)
        self._clinic: Clinic = next(iter(clinics.values()))
        self._content = load_texts(settings, clinics).current

    def hold(self, lines: Iterable[str]) -> Step:
        step = start(
            self.questionnaire, language=self._language, now=self._now, launch=self._launch, confirm=self._confirm
        )
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
        from carethread.conversations.checkin import in_words

        key, parameters = in_words(self._content, question, self._language)
        rendered = self._content.render(key, parameters, clinic=self._clinic, language=self._language, channel="sms")
        return rendered.text

    def _note(self, who: str, text: str) -> None:
        self.transcript.append({"who": who, "text": text})
        if not self._quiet:
            click.echo(f"{'>' if who == 'patient' else ' '} {text}")


def read(file: Path, value_sets: Path | None = None) -> Questionnaire:
    """The questionnaire in a file; says why not and exits 2 when it cannot be run."""
    try:
        return load(_json(file), _value_sets(value_sets))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        click.echo(f"{file}: this is no JSON: {error}", err=True)
    except QuestionnaireRefused as refusal:
        click.echo(f"{file}: it cannot be run:", err=True)
        for problem in refusal.problems:
            click.echo(f"  {problem}", err=True)
    raise click.exceptions.Exit(REFUSED)


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8-sig"))


def _value_sets(where: Path | None) -> dict[str, Mapping[str, Any]]:
    """ValueSet and CodeSystem resources by url, from a file or the files of a folder."""
    files = [] if where is None else sorted(where.glob("*.json")) if where.is_dir() else [where]
    found: dict[str, Mapping[str, Any]] = {}
    for raw in map(_json, files):
        bundled = [entry.get("resource") for entry in raw.get("entry", [])] if isinstance(raw, dict) else raw
        for resource in (raw, *bundled):
            if isinstance(resource, dict) and resource.get("resourceType") in ("ValueSet", "CodeSystem"):
                found[str(resource.get("url"))] = resource
    return found


def _checked(found: Questionnaire) -> dict[str, Any]:
    return {
        "title": found.title.text or found.canonical,
        "canonical": found.canonical,
        "items": [
            {
                "linkId": item.link_id,
                "type": item.type,
                "text": item.wording.text,
                "asked": item.is_question and not item.silent,
                "required": item.required,
                "options": len(item.options),
            }
            for item in found.walk()
        ],
        "warnings": [str(warning) for warning in found.warnings],
    }


def _meaning() -> Learned | None:
    """What reads answers by their meaning; without it, and told so, the conversation is held all the same."""
    try:
        return Learned.load(encoder())
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
        *(["repeats"] if item.repeats else []),
        *(["calculated"] if item.expressions.calculated else ["not asked"] if item.silent else []),
        *([f"{len(item.options)} options"] if item.options else []),
        *(
            [("if all of " if item.all_conditions else "if ") + ", ".join(c.question for c in item.conditions)]
            if item.conditions
            else []
        ),
        *(["if an expression is true"] if item.expressions.asked_if else []),
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
