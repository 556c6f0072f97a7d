"""`python -m sandbox.ehr --port 8090 --data DIR`: the sandbox EHR with its synthetic clinic, on this machine only."""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import uvicorn

from sandbox.clinic import DEFAULT_SEED, TIME_ZONE
from sandbox.ehr import logs
from sandbox.ehr.app import create_app
from sandbox.ehr.loading import ensure_loaded, origin_of

HOST = "127.0.0.1"
STALE_DAYS = 14  # half of the weeks that have slots


def main(argv: list[str] | None = None) -> None:
    """Load the clinic into an empty data directory, then serve until told to stop."""
    args = _arguments(argv)
    logs.set_up()
    listener = _listen(args.port)
    today = args.today or datetime.now(ZoneInfo(TIME_ZONE)).date()
    database = ensure_loaded(args.data, args.seed, today, args.cache)
    root_url = f"http://{HOST}:{listener.getsockname()[1]}"
    app = create_app(database, root_url, faults=args.faults)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    if args.attached:
        threading.Thread(target=_stop_when_stdin_closes, args=(server,), daemon=True).start()
    print(f"sandbox EHR: {root_url}/fhir", flush=True)
    _warn_if_stale(database, today)
    server.run(sockets=[listener])


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.ehr", description=__doc__)
    parser.add_argument("--port", type=int, default=8090, help="0 takes any free port (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path(".var/ehr"), help="directory (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of a new clinic (default: %(default)s)")
    parser.add_argument("--today", type=date.fromisoformat, help="day a new clinic is dated from")
    parser.add_argument("--cache", type=Path, help="folder that keeps new clinics, so that the next is quick")
    parser.add_argument("--faults", action="store_true", help="allow injected faults (tests only)")
    parser.add_argument("--attached", action="store_true", help="stop when standard input closes")
    return parser.parse_args(argv)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        raise SystemExit(f"sandbox EHR: cannot listen on {HOST}:{port} ({error}); choose another --port") from None
    return listener


def _warn_if_stale(database: Path, today: date) -> None:
    made = date.fromisoformat(origin_of(database)["today"])
    if (today - made).days > STALE_DAYS:
        print(
            f"sandbox EHR: its clinic is from {made}, so most of its visits and free slots have passed; "
            "`make demo-reset` makes a new one",
            file=sys.stderr,
        )


def _stop_when_stdin_closes(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    main()
