"""`python -m sandbox.phones --port 8091 --data DIR`: simulated phones for SMS and WhatsApp, on this machine only."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from carethread.clinic import ConfigError, load_clinics
from carethread.config import Settings
from sandbox.phones.app import create_app
from sandbox.phones.store import Store

HOST = "127.0.0.1"


def main(argv: list[str] | None = None) -> None:
    """Serve until told to stop."""
    args = _arguments(argv)
    # Numbers and texts must not reach a log.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    settings = Settings()
    listener = _listen(args.port)
    try:
        clinics = load_clinics(settings.clinics_dir)
        store = Store(args.data)
        app = create_app(store, clinics, settings, faults=args.faults)
    except ConfigError as error:
        raise SystemExit(f"phone simulator: {error}") from None
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    app.ctx.network.own_url = url
    if args.attached:
        threading.Thread(target=_stop_when_stdin_closes, daemon=True).start()
    print(f"phone simulator: {url}", flush=True)
    app.run(sock=listener, single_process=True, access_log=False, motd=False, debug=False)
    store.close()


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.phones", description=__doc__)
    parser.add_argument("--port", type=int, default=8091, help="0 takes any free port (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path(".var/phones"), help="directory (default: %(default)s)")
    parser.add_argument("--faults", action="store_true", help="allow injected faults at /faults (tests only)")
    parser.add_argument("--attached", action="store_true", help="stop when standard input closes")
    return parser.parse_args(argv)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        raise SystemExit(f"phone simulator: cannot listen on {HOST}:{port} ({error}); choose another --port") from None
    listener.listen(128)
    return listener


def _stop_when_stdin_closes() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
