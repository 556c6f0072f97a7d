"""Responses are content keys. The platform renders them; others (rasa shell) get words from the NLG endpoint."""

from __future__ import annotations

import logging
from typing import Any

from rasa.core.nlg.generator import NaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

logger = logging.getLogger(__name__)

# Rendering is a convenience here: the key alone is enough for the platform, so a slow endpoint is not waited for.
TIMEOUT_SECONDS = 3
# What rasa-sdk sends along with every response besides the parameters that the action gave.
NOT_PARAMETERS = frozenset(
    {
        "attachment",
        "buttons",
        "custom",
        "domain_responses",
        "elements",
        "image",
        "response",
        "response_id",
        "template",
        "text",
    }
)


class ContentKeyGenerator(NaturalLanguageGenerator):
    """Turns a response name into `{"text", "custom": {"key", "parameters"}}`.

    endpoints.yml:

        nlg:
          type: carethread_engine.nlg.ContentKeyGenerator
          url: http://127.0.0.1:5055/nlg
          rendered_elsewhere: [web, sms, whatsapp]   # channels whose other end renders keys itself
    """

    def __init__(self, endpoint_config: EndpointConfig, domain: Domain | None = None) -> None:
        self._endpoint = endpoint_config
        self._rendered_elsewhere = frozenset(endpoint_config.kwargs.get("rendered_elsewhere", ()))

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> dict[str, Any]:
        parameters = {name: value for name, value in kwargs.items() if name not in NOT_PARAMETERS}
        key_only = {"text": "", "custom": {"key": utter_action, "parameters": parameters}}
        if output_channel in self._rendered_elsewhere:
            return key_only
        try:
            answer = await self._endpoint.request(
                json=slim_request(utter_action, parameters, tracker, output_channel), timeout=TIMEOUT_SECONDS
            )
        except Exception as error:  # whatever it is, the key must reach the other end
            logger.warning("no words for %s: the NLG endpoint failed with %s", utter_action, type(error).__name__)
            return key_only
        if not isinstance(answer, dict):
            logger.warning("no words for %s: the NLG endpoint answered no object", utter_action)
            return key_only
        custom = {**(answer.get("custom") or {}), **key_only["custom"]}
        return {**answer, "text": answer.get("text") or "", "custom": custom}


def slim_request(
    key: str, parameters: dict[str, Any], tracker: DialogueStateTracker, output_channel: str
) -> dict[str, Any]:
    """Rasa's NLG request without the conversation in it: the words of a key need the language, not what was said."""
    return {
        "response": key,
        "arguments": parameters,
        "tracker": {"sender_id": tracker.sender_id, "slots": {"language": _language(tracker)}},
        "channel": {"name": output_channel},
    }


def _language(tracker: DialogueStateTracker) -> str | None:
    slot = tracker.slots.get("language")
    return slot.value if slot else None
