"""The widget as one file: its sources put together at start, so that it needs no build step and no second request."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "widget"
# In the order in which they use each other.
_SOURCES = ("dom.js", "links.js", "store.js", "connection.js", "scale.js", "thread.js", "element.js", "boot.js")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file to serve, and its compressed form."""

    body: bytes
    gzipped: bytes
    etag: str


def widget() -> Asset:
    """`widget.js`."""
    style = json.dumps((_FOLDER / "style.css").read_text(encoding="utf-8"))
    sources = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SOURCES)
    # One function around everything: nothing of ours becomes a global of the page that embeds it.
    body = f"(() => {{\n'use strict';\nconst STYLE = {style};\n{sources}\n}})();\n".encode()
    return Asset(body, gzip.compress(body, 9, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:20]}"')
