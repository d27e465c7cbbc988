#!/usr/bin/env python3
"""Trains a byte-level transformer under DDP and FSDP2, fp32 and compressed; compares losses.

The model and batches of adapters/pytorch/examples/train_bytes.py, seed by seed, on processes of
this machine over gloo. Runs of one seed start from the same weights and see the same batches.
Prints a table of Markdown; fails if the bytes sent are not those planned.

    bench/training_fsdp.py                          3 seeds, 4 ranks, 200 steps
    bench/training_fsdp.py --steps 40 --seeds 1 --only ddp-fp32,fsdp-hlq
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "adapters/pytorch/examples"))

import train_bytes  # noqa: E402
from common import loss_and_hits, positive  # noqa: E402
from hlqtorch.dist.comm_hooks import HLQState, hlq_ddp_comm_hook  # noqa: E402
from hlqtorch.dist.fsdp import HLQFSDPState  # noqa: E402
from hlqtorch.dist.launcher import Place  # noqa: E402

if TYPE_CHECKING:
    from common import Task

SETTINGS = ("ddp-fp32", "ddp-hlq", "fsdp-fp32", "fsdp-hlq", "fsdp-hlq-feedback")
BASE = SETTINGS[0]  # what losses are compared with


# A thread of gloo that is the last to hold a Work needs the GIL to free its tensor, and the end of
# the process group, which may hold the GIL, waits for the thread. So the last holder is this list.
_finished: list[dist.Work] = []


class Run(NamedTuple):
    """What one training came to."""

    loss: float  # held-out cross-entropy, nats per byte
    bytes_sent: int  # payload for gradients, of rank 0, per step
    bytes_planned: int


def parallel(
    task: Task, setting: str, bits: float
) -> tuple[nn.Module, HLQState | HLQFSDPState | None]:
    """The model of a setting, and the state that compresses its gradients; None for fp32."""
    model = task.model
    compressed = "hlq" in setting
    if setting.startswith("ddp"):
        ddp = DistributedDataParallel(model)
        if not compressed:
            return ddp, None
        state = HLQState(bits=bits, algorithm="twoshot")
        ddp.register_comm_hook(state, hlq_ddp_comm_hook)
        return ddp, state
    for block in model.blocks:
        fully_shard(block)
    fully_shard(model)
    if not compressed:
        return model, None
    feedback = setting.endswith("feedback")
    return model, HLQFSDPState(model, bits=bits, algorithm="oneshot", error_feedback=feedback)


def ring_bytes(model: nn.Module, setting: str, ranks: int) -> int:
    """What fp32 gradients take on a ring: each number once for FSDP2, twice for an all-reduce."""
    numbers = sum(parameter.numel() for parameter in model.parameters())
    return round((2 if setting.startswith("ddp") else 1) * 4 * numbers * (ranks - 1) / ranks)


def train(options: argparse.Namespace, setting: str, seed: int, rank: int) -> Run:
    """Trains once, on this rank."""
    task = train_bytes.make(seed, Place("none", rank, options.ranks, options.ranks))
    raw = ring_bytes(task.model, setting, options.ranks)
    model, state = parallel(task, setting, options.bits)
    optimizer = torch.optim.AdamW(model.parameters(), lr=task.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    for _ in range(options.steps):
        optimizer.zero_grad()
        loss_and_hits(model, task.batch())[0].backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        losses = [loss_and_hits(model, batch)[0] for batch in task.held_out]
    mean = torch.stack(losses).mean().double()
    work = dist.all_reduce(mean, async_op=True)
    work.wait()
    _finished.append(work)
    loss = float(mean) / options.ranks
    if state is None:
        return Run(loss, raw, raw)
    stats = state.stats()
    state.close()
    return Run(loss, stats.bytes_sent // options.steps, stats.plan_bytes // options.steps)


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation (n - 1) over the seeds."""
    text = f"{statistics.fmean(values):.4f}"
    return f"{text} ± {statistics.stdev(values):.4f}" if len(values) > 1 else text


def table(runs: dict[str, list[Run]]) -> str:
    """Markdown, a line for each setting."""
    lines = [
        "| gradients | final loss | minus fp32's under DDP | KB sent per rank and step | planned |",
        "|---" * 5 + "|",
    ]
    base = [run.loss for run in runs.get(BASE, [])]
    for setting, of_seed in runs.items():
        losses = [run.loss for run in of_seed]
        pairs = zip(losses, base, strict=True) if base else ()
        differences = [loss - other for loss, other in pairs]
        away = "–" if setting == BASE or not base else spread(differences)
        sent, planned = of_seed[0].bytes_sent / 1e3, of_seed[0].bytes_planned / 1e3
        lines.append(f"| {setting} | {spread(losses)} | {away} | {sent:.1f} | {planned:.1f} |")
    return "\n".join(lines)


def work(rank: int, options: argparse.Namespace, store: str) -> None:
    """One rank: all runs, seed by seed; rank 0 prints."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store, rank=rank, world_size=options.ranks)
    runs: dict[str, list[Run]] = {setting: [] for setting in options.only}
    for seed in range(options.seeds):
        for setting in options.only:
            run = train(options, setting, seed, rank)
            runs[setting].append(run)
            if run.bytes_sent != run.bytes_planned:
                sys.exit(f"{setting}: {run.bytes_sent} bytes sent, {run.bytes_planned} planned")
            if rank == 0:
                print(f"seed {seed}, {setting}: loss {run.loss:.4f}", file=sys.stderr, flush=True)
    if rank == 0:
        print(f"{options.ranks} ranks, {options.steps} steps, {options.seeds} seeds,", end=" ")
        print(f"hlq at {options.bits:g} bits:\n\n{table(runs)}")
    dist.destroy_process_group()


def settings(text: str) -> list[str]:
    """Reads "ddp-fp32,fsdp-hlq"; in the order in which they are run."""
    words = text.split(",")
    for word in words:
        if word not in SETTINGS:
            raise argparse.ArgumentTypeError(f"{word!r} is not one of {', '.join(SETTINGS)}")
    return [setting for setting in SETTINGS if setting in words]


def main() -> None:
    """Command line: see the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=positive, default=200, help="default %(default)s")
    parser.add_argument("--seeds", type=positive, default=3, help="how many (%(default)s)")
    parser.add_argument("--ranks", type=positive, default=4, help="default %(default)s")
    parser.add_argument("--bits", type=float, default=4.0, help="default %(default)s")
    parser.add_argument("--only", type=settings, default=",".join(SETTINGS), help="%(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = (options, f"file://{folder}/store")
        torch.multiprocessing.spawn(work, job, nprocs=options.ranks)


if __name__ == "__main__":
    main()
