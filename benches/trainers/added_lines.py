"""How many lines of an example are there for the curriculum."""

from __future__ import annotations

import ast
import io
import token
import tokenize
from collections.abc import Iterable
from pathlib import Path


def added_lines(example: Path, helpers: Iterable[str] = ()) -> list[str]:
    """Its lines with a name that a user writes only for the curriculum's sake.

    Such names are those imported from `curricle` (all but its example environments, which stand for
    the user's own), those that begin with "curriculum", and the helpers. So the wrapping, the
    logging, saving, loading and closing are counted, also where without a curriculum a line would
    be a shorter one; the tasks are not.

    Args:
        example: a Python file.
        helpers: names that are there for the curriculum and do not tell so.
    """
    source = example.read_text()
    names = {
        name.asname or name.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or "")
        for name in node.names
    } | set(helpers)
    found = {
        each.start[0]
        for each in tokenize.generate_tokens(io.StringIO(source).readline)
        if each.type == token.NAME
        and (each.string in names or each.string.startswith("curriculum"))
    }
    lines = source.splitlines()
    return [lines[number - 1].strip() for number in sorted(found)]


def _is_ours(module: str) -> bool:
    package, _, rest = module.partition(".")
    return package == "curricle" and not rest.startswith("assembly_lines")
