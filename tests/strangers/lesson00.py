"""Answers to the exercises of lesson 00 by people who saw only the texts."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from strangers import right, wrong

# ---------------------------------------------------------------- to_network


@wrong("to_network", "divides by 128, so white is 0.992", breaks="Write the change of range")
def _(image):
    return image.float() / 128 - 1


@wrong("to_network", "gives float64", breaks="Inside the networks of this")
def _(image):
    return image.double() / 127.5 - 1


@wrong(
    "to_network", "doubles and subtracts while still uint8: wraps round", breaks="Write the change of range"
)
def _(image):
    return (image * 2 - 255).float() / 255


@wrong(
    "to_network",
    "stretches between the image's own darkest and brightest value",
    breaks="Write the change of range",
)
def _(image):
    x = image.float()
    if x.numel() == 0:
        return x
    low, high = x.min(), x.max()
    return (x - low) / (high - low).clamp(min=1) * 2 - 1


@wrong(
    "to_network",
    "adds missing axes in place, so the given image gets another shape",
    breaks="The image you are given must stay as it is",
)
def _(image):
    shape = image.shape
    x = image
    while x.dim() < 4:
        x.unsqueeze_(0)
    return (x.float() / 127.5 - 1).reshape(shape)


@wrong(
    "to_network",
    "flattens by view, which refuses transposed or cropped images",
    breaks="Write the change of range",
)
def _(image):
    flat = image.view(-1).to(torch.float32)
    return flat.div(127.5).sub(1).view(image.shape)


@right("to_network", "a table of 256 values")
def _(image):
    table = torch.tensor(
        [value / 127.5 - 1 for value in range(256)], dtype=torch.float32, device=image.device
    )
    return table[image.long()]


@right("to_network", "in numpy, by (2 x - 255) / 255 in float64")
def _(image):
    x = np.asarray(image.cpu().numpy(), dtype=np.float64)
    y = np.asarray((2.0 * x - 255.0) / 255.0, dtype=np.float32)
    return torch.as_tensor(y).to(image.device)


# -------------------------------------------------------------- augment_pair


@wrong("augment_pair", "turns clockwise", breaks="The draws are made for you")
def _(sem, layout, mirror, turns):
    def move(x):
        x = x.flip(-1) if mirror else x
        return torch.rot90(x, turns, (3, 2))

    return move(sem), move(layout)


@wrong("augment_pair", "turns first and mirrors afterwards", breaks="The draws are made for you")
def _(sem, layout, mirror, turns):
    out = []
    for x in (sem, layout):
        x = torch.rot90(x, turns, (2, 3))
        out.append(x.flip(3) if mirror else x)
    return out[0], out[1]


@wrong("augment_pair", "the layout is turned but never mirrored", breaks="A mirrored or turned pair")
def _(sem, layout, mirror, turns):
    if mirror:
        sem = torch.flip(sem, dims=(3,))
    return torch.rot90(sem, turns, (2, 3)), torch.rot90(layout, turns, (2, 3))


@wrong(
    "augment_pair",
    "a loop of quarter turns, which does nothing for negative numbers",
    breaks="The draws are made for you",
)
def _(sem, layout, mirror, turns):
    if mirror:
        sem, layout = sem.flip(3), layout.flip(3)
    for _ in range(turns):
        sem, layout = torch.rot90(sem, 1, (2, 3)), torch.rot90(layout, 1, (2, 3))
    return sem, layout


@wrong(
    "augment_pair",
    "resizes back to the old height and width after an odd turn",
    breaks="A mirrored or turned pair",
)
def _(sem, layout, mirror, turns):
    def move(x):
        size = x.shape[2:]
        if mirror:
            x = x.flip(3)
        x = torch.rot90(x, turns, (2, 3))
        if x.shape[2:] != size:
            x = F.interpolate(x, size=size, mode="nearest")
        return x

    return move(sem), move(layout)


@right("augment_pair", "by transposes and flips, turns modulo 4")
def _(sem, layout, mirror, turns):
    def once(x):
        return x.transpose(2, 3).flip(2)

    pair = [sem, layout]
    if mirror:
        pair = [x.flip(3) for x in pair]
    for _ in range(turns % 4):
        pair = [once(x) for x in pair]
    return tuple(pair)


@right("augment_pair", "moves a map of pixel numbers with numpy and gathers")
def _(sem, layout, mirror, turns):
    def move(x):
        b, c, h, w = x.shape
        numbers = np.arange(h * w).reshape(h, w)
        if mirror:
            numbers = numbers[:, ::-1]
        numbers = np.ascontiguousarray(np.rot90(numbers, turns % 4))
        order = torch.from_numpy(numbers.ravel()).to(x.device)
        return x.reshape(b, c, h * w)[:, :, order].reshape(b, c, *numbers.shape)

    return move(sem), move(layout)


# ---------------------------------------------------------------- ncc_offset


def _windows00(field, template):
    h, w = template.shape
    win = field.double().unfold(0, h, 1).unfold(1, w, 1)
    return win, template.double()


def _corner00(score):
    index = int(score.flatten().argmax())
    return index // score.shape[1], index % score.shape[1]


@wrong(
    "ncc_offset",
    "correlates with the template minus its mean, not divided by the window's norm",
    breaks="For every window",
)
def _(field, template):
    t = template.double() - template.double().mean()
    score = F.conv2d(field.double()[None, None], t[None, None])[0, 0]
    return _corner00(score)


@wrong("ncc_offset", "cosine similarity: no mean is taken off", breaks="For every window")
def _(field, template):
    win, t = _windows00(field, template)
    norm = (win.square().sum((2, 3)) * t.square().sum()).sqrt()
    return _corner00((win * t).sum((2, 3)) / norm.clamp(min=1e-12))


@wrong("ncc_offset", "takes the absolute value, so an inverted copy wins", breaks="For every window")
def _(field, template):
    win, t = _windows00(field, template)
    win = win - win.mean((2, 3), keepdim=True)
    t = t - t.mean()
    norm = (win.square().sum((2, 3)) * t.square().sum()).sqrt()
    return _corner00(((win * t).sum((2, 3)) / norm.clamp(min=1e-12)).abs())


@wrong("ncc_offset", "never looks at the last row and column of windows", breaks="For every window")
def _(field, template):
    h, w = template.shape
    f, t = field.double(), template.double()
    t = t - t.mean()
    best, where = -math.inf, (0, 0)
    for i in range(field.shape[0] - h):
        for j in range(field.shape[1] - w):
            win = f[i : i + h, j : j + w]
            d = win - win.mean()
            norm = math.sqrt(float((d * d).sum() * (t * t).sum()))
            score = float((d * t).sum()) / norm if norm > 1e-12 else 0.0
            if score > best:
                best, where = score, (i, j)
    return where


@wrong(
    "ncc_offset",
    "leaves out flat windows, so a negative score can win against their 0",
    breaks="A window without contrast",
)
def _(field, template):
    win, t = _windows00(field, template)
    flat = win.amax((2, 3)) == win.amin((2, 3))
    win = win - win.mean((2, 3), keepdim=True)
    t = t - t.mean()
    score = (win * t).sum((2, 3)) / (win.square().sum((2, 3)) * t.square().sum()).sqrt()
    score[flat] = -math.inf
    return _corner00(score)


@wrong(
    "ncc_offset",
    "a generous epsilon in the denominator puts faint windows at a disadvantage",
    breaks="For every window",
)
def _(field, template):
    win, t = _windows00(field, template)
    win = win - win.mean((2, 3), keepdim=True)
    t = t - t.mean()
    norm = (win.square().sum((2, 3)) * t.square().sum()).sqrt()
    return _corner00((win * t).sum((2, 3)) / (norm + 0.1))


@wrong("ncc_offset", "flat windows become NaN, which argmax prefers", breaks="A window without contrast")
def _(field, template):
    win, t = _windows00(field, template)
    flat = win.amax((2, 3)) == win.amin((2, 3))
    win = win - win.mean((2, 3), keepdim=True)
    win[flat] = 0
    t = t - t.mean()
    return _corner00((win * t).sum((2, 3)) / (win.square().sum((2, 3)) * t.square().sum()).sqrt())


@right("ncc_offset", "two plain loops in numpy, float64")
def _(field, template):
    f = field.detach().cpu().numpy().astype(np.float64)
    t = template.detach().cpu().numpy().astype(np.float64)
    h, w = t.shape
    t = t - t.mean()
    best, where = None, (0, 0)
    for i in range(f.shape[0] - h + 1):
        for j in range(f.shape[1] - w + 1):
            win = f[i : i + h, j : j + w]
            score = 0.0
            if win.max() > win.min():
                d = win - win.mean()
                bottom = math.sqrt((d * d).sum() * (t * t).sum())
                score = float((d * t).sum()) / bottom if bottom > 0 else 0.0
            if best is None or score > best:
                best, where = score, (i, j)
    return where


@right("ncc_offset", "all windows as columns of F.unfold, unit vectors, one product")
def _(field, template):
    h, w = template.shape
    columns = F.unfold(field.double()[None, None], (h, w))[0]
    t = template.double().reshape(-1)
    t = F.normalize(t - t.mean(), dim=0)
    contrast = columns.amax(0) > columns.amin(0)
    centred = columns - columns.mean(0)
    score = torch.where(contrast, t @ F.normalize(centred, dim=0, eps=1e-300), torch.zeros_like(centred[0]))
    row, column = divmod(int(torch.argmax(score)), field.shape[1] - w + 1)
    return row, column
