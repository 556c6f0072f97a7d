"""What the model understands of the proof sets, beside Rasa's default pipeline trained on the same data in this run.

`carethread nlu evaluate FILE... --baseline` is the same with files and epochs of your own.
"""

from __future__ import annotations

from benchmarks.tables import show
from carethread.cli.baseline import EPOCHS
from carethread.cli.demo import model_path
from carethread.cli.evaluating import known_intents, measure, measure_baseline, read_examples
from carethread.cli.nlu_report import beside_rows
from carethread.config import PROJECT

SETS = ("intents", "out_of_scope", "entities")


async def main() -> None:
    paths = [PROJECT / "tests" / "data" / f"{name}.jsonl" for name in SETS]
    examples = read_examples(paths, known_intents(PROJECT / "domain.yml"))
    ours = measure(model_path(), examples)
    other = measure_baseline(EPOCHS, examples)
    show("Understanding unseen messages", ["", "ours", "Rasa's default"], list(beside_rows(ours, other)))
    print(other.how)
