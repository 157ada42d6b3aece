"""Colours of a report on light and on dark paper.

Figures are drawn in the light ones; the page gives each a name, whose value its colour scheme sets.
"""

from curricle.plot_style import GREY, INK

#: Of lines and bands, told apart on white, and from each other with any colour vision by their
#: dashes too.
LIGHT = (
    "#0072b2",
    "#d55e00",
    "#00795a",
    "#b2468f",
    "#8a6a00",
    "#4a4fc4",
    "#c0304f",
    "#4f7a1c",
)
#: The same on dark paper, in the same order.
DARK = (
    "#56b4e9",
    "#f58a42",
    "#2fc7a0",
    "#e493c8",
    "#e2bd2f",
    "#a3aaff",
    "#ff8597",
    "#a5cf57",
)
OTHER_LIGHT, OTHER_DARK = "#6b717b", "#9aa1ac"

#: What stands in an SVG in place of the light colours.
NAMES = {
    INK: "currentColor",
    GREY: "var(--grid)",
    OTHER_LIGHT: "var(--other)",
    **{colour: f"var(--series-{index})" for index, colour in enumerate(LIGHT)},
}
