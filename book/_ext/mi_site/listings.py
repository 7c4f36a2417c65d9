"""Code on the page: a few kinds of tokens with a colour each, everything else plain.

Pygments wraps every name, dot and blank in an element of its own, which makes a chapter's page twice as large as it
needs to be. What has no colour of its own is unwrapped, and neighbours of one kind are joined.
"""

from __future__ import annotations

import re
from html import unescape

from pygments.styles import get_style_by_name
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType

KINDS: dict[str, tuple[_TokenType, str]] = {
    "c": (Comment, "c ch cm cp cpf c1 cs"),
    "k": (Keyword, "k kc kd kn kp kr ow ne"),
    "s": (String, "s sa sb sc dl sd s1 s2 se sh si sx ss"),
    "m": (Number, "m mb mf mh mi mo il kt l ld"),
    "f": (Name.Function, "nf fm nc no nt py"),
    "b": (Name.Builtin, "nb bp na nd nl"),
    "v": (Name.Variable, "nv vc vg vi err sr"),
}
KIND_OF = {short: kind for kind, (_, shorts) in KINDS.items() for short in shorts.split()}
PHONE_COLUMNS = 34  # a longer line scrolls on a narrow screen


def colours(style: str, prefix: str) -> str:
    """CSS rules of one Pygments style for the kinds above."""
    chosen = get_style_by_name(style)
    return "".join(
        f"{prefix} .{kind}{{color:#{chosen.style_for_token(token)['color']}}}" for kind, (token, _) in KINDS.items()
    )


def simplify(listing: str) -> str:
    """The inside of one `<pre>`, with as few elements as its colours need."""

    def plain_or_kind(match: re.Match[str]) -> str:
        kind = KIND_OF.get(match.group(1))
        return f'<span class="{kind}">{match.group(2)}</span>' if kind and match.group(2).strip() else match.group(2)

    listing = listing.replace("<span></span>", "")
    listing = re.sub(r'<span class="([a-z0-9]+)">([^<]*)</span>', plain_or_kind, listing)
    joined = re.compile(r'<span class="(\w)">([^<]*)</span>([ \n]*)<span class="\1">')
    while joined.search(listing):
        listing = joined.sub(r'<span class="\1">\2\3', listing)
    return listing


def simplify_all(body: str) -> str:
    def one(match: re.Match[str]) -> str:
        listing = simplify(match.group(1))
        longest = max(map(len, unescape(re.sub(r"<[^>]+>", "", listing)).splitlines()), default=0)
        reach = ' tabindex="0"' if longest > PHONE_COLUMNS else ""
        return f"<pre{reach}>{listing}</pre>"

    return re.sub(r"<pre>(.*?)</pre>", one, body, flags=re.S)
