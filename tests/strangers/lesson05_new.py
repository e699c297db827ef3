"""Answers to the class and the two turns of lesson 05 by people who saw only the texts."""

import copy
import itertools
import math

import torch
import torch.nn.functional as F
from strangers import right, wrong
from torch import nn

# ------------------------------------------------------------- build_patchgan
N5_INIT = "`__init__` makes `self.layers`"
N5_BIAS = "Each has a bias"
N5_JOIN = "`forward` gets `condition` and `image`"
N5_LEAKY = "After every convolution but the last"
N5_PAIR = "Return the pair"
N5_MAPS = "`maps` is the list of the maps"


class N5Rows(nn.Module):
    """Layers made as the text says."""

    def __init__(self, rows):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(i, o, k, stride=s, padding=p) for i, o, k, s, p in rows)


@wrong("build_patchgan", "forgets super().__init__()", breaks=N5_INIT)
class N5NoSuper(nn.Module):
    def __init__(self, rows):
        self.layers = nn.ModuleList(nn.Conv2d(i, o, k, s, p) for i, o, k, s, p in rows)

    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "a plain list of layers", breaks=N5_INIT)
class N5PlainList(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.layers = [nn.Conv2d(i, o, k, s, p) for i, o, k, s, p in rows]

    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "stride and padding exchanged", breaks=N5_INIT)
class N5Exchanged(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(i, o, k, stride=max(p, 1), padding=s) for i, o, k, s, p in rows)

    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "no bias, as before a normalisation", breaks=N5_BIAS)
class N5NoBias(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(i, o, k, s, p, bias=False) for i, o, k, s, p in rows)

    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "the weights of pix2pix: normal, 0.02", breaks=N5_BIAS)
class N5Normal(N5Rows):
    def __init__(self, rows):
        super().__init__(rows)
        for layer in self.layers:
            nn.init.normal_(layer.weight, 0, 0.02)

    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "biases start at zero", breaks=N5_BIAS)
class N5ZeroBias(N5Rows):
    def __init__(self, rows):
        super().__init__(rows)
        for layer in self.layers:
            nn.init.zeros_(layer.bias)

    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "image first", breaks=N5_JOIN)
class N5ImageFirst(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([image, condition], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "joined along the batch", breaks=N5_JOIN)
class N5Batch(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image]), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "the slope that PyTorch takes by itself: 0.01", breaks=N5_LEAKY)
class N5Slope(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x))
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "LeakyReLU after the last as well", breaks=N5_LEAKY)
class N5LastToo(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return maps.pop(), maps


@wrong("build_patchgan", "instance norm in the middle layers", breaks="There is no normalisation")
class N5Norm(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for k, layer in enumerate(self.layers[:-1]):
            x = layer(x)
            x = F.leaky_relu(F.instance_norm(x) if k else x, 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "a sigmoid at the end", breaks=N5_PAIR)
class N5Sigmoid(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x).sigmoid(), maps


@wrong("build_patchgan", "the mean of the logits", breaks=N5_PAIR)
class N5Mean(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x).mean(dim=(1, 2, 3)), maps


@wrong("build_patchgan", "maps before the LeakyReLU", breaks=N5_MAPS)
class N5Before(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = layer(x)
            maps.append(x)
            x = F.leaky_relu(x, 0.2)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "the logits are among the maps", breaks=N5_MAPS)
class N5LogitsToo(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        logits = self.layers[-1](x)
        return logits, [*maps, logits]


@wrong("build_patchgan", "detached maps", breaks=N5_MAPS)
class N5Detached(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x.detach())
        return self.layers[-1](x), maps


@wrong("build_patchgan", "the pair the other way round", breaks=N5_PAIR)
class N5PairRound(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return maps, self.layers[-1](x)


@wrong("build_patchgan", "the logits alone", breaks=N5_PAIR)
class N5Alone(N5Rows):
    def forward(self, condition, image):
        x = torch.cat([condition, image], 1)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x)


@wrong("build_patchgan", "a list kept on the object, which grows from call to call", breaks=N5_MAPS)
class N5Grows(N5Rows):
    def __init__(self, rows):
        super().__init__(rows)
        self.maps = []

    def forward(self, condition, image):
        x = torch.cat([condition, image], 1)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            self.maps.append(x)
        return self.layers[-1](x), self.maps


@wrong("build_patchgan", "layers called layer0, layer1 ... in place of the list", breaks=N5_INIT)
class N5Names(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.count = len(rows)
        for n, (i, o, k, s, p) in enumerate(rows):
            setattr(self, f"layer{n}", nn.Conv2d(i, o, k, s, p))

    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for n in range(self.count - 1):
            x = F.leaky_relu(getattr(self, f"layer{n}")(x), 0.2)
            maps.append(x)
        return getattr(self, f"layer{self.count - 1}")(x), maps


@wrong("build_patchgan", "dropout in train mode", breaks="Leave what you are given as it is, and do the same")
class N5Dropout(N5Rows):
    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.dropout(F.leaky_relu(layer(x), 0.2), 0.2, self.training)
            maps.append(x)
        return self.layers[-1](x), maps


@wrong("build_patchgan", "takes the last row off the table that was given", breaks="Leave what you are given")
class N5Pops(nn.Module):
    def __init__(self, rows):
        super().__init__()
        i, o, k, s, p = rows.pop()
        last = nn.Conv2d(i, o, k, s, p)
        self.layers = nn.ModuleList(nn.Conv2d(i, o, k, s, p) for i, o, k, s, p in rows)
        self.layers.append(last)

    def forward(self, condition, image):
        x, maps = torch.cat([condition, image], 1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


@right("build_patchgan", "append in a loop; the activation is a module")
class N5Modules(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.layers = nn.ModuleList()
        for row in rows:
            self.layers.append(nn.Conv2d(row[0], row[1], kernel_size=row[2], stride=row[3], padding=row[4]))
        self.activate = nn.LeakyReLU(0.2)

    def forward(self, condition, image):
        maps = []
        x = torch.cat((condition, image), dim=1)
        for n, layer in enumerate(self.layers):
            x = layer(x)
            if n + 1 < len(self.layers):
                x = self.activate(x)
                maps.append(x)
        return x, maps


@right("build_patchgan", "in place on the convolution's own output")
class N5InPlace(N5Rows):
    def forward(self, condition, image):
        *inner, last = self.layers
        maps = [torch.cat([condition, image], dim=-3)]
        for layer in inner:
            maps.append(F.leaky_relu_(layer(maps[-1]), 0.2))
        return last(maps[-1]), maps[1:]


@right("build_patchgan", "accumulate, and a maximum in place of the leaky ReLU")
class N5Accumulate(N5Rows):
    def forward(self, condition, image):
        def through(x, layer):
            x = layer(x)
            return torch.maximum(x, x / 5)

        both = torch.hstack([condition, image])
        maps = list(itertools.accumulate(self.layers[:-1], through, initial=both))
        return self.layers[-1](maps[-1]), maps[1:]


@right("build_patchgan", "recursion over the layers; two halves of the first kernel, by where")
class N5Recursive(N5Rows):
    def forward(self, condition, image):
        return self.walk(torch.cat([condition, image], 1), 0)

    def walk(self, x, n):
        x = self.layers[n](x)
        if n == len(self.layers) - 1:
            return x, []
        x = torch.where(x > 0, x, 0.2 * x)
        logits, maps = self.walk(x, n + 1)
        return logits, [x, *maps]


# --------------------------------------------------------- discriminator_step
N5_STEP = "Take one step of `optimizer`"
N5_CLEAR = "`.grad` still holds what earlier turns"
N5_NO_G = "In D's turn no gradient may flow into G"
N5_RETURN = "Return the loss, as it was before the step"
N5_MODE = "Leave the mode of D"


@wrong("discriminator_step", "no detach", breaks=N5_NO_G)
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake)[0])
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "retain_graph in place of detach", breaks=N5_NO_G)
def _(D, optimizer, x, y, fake, loss):
    optimizer.zero_grad()
    value = loss(D(x, y)[0], D(x, fake)[0])
    value.backward(retain_graph=True)
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "detaches the caller's fake in place", breaks=N5_NO_G)
def _(D, optimizer, x, y, fake, loss):
    optimizer.zero_grad()
    value = loss(D(x, y)[0], D(x, fake.detach_())[0])
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "forgets zero_grad", breaks=N5_CLEAR)
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "clears after the step", breaks=N5_CLEAR)
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    value.backward()
    optimizer.step()
    optimizer.zero_grad()
    return value.item()


@wrong("discriminator_step", "clears between backward and step", breaks=N5_CLEAR)
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    value.backward()
    optimizer.zero_grad()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "fake and real exchanged in the loss", breaks="`D(condition, image)` gives")
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, fake.detach())[0], D(x, y)[0])
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "image before condition", breaks="`D(condition, image)` gives")
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(y, x)[0], D(fake.detach(), x)[0])
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong(
    "discriminator_step", "the fakes judged with the real image as condition", breaks="`D(condition, image)`"
)
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(y, fake.detach())[0])
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "the pair goes into the loss", breaks="`D(condition, image)` gives")
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y), D(x, fake.detach()))
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "the last map in place of the logits", breaks="`D(condition, image)` gives")
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[1][-1], D(x, fake.detach())[1][-1])
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "returns the tensor", breaks=N5_RETURN)
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value


@wrong("discriminator_step", "returns the detached tensor", breaks=N5_RETURN)
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.detach()


@wrong("discriminator_step", "measures again after the step", breaks=N5_RETURN)
def _(D, optimizer, x, y, fake, loss):
    optimizer.zero_grad()
    loss(D(x, y)[0], D(x, fake.detach())[0]).backward()
    optimizer.step()
    with torch.no_grad():
        return loss(D(x, y)[0], D(x, fake)[0]).item()


@wrong("discriminator_step", "climbs", breaks=N5_STEP)
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    optimizer.zero_grad()
    (-value).backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "two half steps: one on real, one on fake images", breaks=N5_STEP)
def _(D, optimizer, x, y, fake, loss):
    real = D(x, y)[0]
    made = D(x, fake.detach())[0]
    first = loss(real, made.detach())
    optimizer.zero_grad()
    first.backward()
    optimizer.step()
    made = D(x, fake.detach())[0]
    value = loss(real.detach(), made)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "an optimiser of its own", breaks=N5_STEP)
def _(D, optimizer, x, y, fake, loss):
    own = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    own.zero_grad()
    value.backward()
    own.step()
    return value.item()


@wrong("discriminator_step", "sigmoid before the loss", breaks="`D(condition, image)` gives")
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0].sigmoid(), D(x, fake.detach())[0].sigmoid())
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "the mean logit goes into the loss", breaks="`loss(real_logits, fake_logits)`")
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0].mean(), D(x, fake.detach())[0].mean())
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "puts D into train mode", breaks=N5_MODE)
def _(D, optimizer, x, y, fake, loss):
    D.train()
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@right("discriminator_step", "a second pass through D for the value returned")
def _(D, optimizer, x, y, fake, loss):
    optimizer.zero_grad()
    with torch.no_grad():
        value = loss(D(x, y)[0], D(x, fake)[0]).item()
    loss(D(x, y)[0], D(x, fake.detach())[0]).backward()
    optimizer.step()
    return value


@wrong("discriminator_step", "clips the gradient as well", breaks=N5_STEP)
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    optimizer.zero_grad()
    value.backward()
    nn.utils.clip_grad_norm_(D.parameters(), 0.01)
    optimizer.step()
    return value.item()


@wrong("discriminator_step", "leaves D frozen afterwards", breaks="`fake` carries")
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(False)
    return value.item()


@right("discriminator_step", "autograd.grad, and .grad set by hand")
def _(D, optimizer, x, y, fake, loss):
    value = loss(D(x, y)[0], D(x, fake.detach())[0])
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for p, g in zip(parameters, torch.autograd.grad(value, parameters, allow_unused=True)):
        p.grad = g
    optimizer.step()
    return float(value)


@right("discriminator_step", "backward with inputs, set_to_none=False, a tuple unpacked")
def _(D, optimizer, x, y, fake, loss):
    optimizer.zero_grad(set_to_none=False)
    (real, _), (made, _) = D(x, y), D(x, fake.data)
    value = loss(real, made)
    value.backward(inputs=[p for p in D.parameters() if p.requires_grad])
    optimizer.step()
    return value.detach().cpu().item()


@right("discriminator_step", "the fake is copied under no_grad; D is called by keyword order fake first")
def _(D, optimizer, x, y, fake, loss):
    with torch.no_grad():
        picture = fake.clone()
    real = D(x, y)[0]
    made = D(x, picture)[0]
    for p in D.parameters():
        p.grad = None
    value = loss(real_logits := real, made)
    assert real_logits is real
    value.backward()
    optimizer.step()
    return float(value.item())


# ------------------------------------------------------------- generator_step
N5_FORMULA = "G's loss is"
N5_GCLEAR = "Take one step of `optimizer` along"
N5_FIXED = "The gradient has to flow *through* D"


@wrong("generator_step", "detaches the fakes: G learns from L1 alone", breaks=N5_FIXED)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(x, fake.detach())[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "D under no_grad", breaks=N5_FIXED)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    with torch.no_grad():
        logits, _ = D(x, fake)
    value = loss(logits) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("generator_step", "D collects gradients", breaks=N5_FIXED)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    value = loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("generator_step", "D's gradients are thrown away afterwards", breaks=N5_FIXED)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    value = loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.zero_grad()
    return value.item()


@wrong("generator_step", "D stays frozen", breaks=N5_FIXED)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@wrong("generator_step", "L1 summed", breaks=N5_FORMULA)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + weight_l1 * (fake - y).abs().sum()
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "squares in place of L1", breaks=N5_FORMULA)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + weight_l1 * F.mse_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "smooth L1", breaks=N5_FORMULA)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + weight_l1 * F.smooth_l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "compares with the condition in place of the real image", breaks="`y` are the real")
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, x)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "shows D the real image in place of the condition", breaks="where `D(condition")
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(y, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "weight on the adversarial part", breaks=N5_FORMULA)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = weight_l1 * loss(D(x, fake)[0]) + F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "the weight of the paper, 100", breaks=N5_FORMULA)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + 100.0 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "returns the adversarial part", breaks="Return the whole loss")
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    game = loss(D(x, fake)[0])
    optimizer.zero_grad()
    (game + weight_l1 * F.l1_loss(fake, y)).backward()
    optimizer.step()
    D.requires_grad_(True)
    return game.item()


@wrong("generator_step", "forgets zero_grad", breaks=N5_GCLEAR)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "clears D's gradients in place of G's", breaks=N5_GCLEAR)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.zero_grad()
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "D in eval mode, and back to train", breaks="Leave the mode of D")
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.eval()
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    D.train()
    return value.item()


@wrong("generator_step", "returns a tensor", breaks="Return the whole loss")
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.detach()


@wrong("generator_step", "two backwards, one for each part, the second without a graph", breaks=N5_GCLEAR)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    optimizer.zero_grad()
    game = loss(D(x, fake)[0])
    game.backward()
    pixels = weight_l1 * F.l1_loss(fake, y)
    pixels.backward()
    optimizer.step()
    D.requires_grad_(True)
    return game.item() + pixels.item()


@wrong("generator_step", "minus the loss: G fights against itself", breaks=N5_FORMULA)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    D.requires_grad_(False)
    value = -loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@wrong("generator_step", "a deep copy of D is asked after its weights were rounded", breaks=N5_FIXED)
def _(D, optimizer, x, y, fake, loss, weight_l1):
    judge = copy.deepcopy(D).half().float().requires_grad_(False)
    value = loss(judge(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@right("generator_step", "backward with inputs: only G collects")
def _(D, optimizer, x, y, fake, loss, weight_l1):
    mine = [p for group in optimizer.param_groups for p in group["params"]]
    total = loss(D(x, fake)[0]) + weight_l1 * torch.abs(fake - y).mean()
    optimizer.zero_grad()
    total.backward(inputs=mine)
    optimizer.step()
    return float(total)


@right("generator_step", "two backwards with retain_graph, sums of floats")
def _(D, optimizer, x, y, fake, loss, weight_l1):
    optimizer.zero_grad(set_to_none=True)
    for p in D.parameters():
        p.requires_grad = False
    game, pixels = loss(D(x, fake)[0]), weight_l1 * nn.L1Loss()(fake, y)
    game.backward(retain_graph=True)
    pixels.backward()
    optimizer.step()
    for p in D.parameters():
        p.requires_grad = True
    return game.item() + pixels.item()


@right("generator_step", "the slope at the fakes first, then on into G")
def _(D, optimizer, x, y, fake, loss, weight_l1):
    total = loss(D(x, fake)[0]) + weight_l1 * (fake - y).abs().sum() / fake.numel()
    (slope,) = torch.autograd.grad(total, fake, retain_graph=True)
    optimizer.zero_grad()
    fake.backward(slope)
    optimizer.step()
    return total.item()


@right("generator_step", "D's gradients are put aside and put back")
def _(D, optimizer, x, y, fake, loss, weight_l1):
    kept = [None if p.grad is None else p.grad.clone() for p in D.parameters()]
    total = loss(D(x, fake)[0]) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    for p, g in zip(D.parameters(), kept):
        p.grad = g
    return total.item()


# ------------------------------------------------------------ receptive_field
N5_FIELD = "`field`: how many pixels wide"
N5_STEPS = "A layer with kernel k adds k - 1"
N5_SIDE = "One convolution turns size"
N5_RAISE = "If any layer leaves nothing"


def n5_side(layers, size):
    """The side, with its refusal."""
    for k, s, p in layers:
        size = (size + 2 * p - k) // s + 1
        if size < 1:
            raise ValueError("nothing is left")
    return size


@wrong("receptive_field", "the stride is counted before its own layer", breaks=N5_STEPS)
def _(layers, size):
    field = step = 1
    for k, s, _ in layers:
        step *= s
        field += (k - 1) * step
    return field, n5_side(layers, size)


@wrong("receptive_field", "adds k steps", breaks=N5_STEPS)
def _(layers, size):
    field = step = 1
    for k, s, _ in layers:
        field += k * step
        step *= s
    return field, n5_side(layers, size)


@wrong("receptive_field", "only the stride of the layer before", breaks=N5_STEPS)
def _(layers, size):
    field = before = 1
    for k, s, _ in layers:
        field += (k - 1) * before
        before = s
    return field, n5_side(layers, size)


@wrong("receptive_field", "begins at 0", breaks=N5_FIELD)
def _(layers, size):
    field, step = 0, 1
    for k, s, _ in layers:
        field += (k - 1) * step
        step *= s
    return field, n5_side(layers, size)


@wrong("receptive_field", "the field is cut to the image", breaks=N5_FIELD)
def _(layers, size):
    field = step = 1
    for k, s, _ in layers:
        field += (k - 1) * step
        step *= s
    return min(field, size), n5_side(layers, size)


@wrong("receptive_field", "takes the padding off the field", breaks=N5_FIELD)
def _(layers, size):
    field = step = 1
    for k, s, p in layers:
        field += (k - 1 - p) * step
        step *= s
    return field, n5_side(layers, size)


@wrong("receptive_field", "from the end to the start, with s and k exchanged by one", breaks=N5_STEPS)
def _(layers, size):
    field = 1
    for k, s, _ in reversed(layers):
        field = field * s + k - 1
    return field, n5_side(layers, size)


@wrong("receptive_field", "rounds up", breaks=N5_SIDE)
def _(layers, size):
    field, step = 1, 1
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        size = math.ceil((size + 2 * p - k) / s) + 1
        if size < 1:
            raise ValueError("nothing is left")
    return field, size


@wrong("receptive_field", "padding once, not on both sides", breaks=N5_SIDE)
def _(layers, size):
    field, step = 1, 1
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        size = (size + p - k) // s + 1
        if size < 1:
            raise ValueError("nothing is left")
    return field, size


@wrong(
    "receptive_field", "int() in place of the floor: a kernel wider than the image leaves 1", breaks=N5_RAISE
)
def _(layers, size):
    field, step = 1, 1
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        size = int((size + 2 * p - k) / s) + 1
        if size < 1:
            raise ValueError("nothing is left")
    return field, size


@wrong("receptive_field", "looks at the size at the end only", breaks=N5_RAISE)
def _(layers, size):
    field, step = 1, 1
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        size = (size + 2 * p - k) // s + 1
    if size < 1:
        raise ValueError("nothing is left")
    return field, size


@wrong("receptive_field", "raises only below 0", breaks=N5_RAISE)
def _(layers, size):
    field, step = 1, 1
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        size = (size + 2 * p - k) // s + 1
        if size < 0:
            raise ValueError("nothing is left")
    return field, size


@wrong("receptive_field", "raises when one logit is left", breaks=N5_RAISE)
def _(layers, size):
    field, step = 1, 1
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        size = (size + 2 * p - k) // s + 1
        if size <= 1:
            raise ValueError("nothing is left")
    return field, size


@wrong("receptive_field", "an assertion in place of the ValueError", breaks=N5_RAISE)
def _(layers, size):
    field, step = 1, 1
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        size = (size + 2 * p - k) // s + 1
        assert size >= 1
    return field, size


@wrong("receptive_field", "true division: floats", breaks="Return two whole numbers")
def _(layers, size):
    field, step = 1, 1
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
    return float(field), float(n5_side(layers, size))


@wrong("receptive_field", "side before field", breaks="Return two whole numbers")
def _(layers, size):
    field, step = 1, 1
    for k, s, _ in layers:
        field += (k - 1) * step
        step *= s
    return n5_side(layers, size), field


@wrong("receptive_field", "lets torch make the map: its own error", breaks=N5_RAISE)
def _(layers, size):
    field, step = 1, 1
    x = torch.zeros(1, 1, size, size)
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        x = F.conv2d(x, torch.ones(1, 1, k, k), stride=s, padding=p)
    return field, x.shape[-1]


@wrong("receptive_field", "returns (field, 0) for an empty map", breaks=N5_RAISE)
def _(layers, size):
    field, step = 1, 1
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        size = max((size + 2 * p - k) // s + 1, 0)
    return field, size


@right("receptive_field", "backwards: field = (field - 1) s + k")
def _(layers, size):
    field = 1
    for k, s, _ in reversed(layers):
        field = (field - 1) * s + k
    return field, n5_side(layers, size)


@right("receptive_field", "a sum over products of strides")
def _(layers, size):
    strides = [s for _, s, _ in layers]
    field = 1 + sum((k - 1) * math.prod(strides[:n]) for n, (k, _, _) in enumerate(layers))
    return field, n5_side(layers, size)


@right("receptive_field", "recursion, range counts the places")
def _(layers, size):
    def walk(rest, places, step):
        if not rest:
            return 1, places
        (k, s, p), *later = rest
        left = len(range(0, places + 2 * p - k + 1, s))
        if left == 0:
            raise ValueError(f"a kernel of {k} does not fit into {places}")
        field, side = walk(later, left, step * s)
        return field + (k - 1) * step, side

    return walk(list(layers), size, 1)


# --------------------------------------------------------------- lsgan_d_loss
N5_VERDICT = "The least-squares discriminator wants 1"


@wrong("lsgan_d_loss", "mean per image is squared", breaks="The mean runs over all patches")
def _(real_logits, fake_logits):
    r, f = real_logits.mean((1, 2, 3)), fake_logits.mean((1, 2, 3))
    return 0.5 * ((r - 1).square().mean() + f.square().mean())


@wrong("lsgan_d_loss", "absolute values", breaks="The least-squares discriminator")
def _(real_logits, fake_logits):
    return 0.5 * ((real_logits - 1).abs().mean() + fake_logits.abs().mean())


@wrong("lsgan_d_loss", "labels exchanged", breaks=N5_VERDICT)
def _(real_logits, fake_logits):
    return 0.5 * (real_logits.square().mean() + (fake_logits - 1).square().mean())


@wrong("lsgan_d_loss", "-1 on fakes", breaks=N5_VERDICT)
def _(real_logits, fake_logits):
    return 0.5 * ((real_logits - 1).square().mean() + (fake_logits + 1).square().mean())


@wrong("lsgan_d_loss", "the half on the first mean only", breaks="The least-squares discriminator")
def _(real_logits, fake_logits):
    return 0.5 * (real_logits - 1).square().mean() + fake_logits.square().mean()


@wrong("lsgan_d_loss", "no half", breaks="The least-squares discriminator")
def _(real_logits, fake_logits):
    return (real_logits - 1).square().mean() + fake_logits.square().mean()


@wrong("lsgan_d_loss", "root of the mean square", breaks="The least-squares discriminator")
def _(real_logits, fake_logits):
    return 0.5 * ((real_logits - 1).square().mean().sqrt() + fake_logits.square().mean().sqrt())


@right("lsgan_d_loss", "one mean of the sum of both maps of squares, which have one size")
def _(real_logits, fake_logits):
    return 0.5 * ((real_logits - 1).square() + fake_logits.square()).mean()


@wrong("lsgan_d_loss", "a float", breaks="Return a scalar that can be")
def _(real_logits, fake_logits):
    return 0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean()).item()


@wrong("lsgan_d_loss", "clamps the logits into [0, 1]", breaks="Logits are raw")
def _(real_logits, fake_logits):
    r, f = real_logits.clamp(0, 1), fake_logits.clamp(0, 1)
    return 0.5 * ((r - 1).square().mean() + f.square().mean())


@right("lsgan_d_loss", "MSELoss with expanded targets")
def _(real_logits, fake_logits):
    mse = nn.MSELoss()
    one, zero = real_logits.new_ones(()), fake_logits.new_zeros(())
    return (mse(real_logits, one.expand_as(real_logits)) + mse(fake_logits, zero.expand_as(fake_logits))) / 2


@right("lsgan_d_loss", "expanded square: mean of squares minus twice the mean plus 1")
def _(real_logits, fake_logits):
    r = ((real_logits - 1) ** 2).flatten()
    return torch.stack([r.mean(), fake_logits.pow(2).flatten().mean()]).sum() / 2


@right("lsgan_d_loss", "norms")
def _(real_logits, fake_logits):
    r, f = real_logits.sub(1), fake_logits
    return (torch.einsum("bchw,bchw->", r, r) / r.numel() + torch.einsum("bchw,bchw->", f, f) / f.numel()) / 2
