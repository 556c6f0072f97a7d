"""Logs without a patient in them: Rasa quotes what was said, so of its records only place and kind pass."""

from __future__ import annotations

import logging
import re
import sys
import traceback
import warnings
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

OURS = "carethread_engine"
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

# Rasa's structured events have fixed dotted names; anything else may hold an interpolated sentence.
_EVENT_NAME = re.compile(r"^[a-z0-9_]+(\.[a-z0-9_]+)+$")


class Discreet(logging.Filter):
    """Lets our own records pass, which are written to be safe; of others only where and what kind, from WARNING up."""

    def filter(self, record: logging.LogRecord) -> bool:
        ours = record.name.partition(".")[0] == OURS
        if not ours:
            if record.levelno < logging.WARNING or record.name == "py.warnings":
                return False
            code = getattr(record, "event_name", None)
            record.msg = f"{code or 'message withheld'} ({_place(record)})"
            record.args = ()
        if record.exc_info:
            error = record.exc_info[1] if isinstance(record.exc_info, tuple) else sys.exc_info()[1]
            record.msg = f"{record.getMessage()}: {describe(error)}" if error else record.msg
            record.args = ()
            record.exc_info = None
        record.exc_text = None
        record.stack_info = None
        return True


def describe(error: BaseException) -> str:
    """The kinds and places of an error and of what caused it, without any value: messages may quote a patient."""
    parts = []
    current: BaseException | None = error
    while current is not None and len(parts) < 4:
        frames = traceback.extract_tb(current.__traceback__)
        places = " < ".join(f"{_short(frame.filename)}:{frame.lineno}" for frame in reversed(frames[-3:]))
        parts.append(f"{type(current).__name__} at {places or 'unknown'}")
        current = current.__cause__ or current.__context__
    return " from ".join(parts)


def set_up(level: str) -> None:
    """Everything to standard error through the filter, whatever logged it: logging, structlog or warnings."""
    handler = logging.StreamHandler()
    handler.addFilter(Discreet())
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    warnings.simplefilter("ignore")
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, _only_the_name],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _only_the_name(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    name = str(event.get("event", ""))
    safe = name if _EVENT_NAME.match(name) else None
    return {"msg": "", "extra": {"event_name": safe}, "exc_info": event.get("exc_info")}


def _place(record: logging.LogRecord) -> str:
    return f"{_short(record.pathname)}:{record.lineno}"


def _short(path: str) -> str:
    return "/".join(path.rsplit("/", 3)[-2:])
