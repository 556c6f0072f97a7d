"""Curves in a square from 0 to 1 as SVG, in plain text: for the reports of `carethread nlu evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_SIDE, _LEFT, _TOP = 360, 64, 48  # pixels: the square and the room before it
_WIDTH, _HEIGHT = _LEFT + _SIDE + 24, _TOP + _SIDE + 64
# Told apart without colours too: the second one is dashed.
_STROKES = (("#0b5cad", ""), ("#b3541e", "6 4"))


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (x, y) between 0 and 1, from left to right, joined by lines; with `dots` each is marked."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False


def square_plot(title: str, across: str, up: str, curves: Sequence[Curve]) -> str:
    """An SVG document with one or two curves, the diagonal, both axes named, and a legend at the lower right."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        ' font-family="sans-serif" font-size="13" fill="#222" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="28" font-size="16" font-weight="bold">{escape(title)}</text>',
        *_grid(),
        f'<path d="{_path([(0, 0), (1, 1)])}" stroke="#888" stroke-dasharray="2 4" fill="none"/>',
    ]
    for number, (curve, (colour, dashes)) in enumerate(zip(curves, _STROKES, strict=False)):
        parts += _curve(curve, colour, dashes)
        parts += _legend(curve.name, colour, dashes, row=len(curves) - number)
    middle = _TOP + _SIDE / 2
    parts += [
        f'<text x="{_LEFT + _SIDE / 2:g}" y="{_HEIGHT - 16}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="20" y="{middle:g}" text-anchor="middle" transform="rotate(-90 20 {middle:g})">{escape(up)}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid() -> list[str]:
    parts = [f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#222"/>']
    for step in range(6):
        x, y = _place((step / 5, step / 5))
        if 0 < step < 5:
            lines = f"M{x:g} {_TOP}V{_TOP + _SIDE}M{_LEFT} {y:g}H{_LEFT + _SIDE}"
            parts.append(f'<path d="{lines}" stroke="#ddd" fill="none"/>')
        parts.append(f'<text x="{x:g}" y="{_TOP + _SIDE + 20}" text-anchor="middle">{step / 5:.1f}</text>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:g}" text-anchor="end">{step / 5:.1f}</text>')
    return parts


def _curve(curve: Curve, colour: str, dashes: str) -> list[str]:
    if not curve.points:
        return []
    parts = [f'<path d="{_path(curve.points)}" {_stroke(colour, dashes)}/>']
    if curve.dots:
        places = (_place(point) for point in curve.points)
        parts += [f'<circle cx="{x:.2f}" cy="{y:.2f}" r="4" fill="{colour}"/>' for x, y in places]
    return parts


def _legend(name: str, colour: str, dashes: str, row: int) -> list[str]:
    right, y = _LEFT + _SIDE - 12, _TOP + _SIDE - 22 * row + 6
    return [
        f'<path d="M{right - 28} {y - 4}H{right}" {_stroke(colour, dashes)}/>',
        f'<text x="{right - 36}" y="{y}" text-anchor="end">{escape(name)}</text>',
    ]


def _stroke(colour: str, dashes: str) -> str:
    return f'stroke="{colour}" stroke-width="2" fill="none"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in map(_place, points))


def _place(point: tuple[float, float]) -> tuple[float, float]:
    return _LEFT + point[0] * _SIDE, _TOP + (1 - point[1]) * _SIDE
