"""The numbers that accuracy.py measures on: gradients of two models, and four distributions.

Everything is a file of float32 [ranks, numbers], so that hlq_perf and the simulated rivals have the
very same numbers.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dynamiq import lognormal_gradients
from hnlq import Floats

MODELS = {"bytes": "byte transformer", "digits": "conv net on digits"}
# A whole gradient, or the first numbers of one: bytes_step100_first1048576.
GRADIENT = re.compile(rf"(({'|'.join(MODELS)})_step(\d+))(?:_first(\d+))?")

Draw = Callable[[int, int, np.random.Generator], Floats]


def gauss(ranks: int, numbers: int, rng: np.random.Generator) -> Floats:
    """Normal numbers."""
    return rng.standard_normal((ranks, numbers), np.float32)


def laplace(ranks: int, numbers: int, rng: np.random.Generator) -> Floats:
    """Numbers of both signs with exponential sizes."""
    return rng.laplace(size=(ranks, numbers)).astype(np.float32)


def lognormal(ranks: int, numbers: int, rng: np.random.Generator) -> Floats:
    """Numbers of both signs with log-normal sizes, each on its own: no block is like another."""
    size = np.exp(rng.standard_normal((ranks, numbers), np.float32))
    return np.where(rng.random((ranks, numbers)) < 0.5, -size, size)


# hlq_perf's own `lognormal` is dynamiq-lognormal from another generator.
DISTRIBUTIONS: dict[str, Draw] = {
    "gauss": gauss,
    "laplace": laplace,
    "lognormal": lognormal,
    "dynamiq-lognormal": lambda ranks, n, rng: lognormal_gradients(ranks, n, 0.0, rng),
    "dynamiq-lognormal-0.3": lambda ranks, n, rng: lognormal_gradients(ranks, n, 0.3, rng),
}
TITLES = {
    "dynamiq-lognormal": "DynamiQ's log-normal model",
    "dynamiq-lognormal-0.3": "DynamiQ's model, correlation 0.3",
    "lognormal": "log-normal numbers",
    "gauss": "normal numbers",
    "laplace": "Laplace numbers",
}
SEED = 7


@dataclass(frozen=True)
class DataSet:
    """A file of float32 [ranks, numbers]."""

    name: str
    path: Path

    @property
    def title(self) -> str:
        """For people."""
        if found := GRADIENT.fullmatch(self.name):
            first = f", first {int(found[4]):,}" if found[4] else ""
            return f"{MODELS[found[2]]}, step {found[3]}{first}"
        return TITLES.get(self.name, self.name)

    def read(self) -> Floats:
        """The numbers, mapped."""
        return np.load(self.path, mmap_mode="r")


def is_known(name: str) -> bool:
    """Whether it names a data set."""
    return name in DISTRIBUTIONS or bool(GRADIENT.fullmatch(name)) or name.endswith(".npy")


def make_gradients(names: list[str], folder: Path) -> None:
    """Trains models with gradients.py where files are missing."""
    missing: dict[str, set[str]] = {}
    for found in filter(None, map(GRADIENT.fullmatch, names)):
        if not (folder / f"{found[1]}.npy").exists():
            missing.setdefault(found[2], set()).add(found[3])
    for model, steps in missing.items():
        print(f"accuracy.py: training for gradients, {model}", file=sys.stderr, flush=True)
        program = Path(__file__).with_name("gradients.py")
        options = ["--model", model, "--steps", ",".join(steps), "--out", str(folder)]
        if subprocess.run([sys.executable, program, *options], check=False).returncode:
            sys.exit("accuracy.py: gradients.py failed")


def first_of(data: DataSet, numbers: int, scratch: Path) -> DataSet:
    """The first numbers of each rank, as a file."""
    path = scratch / f"{data.name}.npy"
    np.save(path, data.read()[:, :numbers])
    return DataSet(data.name, path)


def prepare(
    names: list[str], ranks: int, numbers: int, gradients: Path, scratch: Path
) -> list[DataSet]:
    """The data sets with these names; distributions as `numbers` numbers of each rank."""
    make_gradients(names, gradients)
    sets = []
    for name in names:
        if name in DISTRIBUTIONS:
            path = scratch / f"{name}_{ranks}x{numbers}.npy"
            np.save(path, DISTRIBUTIONS[name](ranks, numbers, np.random.default_rng(SEED)))
            sets.append(DataSet(name, path))
        elif found := GRADIENT.fullmatch(name):
            whole = DataSet(name, gradients / f"{found[1]}.npy")
            sets.append(first_of(whole, int(found[4]), scratch) if found[4] else whole)
        else:
            sets.append(DataSet(Path(name).stem, Path(name)))
    return sets
