"""How many SMS segments a text costs: GSM 03.38 septets where they suffice, UCS-2 code units otherwise."""

from __future__ import annotations

from collections.abc import Iterable

# 3GPP TS 23.038, section 6.2.1: the basic alphabet, and the characters that cost an escape as well.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")

# What fits: alone, and in each part of several, where a header takes 6 octets (3GPP TS 23.040, 9.2.3.24.1).
_GSM = (160, 153)  # septets
_UCS2 = (70, 67)  # UTF-16 code units


def is_gsm7(text: str) -> bool:
    """Whether every character is in the GSM alphabet; one that is not more than halves what a segment holds."""
    return all(char in _BASIC or char in _EXTENDED for char in text)


def segments(text: str) -> int:
    """SMS segments that `text` is sent and charged as; an empty text is one.

    A character never straddles two segments: one that needs two units moves whole to the next.
    """
    if is_gsm7(text):
        return _count((2 if char in _EXTENDED else 1 for char in text), _GSM)
    return _count((2 if ord(char) > 0xFFFF else 1 for char in text), _UCS2)


def _count(costs: Iterable[int], capacity: tuple[int, int]) -> int:
    alone, part = capacity
    units = list(costs)
    if sum(units) <= alone:
        return 1
    count, filled = 1, 0
    for unit in units:
        if filled + unit > part:
            count, filled = count + 1, 0
        filled += unit
    return count
