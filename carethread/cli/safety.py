"""`carethread safety`: check changed tables, see what they change, publish them, and fit the learned alarm."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carethread.config import PROJECT, Settings
from carethread.safety.alarm import FILE
from carethread.safety.encoder import encoder
from carethread.safety.examples import Example, digest, example_texts
from carethread.safety.judge import FILE as JUDGE
from carethread.safety.levels import ALARMS, Level
from carethread.safety.review import Change, changes, table_texts
from carethread.safety.screening import Screener, load_screener
from carethread.safety.tables import TableError
from carethread.safety.triage_loading import load_triage

if TYPE_CHECKING:
    from carethread.safety.alarm import Limits
    from carethread.safety.alarm_training import Hearing

SHOWN = 40  # changes printed; the number of the rest is told


@click.group()
def safety() -> None:
    """The safety tables in content/safety: check, compare, publish, and fit the learned alarm."""


@safety.command()
@click.argument("draft", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
def check(draft: Path | None) -> None:
    """Run every example of the tables in DRAFT (default: those in use); with a DRAFT show what changes its level.

    Exits 1 when a rule breaks its word or a known alarm gets worse.
    """
    if not _sound(_published(), draft):
        raise click.exceptions.Exit(1)


@safety.command()
@click.argument("draft", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--accept", is_flag=True, help="Publish although a known message gets worse; rules must keep their word.")
def publish(draft: Path, accept: bool) -> None:
    """Put the tables of DRAFT in use, if no rule breaks its word and no known message gets worse."""
    published = _published()
    if not _sound(published, draft, accept):
        raise click.ClickException("nothing was published")
    kept = published.with_name(f"{published.name}.before")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(published, kept)
    shutil.copytree(draft, published, dirs_exist_ok=True)
    for path in sorted(published.rglob("*.yml")):
        if not (draft / path.relative_to(published)).exists():
            path.unlink()
    click.echo(f"Published. What was in use is in {kept}. Restart the workers and the actions to use it.")


@safety.command()
def learn() -> None:
    """Fit the learned alarm and the judge to content/safety/examples again, and say how well they hear.

    Takes some ten minutes.
    """
    try:
        from carethread.safety.alarm_training import learn as fit
        from carethread.safety.alarm_training import ordinary_texts, rule_texts
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}; fitting needs the development environment (make setup)") from None
    from carethread.safety.screening import load_rules

    directory = _published()
    rules = load_rules(directory)
    examples = [*example_texts(directory), *rule_texts(rules.tables.rules), *ordinary_texts(PROJECT / "data/nlu")]
    try:
        learned = fit(examples, rules.find, encoder(), lambda text: click.echo(text, err=True))
    except TableError as error:
        raise click.ClickException(str(error)) from None
    learned.alarm.save(directory / FILE)
    learned.judge.save(directory / JUDGE)
    _tell("the learned alarm alone", learned.alone, learned.alarm.limits)
    _tell("the learned alarm and the judge", learned.together, learned.judge.limits)
    click.echo(f"Wrote {directory / FILE} and {directory / JUDGE}. Now run `carethread safety check`.")


def _published() -> Path:
    return Settings().content_dir / "safety"


def _sound(published: Path, draft: Path | None, accept: bool = False) -> bool:
    """Whether the draft may be used; tells why not."""
    after = load_screener(draft or published)
    broken = after.rules.check()
    for problem in broken:
        click.echo(problem)
    click.echo(f"{len(after.rules.tables.rules)} rules, {len(broken)} of their examples broken.")
    try:
        complaints = load_triage((draft or published) / "triage").complaints
    except TableError as error:
        click.echo(str(error))
        return False
    click.echo(f"{len(complaints)} complaints in triage.")
    if draft is None:
        return not broken
    found = list(changes(load_screener(published), after, _known(published, draft, after)))
    _show(found)
    worse = [change for change in found if change.worse]
    return not broken and (accept or not worse)


def _known(published: Path, draft: Path, after: Screener) -> Iterable[tuple[str, Level | None]]:
    """Every text that either of the two knows, once."""
    texts: dict[str, Level | None] = dict(table_texts(load_screener(published).rules.tables))
    texts |= dict(table_texts(after.rules.tables))
    for directory in (published, draft):
        texts |= {example.text: example.level for example in example_texts(directory)}
    return texts.items()


def _show(found: list[Change]) -> None:
    for change in sorted(found, key=lambda change: not change.worse)[:SHOWN]:
        sign = "worse " if change.worse else "better"
        click.echo(f"{sign}  {change.before} → {change.after}  ({change.rule})  {change.text}")
    worse = sum(change.worse for change in found)
    more = f", {len(found) - SHOWN} not shown" if len(found) > SHOWN else ""
    click.echo(f"{len(found)} known messages change their level, {worse} for the worse{more}.")


def _tell(who: str, heard: Hearing, limits: Limits) -> None:
    click.echo(f"{who}:")
    for level, share in heard.recall.items():
        click.echo(f"  {level}: hears {share:.0%} of examples not fitted to")
    click.echo(f"  of look-alikes alarms {heard.false_alarms:.1%}, of everyday messages {heard.ordinary:.2%}")
    click.echo(f"  of look-alikes takes {heard.false_urgent:.1%} for urgent or more,")
    click.echo(f"  and {heard.urgent_alarmed:.1%} of what is urgent for more than that")
    click.echo("  limits: " + ", ".join(f"{name} {limit}" for name, limit in asdict(limits).items()))


MISSED = PROJECT / "data" / "regression" / "safety.jsonl"
_EVERY = 20  # of the look-alikes one in so many is kept


@safety.command()
def missed() -> None:
    """Write what the screening alone does not see of the examples, for what a new model must see to go live.

    Run it when the examples or the tables have changed; it takes a minute or two.
    """
    count, rows = missed_by(load_screener(_published()), example_texts(_published()))
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    MISSED.write_text("\n".join(lines) + "\n", encoding="utf-8")
    click.echo(f"{count} of the emergencies and crises are for the model to see; they are in {MISSED}")


def missed_by(screener: Screener, examples: Sequence[Example]) -> tuple[int, list[dict[str, str | int]]]:
    """How many alarming examples are not screened, and the rows of the set: a first one that counts, then the texts."""
    alarming = [example for example in examples if example.level in ALARMS]
    unseen = [example for example in alarming if screener.screen(example.text).level not in ALARMS]
    alike = [example for example in examples if example.level == "none"][::_EVERY]
    head: dict[str, str | int] = {"screened": len(alarming) - len(unseen), "examples": digest(examples)}
    rows: list[dict[str, str | int]] = [{"text": one.text, "level": one.level} for one in (*unseen, *alike)]
    return len(unseen), [head, *rows]
