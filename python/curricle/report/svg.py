"""Figures as SVG elements that take their colours from the page around them."""

import io
import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from curricle.report.palette import NAMES

_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
# What only programs read, and rules for all of the page.
_LEFT_OUT = {"metadata", "style"}


def inline_svg(figure: Figure, prefix: str, description: str) -> str:
    """A figure as an ``svg`` element.

    Args:
        figure: drawn in the light colours of the palette.
        prefix: of all ids in it, so that figures of a page have none in common.
        description: read out in place of the figure.
    """
    content = io.StringIO()
    figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(content.getvalue())
    _clean(root, prefix)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", description)
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, prefix: str) -> None:
    element.tag = _plain(element.tag)
    element.attrib = {
        _plain(name): _value(_plain(name), value, prefix) for name, value in element.attrib.items()
    }
    for child in list(element):
        if _plain(child.tag) in _LEFT_OUT:
            element.remove(child)
        else:
            _clean(child, prefix)


def _plain(name: str) -> str:
    """A name without its namespace: HTML knows which one it is."""
    return name.rpartition("}")[2]


def _value(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    value = value.replace("url(#", f"url(#{prefix}")
    if name in ("style", "fill", "stroke"):
        value = _COLOUR.sub(lambda match: NAMES.get(match[0], match[0]), value)
    return value
