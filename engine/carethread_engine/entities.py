"""Entities that lie inside a longer one are part of its name: the "skin" of "skin doctor" is not where it hurts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.constants import ENTITIES
from rasa.shared.nlu.training_data.message import Message


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class LongestEntities(GraphComponent, EntityExtractorMixin):
    """Stands behind the extractors and drops what is inside something longer."""

    @classmethod
    def required_components(cls) -> list[type]:
        return [EntityExtractorMixin]

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> LongestEntities:
        return cls()

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            found = message.get(ENTITIES)
            if found:
                message.set(ENTITIES, longest(found), add_to_output=True)
        return messages


def longest(entities: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`entities` without those whose place lies within that of a longer one, whatever their kinds."""

    def inside(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
        longer = outer["end"] - outer["start"] > inner["end"] - inner["start"]
        return longer and outer["start"] <= inner["start"] and inner["end"] <= outer["end"]

    return [entity for entity in entities if not any(inside(entity, other) for other in entities)]
