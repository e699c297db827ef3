"""Expected, got and their difference as three small panels, where values are images."""

import base64
import html
import io
from typing import Any

import torch
from torch import Tensor

SMALLEST = 4  # pixels on a side


def image_of(value: Any) -> Tensor | None:
    """(H, W) to show of a value: a 2-D tensor, or the first image of (B, 1, H, W), at least 4 x 4."""
    if not isinstance(value, Tensor) or value.is_complex() or value.numel() == 0:
        return None
    if value.dim() == 4 and value.shape[1] == 1:
        value = value[0, 0]
    if value.dim() != 2 or min(value.shape) < SMALLEST:
        return None
    return value.detach().to(torch.float64)


def panels(expected: Any, got: Any) -> str:
    """An HTML image with the three panels and a text that says the same; empty unless both are images.

    Of a batch the first image that differs is shown.
    """
    both = isinstance(expected, Tensor) and isinstance(got, Tensor) and expected.shape == got.shape
    if both and expected.dim() == 4 and len(expected):
        first = int((expected != got).flatten(1).any(1).to(torch.uint8).argmax())
        expected, got = expected[first : first + 1], got[first : first + 1]
    left, right = image_of(expected), image_of(got)
    if left is None or right is None:
        return ""
    words = f"Expected: {_words(left)}. Got: {_words(right)}."
    if left.shape == right.shape:
        wrong = (left - right).abs() > 1e-6
        words += f" They differ in {int(wrong.sum())} of {wrong.numel()} pixels."
    data = base64.b64encode(_png(left, right)).decode()
    style = "max-width:100%;image-rendering:pixelated"
    return f'<img alt="{html.escape(words)}" style="{style}" src="data:image/png;base64,{data}">'


def _words(image: Tensor) -> str:
    low, high = float(image.min()), float(image.max())
    return f"{image.shape[0]} by {image.shape[1]} pixels from {low:.3g} to {high:.3g}"


def _png(expected: Tensor, got: Tensor) -> bytes:
    from matplotlib.figure import Figure  # no pyplot: the notebook's own figures are left alone

    finite = torch.cat([expected.flatten(), got.flatten()])
    finite = finite[finite.isfinite()]
    low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 1.0)
    same = expected.shape == got.shape
    figure = Figure(figsize=(6.0 if same else 4.0, 2.2), layout="constrained")
    axes = figure.subplots(1, 3 if same else 2)
    for ax, title, image in zip(axes, ("expected", "got"), (expected, got), strict=False):
        ax.imshow(image.numpy(), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        ax.set_title(title, fontsize=9)
    if same:
        gap = got - expected
        most = float(gap[gap.isfinite()].abs().max()) if bool(gap.isfinite().any()) else 1.0
        shown = axes[2].imshow(gap.numpy(), cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
        axes[2].set_title("got - expected", fontsize=9)
        figure.colorbar(shown, ax=axes[2], shrink=0.8)
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return file.getvalue()
