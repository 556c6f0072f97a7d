"""`carethread shell`: Rasa's own shell in a terminal, with the actions, the content and the EHR of an installation."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from carethread.config import PROJECT
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]  # Rasa loads the model once more

_READY, _ANSWER, _END = 180.0, 30.0, 30.0  # seconds; the machine may be busy with the rest of the tests
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A program in a terminal of its own, as somebody at the keyboard sees it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self.shown = ""

    def type(self, line: str) -> None:
        os.write(self._ours, line.encode() + b"\r")

    def wait_for(self, text: str, timeout: float) -> str:
        """What was shown from the last such wait up to `text`."""
        deadline = time.monotonic() + timeout
        while text not in self.shown:
            try:
                chunk = os.read(self._ours, 65536)
                if b"\x1b[6n" in chunk:
                    os.write(self._ours, b"\x1b[1;1R")  # where the cursor is: a terminal says so when asked
                self.shown += _ESCAPES.sub("", chunk.decode(errors="replace")).replace("\r", "")
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # the other end is closed
                break
            if time.monotonic() > deadline:
                break
        assert text in self.shown, self.shown[-3000:]
        before, _, self.shown = self.shown.partition(text)
        return before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


@contextmanager
def shell(stack: Stack, *options: str) -> Iterator[Terminal]:
    environment = {
        **os.environ,
        "CARETHREAD_DATA_DIR": str(stack.data),
        "CARETHREAD_ACTIONS_PORT": str(stack.settings.actions_port),
        "TERM": "xterm",
        "COLUMNS": "200",
    }
    terminal = Terminal([str(Path("scripts/rasa-shell")), "shell", *options], environment)
    try:
        yield terminal
    finally:
        terminal.close()


def _talk(stack: Stack) -> None:
    with shell(stack, "--as", "aisha", "--language", "en") as terminal:
        terminal.wait_for("Your input ->", _READY)
        terminal.type("when is my next appointment?")
        terminal.wait_for("What is your date of birth?", _ANSWER)
        terminal.type("2/17/1990")
        terminal.wait_for("Thank you, Aisha.", _ANSWER)
        terminal.wait_for("Here is what you have coming up", _ANSWER)
        terminal.type("/stop")
        terminal.wait_for("Killing Sanic server", _END)
        assert terminal.process.wait(_END) == 0


async def test_the_shell_speaks_with_actions_content_and_ehr(stack: Stack) -> None:
    await asyncio.to_thread(_talk, stack)
