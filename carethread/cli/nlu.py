"""`carethread nlu …`: everything about the understanding of messages, from its several modules."""

from carethread.cli.evaluating import evaluate_command
from carethread.cli.reading import nlu
from carethread.cli.review import review_command

nlu.add_command(evaluate_command)
nlu.add_command(review_command)

__all__ = ["nlu"]
