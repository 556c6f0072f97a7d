"""Settings, the training script, and the two programs as a user starts them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from carethread_engine import train
from carethread_engine.no_tensorflow import TensorFlowIsAbsent, components, needed_by
from carethread_engine.parse import question
from carethread_engine.settings import DEMO_SECRET, Settings, SettingsError
from conftest import ROOT


def test_defaults_run_the_demo() -> None:
    settings = Settings.read({})
    assert (settings.host, settings.port) == ("127.0.0.1", 5005)
    assert settings.model == ROOT / "models" / "carethread.tar.gz"
    assert settings.action_timeout < settings.turn_timeout < 20


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"CARETHREAD_ENGINE_PORT": "http"}, "CARETHREAD_ENGINE_PORT"),
        ({"CARETHREAD_TURN_TIMEOUT": "-1"}, "CARETHREAD_TURN_TIMEOUT"),
        ({"CARETHREAD_ACTION_TIMEOUT": "30"}, "CARETHREAD_ACTION_TIMEOUT"),
        ({"CARETHREAD_ENV": "production", "CARETHREAD_ENGINE_TOKEN": DEMO_SECRET}, "CARETHREAD_ENGINE_TOKEN"),
        ({"CARETHREAD_ENV": "production", "CARETHREAD_ENGINE_TOKEN": "short"}, "CARETHREAD_ENGINE_TOKEN"),
        ({"CARETHREAD_ENV": "production", "CARETHREAD_ENGINE_TOKEN": "s" * 32}, "CARETHREAD_ENGINE_DATABASE_URL"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(environ: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        Settings.read(environ)


def test_the_demo_secret_is_the_platforms() -> None:
    assert f'"{DEMO_SECRET}"' in (ROOT / "carethread" / "config.py").read_text(encoding="utf-8")


def test_tensorflow_is_left_out_unless_a_component_computes_with_it() -> None:
    import tensorflow

    class Layer(tensorflow.keras.layers.Layer):  # type: ignore[misc]
        pass

    with pytest.raises(TensorFlowIsAbsent):
        Layer()
    assert not needed_by(components(ROOT / "config.yml"))
    assert needed_by(["WhitespaceTokenizer", "DIETClassifier"])
    assert needed_by(["rasa.core.policies.ted_policy.TEDPolicy"])


def test_a_model_is_trained_again_when_anything_it_is_made_of_changes(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    fingerprint = train.fingerprint_of(copy)
    assert train.fingerprint_of(project) == fingerprint, "wherever the project lies"
    out = copy / "models"
    assert not train.up_to_date(out, fingerprint)
    (out / "carethread.fingerprint").write_text(fingerprint + "\n", encoding="utf-8")
    assert train.up_to_date(out, fingerprint)
    for changed in ("config.yml", "domain.yml", "data/nlu.yml"):
        file = copy / changed
        before = file.read_text(encoding="utf-8")
        file.write_text(before + "\n# changed\n", encoding="utf-8")
        assert not train.up_to_date(out, train.fingerprint_of(copy)), changed
        file.write_text(before, encoding="utf-8")
    (copy / "data" / "more.yml").write_text('version: "3.1"\n', encoding="utf-8")
    assert not train.up_to_date(out, train.fingerprint_of(copy))
    sources = {path.name for path in train.sources(copy)}
    assert {"classifier.py", "featurizer.py", "ngrams.py", "text.py"} <= sources


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--project", str(tmp_path)]) == 2
    assert "config.yml" in capsys.readouterr().out


def test_data_that_rasa_refuses_leaves_no_fingerprint(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("models"))
    rules = copy / "data" / "rules.yml"
    contradiction = "\n  - rule: hours again\n    steps:\n      - intent: faq_hours\n      - action: utter_parking\n"
    rules.write_text(rules.read_text(encoding="utf-8") + contradiction, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert train.main(["--project", str(copy)]) == 1
    assert "hours again" in capsys.readouterr().err
    assert not (copy / "models" / "carethread.fingerprint").exists()


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models' folder of a project that is up to date with a model `first`; training, played here, writes `new`."""
    for name in ("config.yml", "domain.yml"):
        (tmp_path / name).write_text("a: 1\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    out = tmp_path / "models"
    out.mkdir()
    (out / "carethread.tar.gz").write_bytes(b"first")
    os.utime(out / "carethread.tar.gz", (1_000_000_000, 1_000_000_000))
    (out / "carethread.fingerprint").write_text(train.fingerprint_of(tmp_path) + "\n", encoding="utf-8")

    def play(_project: Path, folder: Path) -> None:
        (folder / "carethread.tar.gz").write_bytes(b"new")

    monkeypatch.setattr(train, "train", play)
    return out


def test_the_model_that_is_replaced_is_kept_and_looks_older(trained: Path) -> None:
    project, previous = trained.parent, trained / "previous.tar.gz"
    (project / "domain.yml").write_text("a: 2\n", encoding="utf-8")
    assert train.main(["--project", str(project)]) == 0
    assert (trained / "carethread.tar.gz").read_bytes() == b"new"
    assert previous.read_bytes() == b"first"
    newest = max(trained.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)  # as Rasa chooses
    assert newest.name == "carethread.tar.gz"


def test_training_the_same_data_again_keeps_the_older_model(trained: Path) -> None:
    (trained / "previous.tar.gz").write_bytes(b"older")
    assert train.main(["--project", str(trained.parent), "--force"]) == 0
    assert (trained / "previous.tar.gz").read_bytes() == b"older"


def test_the_first_model_replaces_none(trained: Path) -> None:
    (trained / "carethread.tar.gz").unlink()
    assert train.main(["--project", str(trained.parent)]) == 0
    assert not (trained / "previous.tar.gz").exists()


def test_training_that_fails_replaces_none(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "train", lambda _project, _out: "Rasa gave up")
    (trained.parent / "domain.yml").write_text("a: 2\n", encoding="utf-8")
    assert train.main(["--project", str(trained.parent)]) == 1
    assert (trained / "carethread.tar.gz").read_bytes() == b"first"
    assert not (trained / "previous.tar.gz").exists()


@pytest.mark.parametrize("line", ["x", "[]", "7", '{"txt": "a"}', '{"text": 7}', "null"])
def test_a_line_that_asks_nothing_is_an_error(line: str) -> None:
    assert "error" in question(line)


def run(module: str, environ: dict[str, str], *arguments: str, **kwargs: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"carethread_engine.{module}", *arguments],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def test_texts_are_understood_line_by_line(model: Path) -> None:
    process = run("parse", {"CARETHREAD_ENGINE_MODEL": str(model)}, stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write('{"text": "when are you open", "language": "en", "other": 1}\n')
    process.stdin.flush()
    first = json.loads(process.stdout.readline())  # answered while the input is still open
    assert first == {"text": "when are you open", "language": "en", "intent": "faq_hours", "entities": []} | {
        "confidence": first["confidence"]
    }
    rest, errors = process.communicate(
        '{"text": "book the heart doctor"}\nnonsense\n\n{"text": "/greet"}\n', timeout=60
    )
    answers = [json.loads(line) for line in rest.splitlines()]
    assert answers[0]["entities"] == [{"entity": "specialty", "value": "cardiology", "start": 9, "end": 21}]
    assert "error" in answers[1]
    assert answers[2]["text"] == "/greet"
    assert len(answers) == 3
    assert process.returncode == 1, "one line was no question"
    assert errors == ""


def test_the_likeliest_intents_are_told_when_asked_for(model: Path) -> None:
    environ = {"CARETHREAD_ENGINE_MODEL": str(model)}
    process = run("parse", environ, "--ranking", stdin=subprocess.PIPE)
    output, errors = process.communicate('{"text": "when are you open"}\n{"text": "..."}\n', timeout=60)
    sure, silent = (json.loads(line) for line in output.splitlines())
    assert sure["ranking"][0]["name"] == sure["intent"] == "faq_hours"
    confidences = [likely["confidence"] for likely in sure["ranking"]]
    assert confidences == sorted(confidences, reverse=True)
    assert len(confidences) > 1
    assert silent["ranking"] == [
        {"name": "nlu_fallback", "confidence": 0.39},
        {"name": "out_of_scope", "confidence": 0.0},
    ]
    assert (process.returncode, errors) == (0, "")


def test_without_a_model_both_programs_say_how_to_get_one(tmp_path: Path) -> None:
    environ = {"CARETHREAD_ENGINE_MODEL": str(tmp_path / "none.tar.gz"), "CARETHREAD_ENGINE_TOKEN": "t"}
    for module in ("serve", "parse"):
        process = run(module, environ, stdin=subprocess.DEVNULL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "make train" in errors


def test_without_a_token_the_engine_does_not_start(project: Path, model: Path) -> None:
    environ = {
        "CARETHREAD_ENGINE_MODEL": str(model),
        "CARETHREAD_PROJECT_DIR": str(project),
        "CARETHREAD_ENGINE_TOKEN": "",
    }
    process = run("serve", environ)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "CARETHREAD_ENGINE_TOKEN" in errors


def test_the_engine_starts_answers_and_stops(project: Path, model: Path, unused_tcp_port: int) -> None:
    environ = {
        "CARETHREAD_ENGINE_MODEL": str(model),
        "CARETHREAD_PROJECT_DIR": str(project),
        "CARETHREAD_ENGINE_TOKEN": "secret",
        "CARETHREAD_ENGINE_PORT": str(unused_tcp_port),
        "CARETHREAD_ENGINE_DATABASE_URL": "",
    }
    process = run("serve", environ)
    base = f"http://127.0.0.1:{unused_tcp_port}/webhooks/carethread"
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(f"{base}/health", timeout=5) as answer:  # noqa: S310
                    assert json.load(answer)["status"] == "ok"
                break
            except OSError:
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < deadline
                time.sleep(0.2)
        body = {"sender": "riverbend/1", "message_id": "1", "channel": "web", "text": "when are you open, says Rosa?"}
        request = urllib.request.Request(  # noqa: S310
            f"{base}/webhook", json.dumps(body).encode(), {"Authorization": "Bearer secret"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            assert [message["key"] for message in json.load(answer)["messages"]] == ["utter_hours"]
    finally:
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "ready on port" in errors
    assert "Rosa" not in output + errors
