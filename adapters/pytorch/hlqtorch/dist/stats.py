"""Sums of the statistics of many collectives."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._C import Plan, Stats


@dataclass
class HLQStats:
    """What a state's collectives did on this rank, summed up; struct hlq_stats says it of one.

    Attributes:
        calls: collectives; a bucket needs one for each of the bits that its parameters have, and
            one for exempt ones.
        elements: numbers averaged.
        bytes_sent: payload to other ranks, repeats included.
        control_bytes: sent beside the payload, to compare the arguments of the ranks.
        plan_bytes: payload as predicted by Comm.plan(); the most there can be with a target or a
            bound.
        seconds: in collectives; _encode, _exchange, _reduce, _decode are its parts.
        vnmse_estimate: predicted ‖result - exact‖² / ‖exact‖², mean over the numbers averaged.
        overloads, retries, nonfinite_blocks: as in struct hlq_stats.
    """

    calls: int = 0
    elements: int = 0
    bytes_sent: int = 0
    control_bytes: int = 0
    plan_bytes: int = 0
    seconds: float = 0.0
    seconds_encode: float = 0.0
    seconds_exchange: float = 0.0
    seconds_reduce: float = 0.0
    seconds_decode: float = 0.0
    vnmse_estimate: float = 0.0
    overloads: int = 0
    retries: int = 0
    nonfinite_blocks: int = 0

    def add(self, call: "Stats", plan: "Plan") -> None:
        """Counts one collective."""
        before = self.vnmse_estimate * self.elements
        self.calls += 1
        self.elements += call["count"]
        self.plan_bytes += plan["wire_bytes"]
        if self.elements:
            this = call["vnmse_estimate"] * call["count"]
            self.vnmse_estimate = (before + this) / self.elements
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + call[name])


_SUMS = (
    "bytes_sent",
    "control_bytes",
    "seconds",
    "seconds_encode",
    "seconds_exchange",
    "seconds_reduce",
    "seconds_decode",
    "overloads",
    "retries",
    "nonfinite_blocks",
)
