"""Pictures of a training run: its learning curve, and who got the samples."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from curricle.assembly_lines.config import IMPOSSIBLE_SUFFIX, NOISY_SUFFIX, ROOM_WIDTHS
from curricle.plot_style import COLOURS, GREY, INK, STYLE, new_figure
from curricle.training.curve import CurvePoint

_LABEL = re.compile(
    r"(?P<room>[a-z]+)_(?P<chain>\d+)chain_(?P<sinks>\d+)sinks"
    r"(?:_(?P<agents>\d+)agents)?(?P<family>_[A-Z]+)?"
)
_ROOMS = tuple(ROOM_WIDTHS)
_HATCHES = {IMPOSSIBLE_SUFFIX: "////", NOISY_SUFFIX: "...."}
_MARKERS = "osD^vP"


def draw_run(folder: Path, curve: Sequence[CurvePoint], title: str) -> None:
    """Writes ``learning_curve.png`` and ``label_shares.png`` to the folder.

    Args:
        folder: an existing folder.
        curve: points of a run, at least one.
        title: goes before the title of each picture.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        draw_learning_curve(axes, curve)
        axes.set_title(f"{title}: success in rooms never trained on", pad=12)
        figure.savefig(folder / "learning_curve.png", dpi=150)
        figure, (axes,) = new_figure()
        draw_label_shares(axes, curve)
        axes.set_title(f"{title}: share of samples by label", pad=12)
        figure.savefig(folder / "label_shares.png", dpi=150)


def draw_learning_curve(axes: Axes, curve: Sequence[CurvePoint]) -> None:
    """Mean success over environment steps: by chain length, of all possible labels, the least."""
    by_chain: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    by_step: dict[int, list[float]] = defaultdict(list)
    for point in curve:
        if not np.isnan(point.success):
            by_chain[_parse(point.label).chain][point.env_steps].append(point.success)
            by_step[point.env_steps].append(point.success)
    for index, (chain, steps) in enumerate(sorted(by_chain.items())):
        axes.plot(
            list(steps),
            [float(np.mean(values)) for values in steps.values()],
            color=COLOURS[index % len(COLOURS)],
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=4.5,
            markevery=3,
            label="1 assembler" if chain == 1 else f"{chain} assemblers",
        )
    steps_seen = list(by_step)
    means = [float(np.mean(values)) for values in by_step.values()]
    axes.plot(steps_seen, means, color=INK, linewidth=3, label="all possible labels")
    least = [min(values) for values in by_step.values()]
    axes.plot(steps_seen, least, color=INK, linewidth=1.2, linestyle=":", label="least label")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("share of episodes with a heart")
    axes.set_ylim(-0.02, 1.03)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", color=GREY, linewidth=0.6)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def draw_label_shares(axes: Axes, curve: Sequence[CurvePoint]) -> None:
    """Stacked share of samples between two points of the curve, one band a label."""
    episodes, labels, shares = _shares(curve)
    legend: dict[str, Patch] = {}
    below = np.zeros(len(episodes))
    chains = sorted({_parse(label).chain for label in labels})
    for label in labels:
        family, chain, room, _, _ = _parse(label)
        colour = COLOURS[chains.index(chain) % len(COLOURS)]
        share = shares[label]
        style: dict[str, Any] = (
            {
                "facecolor": "white",
                "edgecolor": "#8a8f98",
                "hatch": _HATCHES[family],
                "linewidth": 0.4,
            }
            if family
            else {"facecolor": _shade(colour, room), "edgecolor": "white", "linewidth": 0.4}
        )
        axes.fill_between(episodes, below, below + share, step="pre", **style)
        below = below + share
        name = family[1:].lower() if family else f"{chain} in chain, {_ROOMS[room]}"
        legend.setdefault(name, Patch(**style))
    axes.set_xlabel("episodes")
    axes.set_ylabel("share of samples")
    axes.set_xlim(0, episodes[-1])
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    # The legend reads from top to bottom as the bands do.
    names = list(legend)[::-1]
    axes.legend(
        [legend[name] for name in names],
        names,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        handlelength=1.6,
        handleheight=1.3,
    )


class _Label(NamedTuple):
    """The parts of a label, which sort as the bands stand, the lowest first."""

    family: str
    chain: int
    room: int
    agents: int
    sinks: int


def _parse(label: str) -> _Label:
    match = _LABEL.fullmatch(label)
    if match is None:
        raise ValueError(f"{label!r} is no label of the assembly lines")
    return _Label(
        family=match["family"] or "",
        chain=int(match["chain"]),
        room=_ROOMS.index(match["room"]),
        agents=int(match["agents"] or 1),
        sinks=int(match["sinks"]),
    )


def _shares(
    curve: Sequence[CurvePoint],
) -> tuple[list[int], list[str], dict[str, NDArray[np.float64]]]:
    """Episodes of the points (0 first), labels from the lowest band up, shares by label."""
    episodes = sorted({point.episodes for point in curve})
    labels = sorted({point.label for point in curve}, key=_parse)
    counts = {label: np.zeros(len(episodes) + 1) for label in labels}
    for point in curve:
        counts[point.label][episodes.index(point.episodes) + 1] = point.samples
    drawn = {label: np.diff(np.maximum.accumulate(count)) for label, count in counts.items()}
    total = np.maximum(sum(drawn.values(), np.zeros(len(episodes))), 1.0)
    shares = {label: new / total for label, new in drawn.items()}
    # Bands are drawn as steps: each share stands for the interval that ends at its point.
    return (
        [0, *episodes],
        labels,
        {label: np.concatenate([share[:1], share]) for label, share in shares.items()},
    )


def _shade(colour: str, index: int) -> tuple[float, float, float]:
    """Lighter towards white for smaller rooms."""
    red, green, blue = mpl.colors.to_rgb(colour)
    mix = (0.68, 0.48, 0.28, 0.14, 0.0)[index]
    return red + (1 - red) * mix, green + (1 - green) * mix, blue + (1 - blue) * mix
