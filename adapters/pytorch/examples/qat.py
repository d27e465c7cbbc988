"""What the examples of quantization-aware training share: arguments, training, the table.

Each run trains the model three times from the same start, on the same batches: in float, and with
each of two codes in every linear layer (QAT). The float model is also packed as it is, without
training (post-training quantization). Codes are scored as packed layers, as one would deploy them.
"""

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from common import loss_and_hits, positive, writable
from images import ImageSet, Labelled
from torch import Tensor, nn

from hlqtorch.nn import PackedLinear, QuantConfig
from hlqtorch.quantize import quantize_model

CODES = (QuantConfig(d=4, q=4, M=2), QuantConfig(d=4, q=4, M=1))
BATCH = 64
SCORED = 1000  # images at a time


@dataclass(frozen=True)
class Recipe:
    """How to train a model.

    Attributes:
        name: of the model.
        model: makes it for a set of images: [n, channels, side, side] to logits [n, classes].
        learning_rate: of AdamW; follows half a cosine down to zero.
        augment: photographs of a batch as they are trained on, from a generator of random numbers.
    """

    name: str
    model: Callable[[ImageSet], nn.Module]
    learning_rate: float
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None


@dataclass
class Row:
    """One code: accuracy in each run, in percent."""

    config: QuantConfig
    post_training: list[float] = field(default_factory=list)
    qat: list[float] = field(default_factory=list)
    bits_per_weight: float = 0.0

    @property
    def label(self) -> str:
        return f"{self.config.lattice.name}, q = {self.config.q}, M = {self.config.M}"


def arguments(
    description: str, *, runs: int, steps: int, steps_of_files: int
) -> argparse.Namespace:
    """Command line of an example, with the defaults for the digits; files take more steps."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", default="digits", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--activations", action="store_true", help="quantize the inputs of linear layers, too"
    )
    parser.add_argument(
        "--runs", type=positive, help=f"of other seeds; default {runs} for digits, 1 for files"
    )
    parser.add_argument(
        "--steps", type=positive, help=f"default {steps} for digits, {steps_of_files} for files"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first run; default %(default)s")
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the result there")
    options = parser.parse_args()
    is_digits = options.data == "digits"
    options.runs = options.runs or (runs if is_digits else 1)
    options.steps = options.steps or (steps if is_digits else steps_of_files)
    return options


# One run ------------------------------------------------------------------------------------------


def _train(model: nn.Module, recipe: Recipe, images: ImageSet, steps: int, seed: int) -> None:
    """Trains on the same batches whatever the layers of the model are."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    pixels, labels = images.train
    model.train()
    for _ in range(steps):
        chosen = torch.randint(len(labels), (BATCH,), generator=generator)
        batch = pixels[chosen]
        if images.photographs and recipe.augment:
            batch = recipe.augment(batch, generator)
        loss, _ = loss_and_hits(model, (batch, labels[chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _accuracy(model: nn.Module, held_out: Labelled) -> float:
    """Percent of images whose label the largest logit names."""
    model.eval()
    with torch.no_grad():
        batches = zip(*(part.split(SCORED) for part in held_out), strict=True)
        hits = sum(float(loss_and_hits(model, batch)[1]) * len(batch[1]) for batch in batches)
    return 100 * hits / len(held_out[1])


def _pack(model: nn.Module, config: QuantConfig) -> nn.Module:
    return quantize_model(model, replace(config, step="convert"))


def _bits_per_weight(model: nn.Module) -> float:
    """What packed layers store, codes and scales, for each weight."""
    layers = [layer for layer in model.modules() if isinstance(layer, PackedLinear)]
    stored = sum(layer.codes.nbytes + layer.scales.nbytes for layer in layers)
    return 8 * stored / sum(layer.in_features * layer.out_features for layer in layers)


def _run(recipe: Recipe, images: ImageSet, steps: int, seed: int, rows: list[Row]) -> float:
    """Trains in float and with each code; adds to the rows. Returns the accuracy in float."""
    torch.manual_seed(seed)
    start = recipe.model(images)
    floating = copy.deepcopy(start)
    _train(floating, recipe, images, steps, seed)
    for row in rows:
        packed = _pack(copy.deepcopy(floating), row.config)
        row.post_training.append(_accuracy(packed, images.held_out))
        row.bits_per_weight = _bits_per_weight(packed)
        model = quantize_model(copy.deepcopy(start), row.config)
        _train(model, recipe, images, steps, seed)
        row.qat.append(_accuracy(_pack(model, row.config), images.held_out))
    return _accuracy(floating, images.held_out)


# All runs -----------------------------------------------------------------------------------------


def _mean(values: list[float]) -> str:
    """Mean, and if there are several values its standard error."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.2f}"
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return f"{mean:.2f} ± {math.sqrt(variance / len(values)):.2f}"


def _minus(values: list[float], others: list[float]) -> str:
    text = _mean([a - b for a, b in zip(values, others, strict=True)])
    return text if text.startswith("-") else f"+{text}"


def _print_table(floating: list[float], rows: list[Row]) -> None:
    lines = [
        ("accuracy, %", "bits per weight", "post-training", "QAT", "QAT - float", "QAT - post-tr."),
        ("float", "32", "", _mean(floating), "", ""),
    ]
    for row in rows:
        gains = [_minus(row.qat, other) for other in (floating, row.post_training)]
        means = [_mean(values) for values in (row.post_training, row.qat)]
        lines.append((row.label, f"{row.bits_per_weight:.2f}", *means, *gains))
    for first, *others in lines:
        print(f"{first:18}" + "".join(f"{text:>17}" for text in others))


def run(
    recipe: Recipe, reader: Callable[[], Callable[[int], ImageSet]], options: argparse.Namespace
) -> None:
    """Trains and scores, prints, writes JSON.

    Args:
        recipe: the model and how to train it.
        reader: called once; what it returns gives the images of each run.
        options: from arguments().
    """
    try:
        read = reader()
    except (OSError, ValueError) as error:
        sys.exit(f"{recipe.name}: {error}")
    if options.data == "digits":
        torch.set_num_threads(1)  # layers for small images lose by more
    begin = time.perf_counter()
    rows = [Row(replace(config, quantize_activations=options.activations)) for config in CODES]
    floating: list[float] = []
    for number in range(options.runs):
        images, seed = read(number), options.seed + number
        if number == 0:
            print(
                f"{recipe.name} on {images.name}: {len(images.train[1])} images, "
                f"{len(images.held_out[1])} held out; {options.steps} steps; linear layers with "
                f"{'weights and activations' if options.activations else 'weights'} in codes"
            )
        floating.append(_run(recipe, images, options.steps, seed, rows))
        parts = [f"{row.label} {row.post_training[-1]:.2f} -> {row.qat[-1]:.2f}" for row in rows]
        print(f"  seed {seed}  float {floating[-1]:.2f}  {'  '.join(parts)}", flush=True)
    _print_table(floating, rows)
    seconds = time.perf_counter() - begin
    print(f"{recipe.name}: {options.runs} runs, mean ± standard error, {seconds:.1f} s")
    if options.json:
        options.json.write_text(
            json.dumps(_result(floating, rows, options, seconds), indent=1) + "\n"
        )


def _result(
    floating: list[float], rows: list[Row], options: argparse.Namespace, seconds: float
) -> dict[str, object]:
    return {
        "data": options.data,
        "seeds": [options.seed + number for number in range(options.runs)],
        "steps": options.steps,
        "activations": options.activations,
        "seconds": seconds,
        "float": floating,
        "codes": [
            {
                "lattice": row.config.lattice.name,
                "q": row.config.q,
                "M": row.config.M,
                "bits_per_weight": row.bits_per_weight,
                "post_training": row.post_training,
                "qat": row.qat,
            }
            for row in rows
        ],
    }
