"""Structured logs, one JSON object a line: places, kinds and ids, nothing that a patient said or is called."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

# Libraries that may print what passes through them.
_QUIET = ("sqlalchemy", "pgqueuer", "twilio", "rasa_sdk", "sanic", "aiohttp", "urllib3", "asyncio", "fhirclient")
# Fields that could hold a patient's words; a log call that uses one is a mistake, and its value is dropped.
_FORBIDDEN = frozenset({"text", "body", "message", "name", "phone", "address", "birth_date", "answer", "value"})


def _no_patient_data(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for field in _FORBIDDEN & event.keys():
        event[field] = "(withheld)"
    return event


def _without_values(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Exceptions by kind and place: their texts may quote what a patient wrote."""
    if isinstance(record := event.pop("_record", None), logging.LogRecord) and record.exc_info:
        error = record.exc_info[1]
        event["error"] = type(error).__name__ if error else None
        record.exc_info = None
    event.pop("exc_info", None)
    return event


def configure(process: str, level: str) -> None:
    """Set up logging for one process, for our own loggers and every library's."""
    shared: list[structlog.typing.Processor] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.add_log_level,
    ]
    structlog.configure(
        processors=[*shared, _no_patient_data, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                _without_values,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
