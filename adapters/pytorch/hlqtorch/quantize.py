"""quantize_model: replaces the linear layers of a model, in the manner of torchao's quantize_."""

from collections.abc import Callable

from torch import nn

from .nn import PackedLinear, QLinear, QuantConfig

#: Whether to replace this module, of this name within the model.
Filter = Callable[[nn.Module, str], bool]


def is_linear(module: nn.Module, name: str) -> bool:
    """The default filter: nn.Linear itself, and QLinear; no other subclass.

    Others may be used by their weights alone, as nn.MultiheadAttention does, and would not be
    quantized by a forward that nobody calls.
    """
    return type(module) is nn.Linear or isinstance(module, QLinear)


def _replacement(module: nn.Module, config: QuantConfig) -> nn.Module:
    if not isinstance(module, nn.Linear):
        raise TypeError(f"the filter chose a {type(module).__name__}, which is no nn.Linear")
    if config.step == "convert":
        if isinstance(module, QLinear):
            return module.convert()
        return PackedLinear.from_linear(module, config)
    return QLinear.from_linear(module, config)


def quantize_model(
    model: nn.Module, config: QuantConfig | None = None, filter: Filter | None = None
) -> nn.Module:
    """Replaces linear layers of a model by quantized ones, in place.

        quantize_model(model, QuantConfig(q=4, M=2))      # then train
        quantize_model(model, QuantConfig(step="convert"))  # pack, each layer with its own config

    Args:
        model: changed in place; parameters are shared with the new layers, so an optimizer made
            before goes on working.
        config: with step="prepare", linear layers become QLinear; with step="convert", each
            QLinear is packed with the config it was made with, each other one with this config
            (post-training quantization).
        filter: which modules to replace, by module and qualified name; default: is_linear.

    Returns:
        The model; if it is itself a linear layer, what replaces it.

    Raises:
        ValueError: a layer cannot be packed. Nothing has been replaced then.
        TypeError: the filter chose what is no nn.Linear.
    """
    config = config or QuantConfig()
    chosen = filter or is_linear
    # A layer that a model holds in two places is replaced by one layer.
    replacements = {
        module: _replacement(module, config)
        for name, module in model.named_modules()
        if chosen(module, name)
    }
    for parent in list(model.modules()):
        for name, child in parent._modules.items():  # named_children() leaves out repetitions
            if child in replacements:
                parent._modules[name] = replacements[child]
    return replacements.get(model, model)
