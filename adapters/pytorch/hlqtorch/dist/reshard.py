"""Saved error feedback, for another number of ranks.

A residual is what one rank failed to send. Gradients are averaged, so what n ranks still owe the
model is the mean of their residuals; m ranks owe the same if the mean of theirs is the same:

    Σ over m ranks of new / m = Σ over n ranks of old / n

Here every new rank takes that mean, the choice with the smallest numbers, which needs to know
neither m nor the rank. The difference of each rank from the mean is no debt and is forgotten.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def reshard(states: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """What any number of ranks can load in place of what `states` were saved from.

    Talks to nobody. On the new ranks, whichever they are, each::

        state.load_state_dict(reshard(torch.load(file) for file in files))

    Args:
        states: state_dict() of all ranks of one moment, in any order; one is held at a time.

    Returns:
        A dictionary for load_state_dict() on every rank: the mean residuals, fp32, which are exact
        to one rounding.

    Raises:
        ValueError: the dictionary of a rank is missing or there twice, or they do not fit together.
    """
    total: dict[str, Tensor] = {}
    seen: list[int] = []
    first: Mapping[str, object] = {}
    for state in states:
        first = first or state
        if state.get("rank") is None or state.get("ranks") is None:
            raise ValueError("a state has no rank: it was resharded before, or never connected")
        for name in ("ranks", "steps"):
            if state[name] != first[name]:
                raise ValueError(
                    f"states of different moments: {name} is {state[name]} on rank "
                    f"{state['rank']} and {first[name]} on rank {first['rank']}"
                )
        _add(total, state, is_first=state is first)
        seen.append(state["rank"])
    if not seen:
        raise ValueError("there is no state to reshard")
    ranks = first["ranks"]
    if sorted(seen) != list(range(ranks)):
        raise ValueError(f"states of ranks {sorted(seen)} are given, all {ranks} are due, once")
    mean = {name: (value / ranks).to(torch.float32) for name, value in total.items()}
    return {"ranks": None, "rank": None, "steps": first["steps"], "residuals": mean}


def _add(total: dict[str, Tensor], state: Mapping[str, object], *, is_first: bool) -> None:
    residuals: Mapping[str, Tensor] = state["residuals"]
    if is_first:
        total |= {name: value.double() for name, value in residuals.items()}
        return
    if residuals.keys() != total.keys():
        odd = sorted(residuals.keys() ^ total.keys())[0]
        raise ValueError(f"rank {state['rank']} and another differ in the residual of {odd}")
    for name, value in residuals.items():
        if value.numel() != total[name].numel():
            raise ValueError(f"the residual of {name} differs in size on rank {state['rank']}")
        total[name] += value


def check_owner(state: Mapping[str, object], rank: int, ranks: int) -> None:
    """Raises ValueError if another rank, or one of another number of ranks, saved the state."""
    saved_ranks, saved_rank = state.get("ranks"), state.get("rank")
    if saved_ranks not in (None, ranks):
        raise ValueError(
            f"the state was saved by {saved_ranks} ranks, this group has {ranks}; residuals belong "
            "to ranks, so load what hlqtorch.dist.reshard.reshard() makes of all of them"
        )
    if saved_rank not in (None, rank):
        raise ValueError(
            f"the state was saved by rank {saved_rank}, this is rank {rank}; every rank loads its "
            "own, or all load what hlqtorch.dist.reshard.reshard() makes of them"
        )
