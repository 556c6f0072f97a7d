"""Which Chromium the browser tests drive: the one `make browser` found, else one on PATH, else Playwright's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_FOUND = Path(__file__).resolve().parent.parent / ".tools" / "browser"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_path() -> str | None:
    """For Playwright's `executable_path`; None leaves it to Playwright."""
    if chosen := os.environ.get("CARETHREAD_BROWSER"):
        return chosen
    if _FOUND.exists() and Path(path := _FOUND.read_text().strip()).exists():
        return path
    return next((path for name in _NAMES if (path := shutil.which(name))), None)
