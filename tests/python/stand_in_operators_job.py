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
    flags = ["-std=c11", "-D_DEFAULT_SOURCE", "-shared", "-fPIC", f"-I{INCLUDE}"]
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
    return {
        "encode": lambda: ops.encode(x, z, *spec),
        "decode": lambda: (ops.decode(digits, retries, z, 1, *spec),),
        "quantize": lambda: ops.quantize(x, z, *spec),
        "digits_add_modq": lambda: (ops.digits_add_modq(digits, digits, 4),),
        "digits_add": lambda: ops.digits_add(digits, digits, *spec),
        "digits_to_flat": lambda: (ops.digits_to_flat(digits, *spec),),
        "flat_to_digits": lambda: (ops.flat_to_digits(flat, *spec),),
    }


def check_operators(library: ctypes.CDLL) -> None:
    """Each calls its function, on the device and current stream of its tensors."""
    x, z = torch.randn(7, 4), torch.randn(4)
    for device in (0, 1):
        on_host = operators(x, z)
        on_device = operators(to_device(x, device), to_device(z, device))
        for name, call in on_device.items():
            results = call()
            assert library.stand_in_last() == name.encode(), (name, library.stand_in_last())
            assert library.stand_in_last_device() == device, name
            assert library.stand_in_last_stream() == STREAM + device, name
            for result, expected in zip(results, on_host[name](), strict=True):
                assert result.device == torch.device("cuda", device), name
                assert result.dtype == expected.dtype, name
                assert torch.equal(to_host(result), expected), name
    assert library.stand_in_current() == 0, "the current device stays what it was"


def check_alignment() -> None:
    """The stand-in fails if digits are not aligned."""
    b = torch.randint(4, (3, 2, 4), dtype=torch.uint8)
    for skip in range(4):
        there = to_device(b, 0, skip)
        assert there.data_ptr() % 4 == skip
        assert torch.equal(to_host(functional.add_modq(there, there, 4)), (b + b) % 4)
        flat = to_host(functional.digits_to_flat(there, D4(), 4, 2))
        assert torch.equal(flat, functional.digits_to_flat(b, D4(), 4, 2))


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
    assert refused(lambda: functional.pack_digits(b, 4), "works on the host only")


def main() -> None:
    folder = Path(sys.argv[1])
    library, device = load_library(folder), folder / "stand_in_device.so"
    torch.ops.load_library(device)
    library.stand_in_current = ctypes.CDLL(str(device)).stand_in_current_device
    library.stand_in_use(ctypes.cast(library.stand_in_current, ctypes.c_void_p))
    for index in range(2):
        torch.ops.stand_in.use_stream(STREAM + index, index)
    check_operators(library)
    check_alignment()
    check_refusals()


if __name__ == "__main__":
    main()
