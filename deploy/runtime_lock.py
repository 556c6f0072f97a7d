"""`python deploy/runtime_lock.py PYPROJECT LOCK [NAME…]`: the part of a lock that production needs, hashes included.

A lock holds the extras for development and for the sandbox too; images are built without them. What needs what
stands in the lock itself, in the `# via` comments. With names, only these and what they need.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
# `    # via sanic` on one line, or `    # via` and then one `    #   sanic` a line.
_COMMENT = re.compile(r"^\s+#\s*(?:via\s*)?(?P<parent>\S+)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """One pinned package with its hashes, and the packages that asked for it."""

    name: str
    lines: tuple[str, ...]
    parents: frozenset[str]


def entries(lock: str) -> list[Entry]:
    """The packages of a lock, in its order."""
    groups: list[list[str]] = []
    for line in lock.splitlines():
        if line and not line.startswith((" ", "#")):
            groups.append([line])
        elif groups and line.strip():
            groups[-1].append(line)
    return [_entry(lines) for lines in groups]


def needed(found: list[Entry], direct: set[str]) -> list[Entry]:
    """The entries that `direct` needs, themselves included. Raises `ValueError` for one that the lock has not."""
    if missing := direct - {entry.name for entry in found}:
        raise ValueError(f"not in the lock: {', '.join(sorted(missing))}; run `make lock`")
    names = set(direct)
    while more := {entry.name for entry in found if entry.parents & names} - names:
        names |= more
    return [entry for entry in found if entry.name in names]


def direct_dependencies(pyproject: str) -> set[str]:
    """What a project asks for itself, without its extras."""
    return {_name(requirement) for requirement in tomllib.loads(pyproject)["project"]["dependencies"]}


def _entry(lines: list[str]) -> Entry:
    comments = (_COMMENT.match(line) for line in lines[1:] if line.lstrip().startswith("#"))
    parents = (match["parent"] for match in comments if match and match["parent"])
    return Entry(_name(lines[0]), tuple(lines), frozenset(_name(parent) for parent in parents))


def _name(text: str) -> str:
    match = _NAME.match(text.strip())
    if match is None:
        raise ValueError(f"no package name in {text!r}")
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def main(pyproject: Path, lock: Path, *names: str) -> None:
    wanted = {_name(name) for name in names} or direct_dependencies(pyproject.read_text(encoding="utf-8"))
    for entry in needed(entries(lock.read_text(encoding="utf-8")), wanted):
        print("\n".join(line for line in entry.lines if not line.lstrip().startswith("#")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
