"""`carethread nlu evaluate`: how well a model understands labelled texts, alone or beside another model."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from carethread.cli.baseline import EPOCHS, trained_baseline
from carethread.cli.demo import model_path
from carethread.cli.naming import clinic_of, entities_of
from carethread.cli.nlu_report import Beside, Measured, beside, markdown, plots, summary
from carethread.cli.understanding import Ask, EngineEnded, understanding
from carethread.clinic import read_text, read_yaml
from carethread.config import PROJECT, Settings
from carethread.dialogue.evaluation import FALLBACK, Case, Parse, evaluate
from carethread.dialogue.labelled import Entity, Example, ExampleError, read_example

_A_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("evaluate")
@click.argument("files", metavar="FILE...", type=_A_FILE, nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=PROJECT / "results" / "nlu",
    help="Folder for report.md and its plots.  [default: results/nlu]",
)
@click.option("--model", type=_A_FILE, default=None, help="The model to measure.  [default: models/carethread.tar.gz]")
@click.option(
    "--against",
    type=_A_FILE,
    default=None,
    help="A model to compare with.  [default: models/previous.tar.gz, if there is one]",
)
@click.option("--baseline", is_flag=True, help="Compare with Rasa's default pipeline, trained on the same data now.")
@click.option("--epochs", type=click.IntRange(1), default=EPOCHS, show_default=True, help="Of the baseline's training.")
def evaluate_command(
    files: tuple[Path, ...], out: Path, model: Path | None, against: Path | None, baseline: bool, epochs: int
) -> None:
    """Measure a model on labelled texts, and write a report.

    A line of FILE is {"text", "intent"} and maybe "language", "channel", "noise", "now" and "entities" (a list of
    {"entity", "value"}). A text without an intent is out of scope; one whose intent is null only counts for entities.
    """
    examples = read_examples(files, known_intents(PROJECT / "domain.yml"))
    measured = [measure(model or model_path(), examples)]
    if before := _before(against, examples):
        measured.append(before)
    other = measure_baseline(epochs, examples) if baseline else None
    out.mkdir(parents=True, exist_ok=True)
    report = markdown([_short(path) for path in files], measured, other)
    for name, content in {"report.md": report, **plots(measured)}.items():
        (out / name).write_text(content, encoding="utf-8")
    click.echo(summary(measured))
    if other:
        click.echo("\n" + beside(measured[0], other))
    click.echo(f"\nThe report is in {_short(out / 'report.md')}")


def read_examples(files: Sequence[Path], intents: frozenset[str]) -> list[Example]:
    """The labelled texts of every file; raises `ConfigError` with file and line for what cannot be read."""
    examples = [
        read_example(line, f"{path}:{number}", intents)
        for path in files
        for number, line in enumerate(read_text(path, "give a file that may be read").split("\n"), start=1)
        if line.strip()
    ]
    if not examples:
        raise ExampleError(f'{files[0]}: no texts; write one {{"text": "hello", "intent": "greet"}} a line')
    return examples


def known_intents(domain: Path) -> frozenset[str]:
    """The intents of a domain that a patient's text may have: not those that only the platform sends."""
    fields = read_yaml(domain, read_text(domain))
    listed = fields.get("intents", []) if isinstance(fields, dict) else []
    names = (next(iter(one)) if isinstance(one, dict) else str(one) for one in listed)
    return frozenset(name for name in names if not name.startswith("EXTERNAL_"))


def measure(model: Path, examples: Sequence[Example], *options: str, ours: bool = True) -> Measured:
    """What `model` makes of each text, with its figures. Raises `click.ClickException` where the engine cannot say.

    Entities are what `carethread nlu` prints; of a model that is not `ours`, what it finds itself. `options` go to the
    engine's program.
    """
    click.echo(f"• {_short(model)}: {len(examples)} texts", err=True)
    zone = clinic_of(Settings(), None).zone if ours else None
    with understanding(model, "--ranking", *options) as ask:
        ask("hello")  # waits until the model is loaded, so that no time below holds that
        cases = [Case(example, _parse(ask, example, zone)) for example in examples]
    return Measured(_short(model), hashlib.sha256(model.read_bytes()).hexdigest(), cases, evaluate(cases))


def measure_baseline(epochs: int, examples: Sequence[Example]) -> Beside:
    """Rasa's default pipeline, trained now on our data, on the same texts."""
    click.echo(f"• Rasa's default pipeline: training, {epochs} epochs (minutes to hours)", err=True)
    with trained_baseline(epochs) as made:
        measured = measure(made.model, examples, "--config", str(made.config), ours=False)
    return Beside(measured, made.epochs, made.seconds)


def _before(against: Path | None, examples: Sequence[Example]) -> Measured | None:
    """The model to compare with. One that nobody asked for is left out when today's engine cannot read it."""
    if against:
        return measure(against, examples)
    previous = model_path().with_name("previous.tar.gz")
    if not previous.exists():
        return None
    try:
        return measure(previous, examples)
    except EngineEnded:
        click.echo(f"{_short(previous)} is left out: the engine cannot read it; `rm` it to be rid of this", err=True)
        return None


def _parse(ask: Ask, example: Example, zone: ZoneInfo | None) -> Parse:
    """`zone` is that of our reader of entities; None leaves it out."""
    started = time.perf_counter()
    answer = ask(example.text)
    milliseconds = (time.perf_counter() - started) * 1000
    if "error" in answer:
        raise click.ClickException(f"the engine refused a text: {answer['error']}")
    found = answer["entities"]
    if zone is not None and example.entities is not None:
        found = entities_of(example.text, example.language or "en", example.now or datetime.now(zone), found)
    return Parse(
        intent=answer["intent"] or FALLBACK,
        ranking=tuple(
            (likely["name"], likely["confidence"]) for likely in answer["ranking"] if likely["name"] != FALLBACK
        ),
        entities=tuple(
            Entity(one["entity"], one["value"], example.text[one["start"] : one["end"]] if "start" in one else "")
            for one in found
        ),
        milliseconds=milliseconds,
    )


def _short(path: Path) -> str:
    """As in the project, where it lies there."""
    path = path.resolve()
    return str(path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path)
