"""Messages without words: an emoji that answers (a thumb up) is read as its word, the rest as silence."""

from __future__ import annotations

import unicodedata

# What patients mean by them when they send nothing else. Skin tones and joiners are dropped first.
_EMOJI = {
    "👍": {"en": "yes", "es": "sí"},
    "👌": {"en": "yes", "es": "sí"},
    "✅": {"en": "yes", "es": "sí"},
    "✔": {"en": "yes", "es": "sí"},
    "🆗": {"en": "ok", "es": "ok"},
    "👎": {"en": "no", "es": "no"},
    "❌": {"en": "no", "es": "no"},
    "🚫": {"en": "no", "es": "no"},
    "🙏": {"en": "thank you", "es": "gracias"},
    "❤": {"en": "thank you", "es": "gracias"},
    "👋": {"en": "hello", "es": "hola"},
}


def reading_of(text: str, language: str) -> str | None:
    """The word that a wordless message stands for, "" when it stands for none, None when it has words."""
    if any(char.isalnum() for char in text):
        return None
    bare = "".join(char for char in text if unicodedata.category(char) not in ("Sk", "Cf", "Mn", "Zs"))
    for char in bare:
        if char in _EMOJI:
            return _EMOJI[char].get(language, _EMOJI[char]["en"])
    return ""
