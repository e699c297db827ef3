"""Sentences as numbers, and a network for images that looks at the words of a sentence."""

import difflib
import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.mine import cross_attention, word_weights
from lessons.exports._images import stop


def words(sentence: str) -> list[str]:
    """The words and numbers of a sentence, in lower case, without punctuation."""
    return re.findall(r"\w+", sentence.lower())


def vocabulary_of(sentences: Sequence[str]) -> dict[str, int]:
    """A number for every word, from 2 on; 0 is padding, and 1 stands before every sentence."""
    known = sorted({word for sentence in sentences for word in words(sentence)})
    return {word: number for number, word in enumerate(known, 2)}


def encode(sentences: Sequence[str], vocabulary: dict[str, int], length: int) -> Tensor:
    """N sentences -> int64 (N, length): 1, the words, 0 as padding. "" is an empty sentence."""
    rows = torch.zeros(len(sentences), length, dtype=torch.int64)
    for row, sentence in zip(rows, sentences, strict=True):
        found = words(sentence)
        for word in found:
            if word not in vocabulary:
                near = difflib.get_close_matches(word, vocabulary, n=2, cutoff=0.0)
                stop(
                    f"No sentence of the training data has the word {word!r}; near are {' and '.join(near)}."
                )
        if len(found) >= length:
            stop(f"The sentence has {len(found)} words; the network was made for at most {length - 1}.")
        row[: len(found) + 1] = torch.tensor([1, *(vocabulary[word] for word in found)])
    return rows


class Sentence(nn.Module):
    """Numbers (B, length) -> a vector for each word, (B, length, width); words look at one another once."""

    def __init__(self, vocabulary: int, length: int, width: int) -> None:
        super().__init__()
        self.word = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(0.1 * torch.randn(length, width))
        self.norm, self.ask = nn.LayerNorm(width), nn.Linear(width, 3 * width, bias=False)
        self.end = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, length) int64, 0 is padding -> (B, length, width)."""
        h = self.word(tokens) + self.place
        query, key, value = self.ask(self.norm(h)).chunk(3, dim=-1)
        h = h + word_weights(query @ key.mT / query.shape[-1] ** 0.5, tokens > 0) @ value
        out: Tensor = h + self.end(h)
        return out


class Block(nn.Module):
    """A place sees its neighbours, the mean of its row and of its column: (B, C, H, W) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.near = nn.GroupNorm(8, width), nn.Conv2d(width, width, 3, padding=1)
        self.row, self.column = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, C, H, W) -> what is added to it."""
        h = F.silu(self.norm(h))
        out: Tensor = self.near(h) + self.row(h.mean(3, keepdim=True)) + self.column(h.mean(2, keepdim=True))
        return out


class Look(nn.Module):
    """Places look at words."""

    def __init__(self, width: int, words: int, asked: int = 32) -> None:
        super().__init__()
        self.query = nn.Linear(width, asked, bias=False)
        self.key, self.value = (nn.Linear(words, size, bias=False) for size in (asked, width))

    def forward(self, h: Tensor, words: Tensor, real: Tensor) -> Tensor:
        """h (B, C, H, W), words (B, L, D), real (B, L) bool -> like h."""
        seen: Tensor = cross_attention(h, words, real, self.query.weight, self.key.weight, self.value.weight)
        return seen


class TextNet(nn.Module):
    """x (B, 1, H, W), t (B,), tokens (B, length) -> like x; H and W are multiples of 4."""

    speeds: Tensor

    def __init__(
        self,
        vocabulary: int,
        length: int,
        width: int = 80,
        clocks: int = 32,
        blocks: int = 5,
        words: int = 48,
    ) -> None:
        super().__init__()
        self.register_buffer("speeds", 10_000.0 ** (-torch.arange(clocks) / clocks))
        self.time = nn.Sequential(nn.Linear(2 * clocks, width), nn.SiLU(), nn.Linear(width, width))
        self.first = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(16, width, 3, padding=1))
        self.last = nn.Sequential(nn.Conv2d(width, 16, 3, padding=1), nn.PixelShuffle(4))
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.sentence = Sentence(vocabulary, length, words)
        self.looks = nn.ModuleList(Look(width, words) for _ in range(blocks))

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """What is predicted of x at time t under the sentences."""
        angles = t[:, None] * self.speeds
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))[:, :, None, None]
        h, words = self.first(x), self.sentence(tokens)
        for block, look in zip(self.blocks, self.looks, strict=True):
            h = look(h + block(h + time), words, tokens > 0)
        out: Tensor = self.last(h)
        return out
