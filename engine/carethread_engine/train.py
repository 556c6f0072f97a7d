"""`scripts/train`: builds models/carethread.tar.gz when something that it is made of has changed, step by step.

A new model goes live only if it understands no less than the live one: see `admission.py`. One that does not is kept in
models/refused/, the exit code is 3, and `--accept` takes it all the same. The model that is replaced stays as
models/previous.tar.gz, for `carethread nlu evaluate` to compare with.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import structlog

from carethread_engine import admission
from carethread_engine.no_tensorflow import leave_out_tensorflow
from carethread_engine.settings import PROJECT

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["RASA_TELEMETRY_ENABLED"] = "false"

NAME = "carethread"
PREVIOUS = "previous"
CANDIDATE, REFUSED = "candidate", "refused"  # folders
# Our components' code: a model trained by other code would be read with other eyes.
COMPONENTS = ("text", "ngrams", "featurizer", "classifier", "entities", "policies")

# What Rasa warns of in every project that keeps its texts and its entities where we keep ours.
EXPECTED_WARNINGS = (
    "no matching response defined",
    "not a valid utterance action",
    "does not include an entity extractor trained",
    "training data consisting of lookup tables",
    "Slot auto-fill has been removed",
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/train", description=__doc__)
    parser.add_argument("--force", action="store_true", help="train even if nothing has changed")
    parser.add_argument("--accept", action="store_true", help="put the model live even if it understands less")
    parser.add_argument("--project", type=Path, default=PROJECT, help="folder with config.yml, domain.yml and data/")
    parser.add_argument("--out", type=Path, help="folder for the model (default: models/ in the project)")
    options = parser.parse_args(arguments)
    project: Path = options.project.resolve()
    out: Path = (options.out or project / "models").resolve()
    missing = [name for name in ("config.yml", "domain.yml", "data") if not (project / name).exists()]
    if missing:
        print(f"train: {project} has no {', '.join(missing)}; give the project's folder with --project")
        return 2
    fingerprint = fingerprint_of(project)
    if not options.force and up_to_date(out, fingerprint):
        print("• Model: up to date")
        return 0
    started = time.monotonic()
    print("• Model: training (about half a minute)", flush=True)
    replaced = None if up_to_date(out, fingerprint) else read_model(out)  # the same data gives the same model
    candidate = out / CANDIDATE
    shutil.rmtree(candidate, ignore_errors=True)
    candidate.mkdir(parents=True)
    problem = train(project, candidate)
    if problem:
        shutil.rmtree(candidate)
        print(f"train: {problem}", file=sys.stderr)
        return 1
    try:
        refusal = refused(candidate / f"{NAME}.tar.gz", out / f"{NAME}.tar.gz", project)
    except ValueError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    if refusal and not options.accept:
        keep_refused(out)
        print(f"train: the new model stays out, the live one goes on:\n{refusal}", file=sys.stderr)
        print("train: mend data/ and train again, or take it with `scripts/train --force --accept`", file=sys.stderr)
        return 3
    if refusal:
        print(f"• Model: accepted although\n{refusal}")
    put_live(out)
    if replaced:
        keep_previous(out, replaced)
    (out / f"{NAME}.fingerprint").write_text(fingerprint + "\n", encoding="utf-8")
    print(f"• Model: trained in {time.monotonic() - started:.0f} s")
    return 0


def refused(candidate: Path, live: Path, project: Path) -> str | None:
    """Why the candidate may not take the live model's place; None where it may, or the project holds it to nothing."""
    sets = admission.Sets.read(project / "data" / "regression")
    if sets is None:
        return None
    with our_words_only():
        from carethread_engine.nlu import Understanding

        new = admission.Measured.of(Understanding(candidate), sets)
        before = None
        if live.exists():
            try:
                before = admission.Measured.of(Understanding(live), sets)
            except Exception:  # a model of other components: nothing can be compared
                before = None
    print(f"• Model: {admission.summary(new, before)}")
    reasons = admission.reasons_against(new, before)
    return admission.explanation(new, before, reasons) if reasons else None


def put_live(out: Path) -> None:
    """At once: whoever reads the model has the old one or the new one."""
    (out / CANDIDATE / f"{NAME}.tar.gz").replace(out / f"{NAME}.tar.gz")
    shutil.rmtree(out / CANDIDATE)
    shutil.rmtree(out / REFUSED, ignore_errors=True)


def keep_refused(out: Path) -> None:
    """In a folder of its own, where no command takes it for the newest model."""
    shutil.rmtree(out / REFUSED, ignore_errors=True)
    (out / CANDIDATE).rename(out / REFUSED)


def up_to_date(out: Path, fingerprint: str) -> bool:
    stamp = out / f"{NAME}.fingerprint"
    return (
        stamp.exists()
        and (out / f"{NAME}.tar.gz").exists()
        and stamp.read_text(encoding="utf-8").strip() == fingerprint
    )


@dataclass(frozen=True)
class Replaced:
    """A model as it was before training: a few MB, and when it was written, in nanoseconds."""

    content: bytes
    written: int


def read_model(out: Path) -> Replaced | None:
    """The model in `out`, or None where there is none yet. Rasa writes over the file, so it is read before training."""
    path = out / f"{NAME}.tar.gz"
    return Replaced(path.read_bytes(), path.stat().st_mtime_ns) if path.exists() else None


def keep_previous(out: Path, replaced: Replaced) -> None:
    """Keep it with its own time: Rasa's commands take the newest model of a folder, and that must be the new one."""
    path = out / f"{PREVIOUS}.tar.gz"
    path.write_bytes(replaced.content)
    os.utime(path, ns=(replaced.written, replaced.written))


def fingerprint_of(project: Path) -> str:
    """SHA-256 of every file that a model depends on, names included."""
    digest = hashlib.sha256()
    for path in sources(project):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def sources(project: Path) -> Iterator[Path]:
    domain = project / "domain.yml"
    yield project / "config.yml"
    yield from sorted(domain.rglob("*.yml")) if domain.is_dir() else [domain]
    yield from sorted((project / "data").rglob("*.yml"))
    here = Path(__file__).parent
    yield from (here / f"{name}.py" for name in COMPONENTS)
    yield here / "shorthand.yml"
    yield here.parent / "requirements.lock"


def train(project: Path, out: Path) -> str | None:
    """Train with Rasa; None, or what went wrong."""
    leave_out_tensorflow(project / "config.yml")
    os.chdir(project)  # Rasa keeps its cache in .rasa/ of the current folder
    with our_words_only() as printed:
        import rasa.api
        from rasa.shared.exceptions import RasaException

        try:
            result = rasa.api.train(
                domain=str(project / "domain.yml"),
                config=str(project / "config.yml"),
                training_files=[str(project / "data")],
                output=str(out),
                fixed_model_name=NAME,
                force_training=True,  # Rasa's cache knows a component's class, not the modules that it uses
            )
        except RasaException as error:
            return str(error)
    return None if result.code == 0 else f"Rasa gave up with code {result.code}:\n{printed.getvalue()[-2000:]}"


class _Steps(logging.Handler):
    """One line a step of Rasa's training, and its warnings."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(logging.INFO)
        self._out = out
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith("Starting to train component"):
            line = message.split("'")[1]
        elif record.name == "py.warnings" and ": UserWarning: " not in message:
            return
        elif record.levelno >= logging.WARNING and not any(known in message for known in EXPECTED_WARNINGS):
            line = f"{record.levelname.lower()}: {message.rpartition(': UserWarning: ')[2].strip()}"
        else:
            return
        if line not in self._said:
            self._said.add(line)
            print(f"  {line}", file=self._out, flush=True)


@contextmanager
def our_words_only() -> Iterator[io.StringIO]:
    """While it lasts, the screen shows our steps; everything else that Rasa prints goes into the buffer given."""
    os.environ["LOG_LEVEL"] = "ERROR"  # how Rasa is told not to draw progress bars
    buffer = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers[:] = [_Steps(sys.stdout)]
    root.setLevel(logging.INFO)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logging.captureWarnings(True)
    try:
        with redirect_stdout(buffer), redirect_stderr(buffer):
            yield buffer
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before[0]
        root.setLevel(before[1])


if __name__ == "__main__":
    sys.exit(main())
