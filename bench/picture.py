"""The CPU time for a cached answer as bars, in SVG that reads on light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

WIDTH = 760
LEFT, RIGHT = 250, 70  # room for names, and for numbers behind the longest bar
TOP, STEP, BAR = 64, 30, 18
FOOT = 34


class Bar(NamedTuple):
    """One server; user and system in microseconds."""

    title: str
    user: float
    system: float
    own: bool

    @property
    def total(self) -> float:
        return self.user + self.system


_STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #24292f }
    .head { font-size: 15px; font-weight: 600 }
    .small { font-size: 11px; fill: #57606a }
    .own { font-weight: 600 }
    .user { fill: #8c959f } .system { fill: #c3c9d0 }
    .own-user { fill: #0969da } .own-system { fill: #80b7f2 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .small { fill: #9da7b1 }
      .user { fill: #8b949e } .system { fill: #545c66 }
      .own-user { fill: #58a6ff } .own-system { fill: #2a5f9e }
    }
"""


def svg(bars: list[Bar], foot: str) -> str:
    """The picture; bars in the order given, the longest as wide as there is room."""
    height = TOP + STEP * len(bars) + FOOT
    told = "; ".join(f"{bar.title} {bar.total:.1f}" for bar in bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(f"CPU time for a cached answer in microseconds: {told}")}">\n'
        f"  <style>{_STYLE}  </style>\n"
        '  <text x="12" y="24" class="head">CPU time for a cached answer, microseconds (less is better)</text>\n'
        '  <text x="12" y="44" class="small">A of one pod of a headless Service; left: user, right: system</text>\n'
        + "".join(_rows(bars))
        + f'  <text x="12" y="{height - 12}" class="small">{escape(foot)}</text>\n'
        "</svg>\n"
    )


def _rows(bars: list[Bar]) -> Iterator[str]:
    longest = max((bar.total for bar in bars), default=0.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / longest
    for place, bar in enumerate(bars):
        y = TOP + STEP * place
        user, system = bar.user * scale, bar.system * scale
        prefix, text = ("own-", ' class="own"') if bar.own else ("", "")
        yield (
            f'  <text x="{LEFT - 10}" y="{y + 14}" text-anchor="end"{text}>{escape(bar.title)}</text>\n'
            f'  <rect x="{LEFT}" y="{y}" width="{user:.1f}" height="{BAR}" class="{prefix}user"/>\n'
            f'  <rect x="{LEFT + user:.1f}" y="{y}" width="{system:.1f}" height="{BAR}" class="{prefix}system"/>\n'
            f'  <text x="{LEFT + user + system + 8:.1f}" y="{y + 14}"{text}>{bar.total:.1f}</text>\n'
        )
