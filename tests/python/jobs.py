"""Starts ranks: under mpirun, under torchrun, or as forks of a job; never in pytest's process.

The tests themselves run in pytest's process, which is no rank of anything.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "adapters" / "pytorch" / "examples"


def environment() -> dict[str, str]:
    """The environment of a job: MPI's settings, one thread per rank, Python's programs first."""
    env = dict(os.environ)
    for line in (ROOT / "launch" / "mpi.env").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            env[name] = value
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    env["OMP_NUM_THREADS"] = "1"
    return env


def run(
    command: list[object], cwd: Path | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; stdout and stderr together, as text."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )


def mpirun(ranks: int, *program: object) -> list[object]:
    """Command that runs a Python program on so many ranks of MPI."""
    found = shutil.which("mpirun", path=environment()["PATH"])
    assert found, "there is no mpirun; launch/env installs one"
    return [found, "-n", ranks, sys.executable, *program]


def torchrun(ranks: int, *program: object) -> list[object]:
    """Command that runs a Python program on so many ranks of torchrun, at a free port."""
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        ranks,
        *program,
    ]


def fork(ranks: int, rank_main: Callable[..., None], *arguments: object) -> None:
    """Runs rank_main(rank, *arguments) in so many forks of this job; the first failure ends all.

    Importing torch takes seconds, so forks inherit it. The job may not have threads yet.
    """
    import torch._dynamo  # noqa: F401  else every rank imports it, for DDP
    from torch.multiprocessing import start_processes

    start_processes(rank_main, arguments, ranks, start_method="fork")
