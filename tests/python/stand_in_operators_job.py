"""Operators of torch.ops.hlq on the device of stand_in_device.cpp, each on its current stream.

Run by test_stand_in_device.py: `stand_in_operators_job.py FOLDER`, where stand_in_device.so is.
Ends with 0 if all holds.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hlqtorch
import torch
from hlqtorch.lattices import D4
from hlqtorch.quant import functional
from torch import Tensor

HERE = Path(__file__).resolve().parent
PACKAGE = Path(hlqtorch.__file__).parent
INCLUDE = HERE.parents[1] / "libhlqcomm" / "include"
STREAM = 70  # and one more: the current streams of two devices
D4_SPEC = ("D4", 4, 4, 2, 0.3, 1 / 3, 0, False)


def load_library(folder: Path) -> ctypes.CDLL:
    """The stand-in, which hlqtorch then finds by its name in place of libhlqcomm_cuda."""
    (core,) = PACKAGE.glob("libhlqcomm.so*")
    name = core.name.replace("libhlqcomm", "libhlqcomm_cuda")
    source, target = HERE / "stand_in_quantizer.c", folder / name
    folders = (INCLUDE, INCLUDE.parent, INCLUDE.parents[1])  # public headers, and the library's own
    flags = ["-std=c11", "-D_DEFAULT_SOURCE", "-shared", "-fPIC", *(f"-I{f}" for f in folders)]
    command = [os.environ.get("CC", "cc"), *flags, str(source), "-o", str(target), str(core)]
    subprocess.run([*command, f"-Wl,-soname,{name}"], check=True)
    library = ctypes.CDLL(str(target))
    library.stand_in_last.restype = ctypes.c_char_p
    library.stand_in_last_stream.restype = ctypes.c_long
    return library


def to_device(x: Tensor, device: int, skip: int = 0) -> Tensor:
    """A copy whose memory begins `skip` bytes behind an aligned address."""
    room = torch.empty(skip + x.nbytes + 1, dtype=torch.uint8)
    there = room[skip : skip + x.nbytes].view(x.dtype).view(x.shape)
    return torch.ops.stand_in.as_cuda(there.copy_(x), device)


def to_host(x: Tensor) -> Tensor:
    return torch.ops.stand_in.as_host(x).clone()


def operators(x: Tensor, z: Tensor) -> dict[str, Callable[[], tuple[Tensor, ...]]]:
    """Calls of each operator, by the name of the function behind it."""
    ops, spec = torch.ops.hlq, D4_SPEC
    digits, _, retries = ops.encode(x, z, *spec)
    flat = ops.digits_to_flat(digits, *spec)
    packed = ops.digits_pack(digits, 4)
    table = ops.lut_one_sided(x, *spec)
    return {
        "nearest": lambda: (ops.nearest(x, "D4", 4),),
        "encode": lambda: ops.encode(x, z, *spec),
        "decode": lambda: (ops.decode(digits, retries, z, 1, *spec),),
        "quantize": lambda: ops.quantize(x, z, *spec),
        "digits_add_modq": lambda: (ops.digits_add_modq(digits, digits, 4),),
        "digits_add": lambda: ops.digits_add(digits, digits, *spec),
        "digits_to_flat": lambda: (ops.digits_to_flat(digits, *spec),),
        "flat_to_digits": lambda: (ops.flat_to_digits(flat, *spec),),
        "digits_pack": lambda: (ops.digits_pack(digits, 4),),
        "digits_unpack": lambda: (ops.digits_unpack(packed, 4, digits.numel()),),
        "lut_dot": lambda: (ops.lut_dot(digits, retries, digits, None, 2, 0.7, *spec),),
        "lut_build_one_sided": lambda: (ops.lut_one_sided(x, *spec),),
        "lut_dot_one_sided": lambda: (ops.lut_dot_one_sided(table, digits, retries, *spec),),
    }


Layer = tuple[Tensor, Tensor]  # codes, scales


def layer_operators(x: Tensor, weight: Tensor, layer: Layer) -> list[tuple[str, Callable]]:
    """The function behind each call on rows or a linear layer, and the call."""
    ops, spec = torch.ops.hlq, D4_SPEC
    calls = torch.zeros(1, dtype=torch.int64)
    return [
        ("rows_quantize", lambda: ops.rows_quantize(x, False, *spec)),
        ("rows_quantize", lambda: ops.rows_quantize(weight, True, *spec)),
        ("rows_quantize", lambda: ops.rows_quantize_every(x, x, calls, 3, True, *spec)),
        ("linear_unpack", lambda: (ops.linear_unpack(*layer, 8, *spec),)),
        ("linear_forward", lambda: ops.linear_forward(x, *layer, None, 1.0, 3, *spec)),
        ("linear_forward", lambda: ops.linear_forward(x, *layer, 1, 0.7, 3, *spec)),
        ("linear_unpack", lambda: ops.linear_forward(x, *layer, None, 1.0, 2, *spec)),
        ("rows_quantize", lambda: ops.linear_forward(x, *layer, 1, 0.7, 2, *spec)),
        ("linear_forward", lambda: ops.linear_lut(x, weight, None, 1.0, *spec)),
        ("linear_forward", lambda: ops.linear_lut(x, weight, 1, 0.7, *spec)),
    ]


def check_layers(library: ctypes.CDLL) -> None:
    """So do those on rows and linear layers; packing is the host's, results are the device's."""
    x, weight = torch.randn(3, 8) * 3, torch.randn(5, 8)
    layer = torch.ops.hlq.linear_pack(weight, *D4_SPEC)
    on_host = layer_operators(x, weight, layer[:2])
    for device in (0, 1):
        there = to_device(weight, device)
        packed = torch.ops.hlq.linear_pack(there, *D4_SPEC)
        check_same(packed, layer, device, "linear_pack")
        on_device = layer_operators(to_device(x, device), there, packed[:2])
        for (name, call), (_, expected) in zip(on_device, on_host, strict=True):
            results = call()
            assert library.stand_in_last() == name.encode(), (name, library.stand_in_last())
            assert library.stand_in_last_device() == device, name
            assert library.stand_in_last_stream() == STREAM + device, name
            check_same(results, expected(), device, name)
    assert library.stand_in_current() == 0, "the current device stays what it was"


def check_layers_are_remembered(library: ctypes.CDLL) -> None:
    """A layer is copied to its device once, and again after its codes have been written to."""
    ops, x = torch.ops.hlq, to_device(torch.randn(2, 8), 1)
    codes, scales, _ = ops.linear_pack(to_device(torch.randn(5, 8), 1), *D4_SPEC)
    before = library.stand_in_copies()
    for _ in range(3):
        ops.linear_forward(x, codes, scales, None, 1.0, 2, *D4_SPEC)
    assert library.stand_in_copies() == before + 1
    codes.zero_()
    y, _ = ops.linear_forward(x, codes, scales, None, 1.0, 2, *D4_SPEC)
    assert library.stand_in_copies() == before + 2
    assert torch.equal(to_host(y), torch.zeros(2, 5)), "codes of zeros"


def check_same(
    results: tuple[Tensor, ...], on_host: tuple[Tensor, ...], device: int, name: str
) -> None:
    for result, expected in zip(results, on_host, strict=True):
        assert result.device == torch.device("cuda", device), name
        assert result.dtype == expected.dtype, name
        assert torch.equal(to_host(result), expected), name


def check_operators(library: ctypes.CDLL) -> None:
    """Each calls its function, on the device and current stream of its tensors."""
    x, z = torch.randn(3, 7, 4), torch.randn(4)
    for device in (0, 1):
        on_host = operators(x, z)
        on_device = operators(to_device(x, device), to_device(z, device))
        for name, call in on_device.items():
            results = call()
            assert library.stand_in_last() == name.encode(), (name, library.stand_in_last())
            assert library.stand_in_last_device() == device, name
            assert library.stand_in_last_stream() == STREAM + device, name
            check_same(results, on_host[name](), device, name)
    assert library.stand_in_current() == 0, "the current device stays what it was"


def check_alignment() -> None:
    """The stand-in fails if digits are not aligned."""
    b = torch.randint(4, (3, 2, 4), dtype=torch.uint8)
    for skip in range(4):
        there = to_device(b, 0, skip)
        assert there.data_ptr() % 4 == skip
        assert torch.equal(to_host(functional.add_modq(there, there, 4)), (b + b) % 4)
        packed = functional.pack_digits(b, 4)
        assert torch.equal(to_host(functional.pack_digits(there, 4)), packed)
        words = to_device(packed, 0, 4 * skip)
        assert torch.equal(to_host(functional.unpack_digits(words, 4, b.shape)), b)
        flat = to_host(functional.digits_to_flat(there, D4(), 4, 2))
        assert torch.equal(flat, functional.digits_to_flat(b, D4(), 4, 2))


def check_tables(library: ctypes.CDLL) -> None:
    """Tables of all pairs are made once for each device, whatever they are used for."""
    before = library.stand_in_tables()
    b = torch.randint(3, (5, 6, 2, 4), dtype=torch.uint8)
    for _ in range(2):
        for device in (0, 1):
            there = to_device(b, device)
            for beta in (1.0, 0.5):
                result = functional.inner_product_lut(there, there, D4(), 3, 2, beta=beta)
                expected = functional.inner_product_lut(b, b, D4(), 3, 2, beta=beta)
                assert torch.equal(to_host(result), expected)
    assert library.stand_in_tables() == before + 2


def refused(call: Callable[[], object], words: str) -> bool:
    try:
        call()
    except ValueError as error:
        return words in str(error)
    return False


def check_refusals() -> None:
    """One device at a time; and what libhlqcomm says comes through."""
    x = to_device(torch.randn(7, 4), 1)
    b = functional.encode(x, D4(), 4, 2).b
    other, z = to_device(to_host(b), 0), torch.randn(4)
    T = torch.zeros(7, dtype=torch.uint8)
    assert refused(lambda: functional.encode(x, D4(), 4, 2, dither=z), "[4] is on cpu; it must be")
    assert refused(lambda: functional.decode(b, D4(), 4, 2, T=T), "T of shape [7] is on cpu")
    assert refused(lambda: functional.add_modq(b, other, 4), "is on cuda:0; it must be on cuda:1")
    assert refused(lambda: functional.digits_add(b, other, D4(), 4, 2), "b2 of shape [7, 2, 4]")
    assert refused(lambda: functional.decode(b, D4(), 4, 2, layers=3), "layers is 3")
    assert refused(lambda: functional.inner_product_lut(b, other, D4(), 4, 2), "by of shape [7, 2")
    table = torch.zeros(7, 256)
    one_sided = functional.inner_product_one_sided_lut
    assert refused(lambda: one_sided(table, b, D4(), 4, 2), "table of shape [7, 256] is on cpu")
    wrong = to_device(torch.full((3, 40), 4, dtype=torch.uint8), 0)
    assert refused(lambda: functional.pack_digits(wrong, 4), "[3, 40] has digits outside 0 ... 3")
    weight, rows = to_device(torch.randn(5, 8), 1), to_device(torch.randn(2, 8), 0)
    ops, calls = torch.ops.hlq, to_device(torch.zeros(1, dtype=torch.int64), 0)
    codes, scales, _ = ops.linear_pack(weight, *D4_SPEC)
    forward = ops.linear_forward
    wrong = "; it must be on cuda:0"
    assert refused(lambda: forward(rows, codes, scales, None, 1.0, 2, *D4_SPEC), "is on cuda:1; it")
    here = to_device(to_host(codes), 0)
    assert refused(lambda: forward(rows, here, scales, None, 1.0, 2, *D4_SPEC), "scales of shape")
    assert refused(lambda: ops.linear_lut(rows, weight, None, 1.0, *D4_SPEC), wrong)
    every = ops.rows_quantize_every
    assert refused(lambda: every(rows, weight, calls, 2, True, *D4_SPEC), "kept of shape [5, 8] is")
    other = to_device(to_host(calls), 1)
    assert refused(lambda: every(rows, rows, other, 2, True, *D4_SPEC), "calls of shape [1] is on")


def main() -> None:
    folder = Path(sys.argv[1])
    library, device = load_library(folder), folder / "stand_in_device.so"
    torch.ops.load_library(device)
    library.stand_in_current = ctypes.CDLL(str(device)).stand_in_current_device
    library.stand_in_use(ctypes.cast(library.stand_in_current, ctypes.c_void_p))
    for index in range(2):
        torch.ops.stand_in.use_stream(STREAM + index, index)
    check_operators(library)
    check_layers(library)
    check_layers_are_remembered(library)
    check_alignment()
    check_tables(library)
    check_refusals()


if __name__ == "__main__":
    main()
