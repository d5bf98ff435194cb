r"""Formulas as MathML, which browsers show by themselves, without a script. Pages have them as $...$ and $$...$$."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert


def with_mathml(page: str) -> str:
    """A page of HTML with the formulas that arithmatex has marked, as MathML."""
    page = re.sub(r'<span class="arithmatex">\\\((.*?)\\\)</span>', lambda found: _mathml(found[1], "inline"), page)
    return re.sub(
        r'<div class="arithmatex">\\\[(.*?)\\\]</div>', lambda found: _mathml(found[1], "block"), page, flags=re.DOTALL
    )


def _mathml(latex: str, display: str) -> str:
    return convert(html.unescape(latex).strip(), display=display)
