"""Digits of hlqtorch.quant: sums, flat codes, packing; and inner products from look-up tables."""

import math

import pytest
import reference_hnlq as reference
import torch
from hlqtorch.lattices import D4, E8, Lattice, Zd
from hlqtorch.quant import functional, lut
from quant_cases import each_code, each_lattice, gaussian, points

# Digits -------------------------------------------------------------------------------------------


@each_lattice
@pytest.mark.parametrize(("q", "M"), [(2, 4), (3, 3), (4, 2), (257, 1)])
def test_digits_add_with_carries(lattice: Lattice, q: int, M: int) -> None:
    reach = max(1, q**M // 6)
    x, y = points(lattice, 3000, reach, 1), points(lattice, 3000, reach, 2)
    (bx, over_x), (by, over_y) = (functional.encode(p, lattice, q, M) for p in (x, y))
    total, overload = functional.digits_add(bx, by, lattice, q, M)
    right = ~(overload | over_x | over_y)
    assert right.any()
    assert torch.equal(functional.decode(total, lattice, q, M)[right], (x + y)[right])
    again, fits = functional.encode(x + y, lattice, q, M)
    assert torch.equal(fits[~(over_x | over_y)], overload[~(over_x | over_y)])
    assert torch.equal(again[right], total[right])


@each_lattice
@each_code
def test_flat_codes_are_coordinates_and_add(lattice: Lattice, q: int, M: int) -> None:
    x = points(lattice, 500, q**M)  # most overload: flat codes are right modulo q^M all the same
    b, _ = functional.encode(x, lattice, q, M)
    flat = functional.digits_to_flat(b, lattice, q, M)
    assert flat.dtype == torch.int32
    decoded = (2 * functional.decode(b, lattice, q, M)).long()
    assert torch.equal(flat.long(), reference.coordinates(lattice.family, decoded) % q**M)
    assert torch.equal(functional.flat_to_digits(flat, lattice, q, M), b)
    total = (flat + flat.flip(0)) % q**M
    carried, _ = functional.digits_add(b, b.flip(0), lattice, q, M)
    assert torch.equal(functional.digits_to_flat(carried, lattice, q, M), total)


@pytest.mark.parametrize("q", [2, 3, 5, 256, 257, 1024])
def test_add_modq_adds_digit_by_digit(q: int) -> None:
    dtype = torch.uint8 if q <= 256 else torch.int16
    b1, b2 = torch.randint(q, (2, 1000, 2, 4)).to(dtype)
    assert torch.equal(functional.add_modq(b1, b2, q).long(), (b1.long() + b2.long()) % q)


def test_add_modq_adds_vectors_modulo_q_only() -> None:
    """The finest layer is that of the sum; the others miss the carry."""
    x, y = points(D4(), 1000, 20, 1), points(D4(), 1000, 20, 2)
    bx, by, bsum = (functional.encode(p, D4(), 4, 4).b for p in (x, y, x + y))
    added = functional.add_modq(bx, by, 4)
    assert torch.equal(added[:, 0], bsum[:, 0])
    assert (added[:, 1] != bsum[:, 1]).any()


@pytest.mark.parametrize("q", [2, 3, 4, 7, 256, 257, 32768])
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1000])
def test_packed_digits_come_back(q: int, count: int) -> None:
    dtype = torch.uint8 if q <= 256 else torch.int16
    b = torch.randint(q, (count, 2)).to(dtype)
    packed = functional.pack_digits(b, q)
    assert packed.dtype == torch.uint8
    # The words of 64 bits are as full as whole digits can make them.
    assert packed.numel() == 8 * math.ceil(2 * count / math.floor(64 / math.log2(q) + 1e-9))
    assert torch.equal(functional.unpack_digits(packed, q, b.shape), b)


# Look-up tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("lattice", "q"), [(Zd(2), 8), (D4(), 3), (D4(), 4), (E8(), 2)])
def test_tables_hold_inner_products_of_representatives(lattice: Lattice, q: int) -> None:
    table = lut.build_two_sided_LUT(lattice, q)
    digits = torch.cartesian_prod(*[torch.arange(q)] * lattice.d)
    order = lut.layer_index(digits, q).argsort()
    doubled = reference.representatives(lattice.family, digits[order], q)
    assert torch.equal(4 * table.long(), doubled @ doubled.T)
    assert table.dtype == torch.int8
    y = gaussian(3, 2 * lattice.d)
    one_sided = lut.build_one_sided_LUT(y, lattice, q)
    expected = y.unflatten(-1, (2, lattice.d)) @ doubled.T.float() / 2
    # Sums of d products in float32.
    torch.testing.assert_close(one_sided, expected, rtol=1e-5, atol=1e-5)


def test_the_table_of_d4_base_4_is_that_of_the_paper() -> None:
    table = lut.build_two_sided_LUT(D4(), 4)
    assert table.shape == (256, 256) and table.dtype == torch.int8
    assert (table.min(), table.max()) == (-9, 16)


def test_tables_that_cannot_be_say_what_to_use_instead() -> None:
    with pytest.raises(NotImplementedError, match="one-sided"):
        lut.build_two_sided_LUT(E8(), 4)


@pytest.mark.parametrize(("lattice", "q"), [(Zd(1), 16), (D4(), 4), (E8(), 2)])
@pytest.mark.parametrize("centred", [False, True])
def test_inner_products_by_look_up(lattice: Lattice, q: int, centred: bool) -> None:
    x, y = gaussian(6, 5, lattice.d, seed=1), gaussian(6, 5, lattice.d, seed=2)
    how = {"alpha": 0.5, "centred": centred}
    bx, _, tx = functional.encode(x, lattice, q, 2, beta=0.2, max_retries=9, track_T=True, **how)
    by, _, ty = functional.encode(y, lattice, q, 3, beta=0.125, max_retries=9, track_T=True, **how)
    decoded_x = functional.decode(bx, lattice, q, 2, beta=0.2, T=tx, **how).double()
    decoded_y = functional.decode(by, lattice, q, 3, beta=0.125, T=ty, **how).double()
    expected = (decoded_x * decoded_y).sum((-1, -2))
    dots = functional.inner_product_lut(
        bx, by, lattice, q, 2, M_y=3, beta=0.2, beta_y=0.125, T=tx, T_y=ty, **how
    )
    assert dots.dtype == torch.float64 and dots.shape == (6,)
    # Decoded numbers are products in float32; integers in the table make no error of their own.
    torch.testing.assert_close(dots, expected, rtol=1e-5, atol=1e-5)
    tables = lut.build_one_sided_LUT(x, lattice, q, centred=centred).squeeze(-2)
    one_sided = functional.inner_product_one_sided_lut(
        tables, by, lattice, q, 3, beta=0.125, T=ty, **how
    )
    expected = (x.double() * decoded_y).sum((-1, -2))
    torch.testing.assert_close(one_sided, expected, rtol=1e-5, atol=1e-5)


def test_inner_products_of_integers_are_exact() -> None:
    bx, by = (functional.encode(points(D4(), 640, 60, s), D4(), 4, 4).b for s in (1, 2))
    bx, by = bx.view(20, 32, 4, 4), by.view(20, 32, 4, 4)
    decoded = [functional.decode(b, D4(), 4, 4).double() for b in (bx, by)]
    dots = functional.inner_product_lut(bx, by, D4(), 4, 4)
    assert torch.equal(dots, (decoded[0] * decoded[1]).sum((-1, -2)))
    each_with_each = functional.inner_product_lut(bx.unsqueeze(1), by, D4(), 4, 4)
    assert torch.equal(each_with_each.diagonal(), dots) and each_with_each.shape == (20, 20)
