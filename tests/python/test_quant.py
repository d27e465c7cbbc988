"""Lattices, encode, decode and digits of hlqtorch against a plain model of both algorithms."""

import copy
import math
import pickle

import gpu_quantizer
import pytest
import reference_hnlq as reference
import torch
from hlqtorch.lattices import D4, E8, Lattice, Zd, lattice_of
from hlqtorch.quant import functional
from hlqtorch.quant.lut import build_one_sided_LUT
from hlqtorch.quant.params import LatticeParams, natural_beta
from hlqtorch.quant.tiling import tile_last_dim, untile_last_dim
from quant_cases import each_code, each_lattice, gaussian, points
from torch._subclasses.fake_tensor import FakeTensorMode

# Lattices -----------------------------------------------------------------------------------------


@each_lattice
def test_generators_are_those_of_the_literature(lattice: Lattice) -> None:
    assert torch.equal(2 * lattice.G, reference.doubled_generator(lattice.family, lattice.d))
    assert torch.equal(lattice.G @ lattice.G_inv, torch.eye(lattice.d))
    assert lattice.volume == pytest.approx(abs(float(torch.linalg.det(lattice.G))))


@each_lattice
def test_nearest_points_are_those_of_the_model(lattice: Lattice) -> None:
    x = 5 * gaussian(5000, lattice.d)
    halves = torch.randint(-9, 10, (5000, lattice.d)) / 2  # ties
    for y in (x, halves, halves / 2):
        expected, _ = reference.first_point(lattice.family, y, 1.0)
        assert torch.equal(2 * lattice.Q(y), expected.float())


@each_lattice
def test_nearest_points_are_idempotent_and_translate(lattice: Lattice) -> None:
    x = torch.randint(-40, 41, (5000, lattice.d)) / 8  # many ties, all exact
    shift = points(lattice, 5000, 20)
    assert torch.equal(lattice.Q(lattice.Q(x)), lattice.Q(x))
    assert torch.equal(lattice.Q(x + shift), lattice.Q(x) + shift)


@each_lattice
def test_rounding_errors_have_the_second_moment(lattice: Lattice) -> None:
    x = 100 * torch.rand(200_000, lattice.d, generator=torch.Generator().manual_seed(3))
    error = lattice.Q(x) - x
    # Mean of 200,000 squares whose deviation is about their mean / √d: 1 % is more than four
    # standard deviations.
    assert error.square().mean().item() == pytest.approx(lattice.second_moment, rel=0.01)
    assert error.norm(dim=-1).max() <= lattice.covering_radius + 1e-5  # rounding of x itself


def test_worked_examples_of_conway_and_sloane() -> None:
    assert D4().Q(torch.tensor([0.6, -1.1, 1.7, 0.1])).tolist() == [1, -1, 2, 0]
    x = torch.tensor([0.1, 0.1, 0.8, 1.3, 2.2, -0.6, -0.7, 0.9])
    assert E8().Q(x).tolist() == [0, 0, 1, 1, 2, 0, -1, 1]
    x = torch.tensor([0.49, 1.01, 1.01, 0.49, 0, 0, 0, 0])
    assert E8().Q(x).tolist() == [0, 1, 1, 0, 0, 0, 0, 0]


def test_lattices_are_values() -> None:
    assert D4() == lattice_of(4) != Zd(4) and E8() == lattice_of(8) and Zd(2) == lattice_of(2)
    assert len({Zd(4), Zd(4), D4()}) == 2
    assert pickle.loads(pickle.dumps(E8())) == copy.deepcopy(E8()) == E8()
    assert (D4().name, Zd(2).name, repr(Zd(2)), repr(E8())) == ("D4", "Z2", "Zd(2)", "E8()")
    with pytest.raises(ValueError, match=r"no lattice Z .* in 3 dimensions"):
        Zd(3)


# Encode and decode --------------------------------------------------------------------------------


@each_lattice
@each_code
def test_digits_are_those_of_the_model(lattice: Lattice, q: int, M: int) -> None:
    x = gaussian(40, 37, 8).reshape(-1, lattice.d)
    beta = natural_beta(lattice, q, M) / 2  # so that many vectors overload
    b, overload, retries = functional.encode(
        x, lattice, q, M, beta=beta, max_retries=5, track_T=True
    )
    digits, flags, t = reference.encode(lattice.family, x, q, M, beta, max_retries=5)
    assert b.dtype == (torch.uint8 if q <= 256 else torch.int16)
    assert torch.equal(b.long(), digits)
    assert torch.equal(overload, flags)
    assert torch.equal(retries.long(), t) and retries.max() > 0
    for layers in range(1, M + 1):
        decoded = functional.decode(b, lattice, q, M, beta=beta, T=retries, layers=layers)
        expected = reference.decode(lattice.family, digits, q, beta, t=t, layers=layers)
        assert torch.equal(decoded, expected)


def test_digits_of_a_large_tensor_are_those_of_the_model() -> None:
    x = gaussian(1000, 37, 8)
    for lattice in (Zd(8), E8(), D4()):
        b, overload = functional.encode(x, lattice, 4, 2, beta=0.25)
        vectors = x.unflatten(-1, (-1, lattice.d)) if lattice.d < 8 else x
        digits, flags, _ = reference.encode(lattice.family, vectors, 4, 2, 0.25)
        assert torch.equal(b.long(), digits) and torch.equal(overload, flags)


@each_lattice
def test_dither_is_added_and_taken_away(lattice: Lattice) -> None:
    x = gaussian(999, lattice.d)
    for z in (torch.rand(lattice.d), torch.rand(999, lattice.d)):
        b, overload = functional.encode(x, lattice, 4, 2, beta=0.5, dither=z)
        digits, flags, _ = reference.encode(lattice.family, x, 4, 2, 0.5, shift=z)
        assert torch.equal(b.long(), digits) and torch.equal(overload, flags)
        decoded = functional.decode(b, lattice, 4, 2, beta=0.5, dither=z)
        assert torch.equal(decoded, reference.decode(lattice.family, digits, 4, 0.5, shift=z))


@each_lattice
@each_code
def test_points_that_fit_decode_to_themselves(lattice: Lattice, q: int, M: int) -> None:
    reach = max(1, round(q**M / 4))
    x = points(lattice, 4000, reach)
    b, overload = functional.encode(x, lattice, q, M)
    decoded = functional.decode(b, lattice, q, M)
    assert torch.equal(decoded[~overload], x[~overload])
    assert (decoded[overload] != x[overload]).any(-1).all()
    assert not overload.all()


@each_lattice
def test_decoding_inverts_encoding_where_nothing_overloads(lattice: Lattice) -> None:
    x = gaussian(64, 5, lattice.d)
    b, overload = functional.encode(x, lattice, 4, 3, beta=0.5)
    assert not overload.any()
    assert torch.equal(functional.decode(b, lattice, 4, 3, beta=0.5), 0.5 * lattice.Q(x / 0.5))


@each_lattice
def test_layers_telescope(lattice: Lattice) -> None:
    """p_m - q p_(m+1) is the representative of b_m, layer by layer."""
    x = points(lattice, 1000, 20)
    q, depth = 3, 4
    b, _ = functional.encode(x, lattice, q, depth)
    point = (2 * x).long()
    for m in range(depth):
        above = reference.coarser(lattice.family, point, q)
        single = functional.decode(b[..., m : m + 1, :], lattice, q, 1)
        assert torch.equal((2 * single).long(), point - q * above)
        point = above


@each_lattice
def test_swapped_layers_decode_to_something_else(lattice: Lattice) -> None:
    b, _ = functional.encode(gaussian(500, lattice.d), lattice, 4, 2, beta=0.2)
    different = (b[:, 0] != b[:, 1]).any(-1)
    right, wrong = (functional.decode(c, lattice, 4, 2) for c in (b, b.flip(-2)))
    assert (right != wrong).any(-1).equal(different) and different.sum() > 200


def test_integers_are_scalar_arithmetic() -> None:
    """Over Z, digits are those of a number in base q, once its range is shifted to start at 0."""
    n = torch.arange(-40, 41).float().unsqueeze(-1)
    b, overload = functional.encode(n, Zd(1), 3, 4)
    assert not overload.any()
    balanced = torch.where(b.long() == 2, -1, b.long())  # digits 0, 1, 2 stand for 0, 1, -1
    assert torch.equal((balanced.squeeze(-1) * 3 ** torch.arange(4)).sum(-1), n.squeeze(-1).long())


def test_the_ramp_starts_at_beta0_and_stops_where_it_fits() -> None:
    x = torch.tensor([[20.3, 20.4]])
    b, overload, t = functional.encode(
        x, Zd(2), 3, 2, beta=9.0, beta0=0.5, alpha=1.0, max_retries=10, track_T=True
    )
    assert (t.tolist(), overload.tolist()) == ([4], [False])
    assert functional.decode(b, Zd(2), 3, 2, beta=0.5, T=t, alpha=1.0).tolist() == [[24, 24]]


def test_overload_is_flagged_and_never_hidden() -> None:
    x = torch.tensor([[3.6, 3.3], [0.4, 0.2], [1e6, 0.0], [1e30, 0.0]])
    b, overload = functional.encode(x, Zd(2), 4, 1)
    assert overload.tolist() == [True, False, True, True]
    assert functional.decode(b, Zd(2), 4, 1)[0].tolist() == [0, -1]
    assert functional.quantize(x, Zd(2), 4, 1).overload.equal(overload)


def test_deeper_layers_refine() -> None:
    x = gaussian(20_000, 4)
    b, overload = functional.encode(x, D4(), 4, 3, beta=0.0494)
    fits = ~overload
    errors = [
        (functional.decode(b, D4(), 4, 3, beta=0.0494, layers=n) - x)[fits].square().mean()
        for n in (1, 2, 3)
    ]
    # 16-fold per layer in theory; boundaries of the codes cost up to a quarter of it.
    assert errors[0] / errors[1] > 12 and errors[1] / errors[2] > 12


@each_lattice
def test_quantize_is_encode_and_decode(lattice: Lattice) -> None:
    x = gaussian(7, 3, 2 * lattice.d)
    b, overload, t = functional.encode(x, lattice, 4, 2, beta=0.1, max_retries=3, track_T=True)
    quantized, flags = functional.quantize(x, lattice, 4, 2, beta=0.1, max_retries=3)
    assert torch.equal(
        quantized, functional.decode(b, lattice, 4, 2, beta=0.1, T=t).reshape(x.shape)
    )
    assert torch.equal(flags, overload) and flags.shape == (7, 3, 2)


@each_lattice
def test_centred_codes_have_mean_zero(lattice: Lattice) -> None:
    q = 2
    all_digits = torch.cartesian_prod(*[torch.arange(q)] * lattice.d).reshape(-1, 1, lattice.d)
    decoded = functional.decode(all_digits.to(torch.uint8), lattice, q, 1, centred=True)
    assert decoded.mean(0).abs().max() < 1e-6  # float32 additions of numbers up to 2
    plain = functional.quantize(gaussian(5000, lattice.d), lattice, q, 3, beta=0.9)
    centred = functional.quantize(gaussian(5000, lattice.d), lattice, q, 3, beta=0.9, centred=True)
    assert centred.overload.sum() <= plain.overload.sum()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_floating_types_are_worked_on_in_float32(dtype: torch.dtype) -> None:
    x = gaussian(100, 8).to(dtype)
    assert torch.equal(
        functional.encode(x, E8(), 4, 2, beta=0.3).b,
        functional.encode(x.float(), E8(), 4, 2, beta=0.3).b,
    )
    quantized = functional.quantize(x, E8(), 4, 2, beta=0.3).x
    assert quantized.dtype == E8().Q(x).dtype == dtype
    assert torch.equal(quantized, functional.quantize(x.float(), E8(), 4, 2, beta=0.3).x.to(dtype))


def test_memory_order_does_not_matter() -> None:
    x = gaussian(8, 6, 5).permute(2, 1, 0)
    assert not x.is_contiguous()
    assert torch.equal(
        functional.encode(x, E8(), 4, 2).b, functional.encode(x.contiguous(), E8(), 4, 2).b
    )


@pytest.mark.parametrize("shape", [(0, 8), (3, 0, 8), (8,)])
def test_empty_tensors_and_single_vectors_work(shape: tuple[int, ...]) -> None:
    b, overload = functional.encode(torch.zeros(shape), E8(), 4, 2)
    assert b.shape == (*shape[:-1], 2, 8) and overload.shape == shape[:-1]
    assert functional.decode(b, E8(), 4, 2).shape == shape
    assert functional.quantize(torch.zeros(shape), E8(), 4, 2).x.shape == shape


# Parameters, tiling, errors -----------------------------------------------------------------------


def test_parameters_say_what_follows_from_them() -> None:
    params = LatticeParams()
    assert (params.lattice, params.d, params.q, params.M, params.beta) == (D4(), 4, 4, 2, 1.0)
    assert params.bits_per_number == 4 and params.layer_points == 256
    assert params.digit_dtype == torch.uint8
    assert LatticeParams(E8(), q=1024, M=1).digit_dtype == torch.int16
    for wrong in ({"q": 1}, {"q": 6}, {"M": 0}, {"M": 9}, {"beta": 0.0}, {"alpha": -1.0}):
        with pytest.raises(ValueError, match="|".join(wrong).replace("M", "depth")):
            LatticeParams(**wrong)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 8, 17])
def test_tiling_pads_with_zeros_and_comes_back(length: int) -> None:
    x = gaussian(2, 3, length)
    tiled, pad_info = tile_last_dim(x, 4)
    assert tiled.shape == (2, 3, math.ceil(length / 4), 4)
    assert torch.equal(untile_last_dim(tiled, pad_info), x)
    assert tiled.flatten(-2)[..., length:].eq(0).all()
    with pytest.raises(ValueError, match=r"tiled of shape \[2, 3, 9, 4\]"):
        untile_last_dim(torch.zeros(2, 3, 9, 4), pad_info)


NAN = torch.full((3, 4), math.nan)
DIGITS = torch.zeros(5, 2, 4, dtype=torch.uint8)
BAD_INPUT = {
    "last dimension": (lambda: functional.encode(torch.zeros(5, 6), D4(), 4, 2), r"\[5, 6\]"),
    "no dimension": (lambda: functional.encode(torch.tensor(1.0), D4(), 4, 2), r"\[\]"),
    "q = 1": (lambda: functional.encode(torch.zeros(5, 4), D4(), 1, 2), "q is 1"),
    "q = 6": (lambda: functional.encode(torch.zeros(5, 4), D4(), 6, 2), "q is 6"),
    "depth": (lambda: functional.encode(torch.zeros(5, 4), D4(), 4, 9), r"4\^9"),
    "integers": (lambda: functional.encode(DIGITS, D4(), 4, 2), r"\[5, 2, 4\].*uint8"),
    "NaN": (lambda: functional.encode(NAN, D4(), 4, 2), "NaN"),
    "Inf": (lambda: functional.quantize(NAN.nan_to_num(math.inf), D4(), 4, 2), "infinite"),
    "NaN in Q": (lambda: D4().Q(NAN), r"NaN|nan|not finite"),
    "retries without T": (
        lambda: functional.encode(torch.zeros(5, 4), D4(), 4, 2, max_retries=3),
        "track_T",
    ),
    "digit too large": (lambda: functional.decode(DIGITS + 4, D4(), 4, 2), "digit .* is 4"),
    "depth of digits": (lambda: functional.decode(DIGITS, D4(), 4, 3), r"\[5, 2, 4\].*\[3, 4\]"),
    "type of digits": (lambda: functional.decode(DIGITS.long(), D4(), 4, 2), r"\[5, 2, 4\].*Byte"),
    "shape of T": (
        lambda: functional.decode(DIGITS, D4(), 4, 2, T=torch.zeros(4, dtype=torch.uint8)),
        r"\[4\].*\[5\]",
    ),
    "layers": (lambda: functional.decode(DIGITS, D4(), 4, 2, layers=3), "layers is 3"),
    "shape of dither": (
        lambda: functional.encode(torch.zeros(5, 4), D4(), 4, 2, dither=torch.zeros(3, 4)),
        r"\[3, 4\].*\[5, 4\]",
    ),
    "shapes of a sum": (lambda: functional.add_modq(DIGITS, DIGITS[1:], 4), r"\[5.*\[4"),
    "digits of a sum": (lambda: functional.add_modq(DIGITS, DIGITS + 5, 4), "digit .* is 5"),
    "flat value": (
        lambda: functional.flat_to_digits(torch.full((3, 4), 16, dtype=torch.int32), D4(), 4, 2),
        "16",
    ),
    "packed size": (
        lambda: functional.unpack_digits(torch.zeros(8, dtype=torch.uint8), 4, (33,)),
        r"\[8\].*33 digits",
    ),
    "blocks of an inner product": (
        lambda: functional.inner_product_lut(DIGITS, DIGITS[1:], D4(), 4, 2),
        r"\[5, 2, 4\].*\[4, 2, 4\]",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_refused_with_the_numbers(case: str) -> None:
    call, words = BAD_INPUT[case]
    with pytest.raises(ValueError, match=words):
        call()


def test_tensors_of_other_devices_are_refused() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.empty(5, 4, device="xpu")
        with pytest.raises(
            ValueError, match=r"\[5, 4\] is on xpu.*on the host and on CUDA devices"
        ):
            functional.encode(x, D4(), 4, 2)
        b = torch.empty(5, 2, 4, dtype=torch.uint8, device="cuda")
        other = torch.empty(5, 2, 4, dtype=torch.uint8, device="xpu")
        for call in (
            lambda: functional.add_modq(b, other, 4),
            lambda: functional.digits_add(b, other, D4(), 4, 2),
        ):
            with pytest.raises(ValueError, match=r"b2 of shape \[5, 2, 4\] is on xpu"):
                call()
        for call in (
            lambda: functional.pack_digits(other, 4),
            lambda: functional.inner_product_lut(b, other, D4(), 4, 2),
            lambda: D4().Q(x),
        ):
            with pytest.raises(ValueError, match=r"\[5, .*4\] is on xpu.*host and on CUDA devices"):
                call()


def test_tensors_of_cuda_devices_go_to_kernels_of_cuda() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.empty(5, 4, device="cuda")
        b = functional.encode(x, D4(), 4, 2).b
        flat = functional.digits_to_flat(b, D4(), 4, 2)
        for result in (
            functional.decode(b, D4(), 4, 2),
            functional.quantize(x, D4(), 4, 2).x,
            functional.add_modq(b, b, 4),
            functional.digits_add(b, b, D4(), 4, 2).overload,
            functional.flat_to_digits(flat, D4(), 4, 2),
            functional.pack_digits(b, 4),
            functional.unpack_digits(functional.pack_digits(b, 4), 4, b.shape),
            functional.inner_product_lut(b, b, D4(), 4, 2),
            functional.inner_product_one_sided_lut(
                build_one_sided_LUT(x, D4(), 4).squeeze(1), b, D4(), 4, 2
            ),
            D4().Q(x),
        ):
            assert result.device == x.device
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    names = ["encode", "decode", "quantize", "digits_add_modq", "digits_add", "nearest", "lut_dot"]
    names += ["digits_to_flat", "flat_to_digits", "digits_pack", "digits_unpack"]
    names += ["lut_one_sided", "lut_dot_one_sided"]
    assert all(has_kernel(f"hlq::{name}", "CUDA") for name in names)


def test_what_gpu_check_compares_holds_on_the_host() -> None:
    host = torch.device("cpu")
    for cases in (
        gpu_quantizer.results_are_the_hosts,
        gpu_quantizer.products_are_the_hosts,
        gpu_quantizer.views_are_worked_on,
    ):
        failed = [what for holds, what in cases(host) if not holds]
        assert not failed
