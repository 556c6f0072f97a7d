"""Puts the synthetic clinic into a new database file, in one go: writing it through the API would take minutes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from sekmet.fhir.common import instant
from sekmet.fhir.store import Store

from sandbox.clinic import build
from sandbox.ehr import search

DATABASE = "sandbox.db"


def ensure_loaded(data_dir: Path, seed: int, today: date) -> Path:
    """The database file in `data_dir`, made from the synthetic clinic of `seed` as of `today` when there is none.

    The file appears under its name only when it is complete, so a start that was killed half-way starts over.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    database = data_dir / DATABASE
    if not database.exists():
        unfinished = data_dir / f"{DATABASE}.loading"
        for leftover in data_dir.glob(f"{DATABASE}.loading*"):
            leftover.unlink()
        write_database(unfinished, build(today, seed), {"seed": seed, "today": today.isoformat()})
        unfinished.rename(database)
    return database


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
        connection.execute(f"DROP INDEX {name}")  # made again, faster, when the file is opened to be served
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
    connection.close()


def origin_of(store: Store) -> dict[str, Any]:
    """The seed and the day the clinic was made for."""
    kept: dict[str, Any] = json.loads(store.kv_get("sandbox.origin") or "{}")
    return kept
