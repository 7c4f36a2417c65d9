"""The front page's figure, buttons and list of chapters.

The figure is computed, not sketched: ten films that one person watched lie around two directions, the arrows are the
means of what they stand for, and the ringed films are the ones nearest to an arrow by angle.
"""

from __future__ import annotations

import math
import random
from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .math import chapter_of
from .meta import cut, lead

Point = tuple[float, float]
WIDTH, HEIGHT, RADIUS = 320, 208, 150
TASTES = {"film noir": 148.0, "musicals": 32.0}
WATCHED, SUGGESTED = 5, 6


def on_plane(degrees: float, length: float) -> Point:
    return length * math.cos(math.radians(degrees)), length * math.sin(math.radians(degrees))


def mean(points: list[Point]) -> Point:
    return sum(p[0] for p in points) / len(points), sum(p[1] for p in points) / len(points)


def angle(point: Point) -> float:
    return math.degrees(math.atan2(point[1], point[0]))


def nearest(films: list[Point], vector: Point, count: int) -> list[Point]:
    return sorted(films, key=lambda film: abs(angle(film) - angle(vector)))[:count]


def world(seed: int = 11) -> tuple[dict[str, list[Point]], list[Point]]:
    """What the person watched, by taste, and the other films."""
    draw = random.Random(seed)
    watched = {
        name: [on_plane(centre + draw.uniform(-13, 13), draw.uniform(0.72, 1.0)) for _ in range(WATCHED)]
        for name, centre in TASTES.items()
    }
    others = [on_plane(8 + 164 * (i + draw.uniform(0.1, 0.9)) / 44, draw.uniform(0.5, 1.02)) for i in range(44)]
    return watched, others


def at(point: Point, scale: float = RADIUS) -> str:
    return f"{WIDTH / 2 + scale * point[0]:.1f},{HEIGHT - 34 - scale * point[1]:.1f}"


def dot(point: Point, size: float, style: str) -> str:
    x, y = at(point).split(",")
    return f'<circle cx="{x}" cy="{y}" r="{size}" {style}/>'


def arrow(vector: Point, colour: str) -> str:
    turn = math.radians(angle(vector))
    length = math.hypot(*vector)
    left, right = (
        (vector[0] - 0.085 * math.cos(turn + side), vector[1] - 0.085 * math.sin(turn + side)) for side in (0.42, -0.42)
    )
    shaft = (vector[0] * (1 - 0.06 / length), vector[1] * (1 - 0.06 / length))
    return (
        f'<path d="M{at((0, 0))}L{at(shaft)}" stroke="{colour}" stroke-width="3" fill="none" stroke-linecap="round"/>'
        f'<path d="M{at(vector)}L{at(left)}L{at(right)}Z" fill="{colour}"/>'
    )


def panel(title: str, label: str, vectors: list[tuple[Point, str, int]]) -> str:
    watched, others = world()
    marks = [arrow(vector, colour) for vector, colour, _ in vectors]
    marks += [dot(film, 2.6, 'fill="var(--mi-muted)" opacity=".55"') for film in others]
    for number, films in enumerate(watched.values(), start=1):
        marks += [dot(film, 5, f'fill="var(--mi-{number})"') for film in films]
    for vector, colour, count in vectors:
        style = f'fill="none" stroke="{colour}" stroke-width="1.8"'
        marks += [dot(film, 6.5, style) for film in nearest(others, vector, count)]
    names = "".join(
        f'<text x="{14 if centre > 90 else WIDTH - 14}" y="{HEIGHT - 12}" '
        f'style="fill:color-mix(in srgb,var(--mi-{number}) 60%,var(--mi-fg))" fill="var(--mi-{number})" '
        f'text-anchor="{"start" if centre > 90 else "end"}">{name}</text>'
        for number, (name, centre) in enumerate(TASTES.items(), start=1)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<text class="mi-title" x="{WIDTH / 2}" y="{HEIGHT - 12}" fill="var(--mi-fg)" '
        f'text-anchor="middle">{title}</text>'
        f"{names}{''.join(marks)}</svg>"
    )


def figure() -> str:
    watched, _ = world()
    tastes = list(watched.values())
    one = mean([film for films in tastes for film in films])
    return (
        '<figure class="mi-landing"><div>'
        + panel(
            "one vector",
            "Two clusters of watched films, far apart. A single arrow, their mean, points between "
            "them, at films of neither kind.",
            [(one, "var(--mi-fg)", SUGGESTED)],
        )
        + panel(
            "two vectors",
            "The same films. Two arrows, one mean for each cluster; the films nearest to each arrow "
            "lie in that cluster.",
            [(mean(films), f"var(--mi-{n})", SUGGESTED // 2) for n, films in enumerate(tastes, 1)],
        )
        + "</div><figcaption>Ten films that one person watched, on a made-up map. With one vector, their mean points "
        "at films of neither kind (rings). With two, each taste has its mean, and what lies nearest to it.</figcaption>"
        "</figure>"
    )


class mi_hero(nodes.General, nodes.Element):
    """Stands for the figure and the two buttons until addresses are known."""


class mi_chapters(nodes.General, nodes.Element):
    """Stands for the list of chapters until their titles are known."""


class Hero(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [mi_hero()]


class Chapters(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [mi_chapters()]


def chapters(app: Sphinx) -> list[str]:
    return sorted(name for name in app.env.found_docs if chapter_of(name) and name in app.env.titles)


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    def address(page: str) -> str:
        return app.builder.get_relative_uri(docname, page)

    for hero in list(doctree.findall(mi_hero)):
        first = chapters(app)
        read = f'<a class="mi-button" href="{address(first[0])}">Read</a>' if first else ""
        buttons = f'<p class="mi-buttons">{read}<a class="mi-button mi-quiet" href="#run">Run</a></p>'
        hero.replace_self(nodes.raw("", buttons + figure(), format="html"))
    for place in list(doctree.findall(mi_chapters)):
        items = "".join(
            f'<li><a href="{address(name)}"><span class="mi-num">{chapter_of(name)}</span>'
            f"{escape(app.env.titles[name].astext())}</a>"
            f"<p>{escape(cut(lead(app.env.get_doctree(name)), 220))}</p></li>"
            for name in chapters(app)
        )
        place.replace_self(nodes.raw("", f'<ul class="mi-chapters">{items}</ul>' if items else "", format="html"))


def setup(app: Sphinx) -> None:
    app.add_node(mi_hero)
    app.add_node(mi_chapters)
    app.add_directive("mi-hero", Hero)
    app.add_directive("mi-chapters", Chapters)
    app.connect("doctree-resolved", fill)
