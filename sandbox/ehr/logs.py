"""Logs of a server full of patients: what happened and where in the code, never to whom."""

from __future__ import annotations

import logging
import traceback


class WithoutValues(logging.Formatter):
    """The words of the program, without what they were about.

    Messages stay templates (`Unhandled error on %s %s`), and an exception is its type and place: paths, queries and the
    text of exceptions hold names, phones and birth dates.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = f"{record.levelname} {record.name}: {record.msg if isinstance(record.msg, str) else ''}".rstrip()
        if record.exc_info and record.exc_info[0]:
            frames = traceback.extract_tb(record.exc_info[2])
            place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
            line += f" [{record.exc_info[0].__name__}{place}]"
        return line


def set_up() -> None:
    """Warnings and worse of every library, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(WithoutValues())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
