"""PackedLinear: a linear layer that holds codes in place of weights, for inference."""

from typing import Any

import torch
from torch import Tensor, nn

from ..ops import digits_per_word
from ..quant.tiling import pad_last_dim
from .config import QuantConfig
from .inputs import autocast, check_input


class PackedLinear(nn.Module):
    """y = x Ŵᵀ + b with Ŵ as codes of M log2 q bits a weight and one scale per row.

    Up to config.lut_rows rows of x are multiplied by table look-ups; more by decoding the weights
    first. Gradients flow to x and bias, not to the codes. The look-ups work on another order of
    the codes, made at the first forward and kept beside them: by the host, also for a CUDA device,
    where a forward can be captured once another was done. There rows of x with NaN or Inf give NaN.

    Args:
        in_features, out_features, bias: as for nn.Linear.
        config: how weights were, and activations are to be, quantized.
        device: of the buffers.

    Attributes:
        codes: uint8, packed indices of layers [out, ceil(in / d), M] in base q^d.
        scales: [out]: scale of each row.
        bias: parameter [out], or None.
        shrunk_weights: blocks of weights that did not fit the code and were shrunk, int64 scalar.
        shrunk_activations: the same of activations in the last forward; None before.

    State-dict keys: codes, scales, bias, and the quantizer as extra state: codes of one quantizer
    do not load into a layer with another.

    Raises:
        ValueError: q^d is above 256, or weights are not quantized.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        config: QuantConfig | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.config = config or QuantConfig()
        self.config.check_look_up("packing")
        layers = out_features * -(-in_features // self.config.d) * self.config.M
        words = -(-layers // digits_per_word(self.config.weight.layer_points))
        self.register_buffer("codes", torch.zeros(8 * words, dtype=torch.uint8, device=device))
        self.register_buffer("scales", torch.zeros(out_features, device=device))
        self.bias = nn.Parameter(torch.zeros(out_features, device=device)) if bias else None
        self.shrunk_weights: Tensor | None = None
        self.shrunk_activations: Tensor | None = None

    @classmethod
    def from_linear(cls, linear: nn.Linear, config: QuantConfig | None = None) -> "PackedLinear":
        """Packs the weights of a linear layer; the bias is shared, not copied."""
        config = config or QuantConfig()
        packed = cls(
            linear.in_features,
            linear.out_features,
            linear.bias is not None,
            config=config,
            device="meta",
        )
        # Made outside of inference mode even there: only then are writes to them noticed.
        with torch.inference_mode(False), torch.no_grad():
            weight = pad_last_dim(linear.weight.detach().clone(), config.d)
            packed.codes, packed.scales, packed.shrunk_weights = torch.ops.hlq.linear_pack(
                weight, *config.weight.spec
            )
        packed.bias = linear.bias
        packed.training = linear.training
        return packed

    def dequantize(self) -> Tensor:
        """Ŵ, float32 [out, in]."""
        padded = self.in_features + -self.in_features % self.config.d
        weight = torch.ops.hlq.linear_unpack(
            self.codes, self.scales, padded, *self.config.weight.spec
        )
        return weight[:, : self.in_features]

    def to_linear(self) -> nn.Linear:
        """A plain linear layer with the decoded weights; the bias is shared."""
        linear = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        linear.weight, linear.bias = nn.Parameter(self.dequantize()), self.bias
        linear.training = self.training
        return linear

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_features)
        config = self.config
        activation = config.activation if config.quantize_activations else None
        y, shrunk = torch.ops.hlq.linear_forward(
            pad_last_dim(autocast(x), config.d),
            self.codes,
            self.scales,
            activation.M if activation else None,
            activation.beta if activation else 1.0,
            config.lut_rows,
            *config.weight.spec,
        )
        if activation:
            self.shrunk_activations = shrunk
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def get_extra_state(self) -> dict[str, Any]:
        return self.config.quantizer_state()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        own = self.config.quantizer_state()
        if state != own:
            raise ValueError(f"codes were made by the quantizer {state}; this layer has {own}")

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, {self.config.describe()}"
        )
