"""`python -m carethread_engine.serve`: the engine on its private address, ready when the model is loaded."""

from __future__ import annotations

import os
import sys
import time

from carethread_engine.settings import Settings, SettingsError

# Before numpy and Rasa are imported: one turn uses one core, and nothing calls home.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["RASA_TELEMETRY_ENABLED"] = "false"


def main() -> int:
    started = time.monotonic()
    try:
        settings = Settings.read()
    except SettingsError as error:
        print(f"carethread engine: {error}", file=sys.stderr)
        return 2
    if not settings.model.exists():
        print(f"carethread engine: {settings.model} does not exist; `make train` builds it", file=sys.stderr)
        return 2

    from carethread_engine.no_tensorflow import leave_out_tensorflow

    leave_out_tensorflow(settings.project / "config.yml")

    from carethread_engine import logs

    logs.set_up(settings.log_level)

    from rasa.shared.exceptions import RasaException

    from carethread_engine.server import build

    try:
        app = build(settings)
    except RasaException as error:
        print(f"carethread engine: {error}", file=sys.stderr)
        return 2
    logs.set_up(settings.log_level)  # again: imports bring handlers of their own
    app.ctx.started = started
    app.run(host=settings.host, port=settings.port, workers=1, access_log=False, debug=False, motd=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
