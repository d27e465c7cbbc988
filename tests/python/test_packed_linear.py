"""PackedLinear and quantize_model: layers that hold codes, and whole models."""

import copy
import io
import pickle

import pytest
import torch
from hlqtorch.nn import PackedLinear, QLinear, QuantConfig
from hlqtorch.quantize import quantize_model
from qlinear_cases import each_packable, relative_error
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def fresh() -> None:
    torch.manual_seed(0)
    torch.compiler.reset()


# Packed layers ------------------------------------------------------------------------------------


@each_packable
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_converted_layers_compute_what_was_trained(options: dict, rows: int) -> None:
    layer = QLinear(50, 24, **options).eval()
    packed = layer.convert()
    assert torch.equal(packed.dequantize(), layer.quantized_weight())
    x = torch.randn(rows, 50)
    # One-sided look-ups are in 16-bit fixed point: 2^-16 of the largest entry for each of 50
    # products.
    torch.testing.assert_close(packed(x), layer(x), rtol=1e-3, atol=2e-3)


def test_codes_take_their_true_rate() -> None:
    def bits(**options: object) -> float:
        packed = QLinear(1024, 64, bias=False, **options).convert()
        assert packed.state_dict().keys() == {"codes", "scales", "_extra_state"}
        return 8 * (packed.codes.numel() + 4 * packed.scales.numel()) / (1024 * 64)

    scales = 32 / 1024
    assert bits() == 4 + scales
    assert bits(q=3) == pytest.approx(2 * 64 / 40 + scales, rel=1e-3)  # 40 digits in a word
    assert bits(d=8, q=2, M=1, centred=True) == 1 + scales


@each_packable
def test_packed_layers_save_load_copy_and_pickle(options: dict) -> None:
    packed = QLinear(50, 24, **options).convert()
    x = torch.randn(3, 50)
    expected = packed(x)
    file = io.BytesIO()
    torch.save(packed.state_dict(), file)
    file.seek(0)
    loaded = PackedLinear(50, 24, config=packed.config)
    before = loaded(x)
    loaded.load_state_dict(torch.load(file))
    assert torch.equal(loaded(x), expected) and not torch.equal(before, expected)
    for twin in (copy.deepcopy(packed), pickle.loads(pickle.dumps(packed))):
        assert torch.equal(twin(x), expected)
        twin.codes.zero_()  # the twin's codes are its own, and what is remembered of them follows
        assert not torch.equal(twin(x), expected) and torch.equal(packed(x), expected)


def test_codes_of_another_quantizer_do_not_load() -> None:
    state = QLinear(64, 24).convert().state_dict()
    other = PackedLinear(64, 24, config=QuantConfig(beta=0.5))
    with pytest.raises(ValueError, match="codes were made by the quantizer"):
        other.load_state_dict(state)


def test_writing_to_codes_is_noticed() -> None:
    packed, x = QLinear(64, 24).convert(), torch.randn(2, 64)
    first = packed(x)
    packed.scales *= 2
    torch.testing.assert_close(packed(x) - packed.bias, 2 * (first - packed.bias))
    with torch.inference_mode():
        copied = copy.deepcopy(packed)
        assert torch.equal(copied(x), packed(x))
        copied.codes.zero_()
        assert not torch.equal(copied(x), packed(x))


def test_codes_of_layers_that_are_gone_are_forgotten() -> None:
    x, errors = torch.randn(1, 64), []
    for seed in range(50):
        torch.manual_seed(seed)
        layer = QLinear(64, 24, bias=False)
        errors.append(relative_error(layer.convert()(x), layer(x)))
    assert max(errors) < 1e-4  # each was computed from its own codes, wherever they lay


def test_packed_layers_pass_gradients_to_their_input() -> None:
    packed = QLinear(50, 24).convert()
    for rows in (1, 30):  # by look-ups, by a matrix product
        x = torch.randn(rows, 50, requires_grad=True)
        packed(x).sum().backward()
        expected = packed.dequantize().sum(0).expand(rows, 50)
        torch.testing.assert_close(x.grad, expected, rtol=1e-5, atol=1e-5)
    assert packed.bias.grad is not None


# quantize_model -----------------------------------------------------------------------------------


class Model(nn.Module):
    """Linear layers in every place a model can have them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))
        self.attention = nn.MultiheadAttention(16, 2)
        self.head = nn.Linear(16, 6)
        self.tied = self.head

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return self.head(self.attention(x, x, x)[0])


def test_models_are_prepared_and_converted_in_place() -> None:
    model, x = Model(), torch.randn(5, 16)
    parameters = dict(model.named_parameters())
    keys = model.state_dict().keys()
    exact = model(x)
    assert quantize_model(model, QuantConfig(M=3)) is model
    kinds = [type(m) for m in (model.body[0], model.body[2], model.head, model.attention.out_proj)]
    assert kinds[:3] == [QLinear] * 3 and kinds[3] is not QLinear
    assert model.tied is model.head
    assert dict(model.named_parameters()).keys() == parameters.keys()
    assert all(p is parameters[name] for name, p in model.named_parameters())
    assert model.state_dict().keys() == keys
    assert 0 < relative_error(model(x), exact) < 0.02  # 6 bits, three layers
    trained = model.eval()(x)
    quantize_model(model, QuantConfig(step="convert"))
    assert isinstance(model.body[0], PackedLinear) and model.tied is model.head
    assert model.head.config.M == 3  # each layer keeps what it was trained with
    torch.testing.assert_close(model(x), trained, rtol=1e-3, atol=1e-3)


def test_filters_choose_by_module_and_name() -> None:
    model = quantize_model(Model(), filter=lambda module, name: name == "body.2")
    assert [type(m) for m in model.modules()].count(QLinear) == 1
    assert isinstance(model.body[2], QLinear)
    with pytest.raises(TypeError, match="chose a ReLU"):
        quantize_model(Model(), filter=lambda module, name: name == "body.1")


def test_float_models_are_packed_at_once() -> None:
    model, x = Model(), torch.randn(5, 16)
    exact = model(x)
    quantize_model(model, QuantConfig(M=3, step="convert"))
    assert isinstance(model.head, PackedLinear)
    assert relative_error(model(x), exact) < 0.02
    assert isinstance(quantize_model(nn.Linear(8, 8), QuantConfig()), QLinear)


def test_models_that_cannot_be_packed_stay_as_they_are() -> None:
    model = quantize_model(Model(), QuantConfig(d=8, q=4))
    with pytest.raises(ValueError, match=r"q\^d of at most 256; E8 with q = 4"):
        quantize_model(model, QuantConfig(step="convert"))
    assert isinstance(model.body[0], QLinear)
