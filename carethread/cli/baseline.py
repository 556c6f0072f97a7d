"""Rasa's default pipeline on the same data, for `carethread nlu evaluate --baseline`: what ours must be better than.

The pipeline is in `rasa_default.yml`. It is trained in a folder that is removed afterwards, by the engine's Rasa, with
the TensorFlow that our own engine leaves out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import click
import yaml

from carethread.cli.understanding import PYTHON
from carethread.config import PROJECT
from carethread.yamls import parse

EPOCHS = 100  # Rasa's default


@dataclass(frozen=True, slots=True)
class Baseline:
    """A trained model, the config.yml that made it, and how: epochs, and seconds."""

    model: Path
    config: Path
    epochs: int
    seconds: float


@contextmanager
def trained_baseline(epochs: int = EPOCHS, project: Path = PROJECT) -> Iterator[Baseline]:
    """Train it on the project's data/; the model is gone when the context ends.

    Raises `click.ClickException` with Rasa's last words where it gives up.
    """
    if not PYTHON.exists():
        raise click.ClickException("the engine is missing; run `make setup`")
    with tempfile.TemporaryDirectory(prefix="carethread-baseline-") as folder:
        home = Path(folder)
        config = home / "config.yml"
        config.write_text(default_pipeline(epochs), encoding="utf-8")
        shutil.copy(project / "domain.yml", home)
        shutil.copytree(project / "data" / "nlu", home / "data")
        started = time.monotonic()
        done = subprocess.run(
            [PYTHON, "-m", "rasa", "train", "nlu", "--config", "config.yml", "--nlu", "data", "--domain", "domain.yml",
             "--out", "models", "--fixed-model-name", "baseline"],
            cwd=home, env={**os.environ, "RASA_TELEMETRY_ENABLED": "false", "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        model = home / "models" / "baseline.tar.gz"
        if done.returncode or not model.exists():
            raise click.ClickException(f"Rasa could not train its default pipeline:\n{done.stdout[-2000:]}")
        yield Baseline(model, config, epochs, time.monotonic() - started)


def default_pipeline(epochs: int) -> str:
    """The config.yml of the baseline, with this many epochs wherever there are any."""
    config = parse(files("carethread.cli").joinpath("rasa_default.yml").read_text("utf-8"))
    for component in config["pipeline"]:
        if "epochs" in component:
            component["epochs"] = epochs
    return str(yaml.safe_dump(config, sort_keys=False))
