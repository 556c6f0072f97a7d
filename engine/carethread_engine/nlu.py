"""The understanding half of a model, without policies: for `carethread nlu`, for measurements and for tests."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rasa.core.channels.channel import UserMessage
from rasa.engine.constants import PLACEHOLDER_MESSAGE, PLACEHOLDER_TRACKER
from rasa.engine.graph import ExecutionContext
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.shared.core.trackers import DialogueStateTracker

from carethread_engine.turns import text_of_a_human


class Understanding:
    """Intent, confidence and entities of texts, exactly as in a turn."""

    def __init__(self, model: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            storage, metadata = LocalModelStorage.from_model_archive(Path(folder), model)
            self._target = metadata.nlu_target
            # Eager: components read what they need from the folder now, so it may go.
            self._runner = DaskGraphRunner.create(
                graph_schema=metadata.predict_schema.minimal_graph_schema(targets=[self._target]),
                model_storage=storage,
                execution_context=ExecutionContext(
                    graph_schema=metadata.predict_schema, model_id=metadata.model_id, is_finetuning=False
                ),
            )

    def parse(self, texts: Sequence[str], *, ranking: bool = False) -> list[dict[str, Any]]:
        """One `{"intent", "confidence", "entities"}` a text; all texts go through the encoder in one batch.

        With `ranking` each has a "ranking" too: the likeliest intents, best first, as `{"name", "confidence"}`. Where
        the fallback spoke, it stands first there, before what the classifier would have said.
        """
        messages = [UserMessage(text_of_a_human(text)) for text in texts]
        tracker = DialogueStateTracker.from_events("", [])
        inputs = {PLACEHOLDER_MESSAGE: messages, PLACEHOLDER_TRACKER: tracker}
        parsed = self._runner.run(inputs=inputs, targets=[self._target])[self._target]
        return [_result(message.as_dict(only_output_properties=True), ranking) for message in parsed]


def _result(message: dict[str, Any], ranking: bool) -> dict[str, Any]:
    intent = message.get("intent") or {"name": None, "confidence": 0.0}
    result: dict[str, Any] = {
        "intent": intent["name"],
        "confidence": round(float(intent["confidence"]), 4),
        "entities": [
            {name: entity[name] for name in ("entity", "value", "start", "end")}
            for entity in message.get("entities", ())
        ],
    }
    if ranking:
        result["ranking"] = [
            # More digits than above: a curve over confidences needs them apart.
            {"name": likely["name"], "confidence": round(float(likely["confidence"]), 6)}
            for likely in message.get("intent_ranking", ())
        ]
    return result
