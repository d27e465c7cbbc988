"""How a linear layer is quantized: what QLinear, PackedLinear and quantize_model share."""

from dataclasses import dataclass, field
from typing import Literal

from ..lattices import Lattice, lattice_of
from ..quant.params import LatticeParams, natural_beta

#: Look-ups serve one code byte per layer of a block.
LOOK_UP_POINTS_MAX = 256


@dataclass(frozen=True)
class QuantConfig:
    """How weights, activations or both of a linear layer are quantized.

    Rows are quantized relative to their own size. A row of weights is divided by its root mean
    square times a factor found by search (least squared error); a row of activations, the numbers
    that enter one inner product, by its root mean square. ``beta`` is relative as well: 1 stands
    for a scale at which the code fits numbers of variance 1 (hlqtorch.quant.params.natural_beta),
    so that the default serves any layer.

    Attributes:
        d: dimension of the lattice: 1, 2 (integers), 4 (D4) or 8 (E8); must be that of lattice if
            one is given.
        q: base of the digits; odd, or a power of two.
        M: depth: layers of digits; a weight takes M log2 q bits.
        beta: scale, relative to the natural one.
        quantize_every: quantize the weights at every n-th forward of training only, and use what
            came of it in between. Evaluation always quantizes.
        quantize_weights, quantize_activations: what is quantized.
        use_lut_mac: multiply by look-ups in tables instead of multiplications; needs quantized
            weights, q^d up to 256, and quantize_every=1.
        lattice: another lattice than that of d, e.g. Zd(4).
        activation_M, activation_beta: of activations. More than 1 suits what comes out of a ReLU,
            whose largest numbers are farther from their root mean square than Gaussian ones.
        centred: code with mean 0; makes q = 2 usable.
        lut_rows: up to so many rows of input a packed layer works by look-ups; with more it
            decodes the weights and uses a matrix product of float32. Up to 32, look-ups are faster
            on any x86 with AVX2, on more with AVX-512 (bench/bench_qlinear_throughput.py).
        step: of quantize_model: "prepare" makes layers that train quantized, "convert" packs
            them, or float layers (post-training quantization).

    Raises:
        ValueError: parameters that no quantizer has, or that exclude each other.
    """

    d: int = 4
    q: int = 4
    M: int = 2
    beta: float = 1.0
    quantize_every: int = 1
    quantize_weights: bool = True
    quantize_activations: bool = False
    use_lut_mac: bool = False
    lattice: Lattice | None = None
    activation_M: int | None = None
    activation_beta: float = 1.25
    centred: bool = False
    lut_rows: int = 32
    step: Literal["prepare", "convert"] = "prepare"
    #: The quantizers of rows of weights and of activations divided by their scale.
    weight: LatticeParams = field(init=False, repr=False, compare=False)
    activation: LatticeParams = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lattice = self.lattice or lattice_of(self.d)
        if lattice.d != self.d:
            raise ValueError(f"lattice {lattice.name} does not have d = {self.d} dimensions")
        object.__setattr__(self, "lattice", lattice)
        object.__setattr__(self, "weight", self._params(self.M, self.beta))
        activation = self._params(self.activation_M or self.M, self.activation_beta)
        object.__setattr__(self, "activation", activation)
        if self.quantize_every < 1:
            raise ValueError(f"quantize_every is {self.quantize_every}; it must be at least 1")
        if self.step not in ("prepare", "convert"):
            raise ValueError(f'step is "{self.step}"; there is "prepare", "convert"')
        if self.use_lut_mac:
            self.check_look_up("use_lut_mac")
        if self.use_lut_mac and self.quantize_every > 1:
            raise ValueError(
                f"use_lut_mac packs weights at each forward; quantize_every is "
                f"{self.quantize_every} and must be 1"
            )

    def check_look_up(self, what: str) -> None:
        """Raises ValueError if weights cannot be packed for look-ups."""
        if not self.quantize_weights:
            raise ValueError(f"{what} needs quantize_weights=True")
        if self.weight.layer_points > LOOK_UP_POINTS_MAX:
            raise ValueError(
                f"{what} needs q^d of at most {LOOK_UP_POINTS_MAX}; {self.lattice.name} with "
                f"q = {self.q} has {self.q}^{self.d} = {self.weight.layer_points}; D4 with q = 4 "
                "and E8 with q = 2 fit"
            )

    def _params(self, M: int, beta: float) -> LatticeParams:
        scale = beta * natural_beta(self.lattice, self.q, M)
        return LatticeParams(self.lattice, self.q, M, beta=scale, centred=self.centred)

    def describe(self) -> str:
        """For repr: "D4, q=4, M=2", and what is not the default."""
        parts = [self.lattice.name, f"q={self.q}", f"M={self.M}"]
        default = QuantConfig()
        for name in (
            "beta",
            "quantize_every",
            "quantize_weights",
            "quantize_activations",
            "use_lut_mac",
            "activation_M",
            "activation_beta",
            "centred",
        ):
            value = getattr(self, name)
            if value != getattr(default, name):
                parts.append(f"{name}={value}")
        return ", ".join(parts)

    def quantizer_state(self) -> dict[str, str | int | float | bool]:
        """What decides how codes of weights are read."""
        return {
            "lattice": self.lattice.name,
            "q": self.q,
            "M": self.M,
            "beta": self.weight.beta,
            "centred": self.centred,
        }
