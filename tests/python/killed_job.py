"""Trains; rank 1 is killed in step 3; the others write what they were told.

mpirun --enable-recovery -n 3 python killed_job.py FOLDER ddp|fsdp
python killed_job.py FOLDER ddp|fsdp --rank P --ranks 3             each of 3
"""

import argparse
import os
import signal
from pathlib import Path

import torch
import torch.distributed as dist
from hlqtorch import HLQError
from hlqtorch.dist.comm_hooks import HLQState, hlq_ddp_comm_hook
from hlqtorch.dist.fsdp import HLQFSDPState, Link
from hlqtorch.dist.launcher import init_process_group
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

TIMEOUT = 6.0  # seconds
WIDTH = 160


def make(kind: str) -> nn.Module:
    """A model whose gradients are compressed, by the hook or under FSDP2."""
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH))
    if kind == "ddp":
        parallel = DistributedDataParallel(model)
        parallel.register_comm_hook(HLQState(timeout=TIMEOUT), hlq_ddp_comm_hook)
        return parallel
    # Parameters are not gathered again in backward: what breaks is the compressed collective.
    sharded = fully_shard(model, reshard_after_forward=False)
    sharded.hlq = HLQFSDPState(sharded, link=Link(timeout=TIMEOUT))
    return sharded


def train(model: nn.Module, rank: int) -> str:
    """Trains until something goes wrong; what went wrong."""
    for step in range(1, 6):
        model.zero_grad()
        loss = model(torch.randn(8, WIDTH)).square().mean()
        if rank == 1 and step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            loss.backward()
        except HLQError as error:
            return f"step {step}: {error.status_name}: {error}"
    return "nothing went wrong"


def main() -> None:
    """Command line: see the head of this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=("ddp", "fsdp"))
    parser.add_argument("--rank", type=int)
    parser.add_argument("--ranks", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.rank is None:
        rank = init_process_group().rank
    else:
        rank = options.rank
        store = f"file://{options.folder}/store"
        dist.init_process_group("gloo", store, rank=rank, world_size=options.ranks)
    text = train(make(options.kind), rank)
    (options.folder / f"rank{rank}.txt").write_text(text)
    os._exit(0)  # an orderly end would wait for the dead


if __name__ == "__main__":
    main()
