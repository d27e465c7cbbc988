"""What the DDP hook costs beyond the library's call, on one bucket of 25 MB.

    mpirun -n 2 python bench/hook_overhead.py
    launch/torchrun.sh -n 2 bench/hook_overhead.py

Every step reduces one bucket of 6,553,600 gradients at 4 bits. Time in the hook's thread, from the
bucket to its future, is compared with the library's own time of the call within it. Prints one
line: the median over steps of their ratio less one, and its spread. Ranks of one machine share its
cores, so single steps scatter.
"""

import argparse
import statistics
import time

import torch
import torch.distributed as dist
from hlqtorch.dist.comm_hooks import HLQState, hlq_ddp_comm_hook
from hlqtorch.dist.launcher import init_process_group
from torch import nn
from torch.nn.parallel import DistributedDataParallel

WIDTH = 2560  # a square of it is a bucket of 25 MB
WARM_UP = 4


class TimedFuture:
    """Knows when it got its result. DDP goes on from there, and has Python's lock for a while."""

    def __init__(self, future: torch.futures.Future[torch.Tensor]) -> None:
        self._future, self._begin, self.seconds = future, time.perf_counter(), 0.0

    def set_result(self, result: torch.Tensor) -> None:
        """Of the future itself."""
        self.seconds = time.perf_counter() - self._begin
        self._future.set_result(result)


class TimedState(HLQState):
    """Knows how long its thread worked on the last bucket, and the library within that."""

    def _reduce(self, *arguments: object) -> None:
        before = self._stats.seconds
        timed = TimedFuture(arguments[-1])
        super()._reduce(*arguments[:-1], timed)
        self.spent, self.called = timed.seconds, self._stats.seconds - before

    def wait(self) -> None:
        """Returns when the thread has nothing left to do."""
        self._thread.submit(lambda: None).result()


def main() -> None:
    """Runs the steps; rank 0 prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--algorithm", default="twoshot")
    options = parser.parse_args()
    torch.set_num_threads(1)
    here = init_process_group()
    model = DistributedDataParallel(nn.Linear(WIDTH, WIDTH, bias=False), bucket_cap_mb=25)
    state = TimedState(bits=4, algorithm=options.algorithm)
    model.register_comm_hook(state, hlq_ddp_comm_hook)
    beyond, calls = [], []
    x = torch.randn(4, WIDTH)
    for step in range(WARM_UP + options.steps):
        model(x).square().mean().backward()
        state.wait()
        if step >= WARM_UP:
            beyond.append(100 * (state.spent / state.called - 1))
            calls.append(1e3 * state.called)
    if here.rank == 0:
        print(
            f"{here.size} ranks, {state.transport}: {statistics.median(beyond):.2f} % beyond the "
            f"library's call ({min(beyond):.2f} … {max(beyond):.2f}), which takes "
            f"{statistics.median(calls):.1f} ms ({min(calls):.1f} … {max(calls):.1f})"
        )
    state.close()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
