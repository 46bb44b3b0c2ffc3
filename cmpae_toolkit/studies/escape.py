"""Names as plain text in Markdown, LaTeX and HTML: a category may be called Ka$$e, a method "a|b"."""

from __future__ import annotations

import html as _html
import re

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", **{c: f"\\{c}" for c in "&%$#_{}"},
}


def markdown(text: str) -> str:
    """Text whose every character Markdown shows as it is, in a table's cell, too."""
    return re.sub(r"([\\`*_\[\]|$<>&~#])", r"\\\1", _one_line(text))


def latex(text: str) -> str:
    """Text whose every character LaTeX sets as it is."""
    return "".join(_LATEX.get(c, c) for c in _one_line(text))


def html(text: str) -> str:
    """Text whose every character a browser shows as it is."""
    return _html.escape(_one_line(text))


def _one_line(text: str) -> str:
    return " ".join(str(text).split())

