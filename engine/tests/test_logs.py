"""No log line of the engine quotes a patient, whoever writes it."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from aiohttp import web
from carethread_engine import logs
from carethread_engine.agent import EngineAgent
from carethread_engine.faults import ActionFailed
from carethread_engine.turns import TurnRequest
from conftest import FakeActions

QUOTE = "my name is Rosa and I have a rash"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged while the test runs, at the most talkative level."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, structlog.get_config(), warnings.filters[:]
    logs.set_up("debug")
    stream = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.configure(**before[2])
    warnings.filters[:] = before[3]  # type: ignore[index]


def test_what_others_say_is_withheld_but_not_where(written: io.StringIO) -> None:
    logging.getLogger("rasa.core.actions.action").error(f"Failed with {QUOTE}")
    logging.getLogger("aiohttp.access").warning("%s", QUOTE)
    text = written.getvalue()
    assert "Rosa" not in text
    assert "rasa.core.actions.action message withheld" in text
    assert "tests/test_logs.py:" in text


def test_what_others_say_below_a_warning_is_dropped(written: io.StringIO) -> None:
    logging.getLogger("rasa.core.processor").info(QUOTE)
    logging.getLogger("rasa.core.processor").debug(QUOTE)
    logging.getLogger("py.warnings").warning(QUOTE)
    assert written.getvalue() == ""


def test_our_own_words_pass(written: io.StringIO) -> None:
    logging.getLogger("carethread_engine.server").info("ready on port %s", 5005)
    assert "INFO carethread_engine.server ready on port 5005" in written.getvalue()


def test_errors_are_told_by_kind_and_place_only(written: io.StringIO) -> None:
    for name in ("carethread_engine.channel", "rasa.core.processor"):
        try:
            try:
                raise KeyError(QUOTE)
            except KeyError as inner:
                raise ValueError(QUOTE) from inner
        except ValueError:
            logging.getLogger(name).exception("a turn failed" if name.startswith("carethread") else QUOTE)
    text = written.getvalue()
    assert "Rosa" not in text
    assert text.count("ValueError at tests/test_logs.py:") == 2
    assert text.count("from KeyError at tests/test_logs.py:") == 2


def test_structured_events_keep_their_name_only(written: io.StringIO) -> None:
    structlog.get_logger("rasa.core.channels.rest").error("rest.message.received.failure", text=QUOTE)
    structlog.get_logger("rasa.x").error(f"free words: {QUOTE}", text=QUOTE)
    structlog.get_logger("rasa.x").debug("processor.message.parse", parse_data_text=QUOTE)
    text = written.getvalue()
    assert "rest.message.received.failure" in text
    assert "Rosa" not in text
    assert "processor.message.parse" not in text


async def test_no_log_line_of_a_conversation_quotes_it(
    written: io.StringIO, agent: EngineAgent, actions: FakeActions, capfd: pytest.CaptureFixture[str]
) -> None:
    sender = "riverbend/7f6e"
    await agent.turn(TurnRequest(sender, "m1", "sms", f"I need an appointment, {QUOTE}"))
    await agent.turn(TurnRequest(sender, "m2", "sms", f"next tuesday {QUOTE}"))

    def echoing(call: dict[str, Any]) -> Any:
        return web.json_response({"error": QUOTE, "request": call}, status=500)

    actions.answer = echoing  # as rasa-sdk does
    with pytest.raises(ActionFailed) as raised:
        await agent.turn(TurnRequest(sender, "m3", "sms", f"say that again {QUOTE}"))
    printed = capfd.readouterr()
    everything = written.getvalue() + printed.out + printed.err + str(raised.value)
    assert "Rosa" not in everything
    assert "rash" not in everything
    assert "rasa.core.processor message withheld" in everything, "the failure itself is logged"
