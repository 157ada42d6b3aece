"""What a person sees while a run goes on: a table by label on a terminal, lines elsewhere."""

from collections.abc import Mapping
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from curricle.training.checkpoint import Progress
from curricle.training.run_length import RunLength

_SECONDS_BETWEEN_LINES = 5.0
# Rows of the terminal that are not labels: bar, title, header, borders.
_OTHER_ROWS = 8


class ConsoleMonitor:
    """Shows a run's progress on a console.

    Args:
        console: where to; a terminal gets a bar and a live table, anything else a line every
            five seconds.
        length: of the whole run.
    """

    def __init__(self, console: Console, length: RunLength) -> None:
        self._console = console
        self._bar = ProgressBar(
            TextColumn(length.unit),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:,.0f} steps/s"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task(length.unit, total=length.total, rate=0.0)
        self._live = Live(self._bar, console=console, refresh_per_second=4, transient=True)
        self._length = length
        self._last_line = -_SECONDS_BETWEEN_LINES

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, progress: Progress, totals: Mapping[str, Mapping[str, float]]) -> None:
        """Shows the state of the run."""
        rate = progress.env_steps / max(progress.seconds, 1e-9)
        if self._console.is_terminal:
            done = min(self._length.done(progress), self._length.total)
            self._bar.update(self._task, completed=done, rate=rate)
            rows = max(3, self._console.height - _OTHER_ROWS)
            self._live.update(
                Group(label_table(totals, _latest_success(progress), rows), self._bar)
            )
        elif progress.seconds - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = progress.seconds
            success = _latest_success(progress)
            mean = f"{sum(success.values()) / len(success):.2f}" if success else "-"
            if self._length.unit == "steps":
                done_so_far = f"{progress.episodes} episodes, {self._of_all(progress)} steps"
            else:
                done_so_far = f"{self._of_all(progress)} episodes, {progress.env_steps} steps"
            self._console.print(
                f"{done_so_far}, {rate:.0f} steps/s, success {mean}", highlight=False
            )

    def _of_all(self, progress: Progress) -> str:
        return f"{self._length.done(progress)}/{self._length.total}"


def _latest_success(progress: Progress) -> dict[str, float]:
    """The last evaluation, by label."""
    if not progress.curve:
        return {}
    latest = progress.curve[-1].episodes
    points = [point for point in progress.curve if point.episodes == latest]
    return {point.label: point.success for point in points if point.success == point.success}


def label_table(
    totals: Mapping[str, Mapping[str, float]], success: Mapping[str, float], max_rows: int
) -> Table:
    """A table of labels, those with the most learning progress first."""
    # Narrow enough for 80 columns with the longest label.
    table = Table(
        title="Labels by learning progress", title_justify="left", box=None, padding=(0, 1, 0, 0)
    )
    table.add_column("label", no_wrap=True)
    for column in ("drawn", "share", "done", "reward", "success", "LP"):
        table.add_column(column, justify="right", no_wrap=True)
    drawn = max(1.0, sum(total["scheduled"] for total in totals.values()))
    ranked = sorted(totals.items(), key=lambda entry: (-entry[1]["lp_mean"], entry[0]))
    for label, total in ranked[:max_rows]:
        solved = success.get(label)
        completions = total["completions"]
        table.add_row(
            label,
            f"{total['scheduled']:,.0f}",
            f"{total['scheduled'] / drawn:.1%}",
            f"{completions:,.0f}",
            f"{total['score_sum'] / completions:.2f}" if completions else "-",
            "-" if solved is None else f"{solved:.2f}",
            f"{total['lp_mean']:.3f}",
        )
    if len(ranked) > max_rows:
        table.caption = f"and {len(ranked) - max_rows} more"
    return table
