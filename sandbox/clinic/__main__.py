"""`python -m sandbox.clinic --to URL`: puts the synthetic clinic into another FHIR server, such as HAPI in Docker.

The sandbox EHR needs none of this: it loads the clinic by itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import requests

from sandbox.clinic import DEFAULT_SEED, build
from sandbox.clinic.tables import ZONE, Resource

PER_BUNDLE = 200
TIMEOUT_S = 120


def bundles(resources: list[Resource], size: int = PER_BUNDLE) -> Iterator[dict[str, Any]]:
    """Transactions of PUTs, which may be sent again without harm; references resolve in the order given."""
    for start in range(0, len(resources), size):
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
            for r in resources[start : start + size]
        ]
        yield {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def upload(base_url: str, today: date, seed: int) -> int:
    """Send the clinic to `base_url`; how many resources. Raises SystemExit with the server's own words."""
    resources = build(today, seed)
    with requests.Session() as session:
        session.headers["Content-Type"] = "application/fhir+json"
        for bundle in bundles(resources):
            answer = session.post(base_url.rstrip("/"), json=bundle, timeout=TIMEOUT_S)
            if not answer.ok:
                raise SystemExit(f"{base_url} answered {answer.status_code}: {answer.text[:1000]}")
    return len(resources)


def main(argv: list[str] | None = None) -> None:
    """Upload as asked on the command line."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.clinic", description=__doc__)
    parser.add_argument("--to", required=True, metavar="URL", help="FHIR base URL, such as http://127.0.0.1:8085/fhir")
    parser.add_argument("--today", type=date.fromisoformat, help="day the clinic is dated from (default: today)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="(default: %(default)s)")
    args = parser.parse_args(argv)
    count = upload(args.to, args.today or datetime.now(ZONE).date(), args.seed)
    print(f"{count} resources are on {args.to}", file=sys.stderr)


if __name__ == "__main__":
    main()
