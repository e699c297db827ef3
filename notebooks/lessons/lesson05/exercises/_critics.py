"""PatchGANs with one thing changed: most wrong answers of `build_patchgan` are made of them; at the end three
right ones."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Row = tuple[int, int, int, int, int]
Layer = Callable[[int, int, int, int, int], nn.Module]
"""Channels in and out, kernel, stride, padding -> a layer."""


class Base(nn.Module):
    """The layers of a PatchGAN; what `forward` does is in steps, one method each."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(self.layer(*row) for row in rows)

    def layer(self, i: int, o: int, k: int, s: int, p: int) -> nn.Module:
        """The layer of one row."""
        return nn.Conv2d(i, o, k, s, p)

    def forward(self, condition: Tensor, image: Tensor) -> Any:
        """(B, C, H, W) twice -> logits (B, 1, h, w), maps."""
        pair = x = self.joined(condition, image)
        maps = []
        for layer in list(self.layers)[:-1]:
            before = layer(x)
            x = self.activated(before)
            maps.append(self.kept(before, x))
        return self.reported(pair, maps, self.logits(x))

    def joined(self, condition: Tensor, image: Tensor) -> Tensor:
        """What the first layer is given."""
        return torch.cat([condition, image], 1)

    def activated(self, x: Tensor) -> Tensor:
        """What stands between two layers."""
        return F.leaky_relu(x, 0.2)

    def kept(self, before: Tensor, after: Tensor) -> Tensor:
        """Of the maps before and after the activation the one that goes into the list."""
        return after

    def logits(self, x: Tensor) -> Tensor:
        """The last layer."""
        made: Tensor = self.layers[-1](x)
        return made

    def reported(self, pair: Tensor, maps: list[Tensor], logits: Tensor) -> Any:
        """What is returned."""
        return logits, maps


def with_method(**methods: Callable[..., Any]) -> type[nn.Module]:
    """A PatchGAN with some steps done in another way."""
    return type("PatchGAN", (Base,), methods)


def with_layers(layer: Layer) -> type[nn.Module]:
    """A PatchGAN of other layers."""
    return with_method(layer=lambda self, *row: layer(*row))


def only_the_image(self: Base, condition: Tensor, image: Tensor) -> Tensor:
    """The image, with zeros where the condition should be."""
    return torch.cat([torch.zeros_like(condition), image], 1)


def only_the_condition(self: Base, condition: Tensor, image: Tensor) -> Tensor:
    """The condition, with zeros where the image should be."""
    return torch.cat([condition, torch.zeros_like(image)], 1)


def with_batch_norm(i: int, o: int, k: int, s: int, p: int) -> nn.Module:
    """A convolution and a batch norm."""
    return nn.Sequential(nn.Conv2d(i, o, k, s, p), nn.BatchNorm2d(o))


def zeroed(i: int, o: int, k: int, s: int, p: int) -> nn.Module:
    """A convolution that starts at zero."""
    layer = nn.Conv2d(i, o, k, s, p)
    nn.init.zeros_(layer.weight)
    return layer


def dcgan_start(i: int, o: int, k: int, s: int, p: int) -> nn.Module:
    """A convolution with the small first weights of Radford et al. 2016."""
    layer = nn.Conv2d(i, o, k, s, p)
    nn.init.normal_(layer.weight, 0, 0.02)
    return layer


class TakesRows(Base):
    """Takes the last row off the table of the caller."""

    def __init__(self, rows: list[Row]) -> None:
        last = rows.pop()
        super().__init__([*rows, last])


class PlainList(Base):
    """The layers are in a list that PyTorch does not look into."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__([])
        self.hidden = [nn.Conv2d(*row) for row in rows]

    def forward(self, condition: Tensor, image: Tensor) -> Any:
        """As `Base`."""
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.hidden[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.hidden[-1](x), maps


class Wrapped(Base):
    """Each convolution with its LeakyReLU in an `nn.Sequential`."""

    def layer(self, i: int, o: int, k: int, s: int, p: int) -> nn.Module:
        """A convolution and what follows it."""
        return nn.Sequential(nn.Conv2d(i, o, k, s, p), nn.LeakyReLU(0.2))

    def logits(self, x: Tensor) -> Tensor:
        """Without the LeakyReLU."""
        last: Any = self.layers[-1]
        made: Tensor = last[0](x)
        return made


class OneShort(Base):
    """Without the last row."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__(rows[:-1])


class InPlace(Base):
    """Adds to the image it was given."""

    def forward(self, condition: Tensor, image: Tensor) -> Any:
        """As `Base`, and what must not be."""
        answer = super().forward(condition, image)
        image.data.add_(1)
        return answer


class Indexed(nn.Module):
    """With numbers in place of a loop over the layers."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(*row) for row in rows])

    def forward(self, condition: Tensor, image: Tensor) -> Any:
        """(B, C, H, W) twice -> logits (B, 1, h, w), maps."""
        maps = [torch.cat((condition, image), dim=-3)]
        for n in range(len(self.layers) - 1):
            maps.append(torch.where((h := self.layers[n](maps[-1])) > 0, h, 0.2 * h))
        return self.layers[-1](maps[-1]), maps[1:]


class Numbered(nn.Module):
    """Every layer with its number; the last is told apart."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for inputs, outputs, kernel, stride, padding in rows:
            self.layers.append(nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding))

    def forward(self, condition: Tensor, image: Tensor) -> Any:
        """(B, C, H, W) twice -> logits (B, 1, h, w), maps."""
        x, maps = torch.hstack([condition, image]), []
        for n, layer in enumerate(self.layers, 1):
            x = layer(x)
            if n < len(self.layers):
                x = nn.functional.leaky_relu_(x, negative_slope=0.2)
                maps.append(x)
        return x, maps


class Unrolled(nn.Module):
    """With functions, and an activation of its own that has no parameters."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(in_channels=i, out_channels=o, kernel_size=(k, k), stride=(s, s), padding=(p, p))
            for i, o, k, s, p in rows
        )
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, condition: Tensor, image: Tensor) -> Any:
        """(B, C, H, W) twice -> logits (B, 1, h, w), maps."""
        *hidden, last = self.layers
        maps: list[Tensor] = []
        for layer in hidden:
            given = maps[-1] if maps else torch.concatenate([condition, image], dim=1)
            maps.append(self.activation(layer(given)))
        return last(maps[-1]), tuple(maps)
