"""`python -m carethread_engine.parse`: JSON lines of {"text"} in, JSON lines with what the model makes of them out.

Each line out is {"text", "language" if given, "intent", "confidence", "entities"}, written as soon as it is known; a
line that cannot be read becomes {"error"}, and the exit code is then 1. With --ranking there is also "ranking", the
likeliest intents as {"name", "confidence"}, best first.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from carethread_engine.no_tensorflow import leave_out_tensorflow
from carethread_engine.settings import Settings, SettingsError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["RASA_TELEMETRY_ENABLED"] = "false"

BATCH = 256  # lines at once, when that many are waiting


def main(arguments: list[str] | None = None) -> int:
    try:
        settings = Settings.read()
    except SettingsError as error:
        print(f"carethread nlu: {error}", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(prog="python -m carethread_engine.parse", description=__doc__)
    parser.add_argument("--model", type=Path, default=settings.model)
    parser.add_argument("--ranking", action="store_true", help="tell the likeliest intents, not only the best")
    parser.add_argument("--config", type=Path, help="the config.yml of a model that is not ours")
    options = parser.parse_args(arguments)
    model: Path = options.model
    if not model.exists():
        print(f"carethread nlu: {model} does not exist; `make train` builds it", file=sys.stderr)
        return 2
    leave_out_tensorflow(options.config or settings.project / "config.yml")

    from carethread_engine import logs

    logs.set_up("error")

    from carethread_engine.nlu import Understanding

    understanding = Understanding(model)
    logs.set_up("error")  # again: imports bring handlers of their own
    failed = False
    for lines in batches(sys.stdin):
        for answer in answers(lines, understanding, ranking=options.ranking):
            failed = failed or "error" in answer
            print(json.dumps(answer, ensure_ascii=False), flush=True)
    return 1 if failed else 0


def answers(lines: Iterable[str], understanding: Any, *, ranking: bool) -> Iterator[dict[str, Any]]:
    """An answer for each line, in order."""
    asked = [question(line) for line in lines]
    texts = [item["text"] for item in asked if "error" not in item]
    parsed = iter(understanding.parse(texts, ranking=ranking) if texts else ())
    for item in asked:
        yield item if "error" in item else {**item, **next(parsed)}


def question(line: str) -> dict[str, Any]:
    """What a line asks: {"text", maybe "language"}, or {"error"}."""
    try:
        fields = json.loads(line)
    except ValueError:
        return {"error": "the line is not JSON"}
    if not isinstance(fields, dict) or not isinstance(fields.get("text"), str):
        return {"error": 'the line is not an object with a "text"'}
    return {name: fields[name] for name in ("text", "language") if name in fields}


def batches(stream: TextIO) -> Iterator[list[str]]:
    """The lines of `stream`: one as soon as it is there, or as many as are waiting."""
    waiting: queue.Queue[str | None] = queue.Queue(maxsize=BATCH * 4)

    def read() -> None:
        for line in stream:
            if line.strip():
                waiting.put(line)
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        line = waiting.get()
        if line is None:
            return
        batch = [line]
        ended = False
        while len(batch) < BATCH:
            try:
                following = waiting.get_nowait()
            except queue.Empty:
                break
            if following is None:
                ended = True
                break
            batch.append(following)
        yield batch
        if ended:
            return


if __name__ == "__main__":
    sys.exit(main())
