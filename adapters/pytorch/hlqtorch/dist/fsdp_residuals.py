"""Error feedback of one FSDP module, whose gradients are packed for the number of ranks.

FSDP cuts the first dimension of every parameter into one chunk per rank, padded to equal sizes, and
sends rank p row p of

    | a, chunk 0 | b, chunk 0 |        A residual has the same layout, as one flat tensor. It is
    | a, chunk 1 | b, chunk 1 |        saved by parameter, whole and without padding: so another
    | a, chunk 2 | b, chunk 2 |        number of ranks can load it.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class GroupResidual:
    """What one rank's gradients of one module still owe.

    Args:
        parameters: (name, whole size) of each that has gradients, in the order of packing.
        module: its name, for messages.
    """

    def __init__(self, parameters: Sequence[tuple[str, torch.Size]], module: str) -> None:
        self._parameters = list(parameters)
        self._module = module
        self._flat: Tensor | None = None  # float32 [ranks × columns]
        self._ranks = 0
        self._waiting: dict[str, Tensor] | None = None  # loaded, ranks not known yet

    def flat(self, ranks: int, numel: int, device: torch.device) -> Tensor | None:
        """The residual of a collective, to be read and written by it.

        Args:
            ranks: how many there are; always the same.
            numel: elements of the collective's input.
            device: where that is; always the same.

        Returns:
            float32 [numel]; None if the input has not all of the module's gradients, which FSDP
            leaves out when a parameter took no part: nothing is owed or paid back then.
        """
        if numel != ranks * sum(self._columns(ranks)):
            return None
        if self._flat is None:
            self._flat = torch.zeros(numel, dtype=torch.float32, device=device)
            self._ranks = ranks
            if self._waiting is not None:
                self._unpack()
        return self._flat

    def _columns(self, ranks: int) -> list[int]:
        """Elements of a chunk of each parameter, padding included."""
        return [
            math.ceil(size[0] / ranks) * math.prod(size[1:]) if size else 1
            for _, size in self._parameters
        ]

    def _unpack(self) -> None:
        """Puts what was loaded in its place of the flat residual."""
        loaded, self._waiting = self._waiting, None
        rows = self._flat.view(self._ranks, -1)
        whole = [loaded[name].to(rows).reshape(size or (1,)) for name, size in self._parameters]
        torch._chunk_cat(whole, dim=0, num_chunks=self._ranks, out=rows)  # as FSDP packs gradients

    def by_name(self) -> dict[str, Tensor]:
        """Copies in host memory, by name of parameter: [numel], whole and without padding."""
        if self._waiting is not None:
            return {name: value.clone() for name, value in self._waiting.items()}
        if self._flat is None:
            return {name: torch.zeros(math.prod(size)) for name, size in self._parameters}
        flat = self._flat.cpu()
        chunks = flat.view(self._ranks, -1).split(self._columns(self._ranks), dim=1)
        return {
            name: chunk.flatten()[: math.prod(size)].clone()
            for (name, size), chunk in zip(self._parameters, chunks, strict=True)
        }

    def load(self, loaded: Mapping[str, Tensor]) -> None:
        """Replaces the residual, at the next collective.

        Args:
            loaded: as by_name() gave; more names do no harm.

        Raises:
            ValueError: a parameter is missing, or has another size.
        """
        for name, size in self._parameters:
            if name not in loaded:
                raise ValueError(f"no residual of {name}, of {self._module}, was saved")
            if loaded[name].numel() != math.prod(size):
                raise ValueError(
                    f"the residual of {name} has {loaded[name].numel()} elements, the parameter "
                    f"{math.prod(size)}"
                )
        kept = {
            name: loaded[name].detach().to("cpu", torch.float32, copy=True)
            for name, _ in self._parameters
        }
        self._flat, self._waiting = None, kept

    def scale(self, factor: float) -> None:
        """Multiplies it."""
        waiting = self._waiting.values() if self._waiting is not None else ()
        for value in (*waiting, *([] if self._flat is None else [self._flat])):
            value.mul_(factor)
