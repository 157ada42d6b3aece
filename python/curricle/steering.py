"""Changes of how a session is steered, checked as a whole before the first of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from curricle import checks
from curricle._core import Session
from curricle.acts import describe_limits
from curricle.backends.share_limits import BILLIONTHS
from curricle.looking import did_you_mean

Limits = tuple[float, float]
_NONE: Limits = (0.0, 1.0)


@dataclass(frozen=True)
class Changes:
    """What is to be changed; what is not named stays.

    Attributes:
        frozen: whether learning progress and weights are frozen.
        uniform: whether draws are uniform.
        least: least shares by label; a label keeps its most share.
        most: most shares by label; a label keeps its least share.
        banned: labels to be drawn no more.
        unlimited: labels whose limits go.
    """

    frozen: bool | None = None
    uniform: bool | None = None
    least: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)
    banned: Sequence[str] = ()
    unlimited: Sequence[str] = ()

    def limits(self, session: Session) -> dict[str, tuple[Limits, Limits]]:
        """The limits of the labels that change, before and after; what lowers a sum comes first.

        Raises:
            ValueError: a share out of its range, a label that the session does not have or that
                two options contradict each other about, least shares that add up to more than 1,
                a ban that leaves no task to draw.
        """
        self._agree()
        before = session.share_limits()
        known = session.label_totals().keys() | before.keys()
        after = dict(before)
        for label in [*self.least, *self.most, *self.banned, *self.unlimited]:
            if label not in known:
                hint = did_you_mean(label, known) or "curricle show lists the labels"
                raise ValueError(f"the session has no label {label!r}; {hint}")
            least, most = before.get(label, _NONE)
            wanted = (self.least.get(label, least), self.most.get(label, most))
            if label in self.banned:
                wanted = (0.0, 0.0)
            elif label in self.unlimited:
                wanted = _NONE
            elif wanted[0] > wanted[1]:
                raise ValueError(_crossed(label, *wanted))
            after[label] = checks.share_limits(label, *wanted)[1:]
        total = sum(round(least * BILLIONTHS) for least, _ in after.values())
        if total > BILLIONTHS:
            parts = ", ".join(
                f"{label} {least:.6g}" for label, (least, _) in after.items() if least
            )
            raise ValueError(
                f"the least shares add up to {total / BILLIONTHS:.6g}, more than 1 ({parts}); "
                "lower some of them"
            )
        counts = session.label_totals()
        drawable = session.totals()["tasks"] - sum(counts[label]["tasks"] for label in counts)
        for label, of_label in counts.items():
            drawable += of_label["tasks"] if after.get(label, _NONE)[1] > 0.0 else 0.0
        if self.banned and drawable == 0.0:
            raise ValueError(
                "every label with tasks would be banned, and all processes would end in "
                "EmptyTableError at their next draw; leave one of them"
            )
        changed = [
            (label, before.get(label, _NONE), limits)
            for label, limits in after.items()
            if limits != before.get(label, _NONE)
        ]
        changed.sort(key=lambda change: change[2][0] - change[1][0])
        return {label: (old, new) for label, old, new in changed}

    def apply(self, session: Session) -> list[str]:
        """Changes the session; what was changed, in words.

        Raises:
            ValueError: as `limits`; nothing is changed.
            SessionError, CapacityError: as the session says.
        """
        limits = self.limits(session)
        done = []
        for label, (old, new) in limits.items():
            session.limit_share(label, *new)
            was = "" if old == _NONE else f" (was: {describe_limits(label, *old)})"
            done.append(f"{describe_limits(label, *new)}{was}")
        if self.frozen is not None and self.frozen != session.frozen:
            done.append("frozen" if self.frozen else "thawed")
        if self.uniform is not None and self.uniform != session.uniform:
            done.append("draws are uniform" if self.uniform else "draws follow the law")
        session.steer(frozen=self.frozen, uniform=self.uniform)
        return done

    def _agree(self) -> None:
        """Refuses a label that is banned or freed and has something else done to it."""
        for label in self.banned:
            if label in {*self.least, *self.most, *self.unlimited}:
                raise ValueError(f"label {label!r} is to be banned and something else; choose one")
        for label in self.unlimited:
            if label in {*self.least, *self.most}:
                raise ValueError(
                    f"label {label!r} is to have limits and none; leave one of the options out"
                )


def _crossed(label: str, least: float, most: float) -> str:
    way_out = "take the ban off with --unlimit" if most == 0.0 else "change both"
    return (
        f"least share {least:.6g} of label {label!r} is above its most share {most:.6g}; {way_out}"
    )
