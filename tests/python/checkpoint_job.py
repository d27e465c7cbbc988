"""Trains a small model on some ranks, saves, and goes on from what other ranks saved.

    python checkpoint_job.py FOLDER ddp|fsdp STEPS RANKS OTHERS...

The batches of all ranks together are the same for every number of ranks that divides SAMPLES: so
losses are those of one training, however often it is cut. RANKS train for 2 · STEPS; each number of
OTHERS goes on from what those saved in between, for STEPS. Writes to FOLDER:

    weights.pt, state_P.pt      after STEPS: the model, each rank's state
    N.json                      for N ranks: losses; how much of what was owed was lost in between
"""

import argparse
import json
from pathlib import Path

import jobs
import torch
import torch.distributed as dist
from hlqtorch.dist.comm_hooks import HLQState, hlq_ddp_comm_hook
from hlqtorch.dist.fsdp import HLQFSDPState, Link
from hlqtorch.dist.reshard import reshard
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

SAMPLES, WIDTH = 48, 96  # of a batch, over all ranks; of the two layers
RATE = 10.0
BITS = 2.0  # few, so that much is owed


# A thread of gloo that is the last to hold a Work needs the GIL to free its tensor, and the end of
# the process group, which may hold the GIL, waits for the thread. So the last holder is this list.
_finished: list[dist.Work] = []


def make_model() -> nn.Sequential:
    """The model at its first weights."""
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH))


def batch(step: int, rank: int, ranks: int) -> tuple[Tensor, Tensor]:
    """This rank's share of a step's inputs and targets, [SAMPLES / ranks, WIDTH] each."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(SAMPLES, WIDTH, generator=generator)
    teacher = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(99))
    y = (x @ teacher / WIDTH**0.5).tanh()
    share = slice(rank, None, ranks)
    return x[share], y[share]


class Training:
    """One rank's model, state and losses; the same for both kinds of parallelism."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.goes_on = self.ranks != options.ranks
        self.losses: list[float] = []
        self.step = 0
        plain = make_model()
        if self.goes_on:
            plain.load_state_dict(torch.load(options.folder / "weights.pt"))
        common = {"bits": BITS, "error_feedback": True, "min_bytes": 0, "algorithm": "oneshot"}
        self.state: HLQState | HLQFSDPState
        self.model: nn.Module
        if options.kind == "ddp":
            self.model = DistributedDataParallel(plain)
            named = plain.named_parameters()
            self.state = HLQState(named_parameters=named, timeout=20.0, **common)
            self.model.register_comm_hook(self.state, hlq_ddp_comm_hook)
        else:
            self.model = fully_shard(plain)
            self.state = HLQFSDPState(self.model, link=Link(timeout=20.0), **common)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE)

    def state_file(self, rank: int) -> Path:
        """Where the state of one of the ranks that save is kept."""
        return self.options.folder / f"state_{rank}.pt"

    def mean(self, value: Tensor) -> Tensor:
        """Over the ranks, fp64."""
        total = value.double()
        work = dist.all_reduce(total, async_op=True)
        work.wait()
        _finished.append(work)
        return total / self.ranks

    def train(self, steps: int) -> None:
        """Trains; notes the loss over the whole batch of each step."""
        for _ in range(steps):
            x, y = batch(self.step, self.rank, self.ranks)
            self.optimizer.zero_grad()
            loss = (self.model(x) - y).square().mean()
            loss.backward()
            self.optimizer.step()
            self.losses.append(float(self.mean(loss.detach())))
            self.step += 1

    def owed(self) -> Tensor:
        """What this rank's gradients owe, all parameters in order of name."""
        residuals = self.state.state_dict()["residuals"]
        return torch.cat([residuals[name].flatten() for name in sorted(residuals)])

    def gradients(self) -> Tensor:
        """The averaged gradients, in the same order."""
        named = {n.removeprefix("module."): p.grad for n, p in self.model.named_parameters()}
        full = {n: g.full_tensor() if hasattr(g, "full_tensor") else g for n, g in named.items()}
        return torch.cat([full[name].flatten() for name in sorted(full)])

    def load(self) -> float:
        """Loads what the others saved; returns the part of what was owed that is then lost.

        Shown by a step whose gradients are zero: what it sends, and what is owed afterwards, come
        from what was loaded.
        """
        old = [torch.load(self.state_file(rank)) for rank in range(self.options.ranks)]
        total = sum(
            torch.cat([one["residuals"][n].double().flatten() for n in sorted(one["residuals"])])
            for one in old
        )
        due = total / len(old)
        self.state.load_state_dict(reshard(old))
        self.optimizer.zero_grad()
        (self.model(batch(0, self.rank, self.ranks)[0]) * 0).sum().backward()
        got = self.gradients() + self.mean(self.owed())
        self.optimizer.step()  # what was paid back belongs to the weights
        assert float(due.square().sum()) > 0, "nothing was owed: the job shows nothing"
        return float(((got - due).square().sum() / due.square().sum()).sqrt())

    def save(self) -> None:
        """Writes what any number of ranks can go on from."""
        state = dict(self.model.state_dict())
        whole = {n: t.full_tensor() if hasattr(t, "full_tensor") else t for n, t in state.items()}
        torch.save(self.state.state_dict(), self.state_file(self.rank))
        if self.rank == 0:
            plain = {name.removeprefix("module."): value for name, value in whole.items()}
            torch.save(plain, self.options.folder / "weights.pt")


def run(rank: int, ranks: int, options: argparse.Namespace) -> None:
    """One rank of so many, from start to end."""
    torch.set_num_threads(1)
    store = f"file://{options.folder}/store_{ranks}"
    dist.init_process_group("gloo", store, rank=rank, world_size=ranks)
    training = Training(options)
    lost = None
    if training.goes_on:
        training.step = options.steps
        lost = training.load()
    else:
        training.train(options.steps)
        training.save()
    training.train(options.steps)
    if rank == 0:
        result = {"losses": training.losses, "lost": lost}
        (options.folder / f"{ranks}.json").write_text(json.dumps(result))
    dist.destroy_process_group()


def main() -> None:
    """Command line: see the head of this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=("ddp", "fsdp"))
    parser.add_argument("steps", type=int)
    parser.add_argument("ranks", type=int)
    parser.add_argument("others", type=int, nargs="+")
    options = parser.parse_args()
    for ranks in (options.ranks, *options.others):
        jobs.fork(ranks, run, ranks, options)


if __name__ == "__main__":
    main()
