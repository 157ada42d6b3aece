"""A room as text."""

from collections.abc import Sequence

from curricle.assembly_lines.config import HEART, ITEMS
from curricle.assembly_lines.layout import ASSEMBLER, EXTRACTOR, SINK, Layout


def draw_room(layout: Layout, cells: Sequence[int], held: Sequence[int]) -> str:
    """The rows of the room, then what each agent holds.

    ``@`` agent, ``#`` wall, ``E`` extractor, ``S`` sink, an assembler by the id of the item that
    it accepts (``X`` for unobtainium).
    """
    width = layout.width
    rows = [["."] * width for _ in range(width)]
    for cell in layout.walls:
        rows[cell // width][cell % width] = "#"
    for machine in layout.machines:
        accepted = str(machine.accepts) if machine.accepts < HEART else "X"
        sign = {EXTRACTOR: "E", ASSEMBLER: accepted, SINK: "S"}[machine.kind]
        rows[machine.row][machine.column] = sign
    for cell in cells:
        rows[cell // width][cell % width] = "@"
    hands = "".join(f"holds {ITEMS[item]}\n" for item in held)
    return "\n".join("".join(row) for row in rows) + f"\n{hands}"
