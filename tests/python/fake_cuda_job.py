"""Operators of torch.ops.hlq on the CUDA device of fake_cuda.cpp: `fake_cuda_job.py FOLDER`.

Of its own process, for the device stays. Ends with 0 if all holds.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import hlqtorch
import torch
from hlqtorch.lattices import D4
from hlqtorch.quant import functional
from torch import Tensor
from torch.utils import cpp_extension

HERE = Path(__file__).resolve().parent
PACKAGE = Path(hlqtorch.__file__).parent
INCLUDE = HERE.parents[1] / "libhlqcomm" / "include"
D4_SPEC = ("D4", 4, 4, 2, 0.3, 1 / 3, 0, False)


def load_library(folder: Path) -> ctypes.CDLL:
    """The stand-in, which hlqtorch then finds by its name in place of libhlqcomm_cuda."""
    (core,) = PACKAGE.glob("libhlqcomm.so*")
    name = core.name.replace("libhlqcomm", "libhlqcomm_cuda")
    source, target = HERE / "fake_cuda_quantizer.c", folder / name
    flags = ["-std=c11", "-D_DEFAULT_SOURCE", "-shared", "-fPIC", f"-I{INCLUDE}"]
    command = [os.environ.get("CC", "cc"), *flags, str(source), "-o", str(target), str(core)]
    subprocess.run([*command, f"-Wl,-soname,{name}"], check=True)
    library = ctypes.CDLL(str(target))
    library.fake_last.restype = ctypes.c_char_p
    library.fake_last_stream.restype = ctypes.c_long
    return library


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


def check_operators(fake: ModuleType, library: ctypes.CDLL) -> None:
    """Each calls its function, on the device and current stream of its tensors."""
    x, z = torch.randn(7, 4), torch.randn(4)
    for device in (0, 1):
        on_host = operators(x, z)
        on_device = operators(fake.to_device(x, device), fake.to_device(z, device))
        for name, call in on_device.items():
            results = call()
            assert library.fake_last() == name.encode(), (name, library.fake_last())
            assert library.fake_last_device() == device, name
            assert library.fake_last_stream() == fake.STREAM + device, name
            for result, expected in zip(results, on_host[name](), strict=True):
                assert result.device == torch.device("cuda", device), name
                assert result.dtype == expected.dtype, name
                assert torch.equal(fake.to_host(result), expected), name
    assert library.fake_current() == 0, "the current device stays what it was"


def check_alignment(fake: ModuleType) -> None:
    """The stand-in fails if digits are not aligned."""
    b = torch.randint(4, (3, 2, 4), dtype=torch.uint8)
    for skip in range(4):
        there = fake.to_device(b, 0, skip)
        assert there.data_ptr() % 4 == skip
        assert torch.equal(fake.to_host(functional.add_modq(there, there, 4)), (b + b) % 4)
        flat = fake.to_host(functional.digits_to_flat(there, D4(), 4, 2))
        assert torch.equal(flat, functional.digits_to_flat(b, D4(), 4, 2))


def refused(call: Callable[[], object], words: str) -> bool:
    try:
        call()
    except ValueError as error:
        return words in str(error)
    return False


def check_refusals(fake: ModuleType) -> None:
    """One device at a time; and what libhlqcomm says comes through."""
    x = fake.to_device(torch.randn(7, 4), 1)
    b = functional.encode(x, D4(), 4, 2).b
    other, z = fake.to_device(fake.to_host(b), 0), torch.randn(4)
    T = torch.zeros(7, dtype=torch.uint8)
    assert refused(lambda: functional.encode(x, D4(), 4, 2, dither=z), "[4] is on cpu; it must be")
    assert refused(lambda: functional.decode(b, D4(), 4, 2, T=T), "T of shape [7] is on cpu")
    assert refused(lambda: functional.add_modq(b, other, 4), "is on cuda:0; it must be on cuda:1")
    assert refused(lambda: functional.digits_add(b, other, D4(), 4, 2), "b2 of shape [7, 2, 4]")
    assert refused(lambda: functional.decode(b, D4(), 4, 2, layers=3), "layers is 3")
    assert refused(lambda: functional.pack_digits(b, 4), "works on the host only")


def main() -> None:
    folder = Path(sys.argv[1])
    library = load_library(folder)
    fake = cpp_extension.load("fake_cuda", [str(HERE / "fake_cuda.cpp")], build_directory=folder)
    device = ctypes.CDLL(fake.__file__)
    library.fake_use(ctypes.cast(device.fake_cuda_current, ctypes.c_void_p))
    library.fake_current = device.fake_cuda_current
    check_operators(fake, library)
    check_alignment(fake)
    check_refusals(fake)


if __name__ == "__main__":
    main()
