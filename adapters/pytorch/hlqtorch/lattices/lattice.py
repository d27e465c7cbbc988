"""Lattices as libhlqcomm has them; constants and matrices are asked of it, not written here.

Sources: Conway and Sloane, "Fast quantizing and decoding algorithms for lattice quantizers and
codes" (1982); the tie rule is that of hlqcomm/quantizer.h, invariant under translation by the
lattice, without which nested codes would not decode to what was encoded.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .. import _C, ops


@dataclass(frozen=True)
class Lattice:
    """A lattice in d dimensions; two are equal if family and d are.

    Attributes:
        family: "Z", "D4" or "E8", as libhlqcomm calls it.
        d: dimension.

    Raises:
        ValueError: there is no such lattice in d dimensions.
    """

    family: str
    d: int

    def __post_init__(self) -> None:
        _ = self._info

    @property
    def name(self) -> str:
        """Such as "Z2", "D4", "E8"."""
        return f"Z{self.d}" if self.family == "Z" else self.family

    @cached_property
    def _info(self) -> "_C.LatticeInfo":
        return _C.lattice_describe(self.family, self.d)

    @cached_property
    def G(self) -> Tensor:
        """Generator, float32 [d, d]: its columns are a basis, G @ z is a point for integer z."""
        return torch.tensor(self._info["generator"]).reshape(self.d, self.d)

    @cached_property
    def G_inv(self) -> Tensor:
        """Inverse of the generator, float32 [d, d]."""
        return torch.tensor(self._info["inverse"]).reshape(self.d, self.d)

    @property
    def volume(self) -> float:
        """Volume of the Voronoi cell, |det G|."""
        return self._info["volume"]

    @property
    def second_moment(self) -> float:
        """Mean of ‖u‖² / d over the Voronoi cell: the mean squared error of rounding to it."""
        return self._info["second_moment"]

    @property
    def covering_radius(self) -> float:
        """No point of space is farther from the lattice."""
        return self._info["covering_radius"]

    @property
    def packing_radius(self) -> float:
        """Half the distance of neighbours."""
        return self._info["packing_radius"]

    def Q(self, x: Tensor) -> Tensor:
        """Nearest lattice points.

        Args:
            x: [..., k d] of a floating type, on the host or a CUDA device; worked on in float32.

        Returns:
            Of x's shape and type. Its derivative is that of the identity (straight-through).

        Raises:
            ValueError: the last dimension is not a multiple of d; NaN, or numbers beyond ±2^20
                (whose vectors become NaN on a CUDA device).
        """
        ops.check_vectors("x", x, self.d)
        blocks = x.unflatten(-1, (-1, self.d))
        return torch.ops.hlq.nearest(blocks, self.family, self.d).flatten(-2)

    def __repr__(self) -> str:
        return f"Zd({self.d})" if self.family == "Z" else f"{self.family}()"


# Made once: torch.compile can use what is there, but not make it.
_Z = {d: Lattice("Z", d) for d in (1, 2, 4, 8)}
_D4 = Lattice("D4", 4)
_E8 = Lattice("E8", 8)


def Zd(d: int) -> Lattice:
    """The integers in d = 1, 2, 4 or 8 dimensions: plain rounding.

    Raises:
        ValueError: d is another number.
    """
    return _Z[d] if d in _Z else Lattice("Z", d)


def D4() -> Lattice:
    """Integers of even sum in 4 dimensions."""
    return _D4


def E8() -> Lattice:
    """The Gosset lattice in 8 dimensions: integers, or integers + 1/2, of even sum."""
    return _E8


def lattice_of(d: int) -> Lattice:
    """The best lattice that there is in d dimensions: Z for 1 and 2, D4, E8.

    Raises:
        ValueError: there is none.
    """
    return {4: _D4, 8: _E8}.get(d) or Zd(d)
