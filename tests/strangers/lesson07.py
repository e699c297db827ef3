"""Answers to the exercises of lesson 07 by people who saw only the texts."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from strangers import right, wrong

# ---------------------------------------------------------------- cycle_loss


@right("cycle_loss", "sums divided by the number of elements, both trips by one helper")
def _(sem, layout, g_a, g_b):
    def trip(x, there, back):
        return torch.sum(torch.abs(x - back(there(x)))) / x.numel()

    return sum(trip(*case) for case in ((sem, g_a, g_b), (layout, g_b, g_a)))


@wrong(
    "cycle_loss",
    "the first translation is detached, as if it were for D",
    breaks="Both generators learn from both halves",
)
def _(sem, layout, g_a, g_b):
    fake_layout = g_a(sem).detach()
    fake_sem = g_b(layout).detach()
    return (g_b(fake_layout) - sem).abs().mean() + (g_a(fake_sem) - layout).abs().mean()


@wrong(
    "cycle_loss",
    "pools the residuals of both trips and doubles their mean",
    breaks="The two batches may differ in size.",
)
def _(sem, layout, g_a, g_b):
    residuals = torch.cat([(g_b(g_a(sem)) - sem).flatten(), (g_a(g_b(layout)) - layout).flatten()])
    return 2 * residuals.abs().mean()


@wrong("cycle_loss", "averages the two halves", breaks="Who goes there and back")
def _(sem, layout, g_a, g_b):
    return 0.5 * (F.l1_loss(g_b(g_a(sem)), sem) + F.l1_loss(g_a(g_b(layout)), layout))


@wrong(
    "cycle_loss", "applies the generators in the other order", breaks="`g_a` makes a layout from a SEM image"
)
def _(sem, layout, g_a, g_b):
    return F.l1_loss(g_a(g_b(sem)), sem) + F.l1_loss(g_b(g_a(layout)), layout)


@wrong(
    "cycle_loss",
    "the second translation runs with frozen weights",
    breaks="Both generators learn from both halves",
)
def _(sem, layout, g_a, g_b):
    def frozen(net, x):
        fixed = {name: p.detach() for name, p in net.named_parameters()}
        return torch.func.functional_call(net, fixed, (x,))

    return F.l1_loss(frozen(g_b, g_a(sem)), sem) + F.l1_loss(frozen(g_a, g_b(layout)), layout)


# ---------------------------------------------------------------- total_loss


@right("total_loss", "a list of the terms that are on")
def _(adversarial, pixel, cycle, matching, weights):
    reduced = [torch.mean, torch.sum, torch.sum, torch.sum]
    parts = [
        w * f(t)
        for w, f, t in zip(weights, reduced, (adversarial, pixel, cycle, matching), strict=True)
        if w != 0
    ]
    return torch.stack(parts).sum() if parts else adversarial.new_zeros(())


@wrong("total_loss", "0 * inf", breaks="A term of weight 0 is switched off")
def _(adversarial, pixel, cycle, matching, weights):
    a, p, c, m = weights
    return a * adversarial.mean() + p * pixel.sum() + c * cycle.sum() + m * matching.sum()


@wrong(
    "total_loss",
    "half the sum, even where there is one direction only",
    breaks="The adversarial term is the *mean* over directions",
)
def _(adversarial, pixel, cycle, matching, weights):
    total = adversarial.new_zeros(())
    for w, t, factor in zip(weights, (adversarial, pixel, cycle, matching), (0.5, 1, 1, 1), strict=True):
        if w:
            total = total + w * factor * t.sum()
    return total


@wrong("total_loss", "a plain 0.0 where every term is off", breaks="If every term is off, the loss is 0")
def _(adversarial, pixel, cycle, matching, weights):
    total = 0.0
    for k, (w, t) in enumerate(zip(weights, (adversarial, pixel, cycle, matching), strict=True)):
        if w:
            total = total + w * (t.mean() if k == 0 else t.sum())
    return total


@wrong(
    "total_loss",
    "drops whatever is not finite, also where the weight is positive",
    breaks="A term of weight 0 is switched off",
)
def _(adversarial, pixel, cycle, matching, weights):
    total = adversarial.new_zeros(())
    for w, t in zip(weights, (adversarial.mean(), pixel.sum(), cycle.sum(), matching.sum()), strict=True):
        if torch.isfinite(t):
            total = total + w * t
    return total


@wrong("total_loss", "order of the paper: GAN, cycle, L1, FM", breaks="Four terms (D,)")
def _(adversarial, pixel, cycle, matching, weights):
    a, c, p, m = weights
    total = adversarial.new_zeros(())
    for w, t in ((a, adversarial.mean()), (c, cycle.sum()), (p, pixel.sum()), (m, matching.sum())):
        if w:
            total = total + w * t
    return total


@wrong(
    "total_loss",
    "builds the result from plain numbers, so nothing can be minimised",
    breaks="What the generators minimise together",
)
def _(adversarial, pixel, cycle, matching, weights):
    terms = (adversarial.mean(), pixel.sum(), cycle.sum(), matching.sum())
    return torch.tensor(
        sum(w * float(t) for w, t in zip(weights, terms, strict=True) if w), dtype=adversarial.dtype
    )


# ---------------------------------------------------------------- best_grey


@right("best_grey", "compares the costs of the three candidates")
def _(share, dark, bright, loss, ratio):
    if loss == "l2":
        tilted = ratio * share / (ratio * share + (1 - share))
        return torch.lerp(torch.full_like(share, dark), torch.full_like(share, bright), tilted)
    cost_dark = ratio * share  # times (bright - dark)
    cost_bright = 1 - share
    out = torch.full_like(share, (dark + bright) / 2)
    out[cost_dark > cost_bright] = bright
    out[cost_dark < cost_bright] = dark
    return out


@right("best_grey", "numpy, pixel by pixel")
def _(share, dark, bright, loss, ratio):
    s = share.numpy()
    out = np.empty_like(s)
    for at in np.ndindex(s.shape):
        up, down = s[at] * ratio, 1 - s[at]
        if loss == "l2":
            out[at] = dark + (bright - dark) * up / (up + down)
        else:
            out[at] = bright if up > down else dark if up < down else 0.5 * (dark + bright)
    return torch.from_numpy(out)


@wrong("best_grey", "the ratio weighs the wrong side", breaks="`ratio` makes it asymmetric")
def _(share, dark, bright, loss, ratio):
    up, down = share, ratio * (1 - share)
    if loss == "l2":
        return (up * bright + down * dark) / (up + down)
    return (bright + dark) / 2 + (bright - dark) / 2 * torch.sign(up - down)


@wrong("best_grey", "0.5 for the midpoint, whatever dark and bright are", breaks="If both are equally likely")
def _(share, dark, bright, loss, ratio):
    up, down = ratio * share, 1 - share
    if loss == "l2":
        return (up * bright + down * dark) / (up + down)
    out = torch.full_like(share, 0.5)
    out[up > down] = bright
    out[up < down] = dark
    return out


@wrong("best_grey", "squares the ratio under the squared error", breaks="`ratio` makes it asymmetric")
def _(share, dark, bright, loss, ratio):
    up, down = ratio * share, 1 - share
    if loss == "l2":
        up = ratio**2 * share
        return (up * bright + down * dark) / (up + down)
    return (bright + dark) / 2 + (bright - dark) / 2 * torch.sign(up - down)


@wrong("best_grey", "the median stays at one half: ratio only for l2", breaks="`ratio` makes it asymmetric")
def _(share, dark, bright, loss, ratio):
    if loss == "l2":
        up, down = ratio * share, 1 - share
        return (up * bright + down * dark) / (up + down)
    return (bright + dark) / 2 + (bright - dark) / 2 * torch.sign(share - 0.5)


@wrong("best_grey", "midpoint where the share is near the turning point", breaks="If both are equally likely")
def _(share, dark, bright, loss, ratio):
    up, down = ratio * share, 1 - share
    if loss == "l2":
        return (up * bright + down * dark) / (up + down)
    out = torch.where(up > down, bright, dark).to(share.dtype)
    out[torch.isclose(up, down, atol=0.02, rtol=0.0)] = (bright + dark) / 2
    return out


# ---------------------------------------------------------------- invented_features


@right("invented_features", "a stack of pixels to flood each feature")
def _(given, output):
    def lonely(image, other):
        image, other = image.tolist(), other.tolist()
        height = len(image)
        width = len(image[0]) if height else 0
        seen = [[False] * width for _ in range(height)]
        count = 0
        for y in range(height):
            for x in range(width):
                if not image[y][x] or seen[y][x]:
                    continue
                seen[y][x] = True
                stack, met = [(y, x)], False
                while stack:
                    v, u = stack.pop()
                    met = met or other[v][u]
                    for p, q in ((v + 1, u), (v - 1, u), (v, u + 1), (v, u - 1)):
                        if 0 <= p < height and 0 <= q < width and image[p][q] and not seen[p][q]:
                            seen[p][q] = True
                            stack.append((p, q))
                count += not met
        return count

    return lonely(output, given), lonely(given, output)


@right("invented_features", "union-find over the pixels")
def _(given, output):
    def alone(image, other):
        points = {tuple(p) for p in image.nonzero().tolist()}
        parent = {p: p for p in points}

        def root(p):
            while parent[p] != p:
                parent[p] = parent[parent[p]]
                p = parent[p]
            return p

        for y, x in points:
            for q in ((y + 1, x), (y, x + 1)):
                if q in points:
                    parent[root((y, x))] = root(q)
        roots = {root(p) for p in points}
        met = {root(p) for p in points if bool(other[p])}
        return len(roots - met)

    return alone(output, given), alone(given, output)


@wrong("invented_features", "corners connect, too", breaks="A *feature* is a connected set of pixels")
def _(given, output):
    eight = np.ones((3, 3), dtype=int)
    a, n_a = ndimage.label(given.numpy(), eight)
    b, n_b = ndimage.label(output.numpy(), eight)
    both = (a > 0) & (b > 0)
    return n_b - len(np.unique(b[both])), n_a - len(np.unique(a[both]))


@wrong(
    "invented_features",
    "a partner is looked for at the centre of mass only",
    breaks="Two features are partners",
)
def _(given, output):
    def alone(image, other):
        labels, n = ndimage.label(image)
        count = 0
        for y, x in ndimage.center_of_mass(image, labels, range(1, n + 1)):
            count += not other[round(y), round(x)]
        return count

    g, o = given.numpy(), output.numpy()
    return alone(o, g), alone(g, o)


@wrong(
    "invented_features", "one to one: a partner can be taken only once", breaks="Two features are partners"
)
def _(given, output):
    a, n_a = ndimage.label(given.numpy())
    b, n_b = ndimage.label(output.numpy())
    taken_a, taken_b = set(), set()
    for i, j in sorted(set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))):
        if i and j and i not in taken_a and j not in taken_b:
            taken_a.add(i)
            taken_b.add(j)
    return n_b - len(taken_b), n_a - len(taken_a)


@wrong("invented_features", "features that only touch are partners, too", breaks="Two features are partners")
def _(given, output):
    g, o = given.numpy(), output.numpy()
    a, n_a = ndimage.label(g)
    b, n_b = ndimage.label(o)
    met_b = set(b[ndimage.binary_dilation(g)].tolist()) - {0}
    met_a = set(a[ndimage.binary_dilation(o)].tolist()) - {0}
    return n_b - len(met_b), n_a - len(met_a)


@wrong(
    "invented_features",
    "torch.roll: features connect across the border of the image",
    breaks="A *feature* is a connected set of pixels",
)
def _(given, output):
    def labels(image):
        number = torch.arange(1, image.numel() + 1).reshape(image.shape) * image
        while True:
            grown = number
            for shift in (1, -1):
                for axis in (0, 1):
                    grown = torch.maximum(grown, torch.roll(number, shift, axis))
            grown = grown * image
            if torch.equal(grown, number):
                return number
            number = grown

    a, b = labels(given), labels(output)
    both = given & output

    def alone(x):
        return len(set(x[x > 0].tolist()) - set(x[both].tolist()))

    return alone(b), alone(a)


# ---------------------------------------------------------------- cycle_step


def _step_loss(sem, layout, g_a, g_b, d_a, d_b, weights):
    fake_layout, fake_sem = g_a(sem), g_b(layout)
    adversarial = 0.5 * (
        ((d_a(sem, fake_layout) - 1) ** 2).mean() + ((d_b(layout, fake_sem) - 1) ** 2).mean()
    )
    pixel = F.l1_loss(fake_layout, layout) + F.l1_loss(fake_sem, sem)
    cycle = F.l1_loss(g_b(fake_layout), sem) + F.l1_loss(g_a(fake_sem), layout)
    return weights[0] * adversarial + weights[1] * pixel + weights[2] * cycle


def _shield(*nets):
    kept = [(p, p.requires_grad) for net in nets for p in net.parameters()]
    for p, _flag in kept:
        p.requires_grad_(False)
    return kept


def _unshield(kept):
    for p, flag in kept:
        p.requires_grad_(flag)


@right("cycle_step", "backward with inputs")
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    loss = _step_loss(sem, layout, g_a, g_b, d_a, d_b, weights)
    loss.backward(inputs=[p for g in (g_a, g_b) for p in g.parameters() if p.requires_grad])
    return loss.detach()


@right("cycle_step", "autograd.grad, added by hand")
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    loss = _step_loss(sem, layout, g_a, g_b, d_a, d_b, weights)
    parameters = [p for p in (*g_a.parameters(), *g_b.parameters()) if p.requires_grad]
    for p, grad in zip(parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
        if grad is not None:
            p.grad = grad.clone() if p.grad is None else p.grad + grad
    return loss.detach()


@right("cycle_step", "copies of the discriminators judge")
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    loss = _step_loss(sem, layout, g_a, g_b, copy.deepcopy(d_a), copy.deepcopy(d_b), weights)
    loss.backward()
    return loss.detach()


@wrong("cycle_step", "clears D's .grad afterwards", breaks="The discriminators must be as before")
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    loss = _step_loss(sem, layout, g_a, g_b, d_a, d_b, weights)
    loss.backward()
    d_a.zero_grad()
    d_b.zero_grad()
    return loss.detach()


@wrong(
    "cycle_step",
    "keeps D's .grad by reference; backward adds to it in place",
    breaks="The discriminators must be as before",
)
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    kept = [(p, p.grad) for d in (d_a, d_b) for p in d.parameters()]
    loss = _step_loss(sem, layout, g_a, g_b, d_a, d_b, weights)
    loss.backward()
    for p, grad in kept:
        p.grad = grad
    return loss.detach()


@wrong("cycle_step", "D stays frozen", breaks="The discriminators must be as before")
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    _shield(d_a, d_b)
    loss = _step_loss(sem, layout, g_a, g_b, d_a, d_b, weights)
    loss.backward()
    return loss.detach()


@wrong("cycle_step", "zeroes G's gradients first", breaks="*Add* its gradients")
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    g_a.zero_grad()
    g_b.zero_grad()
    kept = _shield(d_a, d_b)
    loss = _step_loss(sem, layout, g_a, g_b, d_a, d_b, weights)
    loss.backward()
    _unshield(kept)
    return loss.detach()


@wrong("cycle_step", "returns the loss still attached", breaks="*Add* its gradients")
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    kept = _shield(d_a, d_b)
    loss = _step_loss(sem, layout, g_a, g_b, d_a, d_b, weights)
    loss.backward()
    _unshield(kept)
    return loss


@wrong(
    "cycle_step",
    "D runs under no_grad, so the adversarial term teaches G nothing",
    breaks="*Add* its gradients",
)
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    def judged(d):
        def call(condition, image):
            with torch.no_grad():
                return d(condition, image)

        return call

    loss = _step_loss(sem, layout, g_a, g_b, judged(d_a), judged(d_b), weights)
    loss.backward()
    return loss.detach()


@wrong("cycle_step", "D judges each fake under the fake condition", breaks="`d_a` judges layouts given")
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    fake_layout, fake_sem = g_a(sem), g_b(layout)
    adversarial = 0.5 * (
        F.mse_loss(d_a(fake_sem, fake_layout), torch.ones_like(d_a(sem, layout)))
        + ((d_b(fake_layout, fake_sem) - 1) ** 2).mean()
    )
    pixel = F.l1_loss(fake_layout, layout) + F.l1_loss(fake_sem, sem)
    cycle = F.l1_loss(g_b(fake_layout), sem) + F.l1_loss(g_a(fake_sem), layout)
    loss = weights[0] * adversarial + weights[1] * pixel + weights[2] * cycle
    loss.backward(inputs=[*g_a.parameters(), *g_b.parameters()])
    return loss.detach()
