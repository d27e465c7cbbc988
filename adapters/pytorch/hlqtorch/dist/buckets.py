"""A DDP bucket cut into what is compressed and what is exempt, and its error-feedback residuals.

A bucket is one flat tensor that holds the gradients of its parameters one after another:

    | p7.grad | p6.grad | p5.grad | p4.grad |        exempt: p6, p4
      ───┬───             ───┬───
         └──── compressed ───┘      one flat residual, in the same order

Parameters of other bits than the rest are a part of their own, with a residual of its own.

DDP cuts new buckets after the first iteration. Residuals therefore belong to parameters: a new
bucket gathers those of its parameters, wherever they were before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Part:
    """The slices of a bucket that travel in one collective."""

    bits: float | None  # of its own; 0: those of the state; None: exempt, not compressed
    slices: list[slice]
    numel: int
    residual: Tensor | None  # float32 [numel], or None for no error feedback

    @property
    def exempt(self) -> bool:
        """Whether it travels uncompressed."""
        return self.bits is None

    def pack(self, buffer: Tensor) -> Tensor:
        """The slices as one flat tensor [numel]; the buffer itself if they are all of it."""
        if self.numel == buffer.numel():
            return buffer
        return torch.cat([buffer[piece] for piece in self.slices])

    def unpack(self, packed: Tensor, buffer: Tensor) -> None:
        """Writes what pack() gave, and a collective changed, back to its place."""
        if packed is buffer:
            return
        pieces = packed.split([piece.stop - piece.start for piece in self.slices])
        for piece, values in zip(self.slices, pieces, strict=True):
            buffer[piece] = values


def _slices(parameters: Sequence[Tensor], chosen: Sequence[bool]) -> list[slice]:
    """Where the chosen parameters lie in their bucket, neighbours joined."""
    found: list[slice] = []
    start = 0
    for parameter, choose in zip(parameters, chosen, strict=True):
        stop = start + parameter.numel()
        if choose and found and found[-1].stop == start:
            found[-1] = slice(found[-1].start, stop)
        elif choose:
            found.append(slice(start, stop))
        start = stop
    return found


class Residuals:
    """What each parameter's gradient still owes, on this rank.

    Every residual is a view of the flat tensor of the bucket that its parameter is in, so that a
    collective on that bucket updates them all and nothing is copied between rebuilds.
    """

    def __init__(self) -> None:
        self._of: dict[Tensor, Tensor] = {}  # parameter → view, [parameter.numel()]
        self._waiting: dict[str, Tensor] = {}  # name → loaded, parameter not seen yet

    def flat(self, parameters: Sequence[Tensor], name_of: Callable[[Tensor], str]) -> Tensor:
        """A new flat residual for these parameters, in this order, with what they owe already."""
        numel = sum(parameter.numel() for parameter in parameters)
        flat = torch.zeros(numel, dtype=torch.float32, device=parameters[0].device)
        views = flat.split([parameter.numel() for parameter in parameters])
        for parameter, view in zip(parameters, views, strict=True):
            old = self._of.get(parameter)
            if old is None and self._waiting:
                old = self._take_loaded(name_of(parameter))
            if old is not None:
                _copy(old, view, name_of(parameter))
            self._of[parameter] = view
        return flat

    def _take_loaded(self, name: str) -> Tensor:
        if name not in self._waiting:
            raise ValueError(
                f"no residual of {name} was loaded, but one of {next(iter(self._waiting))}; were "
                "the parameters named alike (HLQState.name_parameters)?"
            )
        return self._waiting.pop(name)

    def by_name(self, name_of: Callable[[Tensor], str]) -> dict[str, Tensor]:
        """Copies of all residuals, flat, by the names of their parameters."""
        seen = {name_of(parameter): view.clone() for parameter, view in self._of.items()}
        return {name: view.clone() for name, view in self._waiting.items()} | seen

    def scale(self, factor: float) -> None:
        """Multiplies all residuals."""
        for residual in (*self._of.values(), *self._waiting.values()):
            residual.mul_(factor)

    def load(self, loaded: dict[str, Tensor], name_of: Callable[[Tensor], str]) -> None:
        """Replaces all residuals; what is not in `loaded` becomes zero."""
        self._waiting = {name: value.detach().clone() for name, value in loaded.items()}
        for parameter, view in self._of.items():
            value = self._waiting.pop(name_of(parameter), None)
            if value is None:
                view.zero_()
            else:
                _copy(value, view, name_of(parameter))


def _copy(old: Tensor, view: Tensor, name: str) -> None:
    if old.numel() != view.numel():
        raise ValueError(
            f"the residual of {name} has {old.numel()} elements, the parameter {view.numel()}"
        )
    view.copy_(old.flatten())


def cut(
    parameters: Sequence[Tensor],
    bits_of: Callable[[Tensor], float | None],
    residual_of: Callable[[list[Tensor]], Tensor | None],
) -> list[Part]:
    """The parts of a bucket that holds the gradients of these parameters.

    One for each value of bits_of, in ascending order, the exempt one last: the same order on all
    ranks, whose parts meet in collectives.
    """
    bits = [bits_of(parameter) for parameter in parameters]
    parts = []
    for value in sorted(set(bits), key=lambda value: (value is None, value)):
        chosen = [own == value for own in bits]
        members = [
            parameter for parameter, choose in zip(parameters, chosen, strict=True) if choose
        ]
        residual = None if value is None else residual_of(members)
        numel = sum(parameter.numel() for parameter in members)
        parts.append(Part(value, _slices(parameters, chosen), numel, residual))
    return parts
