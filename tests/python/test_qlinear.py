"""QLinear: linear layers that train with quantized numbers, and what torch does to them."""

import copy
import itertools
import pickle

import pytest
import torch
import torch.nn.functional as F
from hlqtorch.lattices import E8, Zd
from hlqtorch.nn import QLinear, QuantConfig
from qlinear_cases import (
    compile_to_one_graph,
    each_option,
    each_packable,
    float_layer,
    relative_error,
)
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def fresh() -> None:
    torch.manual_seed(0)
    torch.compiler.reset()


# QLinear ------------------------------------------------------------------------------------------


@each_option
@pytest.mark.parametrize("shape", [(50,), (3, 50), (2, 3, 50), (0, 50)])
def test_shapes_are_those_of_linear(options: dict, shape: tuple[int, ...]) -> None:
    layer = QLinear(50, 24, **options)
    x = torch.randn(shape)
    assert layer(x).shape == F.linear(x, layer.weight).shape


@each_option
def test_state_dicts_are_those_of_linear(options: dict) -> None:
    layer, linear = QLinear(50, 24, **options), float_layer()
    layer.train()(torch.randn(3, 50))
    assert layer.state_dict().keys() == linear.state_dict().keys()
    layer.load_state_dict(linear.state_dict())
    linear.load_state_dict(layer.state_dict())
    assert torch.equal(layer.weight, linear.weight)


def test_the_defaults_are_those_of_the_plan_and_work_as_given() -> None:
    layer = QLinear(50, 24, bias=False)
    config = layer.config
    assert (config.d, config.q, config.M, config.beta) == (4, 4, 2, 1.0)
    assert repr(layer) == "QLinear(in_features=50, out_features=24, bias=False, D4, q=4, M=2)"
    x = torch.randn(200, 50)
    for scale in (1e-20, 0.02, 1.0, 1e20):  # beta is relative: no size of weights is special
        with torch.no_grad():
            layer.weight.normal_(std=scale)
        exact = F.linear(x.double(), layer.weight.double())
        # 4 bits on Gaussian weights: the golden table has 0.0054 with T, and a row without T pays
        # for its largest vectors; twice that is allowed.
        assert relative_error(layer(x).double(), exact) < 0.015


def test_errors_fall_with_depth_as_theory_says() -> None:
    linear, x = nn.Linear(256, 64, bias=False), torch.randn(300, 256)
    for lattice, q in ((None, 4), (E8(), 3), (Zd(4), 3)):
        d = lattice.d if lattice else 4
        errors = [
            relative_error(
                QLinear.from_linear(linear, d=d, lattice=lattice, q=q, M=depth)(x), linear(x)
            )
            for depth in (1, 2, 3)
        ]
        for coarse, fine in itertools.pairwise(errors):
            # q² per layer, of which the growing range of what must fit takes its part: less than
            # half (a rounding step grows by less than √2 from one depth to the next).
            assert q**2 / 2 < coarse / fine < q**2 * 1.3


@pytest.mark.parametrize("options", [{}, {"use_lut_mac": True}], ids=["gemm", "lut"])
def test_gradients_are_straight_through(options: dict) -> None:
    layer = QLinear(50, 24, quantize_activations=True, **options)
    x = torch.randn(6, 50, requires_grad=True)
    weights = torch.randn(6, 24)
    (layer(x) * weights).sum().backward()
    with torch.no_grad():
        rounded, rounded_x = layer.quantized_weight(), layer.quantized_activations(x)
    # Sums of up to 50 products in another order.
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(x.grad, weights @ rounded, **close)
    torch.testing.assert_close(layer.weight.grad, weights.T @ rounded_x, **close)
    torch.testing.assert_close(layer.bias.grad, weights.sum(0), **close)


def test_gradcheck_where_the_forward_is_smooth() -> None:
    """Quantized weights are constants to x and bias, in which the layer is linear."""
    layer = QLinear(10, 6, dtype=torch.float64)
    x = torch.randn(3, 10, dtype=torch.float64, requires_grad=True)

    def forward(x: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"bias": bias}, (x,))

    assert torch.autograd.gradcheck(forward, (x, layer.bias))
    packed = layer.convert()
    packed.config = QuantConfig(lut_rows=0)
    assert torch.autograd.gradcheck(
        lambda x: packed(x.float()).double().sum(), x, eps=0.1, atol=1e-4
    )


def test_a_step_of_training_changes_what_is_rounded() -> None:
    layer, x = QLinear(48, 24), torch.randn(500, 48)
    target = nn.Linear(48, 24)(x).detach()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = F.mse_loss(layer(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


def test_weights_are_kept_between_quantizations() -> None:
    layer, x = QLinear(50, 24, quantize_every=3), torch.randn(2, 50)
    seen = []
    for _ in range(7):
        seen.append(layer.train()(x).detach())
        with torch.no_grad():
            layer.weight += 0.1 * torch.randn_like(layer.weight)
    same = [torch.equal(a, b) for a, b in itertools.pairwise(seen)]
    assert same == [True, True, False, True, True, False]
    fresh = QLinear.from_linear(layer).eval()
    assert torch.equal(layer.eval()(x), fresh(x))  # evaluation always quantizes
    layer.train().load_state_dict(float_layer().state_dict())
    assert torch.equal(layer(x), QLinear.from_linear(layer)(x))  # and so does what was loaded
    layer(x).sum().backward()
    assert layer.weight.grad is not None


def test_blocks_that_do_not_fit_are_counted() -> None:
    layer = QLinear(48, 24, quantize_activations=True)
    assert layer.shrunk_weights is None
    with torch.no_grad():
        layer.weight[:, 0] = 10
    x = torch.randn(5, 48)
    x[:, 7] = 100
    layer(x)
    assert 24 <= layer.shrunk_weights <= 24 * 12
    assert 5 <= layer.shrunk_activations <= 5 * 12


def test_from_and_to_linear_share_parameters() -> None:
    linear = float_layer().eval()
    layer = QLinear.from_linear(linear, q=3)
    assert layer.weight is linear.weight and layer.bias is linear.bias and not layer.training
    back = layer.to_linear()
    assert type(back) is nn.Linear and back.weight is linear.weight
    assert torch.equal(back(torch.ones(50)), linear(torch.ones(50)))
    assert QLinear.from_float(float_layer(bias=False)).bias is None


# Both, where torch takes them ---------------------------------------------------------------------


@each_option
def test_layers_compile_into_one_graph(options: dict) -> None:
    layer = QLinear(50, 24, **options)
    twin = copy.deepcopy(layer)
    compiled = compile_to_one_graph(twin)
    for rows in (3, 5):
        x = torch.randn(rows, 50)
        y, expected = compiled(x), layer(x)
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
        y.sum().backward()
        expected.sum().backward()
    torch.testing.assert_close(twin.weight.grad, layer.weight.grad, rtol=1e-5, atol=1e-5)


@each_packable
def test_packed_layers_compile_into_one_graph(options: dict) -> None:
    packed = QLinear(50, 24, **options).convert()
    compiled = compile_to_one_graph(packed)
    for rows in (1, 5):
        x = torch.randn(rows, 50)
        torch.testing.assert_close(compiled(x), packed(x), rtol=1e-5, atol=1e-5)


@each_option
def test_layers_copy_and_pickle(options: dict) -> None:
    layer, x = QLinear(50, 24, **options), torch.randn(3, 50)
    layer(x).sum().backward()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin.eval()(x), layer.eval()(x)) and twin.config == layer.config


@each_option
def test_layers_on_the_meta_device_come_to_life(options: dict) -> None:
    layer = QLinear(50, 24, device="meta", **options)
    assert layer(torch.empty(3, 50, device="meta")).shape == (3, 24)
    x, linear = torch.randn(3, 50), float_layer()
    expected = QLinear.from_linear(linear, **options)(x)
    assigned = copy.deepcopy(layer)
    assigned.load_state_dict(linear.state_dict(), assign=True)
    assert torch.equal(assigned(x), expected)
    emptied = layer.to_empty(device="cpu")
    emptied.reset_parameters()
    emptied(x)
    emptied.load_state_dict(linear.state_dict())
    assert torch.equal(emptied(x), expected)


@each_option
def test_bfloat16_and_autocast_give_bfloat16(options: dict) -> None:
    layer, x = QLinear(50, 24, **options), torch.randn(3, 50)
    exact = layer(x)
    half = copy.deepcopy(layer).to(torch.bfloat16)
    y = half(x.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = layer(x)
    z.float().sum().backward()
    assert y.dtype == z.dtype == torch.bfloat16 and layer.weight.grad.dtype == torch.float32
    # bfloat16 has 8 bits; and numbers rounded to it before may go to other points of a code of 2
    # to 4 bits, which costs up to what the code itself costs.
    assert relative_error(y.float(), exact) < 0.05 and relative_error(z.float(), exact) < 0.05


@each_packable
def test_packed_layers_take_bfloat16_and_autocast(options: dict) -> None:
    packed, x = QLinear(50, 24, **options).convert(), torch.randn(3, 50)
    exact = packed(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = packed(x)
    y = packed(x.bfloat16())
    assert y.dtype == z.dtype == torch.bfloat16
    assert relative_error(y.float(), exact) < 0.05 and relative_error(z.float(), exact) < 0.05


# Errors -------------------------------------------------------------------------------------------

BAD_OPTIONS = {
    "q": ({"q": 6}, "q is 6"),
    "M": ({"M": 0}, "depth is 0"),
    "d": ({"d": 3}, "in 3 dimensions"),
    "beta": ({"beta": -1.0}, "beta"),
    "lattice": ({"d": 4, "lattice": E8()}, "E8 does not have d = 4"),
    "every": ({"quantize_every": 0}, "quantize_every is 0"),
    "lut_every": ({"use_lut_mac": True, "quantize_every": 2}, "must be 1"),
    "lut_size": ({"use_lut_mac": True, "q": 5}, r"5\^4 = 625"),
    "lut_float": ({"use_lut_mac": True, "quantize_weights": False}, "quantize_weights=True"),
    "step": ({"step": "train"}, '"prepare", "convert"'),
}


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_options_that_cannot_be_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        QLinear(16, 8, **options)


def test_misspelt_options_are_refused() -> None:
    with pytest.raises(TypeError, match="no option quantise_weights"):
        QLinear(16, 8, quantise_weights=True)


@pytest.mark.parametrize("options", [{}, {"use_lut_mac": True}], ids=["gemm", "lut"])
def test_bad_input_is_refused(options: dict) -> None:
    layer = QLinear(50, 24, quantize_activations=True, **options)
    for module in (layer, layer.convert()):
        with pytest.raises(ValueError, match=r"\[3, 48\] must have a last dimension of 50"):
            module(torch.zeros(3, 48))
        with pytest.raises(ValueError, match=r"\[3, 50\] is torch.int64"):
            module(torch.zeros(3, 50, dtype=torch.int64))
        with pytest.raises(ValueError, match="NaN"):
            module(torch.full((3, 50), torch.nan))
    with torch.no_grad():
        layer.weight[2, 3] = torch.inf
    with pytest.raises(ValueError, match="infinite"):
        layer(torch.zeros(3, 50))
    with pytest.raises(ValueError, match="infinite"):
        layer.convert()
