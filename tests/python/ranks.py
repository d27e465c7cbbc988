"""Runs checks on real ranks. A check is a function `check_…(ranks)` of a file checks_*.py.

    mpirun -n 4 python ranks.py FOLDER          ranks of MPI
    python ranks.py FOLDER --fork 2             processes of torch.multiprocessing, over gloo

Starting ranks takes seconds and a check milliseconds, so one job runs all checks. Every rank writes
FOLDER/rankN.json, {check: null or what went wrong}; test_on_ranks.py makes one test of each check.

A check does its collectives first and asserts afterwards: a rank that fails must not leave the
others waiting.
"""

import argparse
import datetime
import hashlib
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import checks_backend
import checks_backend_faults
import checks_backend_uses
import checks_comm
import checks_fsdp
import checks_hook
import checks_hook_options
import checks_options
import jobs
import torch
import torch.distributed as dist
from hlqtorch import Comm, HLQOptions
from hlqtorch.dist.comm_hooks import HLQState
from hlqtorch.dist.connect import connect
from hlqtorch.dist.launcher import init_process_group

TIMEOUT = 20.0  # seconds; a check that loses a rank ends before the job does


@dataclass
class Ranks:
    """What a check knows of the job it runs in."""

    rank: int
    size: int
    transport: str

    def comm(self, **options: float | str) -> Comm:
        """A new communicator of all ranks."""
        return connect(None, self.transport, timeout=TIMEOUT, **options)[0]

    def state(self, **options: object) -> HLQState:
        """A new state for the hook."""
        return HLQState(transport=self.transport, timeout=TIMEOUT, **options)

    def group(self, **options: object) -> dist.ProcessGroup:
        """A new group of all ranks of backend hlq; exact without options."""
        if options:
            options = {"transport": self.transport, **options}
        return dist.new_group(
            backend="hlq",
            timeout=datetime.timedelta(seconds=TIMEOUT),
            pg_options=HLQOptions(**options) if options else None,
        )

    def gather(self, value: object) -> list:
        """The values of all ranks, in order of rank."""
        values = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def same_bits(self, *tensors: torch.Tensor) -> bool:
        """Whether all ranks hold the same bits, NaN included."""
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
        return len(set(self.gather(digest.hexdigest()))) == 1

    def exact_sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over the ranks in fp64, by torch.distributed."""
        total = tensor.double()
        dist.all_reduce(total)
        return total


MODULES = (
    checks_comm,
    checks_hook,
    checks_hook_options,
    checks_fsdp,
    checks_backend,
    checks_backend_faults,
    checks_backend_uses,
    checks_options,
)
CHECKS: dict[str, Callable[[Ranks], None]] = {
    name.removeprefix("check_"): function
    for module in MODULES
    for name, function in vars(module).items()
    if name.startswith("check_")
}


def run_checks(ranks: Ranks, folder: Path, word: str) -> None:
    """Runs checks with `word` in their name on this rank, and writes what came of them."""
    outcome: dict[str, str | None] = {}
    for name, check in CHECKS.items():
        if word not in name:
            continue
        torch.manual_seed(1000 + ranks.rank)
        try:
            check(ranks)
            outcome[name] = None
        except Exception:
            outcome[name] = traceback.format_exc()
        (folder / f"rank{ranks.rank}.json").write_text(json.dumps(outcome))


def _forked(rank: int, size: int, folder: Path, word: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=size)
    run_checks(Ranks(rank, size, "process_group"), folder, word)
    dist.destroy_process_group()


def main() -> None:
    """Command line: see the head of this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fork", type=int, metavar="RANKS")
    parser.add_argument("--only", default="", metavar="WORD", help="checks with this in their name")
    options = parser.parse_args()
    if options.fork:
        jobs.fork(options.fork, _forked, options.fork, options.folder, options.only)
        return
    here = init_process_group()
    run_checks(Ranks(here.rank, here.size, "mpi"), options.folder, options.only)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
