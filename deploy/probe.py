"""Is it at work? For container health checks: exits 0 or 1, and says why.

`probe.py URL` asks a process. `probe.py worker` asks the database about the worker here, which listens on no port.
`--wait SECONDS` goes on asking for so long.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
import urllib.request

TIMEOUT_S = 5.0
# A worker asks for jobs every second; one that has not asked for so long hangs.
SILENT_S = 30

_WORKER = """
select count(*) from pg_stat_activity
where application_name = 'carethread-worker' and client_addr is not distinct from inet_client_addr()
  and state_change > now() - make_interval(secs => $1)
"""


def answers(url: str) -> str | None:
    """What is wrong with what answers at `url`; None when it is well."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310 (an address of ours)
            return None if response.status == 200 else f"{url} answered {response.status}"
    except OSError as error:
        return f"{url}: {type(error).__name__}"


async def worker() -> str | None:
    """What is wrong with the worker that has the address we have; None when it is well."""
    import asyncpg

    try:
        connection = await asyncpg.connect(os.environ["CARETHREAD_DATABASE_URL"], timeout=TIMEOUT_S)
        try:
            seen = await connection.fetchval(_WORKER, SILENT_S)
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return f"database: {type(error).__name__}"
    return None if seen else f"no worker here has asked the database for work for {SILENT_S} seconds"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", help="an address, or `worker`")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS")
    args = parser.parse_args()
    deadline = time.monotonic() + args.wait
    while True:
        wrong = asyncio.run(worker()) if args.what == "worker" else answers(args.what)
        if wrong is None:
            return 0
        if time.monotonic() >= deadline:
            print(wrong, file=sys.stderr)
            return 1
        time.sleep(2)


if __name__ == "__main__":
    sys.exit(main())
