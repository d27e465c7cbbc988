"""Parameters of a quantizer, checked and with what follows from them."""

import math
from dataclasses import dataclass, field

import torch

from .. import _C
from ..lattices import D4, Lattice
from ..ops import Spec, digit_dtype

_RETRIES_MAX = 255  # T is a uint8
_SCALE_LOG2_MAX = 100  # libhlqcomm's limit on β 2^(αT)


def retries_limit(beta: float, alpha: float) -> int:
    """The largest max_retries that β and α allow: for decoding whatever T there is."""
    if not (beta > 0 and alpha > 0):
        return 0  # libhlqcomm refuses these in words of its own
    return max(0, min(_RETRIES_MAX, math.floor((_SCALE_LOG2_MAX - math.log2(beta)) / alpha)))


def natural_beta(lattice: Lattice, q: int, M: int) -> float:
    """A good β for numbers of variance 1 where overloaded vectors are not tried again.

    The code is given the volume of the ball that a Gaussian vector leaves with a probability of at
    most e^-t: of radius r with r² = d + 2 √(d t) + 2 t (Laurent and Massart, 2000, lemma 1). What
    is lost by overload should be about what is lost by rounding, so t grows with the rate; its two
    constants are fitted to the least squared error of Gaussian numbers for Z, D4, E8 at 2 to 6
    bits, of which β stays within 20 %. D4, q = 4, M = 2: 0.31.
    """
    d = lattice.d
    t = max(0.0, 1.67 * M * math.log(q) - 2)
    radius = math.sqrt(d + 2 * math.sqrt(d * t) + 2 * t)
    unit_ball = math.pi ** (d / 2) / math.gamma(d / 2 + 1)
    return radius / (q**M * (lattice.volume / unit_ball) ** (1 / d))


@dataclass(frozen=True)
class LatticeParams:
    """A quantizer: lattice, base, depth, scale.

    Attributes:
        lattice: where points are.
        q: base of the digits; odd, or a power of two.
        M: depth, layers of digits; q^M at most 65536.
        beta: x / beta is rounded to the lattice.
        alpha: retry T of a vector that overloads is at beta 2^(alpha T).
        max_retries: how often; 0 to 255.
        centred: the code is shifted so that its mean is 0, which makes q = 2 usable and lowers the
            error elsewhere. Zero is then no codeword.

    Raises:
        ValueError: parameters that no quantizer has.
    """

    lattice: Lattice = field(default_factory=D4)
    q: int = 4
    M: int = 2
    beta: float = 1.0
    alpha: float = 1 / 3
    max_retries: int = 0
    centred: bool = False

    def __post_init__(self) -> None:
        _C.quantizer_describe(*self.spec)

    @property
    def d(self) -> int:
        """Dimension of the lattice."""
        return self.lattice.d

    @property
    def spec(self) -> Spec:
        """As operators want it."""
        return (
            self.lattice.family,
            self.lattice.d,
            self.q,
            self.M,
            self.beta,
            self.alpha,
            self.max_retries,
            self.centred,
        )

    @property
    def bits_per_number(self) -> float:
        """M log2 q: the rate, without T."""
        return self.M * math.log2(self.q)

    @property
    def digit_dtype(self) -> torch.dtype:
        """uint8 for q up to 256, else int16."""
        return digit_dtype(self.q)

    @property
    def layer_points(self) -> int:
        """q^d: representatives of one layer, rows of its look-up tables."""
        return self.q**self.lattice.d
