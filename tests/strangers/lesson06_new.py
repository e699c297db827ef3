"""Answers to the losses, bug hunts and the loop of lesson 06 by people who saw only the texts."""

import copy
import itertools
import random

import torch
import torch.nn.functional as F
from strangers import right, wrong
from torch import nn

# --------------------------------------------------------- discriminator_loss
N6_KIND = '| `"minimax"`'
N6_SMOOTH = "A label below 1"
N6_RAISE = "The hinge has a margin and"
N6_SIZES = "The two maps may"
N6_FINITE = "Value and gradient"


def n6_loss(real, fake):
    """Half the sum of the means."""
    return 0.5 * (real.mean() + fake.mean())


@wrong("discriminator_loss", "leaves out the term of 1 - y", breaks=N6_KIND)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        return n6_loss(y * F.softplus(-r), F.softplus(f))
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, f**2)
    if kind == "hinge" and y == 1:
        return n6_loss(F.relu(1 - r), F.relu(1 + f))
    raise ValueError(kind)


@wrong("discriminator_loss", "smooths both sides", breaks=N6_SMOOTH)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        return n6_loss(F.softplus(r) - y * r, F.softplus(f) - (1 - y) * f)
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, (f - (1 - y)) ** 2)
    if kind == "hinge" and y == 1:
        return n6_loss(F.relu(1 - r), F.relu(1 + f))
    raise ValueError(kind)


@wrong("discriminator_loss", "lsgan without the label", breaks=N6_SMOOTH)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        return n6_loss(F.softplus(r) - y * r, F.softplus(f))
    if kind == "lsgan":
        return n6_loss((r - 1) ** 2, f**2)
    if kind == "hinge" and y == 1:
        return n6_loss(F.relu(1 - r), F.relu(1 + f))
    raise ValueError(kind)


@wrong("discriminator_loss", "the hinge takes any label", breaks=N6_RAISE)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        return n6_loss(F.softplus(r) - y * r, F.softplus(f))
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, f**2)
    if kind == "hinge":
        return n6_loss(F.relu(1 - r), F.relu(1 + f))
    raise ValueError(kind)


@wrong("discriminator_loss", "every kind refuses a label below 1", breaks=N6_SMOOTH)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if y != 1 or kind not in ("minimax", "non_saturating", "lsgan", "hinge"):
        raise ValueError(kind)
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, f**2)
    if kind == "hinge":
        return n6_loss(F.relu(1 - r), F.relu(1 + f))
    return n6_loss(F.softplus(-r), F.softplus(f))


@wrong("discriminator_loss", "logarithms of a sigmoid", breaks=N6_FINITE)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        p, q = torch.sigmoid(r), torch.sigmoid(f)
        return n6_loss(-y * p.log() - (1 - y) * (1 - p).log(), -(1 - q).log())
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, f**2)
    if kind == "hinge" and y == 1:
        return n6_loss(F.relu(1 - r), F.relu(1 + f))
    raise ValueError(kind)


@wrong("discriminator_loss", "logarithms with a small number added", breaks=N6_FINITE)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        p, q = torch.sigmoid(r), torch.sigmoid(f)
        e = 1e-8
        return n6_loss(-y * (p + e).log() - (1 - y) * (1 - p + e).log(), -(1 - q + e).log())
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, f**2)
    if kind == "hinge" and y == 1:
        return n6_loss(F.relu(1 - r), F.relu(1 + f))
    raise ValueError(kind)


@wrong("discriminator_loss", "F.binary_cross_entropy of probabilities, which stops at 100", breaks=N6_FINITE)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        real = F.binary_cross_entropy(torch.sigmoid(r), torch.full_like(r, y))
        return 0.5 * (real + F.binary_cross_entropy(torch.sigmoid(f), torch.zeros_like(f)))
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, f**2)
    if kind == "hinge" and y == 1:
        return n6_loss(F.relu(1 - r), F.relu(1 + f))
    raise ValueError(kind)


@wrong("discriminator_loss", "one mean over both maps", breaks=N6_SIZES)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits.flatten(), fake_logits.flatten(), real_label
    if kind in ("minimax", "non_saturating"):
        return torch.cat([F.softplus(r) - y * r, F.softplus(f)]).mean()
    if kind == "lsgan":
        return torch.cat([(r - y) ** 2, f**2]).mean()
    if kind == "hinge" and y == 1:
        return torch.cat([F.relu(1 - r), F.relu(1 + f)]).mean()
    raise ValueError(kind)


@wrong(
    "discriminator_loss", "non_saturating is G's: labels turned round on fakes", breaks='| `"non_saturating"`'
)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind == "minimax":
        return n6_loss(F.softplus(r) - y * r, F.softplus(f))
    if kind == "non_saturating":
        return n6_loss(F.softplus(r) - y * r, F.softplus(-f))
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, f**2)
    if kind == "hinge" and y == 1:
        return n6_loss(F.relu(1 - r), F.relu(1 + f))
    raise ValueError(kind)


@wrong("discriminator_loss", "half of real only", breaks="D minimises *half*")
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        return (F.softplus(r) - y * r).mean() / 2 + F.softplus(f).mean()
    if kind == "lsgan":
        return ((r - y) ** 2).mean() / 2 + (f**2).mean()
    if kind == "hinge" and y == 1:
        return F.relu(1 - r).mean() / 2 + F.relu(1 + f).mean()
    raise ValueError(kind)


@wrong("discriminator_loss", "a dictionary: an unknown kind is a KeyError", breaks=N6_RAISE)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind == "hinge" and y != 1:
        raise ValueError("no target")
    entropy = (F.softplus(r) - y * r, F.softplus(f))
    table = {
        "minimax": entropy,
        "non_saturating": entropy,
        "lsgan": ((r - y) ** 2, f**2),
        "hinge": (F.relu(1 - r), F.relu(1 + f)),
    }
    return n6_loss(*table[kind])


@wrong("discriminator_loss", "the hinge's margin is the label", breaks=N6_RAISE)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        return n6_loss(F.softplus(r) - y * r, F.softplus(f))
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, f**2)
    if kind == "hinge":
        return n6_loss(F.relu(y - r), F.relu(1 + f))
    raise ValueError(kind)


@wrong("discriminator_loss", "an unknown kind gives None", breaks=N6_RAISE)
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f, y = real_logits, fake_logits, real_label
    if kind in ("minimax", "non_saturating"):
        return n6_loss(F.softplus(r) - y * r, F.softplus(f))
    if kind == "lsgan":
        return n6_loss((r - y) ** 2, f**2)
    if kind == "hinge":
        if y != 1:
            raise ValueError("no target")
        return n6_loss(F.relu(1 - r), F.relu(1 + f))


@right("discriminator_loss", "BCEWithLogits against full tensors, match")
def _(real_logits, fake_logits, kind, real_label=1.0):
    if kind == "hinge" and real_label != 1:
        raise ValueError("the hinge has no target")
    ones, zeros = torch.full_like(real_logits, real_label), torch.zeros_like(fake_logits)
    match kind:
        case "minimax" | "non_saturating":
            each = nn.BCEWithLogitsLoss()
        case "lsgan":
            each = nn.MSELoss()
        case "hinge":
            return ((1 - real_logits).clamp(min=0).mean() + (1 + fake_logits).clamp(min=0).mean()) / 2
        case _:
            raise ValueError(f"unknown kind {kind!r}")
    return (each(real_logits, ones) + each(fake_logits, zeros)) / 2


@right("discriminator_loss", "logsigmoid of both signs, a table of functions")
def _(real_logits, fake_logits, kind, real_label=1.0):
    def entropy(z, y):
        return -y * F.logsigmoid(z) - (1 - y) * F.logsigmoid(-z)

    def squares(z, y):
        return (z - y).square()

    def hinge(z, y):
        if y not in (0, 1):
            raise ValueError("hinge with a smoothed label")
        return F.relu(1 - (2 * y - 1) * z)

    losses = {"minimax": entropy, "non_saturating": entropy, "lsgan": squares, "hinge": hinge}
    if kind not in losses:
        raise ValueError(kind)
    return torch.stack(
        [losses[kind](real_logits, real_label).mean(), losses[kind](fake_logits, 0).mean()]
    ).mean()


@right("discriminator_loss", "logaddexp with zero; sums divided by counts")
def _(real_logits, fake_logits, kind, real_label=1.0):
    r, f = real_logits.reshape(-1), fake_logits.reshape(-1)
    zero = r.new_zeros(())
    if kind == "lsgan":
        real, fake = (r - real_label) ** 2, f * f
    elif kind == "hinge":
        if abs(real_label - 1) > 0:
            raise ValueError("hinge: label must be 1")
        real, fake = F.relu(1 - r), F.relu(f + 1)
    elif kind in {"minimax", "non_saturating"}:
        real, fake = torch.logaddexp(r, zero) - real_label * r, torch.logaddexp(f, zero)
    else:
        raise ValueError("kind")
    return real.sum() / (2 * r.numel()) + fake.sum() / (2 * f.numel())


# ------------------------------------------------------------------ whole_step
N6_FIRST = "First comes D's turn"
N6_THEN = "Then comes G's turn against the new D"
N6_ALONE = "D's loss moves D alone"
N6_FLOATS = "Return both losses as floats"
N6_LEAVE = "Leave the modes as they are, and D"


def n6_d(D, x, y, fake):
    """D's loss."""
    return 0.5 * ((D(x, y)[0] - 1).square().mean() + D(x, fake)[0].square().mean())


def n6_g(D, x, y, fake, weight_l1):
    """G's loss."""
    return (D(x, fake)[0] - 1).square().mean() + weight_l1 * (fake - y).abs().mean()


@wrong("whole_step", "detaches in G's turn as well: G sees L1 alone", breaks=N6_THEN)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    of_d.step()
    verdict, _ = D(x, fake.detach())
    loss_g = (verdict - 1).square().mean() + weight_l1 * (fake - y).abs().mean()
    loss_g.backward()
    of_g.step()
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "detaches in the wrong turn", breaks=N6_ALONE)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake)
    loss_d.backward(retain_graph=True)
    of_d.step()
    D.requires_grad_(False)
    verdict, _ = D(x, fake.detach())
    loss_g = (verdict - 1).square().mean() + weight_l1 * (fake - y).abs().mean()
    loss_g.backward()
    of_g.step()
    D.requires_grad_(True)
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "D steps at the end, so G meets the old D", breaks=N6_THEN)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    D.requires_grad_(False)
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward()
    of_d.step()
    of_g.step()
    D.requires_grad_(True)
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "G's turn first", breaks=N6_FIRST)
def _(G, D, of_g, of_d, x, y, weight_l1):
    fake = G(x)
    of_g.zero_grad()
    D.requires_grad_(False)
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward()
    of_g.step()
    D.requires_grad_(True)
    of_d.zero_grad()
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    of_d.step()
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "clears at the end in place of the beginning", breaks=N6_ALONE)
def _(G, D, of_g, of_d, x, y, weight_l1):
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    of_d.step()
    of_d.zero_grad()
    D.requires_grad_(False)
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward()
    of_g.step()
    of_g.zero_grad()
    D.requires_grad_(True)
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "clears D alone", breaks=N6_ALONE)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    of_d.step()
    D.requires_grad_(False)
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward()
    of_g.step()
    D.requires_grad_(True)
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "steps both optimisers twice", breaks=N6_ALONE)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    of_d.step()
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward()
    of_d.step()
    of_g.step()
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "one sum of both losses", breaks=N6_ALONE)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_g = n6_g(D, x, y, fake, weight_l1)
    (loss_d + loss_g).backward()
    of_d.step()
    of_g.step()
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "leaves D frozen", breaks=N6_LEAVE)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    of_d.step()
    D.requires_grad_(False)
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward()
    of_g.step()
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "D in eval mode for G's turn", breaks=N6_LEAVE)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    of_d.step()
    D.eval()
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward(inputs=list(G.parameters()))
    of_g.step()
    return loss_d.item(), loss_g.item()


@wrong("whole_step", "tensors", breaks=N6_FLOATS)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    of_d.step()
    D.requires_grad_(False)
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward()
    of_g.step()
    D.requires_grad_(True)
    return loss_d.detach(), loss_g.detach()


@wrong("whole_step", "G's loss before D's", breaks=N6_FLOATS)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    loss_d.backward()
    of_d.step()
    D.requires_grad_(False)
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward()
    of_g.step()
    D.requires_grad_(True)
    return loss_g.item(), loss_d.item()


@wrong("whole_step", "the fake without a graph for good; a new run of G only for L1", breaks=N6_THEN)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x).detach()
    loss_d = n6_d(D, x, y, fake)
    loss_d.backward()
    of_d.step()
    loss_g = (D(x, fake)[0] - 1).square().mean() + weight_l1 * (G(x) - y).abs().mean()
    loss_g.backward()
    of_g.step()
    return loss_d.item(), loss_g.item()


@wrong(
    "whole_step",
    "clears G right after the backward of D, then steps G by the verdict from before",
    breaks=N6_THEN,
)
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    fake = G(x)
    made, _ = D(x, fake)
    loss_d = 0.5 * ((D(x, y)[0] - 1).square().mean() + made.square().mean())
    loss_g = (made - 1).square().mean() + weight_l1 * (fake - y).abs().mean()
    loss_d.backward(retain_graph=True)
    of_g.zero_grad()
    loss_g.backward(inputs=list(G.parameters()))
    of_d.step()
    of_g.step()
    return loss_d.item(), loss_g.item()


@right("whole_step", "detach, and nothing else is changed")
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    real, _ = D(x, y)
    made, _ = D(x, fake.detach())
    loss_d = 0.5 * ((real - 1).square().mean() + made.square().mean())
    loss_d.backward(retain_graph=True)
    of_d.step()
    D.requires_grad_(False)
    verdict, _ = D(x, fake)
    loss_g = (verdict - 1).square().mean() + weight_l1 * (fake - y).abs().mean()
    loss_g.backward()
    of_g.step()
    D.requires_grad_(True)
    return loss_d.item(), loss_g.item()


@right("whole_step", "G's gradients are cleared once more before its own backward")
def _(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    fake = G(x)
    loss_d = n6_d(D, x, y, fake)
    loss_d.backward(retain_graph=True)
    of_d.step()
    of_g.zero_grad()
    D.requires_grad_(False)
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward()
    of_g.step()
    D.requires_grad_(True)
    return loss_d.item(), loss_g.item()


@right("whole_step", "backward with inputs in both turns")
def _(G, D, of_g, of_d, x, y, weight_l1):
    fake = G(x)
    of_d.zero_grad()
    loss_d = n6_d(D, x, y, fake)
    loss_d.backward(inputs=list(D.parameters()), retain_graph=True)
    of_d.step()
    of_g.zero_grad()
    loss_g = n6_g(D, x, y, fake, weight_l1)
    loss_g.backward(inputs=list(G.parameters()))
    of_g.step()
    return loss_d.item(), loss_g.item()


@right("whole_step", "D is not frozen; its gradients are cleared at the beginning of the next step")
def _(G, D, of_g, of_d, x, y, weight_l1):
    fake = G(x)
    loss_d = n6_d(D, x, y, fake.detach())
    of_d.zero_grad()
    loss_d.backward()
    of_d.step()
    loss_g = n6_g(D, x, y, fake, weight_l1)
    of_g.zero_grad()
    loss_g.backward()
    of_g.step()
    return loss_d.item(), loss_g.item()


# --------------------------------------------------------------- translate_new
N6_BATCH = "Use a trained generator"
N6_ORDER = "Return one tensor, like `x`"
N6_BESIDE = "What G makes of an image must not"
N6_GRAPH = "Nothing is learnt here"
N6_SAME = "G comes out as it went in"


@wrong("translate_new", "eval, and leaves it so", breaks=N6_SAME)
def _(G, x, batch):
    G.eval()
    with torch.no_grad():
        return torch.cat([G(part) for part in x.split(batch)])


@wrong("translate_new", "eval, and always back to train", breaks=N6_SAME)
def _(G, x, batch):
    G.eval()
    with torch.no_grad():
        made = torch.cat([G(part) for part in x.split(batch)])
    G.train()
    return made


@wrong("translate_new", "no_grad alone", breaks=N6_BESIDE)
def _(G, x, batch):
    with torch.no_grad():
        return torch.cat([G(part) for part in x.split(batch)])


@wrong("translate_new", "eval, with a graph", breaks=N6_GRAPH)
def _(G, x, batch):
    mode = G.training
    G.eval()
    made = torch.cat([G(part) for part in x.split(batch)])
    G.train(mode)
    return made


@wrong("translate_new", "one image at a time in train mode", breaks=N6_BESIDE)
def _(G, x, batch):
    with torch.no_grad():
        return torch.cat([G(image[None]) for image in x])


@wrong("translate_new", "drops the rest", breaks=N6_ORDER)
def _(G, x, batch):
    mode = G.training
    G.eval()
    with torch.no_grad():
        parts = [G(x[k * batch : (k + 1) * batch]) for k in range(len(x) // batch)]
    G.train(mode)
    return torch.cat(parts) if parts else x[:0]


@wrong("translate_new", "all at once", breaks=N6_BATCH)
def _(G, x, batch):
    mode = G.training
    G.eval()
    with torch.no_grad():
        made = G(x)
    G.train(mode)
    return made


@wrong("translate_new", "chunk in place of split", breaks=N6_BATCH)
def _(G, x, batch):
    mode = G.training
    G.eval()
    with torch.no_grad():
        made = torch.cat([G(part) for part in x.chunk(batch)])
    G.train(mode)
    return made


@wrong("translate_new", "a list of parts", breaks=N6_ORDER)
def _(G, x, batch):
    mode = G.training
    G.eval()
    with torch.no_grad():
        made = [G(part) for part in x.split(batch)]
    G.train(mode)
    return made


@wrong("translate_new", "mends the mode and keeps the thawing: a frozen layer is thawed", breaks=N6_SAME)
def _(G, x, batch):
    mode = G.training
    G.eval()
    G.requires_grad_(False)
    with torch.no_grad():
        made = torch.cat([G(part) for part in x.split(batch)])
    G.requires_grad_(True)
    G.train(mode)
    return made


@wrong("translate_new", "sets the flag of G alone back", breaks=N6_SAME)
def _(G, x, batch):
    mode = G.training
    G.eval()
    with torch.no_grad():
        made = torch.cat([G(part) for part in x.split(batch)])
    G.training = mode
    return made


@wrong("translate_new", "sets the flag of G alone to eval", breaks=N6_BESIDE)
def _(G, x, batch):
    mode = G.training
    G.training = False
    with torch.no_grad():
        made = torch.cat([G(part) for part in x.split(batch)])
    G.training = mode
    return made


@wrong("translate_new", "batch norm to eval, dropout forgotten", breaks="nor on chance")
def _(G, x, batch):
    norms = [m for m in G.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    for m in norms:
        m.eval()
    with torch.no_grad():
        made = torch.cat([G(part) for part in x.split(batch)])
    for m in norms:
        m.train()
    return made


@wrong("translate_new", "a fixed seed in place of eval mode", breaks=N6_BESIDE)
def _(G, x, batch):
    made = []
    with torch.no_grad():
        for part in x.split(batch):
            torch.manual_seed(0)
            made.append(G(part))
    return torch.cat(made)


@wrong("translate_new", "stacked: one axis too many", breaks=N6_ORDER)
def _(G, x, batch):
    mode = G.training
    G.eval()
    with torch.no_grad():
        made = torch.stack([G(part) for part in x.split(1)])
    G.train(mode)
    return made


@wrong("translate_new", "to uint8, ready to be saved", breaks=N6_ORDER)
def _(G, x, batch):
    mode = G.training
    G.eval()
    with torch.no_grad():
        made = torch.cat([G(part) for part in x.split(batch)])
    G.train(mode)
    return ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@right("translate_new", "a copy of G in eval mode")
def _(G, x, batch):
    copied = copy.deepcopy(G).eval().requires_grad_(False)
    return torch.cat([copied(part) for part in x.detach().split(batch)])


@right("translate_new", "written into an empty tensor; try and finally; indices")
@torch.no_grad()
def _(G, x, batch):
    mode = G.training
    G.train(False)
    try:
        made = torch.empty_like(x)
        for start in range(0, len(x), batch):
            made[start : start + batch] = G(x[start : start + batch])
    finally:
        G.train(mode)
    return made


@right("translate_new", "inference_mode, flag by flag put back")
def _(G, x, batch):
    modes = [(m, m.training) for m in G.modules()]
    G.eval()
    with torch.inference_mode():
        made = torch.vstack([G(part) for part in torch.split(x, batch)])
    for m, mode in modes:
        m.training = mode
    return made


@right("translate_new", "detached part by part")
def _(G, x, batch):
    was = G.training
    made = torch.cat([G.eval()(part).detach() for part in x.split(batch)])
    if was:
        G.train()
    return made


# --------------------------------------------------------------- train_pix2pix
N6_RATE = "1. Set the learning rate"
N6_DRAW = "2. Draw the batch"
N6_FAKES = "3. Make the fakes"
N6_STORE = "4. `store(x, y, fake)`"
N6_KEEPS = "Give it the fakes without their graph"
N6_TURN_D = "5. D's turn comes first"
N6_TURN_G = "6. Then G's turn"
N6_LOSSES = "Return the list of pairs"


def n6_set(value, *optimisers):
    """Set every group's rate."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = value


@wrong("train_pix2pix", "the rate once, before the loop", breaks=N6_RATE)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    n6_set(rate(steps[0] if len(steps) else 0), of_g, of_d)
    for _ in steps:
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "the rate of the first group only", breaks=N6_RATE)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        of_g.param_groups[0]["lr"] = of_d.param_groups[0]["lr"] = rate(step)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "counts from 0 in a run that goes on", breaks=N6_RATE)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in range(len(steps)):
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "the rate at the end of the step, as a scheduler does", breaks=N6_RATE)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
        n6_set(rate(step), of_g, of_d)
    return losses


@wrong("train_pix2pix", "multiplies the rate that is there", breaks=N6_RATE)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        for group in (*of_g.param_groups, *of_d.param_groups):
            group["lr"] *= rate(step)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "the rate of G only", breaks=N6_RATE)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "a permutation: no row twice", breaks=N6_DRAW)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randperm(len(x), generator=generator, device=x.device)[:batch]
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "the generator is forgotten", breaks=N6_DRAW)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "Python's own random numbers", breaks=N6_DRAW)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = random.choices(range(len(x)), k=batch)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "the last row is never drawn", breaks=N6_DRAW)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(max(len(x) - 1, 1), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "other rows for y", breaks="These rows of `x` and `y`")
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        a, b = (z[torch.randint(len(z), (batch,), generator=generator, device=z.device)] for z in (x, y))
        fake = G(a)
        loss_d = turn_d(D, of_d, *store(a, b, fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, a, b, fake)))
    return losses


@wrong("train_pix2pix", "the batch is drawn once, before the loop", breaks=N6_DRAW)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "all pairs in every step", breaks=N6_DRAW)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        fake = G(x)
        loss_d = turn_d(D, of_d, *store(x, y, fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x, y, fake)))
    return losses


@wrong("train_pix2pix", "G runs twice: once for each turn", breaks=N6_FAKES)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        with torch.no_grad():
            first = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], first))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], G(x[rows]))))
    return losses


@wrong("train_pix2pix", "fakes from the real images", breaks=N6_FAKES)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(y[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "the store gets the graph", breaks=N6_KEEPS)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "detaches after the store, before D's turn", breaks=N6_KEEPS)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        given, real, old = store(x[rows], y[rows], fake)
        loss_d = turn_d(D, of_d, given, real, old.detach())
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "the store is not used", breaks=N6_TURN_D)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        store(x[rows], y[rows], fake.detach())
        loss_d = turn_d(D, of_d, x[rows], y[rows], fake.detach())
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "old fakes with the conditions of the batch", breaks=N6_TURN_D)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        *_, old = store(x[rows], y[rows], fake.detach())
        loss_d = turn_d(D, of_d, x[rows], y[rows], old)
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "G's turn with the pairs of the store", breaks=N6_TURN_G)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        given, real, old = store(x[rows], y[rows], fake.detach())
        loss_d = turn_d(D, of_d, given, real, old)
        losses.append((loss_d, turn_g(D, of_g, given, real, fake)))
    return losses


@wrong("train_pix2pix", "G's turn with detached fakes", breaks=N6_TURN_G)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows]).detach()
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "G's turn first", breaks=N6_TURN_D)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        kept = store(x[rows], y[rows], fake.detach())
        loss_g = turn_g(D, of_g, x[rows], y[rows], fake)
        losses.append((turn_d(D, of_d, *kept), loss_g))
    return losses


@wrong("train_pix2pix", "the optimisers exchanged", breaks=N6_TURN_D)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_g, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_d, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "G in place of D in G's turn", breaks=N6_TURN_G)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(G, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "two lists in place of pairs", breaks=N6_LOSSES)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    of_both = [], []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        of_both[0].append(turn_d(D, of_d, *store(x[rows], y[rows], fake.detach())))
        of_both[1].append(turn_g(D, of_g, x[rows], y[rows], fake))
    return of_both


@wrong("train_pix2pix", "only the last pair", breaks=N6_LOSSES)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses = [(loss_d, turn_g(D, of_g, x[rows], y[rows], fake))]
    return losses


@wrong("train_pix2pix", "train mode at the start", breaks="Leave the modes of both")
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    G.train()
    D.train()
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "the step and the losses in a triple", breaks=N6_LOSSES)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        losses.append((step, loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "D's turn twice per step", breaks=N6_TURN_D)
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        kept = store(x[rows], y[rows], fake.detach())
        turn_d(D, of_d, *kept)
        loss_d = turn_d(D, of_d, *kept)
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
    return losses


@wrong("train_pix2pix", "backward and steps once more in the loop", breaks="Its parts are passed in")
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    losses = []
    for step in steps:
        n6_set(rate(step), of_g, of_d)
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        fake = G(x[rows])
        loss_d = turn_d(D, of_d, *store(x[rows], y[rows], fake.detach()))
        of_d.step()
        losses.append((loss_d, turn_g(D, of_g, x[rows], y[rows], fake)))
        of_g.step()
    return losses


@right("train_pix2pix", "an inner function for one step, index_select, chain")
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    def one(step):
        for group in itertools.chain(of_d.param_groups, of_g.param_groups):
            group.update(lr=rate(step))
        rows = torch.randint(0, len(x), size=(batch,), generator=generator, device=x.device)
        given, real = x.index_select(0, rows), y.index_select(0, rows)
        fake = G(given)
        shown = store(given, real, fake.detach().clone())
        return turn_d(D, of_d, *shown), turn_g(D, of_g, given, real, fake)

    return [one(step) for step in steps]


@right("train_pix2pix", "rows as a list, while loop with an iterator, fake.data")
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    history, todo = [], iter(steps)
    while (step := next(todo, None)) is not None:
        now = rate(step)
        for optimiser in (of_g, of_d):
            for n in range(len(optimiser.param_groups)):
                optimiser.param_groups[n]["lr"] = now
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device).tolist()
        fake = G(x[rows])
        a, b, c = store(x[rows], y[rows], fake.data)
        d = turn_d(D, of_d, a, b, c)
        g = turn_g(D, of_g, x[rows], y[rows], fake)
        history += [(d, g)]
    return history


@right("train_pix2pix", "zip of two lists; pairs stacked before the draw")
def _(G, D, of_g, of_d, x, y, steps, batch, turn_d, turn_g, rate, store, generator):
    both = torch.stack([x, y], dim=1)
    on_d, on_g = [], []
    for step in steps:
        n6_set(rate(step), of_d, of_g)
        given, real = both[torch.randint(len(both), (batch,), device=x.device, generator=generator)].unbind(1)
        fake = G(given)
        with torch.no_grad():
            shown = store(given, real, fake.detach())
        on_d.append(turn_d(D, of_d, *shown))
        on_g.append(turn_g(D, of_g, given, real, fake))
    return list(zip(on_d, on_g, strict=True))
