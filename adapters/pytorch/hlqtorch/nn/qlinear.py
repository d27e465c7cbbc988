"""QLinear: a linear layer that trains with quantized weights, activations, or both.

Full-precision weights stay underneath and are what the optimizer sees. Each forward rounds them;
the backward takes the rounding for the identity (straight-through estimator).
"""

from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..quant.tiling import pad_last_dim
from .config import QuantConfig
from .inputs import autocast, check_input
from .packed_linear import PackedLinear


class QLinear(nn.Linear):
    """nn.Linear whose forward sees quantized numbers. Same state-dict keys, same parameters.

    y = x̂ Ŵᵀ + b, where x̂ and Ŵ are x and W quantized row by row, as QuantConfig says, or
    themselves. in_features need not be a multiple of d: rows are filled up with zeros.

    Args:
        in_features, out_features, bias, device, dtype: as for nn.Linear.
        config: how to quantize; the rest of the arguments then stays away.
        **options: fields of QuantConfig: d=4, q=4, M=2, beta=1.0, quantize_every=1,
            quantize_weights=True, quantize_activations=False, use_lut_mac=False, …

    Attributes:
        config: a QuantConfig.
        shrunk_weights: blocks of the weights that did not fit the code in the last forward and
            were shrunk until they did, an int64 scalar; None before.
        shrunk_activations: the same of the activations.

    On CUDA devices nobody waits to raise ValueError for NaN or Inf: rows that hold them become NaN.
    There quantize_every > 1 waits once a forward, for a counter, and use_lut_mac packs the weights
    on the host each time; neither can be captured.

    Raises:
        ValueError: parameters that no quantizer has; in forward: NaN or Inf on the host, tensors of
            several devices, shapes that do not fit.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        config: QuantConfig | None = None,
        **options: object,
    ) -> None:
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        self._configure(config, options)

    def _configure(self, config: QuantConfig | None, options: dict[str, object]) -> None:
        if config is not None and options:
            raise ValueError(f"config is given, and {', '.join(options)} besides")
        unknown = options.keys() - {field.name for field in fields(QuantConfig)}
        if unknown:
            raise TypeError(f"QLinear has no option {', '.join(sorted(unknown))}")
        self.config = config or QuantConfig(**options)
        self.shrunk_weights: Tensor | None = None
        self.shrunk_activations: Tensor | None = None
        self._restart()

    # From and to other layers

    @classmethod
    def from_linear(
        cls, linear: nn.Linear, config: QuantConfig | None = None, **options: object
    ) -> "QLinear":
        """A QLinear over the very parameters of a linear layer, which are shared, not copied."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer.in_features, layer.out_features = linear.in_features, linear.out_features
        layer.weight, layer.bias = linear.weight, linear.bias
        layer.training = linear.training
        layer._configure(config, options)
        return layer

    from_float = from_linear  # the name that torch.ao uses

    def to_linear(self) -> nn.Linear:
        """A plain linear layer over the same, full-precision, parameters."""
        linear = nn.Linear.__new__(nn.Linear)
        nn.Module.__init__(linear)
        linear.in_features, linear.out_features = self.in_features, self.out_features
        linear.weight, linear.bias = self.weight, self.bias
        linear.training = self.training
        return linear

    def convert(self) -> PackedLinear:
        """The layer with codes in place of weights, which it equals in evaluation.

        Raises:
            ValueError: q^d is above 256, or weights are not quantized.
        """
        return PackedLinear.from_linear(self, self.config)

    # Weights kept for a while

    def _restart(self) -> None:
        """Forgets the weights that are kept between quantizations."""
        if self.config.quantize_every > 1:
            kept = torch.zeros_like(self.weight, requires_grad=False)
            calls = torch.zeros((), dtype=torch.int64, device=self.weight.device)
            self.register_buffer("_kept", kept, persistent=False)
            self.register_buffer("_calls", calls, persistent=False)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if hasattr(self, "config"):
            self._restart()

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._restart()

    # Forward

    def quantized_weight(self) -> Tensor:
        """Ŵ, of the shape and type of the weights; gradients go to the weights unchanged."""
        if not self.config.quantize_weights:
            return self.weight
        spec = self.config.weight.spec
        padded = pad_last_dim(self.weight, self.config.d)
        if self.training and self.config.quantize_every > 1:
            every = self.config.quantize_every
            kept = pad_last_dim(self._kept, self.config.d)
            rounded, self.shrunk_weights = torch.ops.hlq.rows_quantize_every(
                padded, kept, self._calls, every, True, *spec
            )
            rounded = rounded[:, : self.in_features]
            with torch.no_grad():
                self._kept.copy_(rounded)
                self._calls.add_(1)
            return rounded
        rounded, self.shrunk_weights = torch.ops.hlq.rows_quantize(padded, True, *spec)
        return rounded[:, : self.in_features]

    def quantized_activations(self, x: Tensor) -> Tensor:
        """x̂ [..., in_features]; gradients go to x unchanged."""
        if not self.config.quantize_activations:
            return x
        padded = pad_last_dim(x, self.config.d)
        rounded, self.shrunk_activations = torch.ops.hlq.rows_quantize(
            padded, False, *self.config.activation.spec
        )
        return rounded[..., : self.in_features]

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_features)
        if self.config.use_lut_mac:
            return self._look_up(x)
        return F.linear(self.quantized_activations(x), self.quantized_weight(), self.bias)

    def _look_up(self, x: Tensor) -> Tensor:
        """The same by look-ups; what F.linear would give, rounded in other places."""
        config = self.config
        activation = config.activation if config.quantize_activations else None
        y, shrunk = torch.ops.hlq.linear_lut(
            pad_last_dim(autocast(x), config.d),
            pad_last_dim(self.weight, config.d),
            activation.M if activation else None,
            activation.beta if activation else 1.0,
            *config.weight.spec,
        )
        if activation:
            self.shrunk_activations = shrunk
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.config.describe()}"
