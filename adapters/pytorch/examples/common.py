"""What the examples share: arguments, start-up, the training loop, counting, the summary.

An example is a Task: a model, its batches, and how to score it. run() does the rest, the same for
every task and for every way to average gradients, so that only --comm differs between two runs.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.parallel import DistributedDataParallel

import hlqtorch
from hlqtorch import HLQError, HLQOptions
from hlqtorch.dist.comm_hooks import HLQState, hlq_ddp_comm_hook
from hlqtorch.dist.launcher import Place, init_process_group, place

ALGORITHMS = ("auto", "twoshot", "oneshot", "modq")


@dataclass
class Task:
    """What to train.

    Attributes:
        model: maps inputs to logits, classes last.
        batch: this rank's next batch: inputs, and int64 targets of the shape of the logits without
            the classes.
        held_out: this rank's share of the data to score on: batches as above.
        learning_rate: of AdamW; follows half a cosine down to zero.
    """

    model: nn.Module
    batch: Callable[[], tuple[Tensor, Tensor]]
    held_out: list[tuple[Tensor, Tensor]]
    learning_rate: float


class _Parser(argparse.ArgumentParser):
    """Speaks on rank 0 only; all ranks exit alike."""

    def _print_message(self, message: str, file: object = None) -> None:
        if place().rank == 0:
            super()._print_message(message, file)


def positive(text: str) -> int:
    """Reads an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def writable(text: str) -> Path:
    """Reads the name of a file to write, in a folder that exists."""
    path = Path(text)
    if not path.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"folder of {text} does not exist")
    return path


def arguments(description: str, steps: int) -> argparse.Namespace:
    """Command line of an example; `steps` is the default number of steps."""
    parser = _Parser(description=description)
    parser.add_argument(
        "--comm",
        choices=("fp32", "bf16", "hook", "hlq"),
        default="hook",
        help="gradients as they are, in bf16, through hlqtorch's DDP hook with error feedback, or "
        "over backend hlq, with nothing else changed (%(default)s)",
    )
    parser.add_argument(
        "--bits", type=float, default=4.0, help="hook, hlq: bits per number (%(default)s)"
    )
    parser.add_argument(
        "--algorithm", choices=ALGORITHMS, default="twoshot", help="hook, hlq: default %(default)s"
    )
    parser.add_argument("--steps", type=positive, default=steps, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument(
        "--points",
        type=positive,
        default=10,
        help="of the curve, and lines of progress (%(default)s)",
    )
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the result there")
    parser.add_argument(
        "--log",
        type=writable,
        metavar="FILE",
        help="write a line of JSON for each step there: loss (mean over ranks, before the step), "
        "seconds since the start and bytes sent, after it",
    )
    return parser.parse_args()


def _bf16_on_host(state: object, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
    """The hook of torch; under its own name DDP refuses it without a GPU, though gloo can."""
    return bf16_compress_hook(state, bucket)


class Average:
    """How gradients are averaged, and what each rank has sent for it so far."""

    def __init__(
        self, options: argparse.Namespace, model: DistributedDataParallel, ranks: int
    ) -> None:
        self._state: HLQState | None = None
        # Payload of a ring all-reduce, which the rivals use: every number travels 2 (n-1)/n times.
        elements = sum(parameter.numel() for parameter in model.parameters())
        width = {"fp32": 4, "bf16": 2, "hook": 0, "hlq": 0}[options.comm]
        self._ring_bytes = 2 * (ranks - 1) / ranks * elements * width
        self._steps = 0
        self._over_backend = options.comm == "hlq"
        if options.comm == "hook":
            self._state = HLQState(
                bits=options.bits,
                algorithm=options.algorithm,
                named_parameters=model.module.named_parameters(),
            )
            model.register_comm_hook(self._state, hlq_ddp_comm_hook)
        elif options.comm == "bf16":
            model.register_comm_hook(None, _bf16_on_host)

    def count_step(self) -> None:
        """Notes that one more backward pass is over."""
        self._steps += 1

    def bytes_sent(self) -> int:
        """Bytes this rank has sent to average gradients: counted by hlqtorch, else a ring's."""
        if self._state is not None or self._over_backend:
            stats = self._state.stats() if self._state is not None else hlqtorch.stats()
            return stats.bytes_sent + stats.control_bytes
        return round(self._ring_bytes * self._steps)


def loss_and_hits(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """(mean cross-entropy, fraction of targets that the largest logit names)."""
    inputs, targets = batch
    logits = model(inputs).flatten(0, -2)
    hits = (logits.argmax(dim=-1) == targets.flatten()).float().mean()
    return F.cross_entropy(logits, targets.flatten()), hits


# A thread of gloo that is the last to hold a Work frees its tensor, for which it needs the GIL; if
# it asks while the interpreter ends, the process aborts. So the last holder is this list.
_finished: list[dist.Work] = []


def _mean_over_ranks(*values: float) -> list[float]:
    total = torch.tensor(values, dtype=torch.float64)
    work = dist.all_reduce(total, async_op=True)
    work.wait()
    _finished.append(work)
    return (total / dist.get_world_size()).tolist()


def _score(model: nn.Module, held_out: list[tuple[Tensor, Tensor]]) -> list[float]:
    """[loss, accuracy] on the held-out data of all ranks; all ranks have equal shares."""
    model.eval()
    with torch.no_grad():
        scores = [loss_and_hits(model, batch) for batch in held_out]
    loss = sum(loss.item() for loss, _ in scores) / len(scores)
    accuracy = sum(hits.item() for _, hits in scores) / len(scores)
    return _mean_over_ranks(loss, accuracy)


class StepLog:
    """Loss, seconds and bytes of each step. What it costs is no part of the seconds.

    Losses of all ranks are averaged at the end: on a slow network, one more collective in each step
    would be seen in its time.
    """

    def __init__(self) -> None:
        self._lines: list[dict[str, float]] = []

    def add(self, loss: float, seconds: float, sent: int) -> None:
        """Notes a step; seconds are since the start."""
        step = len(self._lines) + 1
        self._lines.append({"step": step, "loss": loss, "seconds": seconds, "bytes": sent})

    def write(self, path: Path) -> None:
        """Averages the losses, on all ranks; rank 0 writes."""
        losses = _mean_over_ranks(*(line["loss"] for line in self._lines))
        if place().rank == 0:
            pairs = zip(self._lines, losses, strict=True)
            path.write_text(
                "".join(json.dumps(line | {"loss": loss}) + "\n" for line, loss in pairs)
            )


def _train(task: Task, options: argparse.Namespace, here: Place) -> dict[str, object]:
    model = DistributedDataParallel(task.model)
    average = Average(options, model, here.size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=task.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    curve: list[dict[str, float]] = []
    recent: list[float] = []
    log = StepLog()
    every = max(1, options.steps // options.points)
    dist.barrier()
    start = time.perf_counter()
    for step in range(1, options.steps + 1):
        optimizer.zero_grad()
        loss, _ = loss_and_hits(model, task.batch())
        loss.backward()
        average.count_step()
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if options.log:
            log.add(recent[-1], time.perf_counter() - start, average.bytes_sent())
        if step % every == 0 or step == options.steps:
            (mean,) = _mean_over_ranks(sum(recent) / len(recent))
            recent.clear()
            curve.append({"step": step, "loss": mean, "bytes": average.bytes_sent()})
            if here.rank == 0:
                megabytes = average.bytes_sent() / 1e6
                print(f"  step {step:5d}  loss {mean:.4f}  sent {megabytes:8.2f} MB", flush=True)
    seconds = time.perf_counter() - start
    if options.log:
        log.write(options.log)
    loss, accuracy = _score(task.model, task.held_out)
    return {
        "comm": options.comm,
        "bits": {"fp32": 32.0, "bf16": 16.0}.get(options.comm, options.bits),
        "ranks": here.size,
        "steps": options.steps,
        "loss": loss,
        "accuracy": accuracy,
        "bytes_sent_per_rank": average.bytes_sent(),
        "seconds": seconds,
        "curve": curve,
    }


def _start(options: argparse.Namespace) -> Place:
    """Starts torch.distributed. With --comm hlq, this is all that makes gradients compressed."""
    if options.comm != "hlq":
        return init_process_group("gloo")
    return init_process_group(
        "hlq", pg_options=HLQOptions(bits=options.bits, algorithm=options.algorithm)
    )


def run(name: str, make: Callable[[int, Place], Task], options: argparse.Namespace) -> None:
    """Trains and scores a task, prints, writes JSON.

    Args:
        name: of the task, for the first line.
        make: builds the task of one rank from seed and place.
        options: from arguments().
    """
    # Ranks on one machine share its cores. In network namespaces they cannot know: they are told.
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // place().local_size))
    try:
        here = _start(options)
        task = make(options.seed, here)
        if here.rank == 0:
            parameters = sum(parameter.numel() for parameter in task.model.parameters())
            bits = f" {options.bits:g} b" if options.comm in ("hook", "hlq") else ""
            how = options.comm + bits
            print(f"{name}: {parameters} parameters, {here.size} ranks, gradients as {how}")
        result = _train(task, options, here)
    except HLQError as error:
        sys.exit(f"{name}: {error}" if place().rank == 0 else 1)
    if here.rank == 0:
        print(
            f"{name}: held-out loss {result['loss']:.4f}, accuracy {result['accuracy']:.4f}, "
            f"{result['bytes_sent_per_rank'] / 1e6:.2f} MB sent per rank, "
            f"{result['seconds']:.1f} s"
        )
        if options.json:
            options.json.write_text(json.dumps(result, indent=1) + "\n")
    dist.destroy_process_group()
