"""Puts the synthetic clinic into a new database file, in one go: writing it through the API would take minutes."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sekmet.fhir.common import instant
from sekmet.fhir.store import SCHEMA, Store

from sandbox.clinic import build
from sandbox.ehr import search

DATABASE = "sandbox.db"
UNFINISHED = "loading-"
CACHE_KEPT_S = 2 * 24 * 3600


def ensure_loaded(data_dir: Path, seed: int, today: date, cache: Path | None = None) -> Path:
    """The database file in `data_dir`, made from the synthetic clinic of `seed` as of `today` when there is none.

    The file appears under its name only when it is complete, so a start that was killed half-way starts over.
    With `cache`, a folder, the same clinic is made once and then copied.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    database = data_dir / DATABASE
    if not database.exists():
        for leftover in data_dir.glob(f"{UNFINISHED}*"):
            shutil.rmtree(leftover)
        source = _cached(cache, seed, today) if cache else None
        with _replacing(database) as unfinished:
            if source:
                shutil.copyfile(source, unfinished)
            else:
                _write_clinic(unfinished, seed, today)
    return database


def _cached(cache: Path, seed: int, today: date) -> Path:
    made_by = hashlib.sha256(version("sekmet-fhir").encode())
    package = Path(__file__).parents[1]
    for path in sorted([*package.glob("clinic/*.*"), *package.glob("ehr/*.py")]):
        made_by.update(path.read_bytes())
    cache.mkdir(parents=True, exist_ok=True)
    for old in cache.glob("*.db"):
        if time.time() - old.stat().st_mtime > CACHE_KEPT_S:
            old.unlink(missing_ok=True)
    kept = cache / f"{today}-{seed}-{made_by.hexdigest()[:16]}.db"
    if not kept.exists():
        with _replacing(kept) as unfinished:
            _write_clinic(unfinished, seed, today)
    return kept


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A path to write to, which takes its real name when the block ends well."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=UNFINISHED) as folder:
        unfinished = Path(folder) / target.name
        yield unfinished
        unfinished.replace(target)


def _write_clinic(path: Path, seed: int, today: date) -> None:
    write_database(path, build(today, seed), {"seed": seed, "today": today.isoformat()})


def write_database(path: Path, resources: Iterable[dict[str, Any]], origin: dict[str, Any]) -> None:
    """Writes `resources` as version 1 each, with the search index; `origin` is kept beside them."""
    search.extend()
    store = Store(str(path))
    now = instant()
    rows: list[tuple[Any, ...]] = []
    index: list[tuple[Any, ...]] = []
    for seq, resource in enumerate(resources, start=1):
        kind, resource_id = resource["resourceType"], resource["id"]
        stored = {**resource, "meta": {**resource.get("meta", {}), "versionId": "1", "lastUpdated": now}}
        rows.append((kind, resource_id, now, json.dumps(stored, separators=(",", ":")), seq))
        index.extend(
            (kind, resource_id, r.param, r.s, r.sys, r.code, r.rtype, r.rid, r.lo, r.hi, r.num)
            for r in search.extract(stored)
        )
    connection = store.conn
    connection.execute("PRAGMA synchronous=OFF")  # nothing is lost: the file has no name yet
    for name in ("idx_res", "idx_code", "idx_ref", "idx_s", "idx_refp", "idx_date", "idx_num"):
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    for table, extra, value in (("resources", "origin", "'seed'"), ("versions", "method", "'POST'")):
        connection.executemany(
            f"INSERT INTO {table}(type,id,version,last_updated,deleted,{extra},json,seq) "
            f"VALUES (?,?,1,?,0,{value},?,?)",
            rows,
        )
    connection.executemany(
        "INSERT INTO idx(type,id,param,s,sys,code,rtype,rid,lo,hi,num) VALUES (?,?,?,?,?,?,?,?,?,?,?)", index
    )
    connection.execute("INSERT INTO kv(k,v) VALUES ('sandbox.origin',?)", (json.dumps(origin),))
    connection.execute("COMMIT")
    connection.executescript(SCHEMA)  # makes the indexes again: faster than keeping them during the inserts
    connection.execute("ANALYZE")
    connection.close()


def origin_of(database: Path) -> dict[str, Any]:
    """The seed of the clinic in `database`, and the day it was made for."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        [(text,)] = connection.execute("SELECT v FROM kv WHERE k='sandbox.origin'")
    finally:
        connection.close()
    kept: dict[str, Any] = json.loads(text)
    return kept
