"""HTML as a parser reads it, for tests."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "img", "link"}


@dataclass
class Element:
    """An element: its tag, attributes, children and the text directly in it."""

    tag: str
    attributes: dict
    children: list = field(default_factory=list)

    def find_all(self, tag=None, **attributes):
        """All elements below it, in the order of the page."""
        for child in self.children:
            if isinstance(child, Element):
                if tag in (None, child.tag) and attributes.items() <= child.attributes.items():
                    yield child
                yield from child.find_all(tag, **attributes)

    def find(self, tag=None, **attributes):
        """The only such element."""
        (one,) = self.find_all(tag, **attributes)
        return one

    @property
    def text(self):
        return "".join(
            child if isinstance(child, str) else child.text for child in self.children
        ).strip()


class _Builder(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(self.open[-1].children[-1])

    def handle_startendtag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names), f"an attribute twice in {tag}: {names}"
        self.open[-1].children.append(Element(tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"{tag} ends within {self.open[-1].tag}"
        self.open.pop()

    def handle_data(self, text):
        self.open[-1].children.append(text)


def parse(path):
    """The elements of a file; AssertionError where they do not nest."""
    builder = _Builder()
    builder.feed(path.read_text(encoding="utf-8"))
    builder.close()
    assert builder.open == [builder.root]
    return builder.root


def table_rows(page, name):
    """Rows of a table's data as the script of the page gets them, by the titles of its head."""
    content = json.loads(page.find("script", id=f"{name}-data").text)
    section = page.find("section", **{"data-table": name})
    titles = [head.attributes["data-title"] for head in section.find_all("th")]
    columns = [
        [column["texts"][cell] for cell in column["cells"]]
        if column["kind"] == "text"
        else column["cells"]
        for column in content["columns"]
    ]
    return [dict(zip(titles, row, strict=True)) for row in zip(*columns, strict=True)]
