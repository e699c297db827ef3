"""Answers to the exercises of lesson 04 by people who saw only the texts."""

import numpy as np
import torch
import torch.nn.functional as F
from strangers import right, wrong

# ------------------------------------------------------------ encoder_shapes


@wrong(
    "encoder_shapes", "looks only at the input for an odd size", breaks="If a map somewhere has an odd size"
)
def _(size, base, n_down, cap):
    if size % 2:
        raise ValueError("odd size")
    return [(min(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down)]


@wrong("encoder_shapes", "gives the size that goes into each block", breaks="Return one `(channels, size)`")
def _(size, base, n_down, cap):
    out = []
    for k in range(n_down):
        if size % 2:
            raise ValueError("odd size")
        out.append((min(base * 2**k, cap), size))
        size //= 2
    return out


@wrong("encoder_shapes", "insists on a power of two: refuses 96", breaks="If a map somewhere has an odd size")
def _(size, base, n_down, cap):
    if size & (size - 1) or size < 2**n_down:
        raise ValueError("size must be a power of two")
    return [(min(base * 2**k, cap), size >> (k + 1)) for k in range(n_down)]


@wrong(
    "encoder_shapes",
    "stops doubling before the cap would be passed, instead of going to the cap",
    breaks="The encoder has `n_down` blocks",
)
def _(size, base, n_down, cap):
    out, channels = [], base
    for k in range(n_down):
        if size % 2:
            raise ValueError("odd size")
        size //= 2
        out.append((channels, size))
        if channels * 2 <= cap:
            channels *= 2
    return out


@wrong("encoder_shapes", "cuts odd sizes off without a word", breaks="If a map somewhere has an odd size")
def _(size, base, n_down, cap):
    out = []
    for k in range(n_down):
        size = (size + 2 - 4) // 2 + 1
        out.append((min(base << k, cap), size))
    return out


@right("encoder_shapes", "recursive")
def _(size, base, n_down, cap):
    def below(size, channels, left):
        if left == 0:
            return []
        half, odd = divmod(size, 2)
        if odd:
            raise ValueError(f"{size} cannot be halved")
        return [(min(channels, cap), half)] + below(half, 2 * channels, left - 1)

    return below(size, base, n_down)


@right("encoder_shapes", "one test for the whole table: divisible by 2**n_down")
def _(size, base, n_down, cap):
    if size % (1 << n_down) != 0:
        raise ValueError("size must be a multiple of 2**n_down")
    channels = np.minimum(base * 2 ** np.arange(n_down, dtype=np.int64), cap).tolist()
    return list(zip(channels, (size >> k for k in range(1, n_down + 1))))


# ----------------------------------------------------------------------- iou


@wrong("iou", "a pixel at the threshold counts as drawn", breaks="Turn both images into masks")
def _(prediction, target, threshold):
    p, t = (prediction >= threshold).flatten(1), (target >= threshold).flatten(1)
    union = (p | t).sum(1)
    return torch.where(union == 0, 1.0, (p & t).sum(1) / union.clamp(min=1))


@wrong("iou", "the target is cut at 0.5 whatever the threshold", breaks="Turn both images into masks")
def _(prediction, target, threshold):
    p, t = (prediction > threshold).flatten(1), (target > 0.5).flatten(1)
    union = (p | t).sum(1)
    return torch.where(union == 0, 1.0, (p & t).sum(1) / union.clamp(min=1))


@wrong("iou", "adds 1 above and below, to be 1 for empty masks", breaks="Turn both images into masks")
def _(prediction, target, threshold):
    p, t = (prediction > threshold).flatten(1), (target > threshold).flatten(1)
    return ((p & t).sum(1) + 1) / ((p | t).sum(1) + 1)


@wrong("iou", "1 as soon as one of the masks is empty", breaks="Two empty masks agree perfectly")
def _(prediction, target, threshold):
    p, t = (prediction > threshold).flatten(1), (target > threshold).flatten(1)
    value = (p & t).sum(1) / (p | t).sum(1).clamp(min=1)
    value[~p.any(1) | ~t.any(1)] = 1.0
    return value


@wrong("iou", "Dice coefficient", breaks="Turn both images into masks")
def _(prediction, target, threshold):
    p, t = (prediction > threshold).flatten(1), (target > threshold).flatten(1)
    both = p.sum(1) + t.sum(1)
    return torch.where(both == 0, 1.0, 2 * (p & t).sum(1) / both.clamp(min=1))


@wrong("iou", "float64", breaks="One number per image of the batch")
def _(prediction, target, threshold):
    p, t = (prediction > threshold).double(), (target > threshold).double()
    inter, union = (p * t).sum((1, 2, 3)), torch.maximum(p, t).sum((1, 2, 3))
    return torch.where(union == 0, torch.ones_like(union), inter / union)


@right("iou", "sets of drawn pixels")
def _(prediction, target, threshold):
    values = []
    for p, t in zip(prediction, target):
        drawn = set(map(tuple, torch.nonzero(p > threshold).tolist()))
        true = set(map(tuple, torch.nonzero(t > threshold).tolist()))
        values.append(len(drawn & true) / len(drawn | true) if drawn | true else 1.0)
    return torch.tensor(values, dtype=torch.float32, device=prediction.device)


@right("iou", "counts only: union by inclusion and exclusion, in numpy")
def _(prediction, target, threshold):
    b = prediction.shape[0]
    p = (prediction > threshold).cpu().numpy().reshape(b, -1)
    t = (target > threshold).cpu().numpy().reshape(b, -1)
    both = np.count_nonzero(p & t, axis=1)
    either = np.count_nonzero(p, axis=1) + np.count_nonzero(t, axis=1) - both
    value = np.divide(both, either, out=np.ones(b), where=either > 0)
    return torch.from_numpy(value.astype(np.float32)).to(prediction.device)


# -------------------------------------------------------------- decoder_step


@wrong("decoder_step", "skip in front", breaks="Double the map's size")
def _(x, skip, weight, between):
    return torch.cat([skip, F.relu(between(F.conv_transpose2d(x, weight, stride=2, padding=1)))], 1)


@wrong("decoder_step", "ReLU over everything, the skip included", breaks="The skip goes through untouched")
def _(x, skip, weight, between):
    return F.relu(torch.cat([between(F.conv_transpose2d(x, weight, stride=2, padding=1)), skip], 1))


@wrong(
    "decoder_step", "no padding, the surplus cut off at the right and below", breaks="Double the map's size"
)
def _(x, skip, weight, between):
    y = F.conv_transpose2d(x, weight, stride=2)[:, :, : skip.shape[2], : skip.shape[3]]
    return torch.cat([F.relu(between(y)), skip], 1)


@wrong("decoder_step", "ReLU before the transposed convolution", breaks="Double the map's size")
def _(x, skip, weight, between):
    return torch.cat([between(F.conv_transpose2d(F.relu(x), weight, stride=2, padding=1)), skip], 1)


@wrong("decoder_step", "turns the kernel round, as if torch did not", breaks="Double the map's size")
def _(x, skip, weight, between):
    y = F.conv_transpose2d(x, weight.flip(2, 3), stride=2, padding=1)
    return torch.cat([between(y).relu(), skip], dim=1)


@wrong(
    "decoder_step", "batch normalisation of its own before the ReLU", breaks="Give the result to `between`"
)
def _(x, skip, weight, between):
    y = F.conv_transpose2d(x, weight, stride=2, padding=1)
    mean = y.mean((0, 2, 3), keepdim=True)
    var = y.var((0, 2, 3), keepdim=True, correction=0)
    return torch.cat([F.relu((y - mean) / (var + 1e-5).sqrt()), skip], 1)


@right("decoder_step", "zeros between the pixels, then an ordinary convolution with the turned kernel")
def _(x, skip, weight, between):
    b, c, h, w = x.shape
    wide = x.new_zeros(b, c, 2 * h - 1, 2 * w - 1)
    wide[:, :, ::2, ::2] = x
    kernel = weight.transpose(0, 1).flip(-1, -2)
    return torch.cat((torch.clamp_min(between(F.conv2d(wide, kernel, padding=2)), 0), skip), dim=1)


@right("decoder_step", "every pixel sends a 4 x 4 patch: einsum and F.fold")
def _(x, skip, weight, between):
    b, c, h, w = x.shape
    patches = torch.einsum("bchw,cokl->boklhw", x, weight).reshape(b, -1, h * w)
    up = F.fold(patches, (2 * h, 2 * w), kernel_size=4, stride=2, padding=1)
    out = skip.new_empty(b, up.shape[1] + skip.shape[1], 2 * h, 2 * w)
    out[:, : up.shape[1]] = torch.relu(between(up))
    out[:, up.shape[1] :] = skip
    return out


# ------------------------------------------------------------- encoder_block


@wrong("encoder_block", "momentum 0.9", breaks="While training, batch normalisation uses")
def _(x, weight, scale, shift, running_mean, running_var, training):
    y = F.conv2d(x, weight, stride=2, padding=1)
    y = F.batch_norm(y, running_mean, running_var, scale, shift, training, momentum=0.9)
    return F.leaky_relu(y, 0.2)


@wrong(
    "encoder_block",
    "statistics of every image by itself while training",
    breaks="While training, batch normalisation uses",
)
def _(x, weight, scale, shift, running_mean, running_var, training):
    y = F.conv2d(x, weight, stride=2, padding=1)
    if training:
        F.batch_norm(y.detach(), running_mean, running_var, training=True, momentum=0.1)
        y = F.instance_norm(y, weight=scale, bias=shift)
    else:
        y = F.batch_norm(y, running_mean, running_var, scale, shift)
    return F.leaky_relu(y, 0.2)


@wrong(
    "encoder_block", "updates copies of the running values", breaks="While training, batch normalisation uses"
)
def _(x, weight, scale, shift, running_mean, running_var, training):
    y = F.conv2d(x, weight, stride=2, padding=1)
    running_mean, running_var = running_mean.clone(), running_var.clone()
    y = F.batch_norm(y, running_mean, running_var, scale, shift, training=training, momentum=0.1)
    return F.leaky_relu(y, negative_slope=0.2)


@wrong(
    "encoder_block",
    "uses the batch's own statistics in use as well",
    breaks="While training, batch normalisation uses",
)
def _(x, weight, scale, shift, running_mean, running_var, training):
    y = F.conv2d(x, weight, stride=2, padding=1)
    if training:
        y = F.batch_norm(y, running_mean, running_var, scale, shift, True, 0.1)
    else:
        y = F.batch_norm(y, None, None, scale, shift, True)
    return F.leaky_relu(y, 0.2)


@wrong(
    "encoder_block",
    "leaves two more axes on the given scale and shift",
    breaks="Nothing else that you were given may change",
)
def _(x, weight, scale, shift, running_mean, running_var, training):
    y = F.conv2d(x, weight, stride=2, padding=1)
    y = F.batch_norm(y, running_mean, running_var, training=training, momentum=0.1)
    with torch.no_grad():
        g, b = scale.unsqueeze_(-1).unsqueeze_(-1), shift.unsqueeze_(-1).unsqueeze_(-1)
    return F.leaky_relu(y * g + b, 0.2)


@wrong("encoder_block", "pads by reflection instead of zeros", breaks="Convolution (kernel 4")
def _(x, weight, scale, shift, running_mean, running_var, training):
    y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight, stride=2)
    y = F.batch_norm(y, running_mean, running_var, scale, shift, training, 0.1)
    return F.leaky_relu(y, 0.2)


@right("encoder_block", "batch normalisation by hand, running variance by n - 1")
def _(x, weight, scale, shift, running_mean, running_var, training):
    y = F.conv2d(x, weight, stride=2, padding=1)
    mean, var = running_mean, running_var
    if training:
        mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3), correction=0)
        n = y.numel() // y.shape[1]
        with torch.no_grad():
            running_mean.mul_(0.9).add_(mean.detach(), alpha=0.1)
            running_var.mul_(0.9).add_(var.detach() * n / (n - 1), alpha=0.1)
    shape = (1, -1, 1, 1)
    z = (y - mean.view(shape)) * torch.rsqrt(var.view(shape) + 1e-5) * scale.view(shape) + shift.view(shape)
    return torch.where(z > 0, z, 0.2 * z)


@right("encoder_block", "convolution as a matrix product of patches; LeakyReLU as a maximum")
def _(x, weight, scale, shift, running_mean, running_var, training):
    b, _, h, w = x.shape
    patches = F.unfold(x, 4, stride=2, padding=1)
    y = (weight.reshape(weight.shape[0], -1) @ patches).reshape(b, -1, h // 2, w // 2)
    y = torch.batch_norm(y, scale, shift, running_mean, running_var, bool(training), 0.1, 1e-5, False)
    return torch.maximum(y, 0.2 * y)
