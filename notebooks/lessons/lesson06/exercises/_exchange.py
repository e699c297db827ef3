"""The parts that answers to `exchange_fakes` are put together from."""

from collections.abc import Callable

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]
Answer = tuple[Tensor, Tensor, list[Pair]]
Rule = Callable[[list[Pair], Pair, torch.Generator], Pair]


def coin(generator: torch.Generator) -> bool:
    """Whether a swap is due."""
    return bool(torch.rand((), generator=generator) >= 0.5)


def somewhere(pairs: list[Pair], generator: torch.Generator) -> int:
    return int(torch.randint(len(pairs), (), generator=generator))


def swap(pairs: list[Pair], place: int, pair: Pair) -> Pair:
    pair, pairs[place] = pairs[place], pair
    return pair


def keep(pairs: list[Pair], pair: Pair) -> Pair:
    pairs.append(pair)
    return pair


def one_by_one(rule: Callable[[list[Pair], Pair, int, torch.Generator], Pair]) -> Callable[..., Answer]:
    """An answer that asks `rule` for every image what D gets; the rule also changes the list of pairs."""

    def answer(
        pairs: list[Pair], condition: Tensor, fake: Tensor, capacity: int, draw: torch.Generator
    ) -> Answer:
        pairs = list(pairs)
        given = [rule(pairs, pair, capacity, draw) for pair in zip(condition, fake, strict=True)]
        return torch.stack([c for c, _ in given]), torch.stack([f for _, f in given]), pairs

    return answer


def when_full(rule: Rule) -> Callable[..., Answer]:
    """An answer that fills the buffer rightly and then goes by `rule`."""

    def either(pairs: list[Pair], pair: Pair, capacity: int, draw: torch.Generator) -> Pair:
        if len(pairs) < capacity:
            return keep(pairs, pair)
        return rule(pairs, pair, draw) if capacity else pair

    return one_by_one(either)
