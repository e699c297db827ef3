"""Answers to the class, the bug hunt and the skip step of lesson 04 by people who saw only the texts."""

import functools
import itertools

import torch
import torch.nn.functional as F
from strangers import right, wrong
from torch import nn

# ------------------------------------------------------------ unet_translator


class N4Given(nn.Module):
    """The `__init__` of the page, as it is given."""

    def __init__(self, down, up, widths, middle=None, skips=True):
        super().__init__()
        inputs = [1, *widths[:-1]]
        rows = enumerate(zip(inputs, widths, strict=True))
        self.down = nn.ModuleList(down(i, o, level > 0) for level, (i, o) in rows)
        self.middle = nn.Identity() if middle is None else middle
        outputs = widths[-2::-1]
        inputs = [widths[-1], *(2 * w for w in outputs[:-1])]
        self.up = nn.ModuleList(up(i, o) for i, o in zip(inputs, outputs, strict=True))
        self.last = nn.ConvTranspose2d(2 * widths[0], 1, 4, stride=2, padding=1)
        self.skips = skips


N4_WAY_DOWN = "1. The way down: the blocks"
N4_BOTTLENECK = "The last map is the bottleneck:"
N4_WAY_UP = "2. The way up:"
N4_NO_SKIPS = "3. If `self.skips` is false"
N4_END = "4. The end:"


@wrong("unet_translator", "takes the maps from the front of the list", breaks=N4_WAY_UP)
class N4Front(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            x = block(x)
            maps.append(x)
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop(0)
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return torch.tanh(self.last(x))


@wrong(
    "unet_translator", "the bottleneck stays on the list and serves as the first skip", breaks=N4_BOTTLENECK
)
class N4BottleneckSkip(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            x = block(x)
            maps.append(x)
        x = self.middle(x)
        for block, skip in zip(self.up, reversed(maps)):
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return torch.tanh(self.last(x))


@wrong("unet_translator", "forgets the middle", breaks=N4_BOTTLENECK)
class N4NoMiddle(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            x = block(x)
            maps.append(x)
        x = maps.pop()
        for block in self.up:
            skip = maps.pop()
            if not self.skips:
                skip = torch.zeros_like(skip)
            x = block(x, skip)
        return torch.tanh(self.last(x))


@wrong("unet_translator", "the middle's result goes into the first skip as well", breaks=N4_WAY_UP)
class N4MiddleEverywhere(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            x = block(x)
            maps.append(self.middle(x))
        x = maps.pop()
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return torch.tanh(self.last(x))


@wrong("unet_translator", "without skips the blocks get None", breaks=N4_NO_SKIPS)
class N4NoneSkip(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            x = block(x)
            maps.append(x)
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else None)
        return torch.tanh(self.last(x))


@wrong("unet_translator", "without skips the zeros have the shape of x", breaks=N4_NO_SKIPS)
class N4ZerosOfX(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            x = block(x)
            maps.append(x)
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(x))
        return torch.tanh(self.last(x))


@wrong("unet_translator", "the switch is forgotten: always with skips", breaks=N4_NO_SKIPS)
class N4AlwaysSkips(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            x = block(x, maps.pop())
        return self.last(x).tanh()


@wrong("unet_translator", "without skips only the first map is replaced", breaks=N4_NO_SKIPS)
class N4FirstZero(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        if not self.skips:
            maps[-1] = torch.zeros_like(maps[-1])
        for block in self.up:
            x = block(x, maps.pop())
        return self.last(x).tanh()


@wrong(
    "unet_translator",
    "without skips the block's own input is halved out: ones, not zeros",
    breaks=N4_NO_SKIPS,
)
class N4Ones(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.ones_like(skip))
        return self.last(x).tanh()


@wrong("unet_translator", "no tanh", breaks=N4_END)
class N4NoTanh(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return self.last(x)


@wrong("unet_translator", "sigmoid in place of tanh", breaks=N4_END)
class N4Sigmoid(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return torch.sigmoid(self.last(x))


@wrong("unet_translator", "clamps in place of tanh", breaks=N4_END)
class N4Clamp(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return self.last(x).clamp(-1, 1)


@wrong("unet_translator", "tanh before the last layer", breaks=N4_END)
class N4TanhFirst(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return self.last(torch.tanh(x))


@wrong("unet_translator", "concatenates once more", breaks="What comes back holds both already")
class N4CatAgain(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            skip = skip if self.skips else torch.zeros_like(skip)
            x = torch.cat([block(x, skip), skip], dim=1)
        return torch.tanh(self.last(x))


@wrong("unet_translator", "detaches the maps, as the colleague did", breaks="Keep what every block makes")
class N4Detached(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            x = block(x)
            maps.append(x.detach())
        maps.pop()
        x = self.middle(x)
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return torch.tanh(self.last(x))


@wrong("unet_translator", "skips in train mode only", breaks="Leave `x` as it is, and do the same")
class N4TrainOnly(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips and self.training else torch.zeros_like(skip))
        return torch.tanh(self.last(x))


@wrong("unet_translator", "runs the encoder from the image again for every map", breaks=N4_WAY_DOWN)
class N4Again(N4Given):
    def forward(self, x):
        maps = []
        for count in range(1, len(self.down) + 1):
            y = x
            for block in self.down[:count]:
                y = block(y)
            maps.append(y)
        y = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            y = block(y, skip if self.skips else torch.zeros_like(skip))
        return torch.tanh(self.last(y))


@wrong(
    "unet_translator",
    "keeps the maps on the network and reads them from the front of all calls",
    breaks=N4_WAY_UP,
)
class N4Hoards(N4Given):
    def __init__(self, down, up, widths, middle=None, skips=True):
        super().__init__(down, up, widths, middle, skips)
        self.maps = []

    def forward(self, x):
        for block in self.down:
            x = block(x)
            self.maps.append(x)
        x = self.middle(x)
        for k, block in enumerate(self.up):
            skip = self.maps[len(self.down) - 2 - k]
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return torch.tanh(self.last(x))


@wrong("unet_translator", "inference only: no graph", breaks="Keep what every block makes")
class N4NoGrad(N4Given):
    @torch.no_grad()
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return torch.tanh(self.last(x))


@wrong("unet_translator", "gives the block skip first", breaks=N4_WAY_UP)
class N4Swapped(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(skip if self.skips else torch.zeros_like(skip), x)
        return torch.tanh(self.last(x))


@wrong("unet_translator", "adds the input to the output, as a denoiser does", breaks=N4_END)
class N4Residual(N4Given):
    def forward(self, x):
        given, maps = x, []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return torch.tanh(self.last(x) + given)


@wrong("unet_translator", "turns the skips off by multiplying by the wrong switch", breaks=N4_NO_SKIPS)
class N4Reversed(N4Given):
    def forward(self, x):
        maps = []
        for block in self.down:
            maps.append(x := block(x))
        x = self.middle(maps.pop())
        for block in self.up:
            x = block(x, maps.pop() * (not self.skips))
        return torch.tanh(self.last(x))


@right("unet_translator", "recursion: each level calls the next deeper one")
class N4Recursive(N4Given):
    def forward(self, x):
        return self.last(self.level(x, 0)).tanh()

    def level(self, x, k):
        kept = self.down[k](x)
        if k == len(self.down) - 1:
            return self.middle(kept)
        below = kept if k + 1 == len(self.down) else self.level(kept, k + 1)
        skip = kept if self.skips else kept.new_zeros(kept.shape)
        return self.up[len(self.up) - 1 - k](below, skip)


@right("unet_translator", "itertools.accumulate and functools.reduce")
class N4Functional(N4Given):
    def forward(self, x):
        _, *maps, deep = itertools.accumulate(self.down, lambda y, block: block(y), initial=x)
        if not self.skips:
            maps = [torch.zeros_like(m) for m in maps]
        pairs = zip(self.up, reversed(maps), strict=True)
        x = functools.reduce(lambda y, pair: pair[0](y, pair[1]), pairs, self.middle(deep))
        return torch.tanh(self.last(x))


@right("unet_translator", "indices, a dictionary by the side of the map, maps times the switch")
class N4Indices(N4Given):
    def forward(self, x):
        kept = {}
        for i in range(len(self.down)):
            x = self.down[i](x)
            kept[i] = x
        x = self.middle(x)
        for j in range(len(self.up)):
            skip = kept[len(self.down) - 2 - j]
            x = self.up[j](x, skip * float(self.skips))
        e = torch.exp(-2 * self.last(x).abs())
        return torch.sign(self.last(x)) * (1 - e) / (1 + e)


@right("unet_translator", "insert(0), clones of the maps, middle inside the loop")
class N4Insert(N4Given):
    def forward(self, x):
        maps = []
        for n, block in enumerate(self.down, start=1):
            x = block(x)
            if n < len(self.down):
                maps.insert(0, x.clone())
            else:
                x = self.middle(x)
        for skip, block in zip(maps, self.up):
            x = block(x, skip=skip if self.skips else torch.zeros_like(skip))
        return 2 * torch.sigmoid(2 * self.last(x)) - 1


# --------------------------------------------------------------- encoder_maps
N4_LIST = "Run an image through the encoder and return a list"
N4_ONCE = "`blocks` is a list of blocks or an `nn.ModuleList`"
N4_GRADIENT = "In training, the loss has to reach the encoder"


@wrong("encoder_maps", "clones, and detaches all the same", breaks=N4_GRADIENT)
def _(blocks, x):
    skips = []
    for block in blocks:
        x = block(x)
        skips.append(x.clone().detach())
    return [*skips[:-1], x]


@wrong("encoder_maps", ".data", breaks=N4_GRADIENT)
def _(blocks, x):
    skips = []
    for block in blocks[:-1]:
        x = block(x)
        skips.append(x.data)
    return [*skips, blocks[-1](x)]


@wrong("encoder_maps", "asks for a gradient again after detach", breaks=N4_GRADIENT)
def _(blocks, x):
    skips = []
    for block in blocks[:-1]:
        x = block(x)
        skips.append(x.detach().requires_grad_())
    return [*skips, blocks[-1](x)]


@wrong("encoder_maps", "keeps the maps, but detaches what goes on", breaks=N4_GRADIENT)
def _(blocks, x):
    skips = []
    for block in blocks[:-1]:
        x = block(x)
        skips.append(x)
        x = x.detach()
    return [*skips, blocks[-1](x)]


@wrong("encoder_maps", "mends the skips and detaches the bottleneck", breaks=N4_GRADIENT)
def _(blocks, x):
    skips = []
    for block in blocks:
        x = block(x)
        skips.append(x)
    skips[-1] = skips[-1].detach()
    return skips


@wrong("encoder_maps", "bottleneck first, as the decoder needs them", breaks=N4_LIST)
def _(blocks, x):
    maps = []
    for block in blocks:
        x = block(x)
        maps.insert(0, x)
    return maps


@wrong("encoder_maps", "a tuple", breaks=N4_LIST)
def _(blocks, x):
    maps = []
    for block in blocks:
        x = block(x)
        maps.append(x)
    return tuple(maps)


@wrong("encoder_maps", "a generator", breaks=N4_LIST)
def _(blocks, x):
    for block in blocks:
        x = block(x)
        yield x


@wrong("encoder_maps", "the image in front", breaks=N4_LIST)
def _(blocks, x):
    return list(itertools.accumulate(blocks, lambda y, block: block(y), initial=x))


@wrong("encoder_maps", "the bottleneck is missing", breaks=N4_LIST)
def _(blocks, x):
    skips = []
    for block in blocks[:-1]:
        x = block(x)
        skips.append(x)
    return skips


@wrong("encoder_maps", "every block gets the image", breaks=N4_ONCE)
def _(blocks, x):
    return [block(x) for block in blocks]


@wrong("encoder_maps", "calls every block twice", breaks=N4_ONCE)
def _(blocks, x):
    maps = []
    for block in blocks:
        maps.append(block(x))
        x = block(x)
    return maps


@wrong("encoder_maps", "the last map is appended twice", breaks=N4_LIST)
def _(blocks, x):
    skips = []
    for block in blocks:
        x = block(x)
        skips.append(x)
    return [*skips, x]


@wrong("encoder_maps", "calls the last block again with the bottleneck", breaks=N4_ONCE)
def _(blocks, x):
    skips = []
    for block in blocks:
        x = block(x)
        skips.append(x)
    return [*skips[:-1], blocks[-1](x)]


@wrong("encoder_maps", "no_grad around the loop", breaks=N4_GRADIENT)
def _(blocks, x):
    skips = []
    with torch.no_grad():
        for block in blocks[:-1]:
            x = block(x)
            skips.append(x)
    return [*skips, blocks[-1](x)]


@wrong("encoder_maps", "detaches in eval mode only: looks at x.requires_grad", breaks=N4_GRADIENT)
def _(blocks, x):
    maps = []
    for block in blocks:
        x = block(x)
        maps.append(x if x.requires_grad and len(maps) % 2 == 0 else x.detach())
    return maps


@right("encoder_maps", "one list, its last element goes on")
def _(blocks, x):
    maps = [x]
    for block in blocks:
        maps.append(block(maps[-1]))
    return maps[1:]


@right("encoder_maps", "accumulate")
def _(blocks, x):
    return [*itertools.accumulate(blocks, lambda y, block: block(y), initial=x)][1:]


@right("encoder_maps", "clones, so that the decoder cannot change what the encoder made")
def _(blocks, x):
    skips = []
    for block in blocks[:-1]:
        x = block(x)
        skips.append(x.clone())
    return [*skips, blocks[-1](x)]


@right("encoder_maps", "recursion")
def _(blocks, x):
    def walk(k, y):
        if k == len(blocks):
            return []
        y = blocks[k](y)
        return [y] + walk(k + 1, y)

    return walk(0, x)


@right("encoder_maps", "the walrus in a list comprehension")
def _(blocks, x):
    return [x := block(x) for block in blocks]


# --------------------------------------------------------------- decoder_step
N4_FLOW = "Gradients flow to `x`, `skip` and `weight`"


@wrong("decoder_step", "a layer with the weight as its parameter: no gradient comes back", breaks=N4_FLOW)
def _(x, skip, weight, between):
    layer = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], 4, stride=2, padding=1, bias=False)
    layer.weight = nn.Parameter(weight)
    return torch.cat([F.relu(between(layer(x))), skip], dim=1)


@wrong("decoder_step", "a layer with the weight copied under no_grad", breaks=N4_FLOW)
def _(x, skip, weight, between):
    layer = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], 4, stride=2, padding=1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return torch.cat([F.relu(between(layer(x))), skip], dim=1)


@wrong("decoder_step", "a layer of its own with a fresh weight", breaks="Double the map's size")
def _(x, skip, weight, between):
    layer = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], 4, stride=2, padding=1, bias=False)
    return torch.cat([F.relu(between(layer(x))), skip], dim=1)


@wrong("decoder_step", "between is called twice", breaks="Give the result to `between`")
def _(x, skip, weight, between):
    y = F.conv_transpose2d(x, weight, stride=2, padding=1)
    return torch.cat([between(y) * (between(y) > 0), skip], dim=1)


@wrong("decoder_step", "ReLU first, then between", breaks="Apply ReLU to what comes back")
def _(x, skip, weight, between):
    return torch.cat([between(F.relu(F.conv_transpose2d(x, weight, stride=2, padding=1))), skip], 1)


@wrong("decoder_step", "between gets the concatenation", breaks="Give the result to `between`")
def _(x, skip, weight, between):
    y = torch.cat([F.conv_transpose2d(x, weight, stride=2, padding=1), skip], 1)
    return F.relu(between(y))


@wrong("decoder_step", "detaches the skip", breaks=N4_FLOW)
def _(x, skip, weight, between):
    y = F.relu(between(F.conv_transpose2d(x, weight, stride=2, padding=1)))
    return torch.cat([y, skip.detach()], 1)


@wrong("decoder_step", "leaky ReLU, as in the encoder", breaks="Apply ReLU to what comes back")
def _(x, skip, weight, between):
    y = F.leaky_relu(between(F.conv_transpose2d(x, weight, stride=2, padding=1)), 0.2)
    return torch.cat([y, skip], 1)


@wrong("decoder_step", "concatenates along the batch", breaks="Apply ReLU to what comes back")
def _(x, skip, weight, between):
    return torch.cat([F.relu(between(F.conv_transpose2d(x, weight, stride=2, padding=1))), skip])


@wrong("decoder_step", "adds the skip", breaks="Apply ReLU to what comes back")
def _(x, skip, weight, between):
    return F.relu(between(F.conv_transpose2d(x, weight, stride=2, padding=1))) + skip


@wrong("decoder_step", "applies ReLU to x in place, and to the result", breaks=N4_FLOW)
def _(x, skip, weight, between):
    with torch.no_grad():
        x.relu_()
    return torch.cat([F.relu(between(F.conv_transpose2d(x, weight, stride=2, padding=1))), skip], 1)


@right("decoder_step", "functional_call of a layer")
def _(x, skip, weight, between):
    layer = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], 4, stride=2, padding=1, bias=False)
    up = torch.func.functional_call(layer, {"weight": weight}, (x,))
    return torch.cat([between(up).clamp(min=0), skip], 1)


@right("decoder_step", "no padding, then one row and column cut off all round; where")
def _(x, skip, weight, between):
    up = between(F.conv_transpose2d(x, weight, stride=2)[:, :, 1:-1, 1:-1])
    return torch.cat((torch.where(up > 0, up, torch.zeros_like(up)), skip), -3)


@right("decoder_step", "adds the sixteen taps one after the other")
def _(x, skip, weight, between):
    b, _, h, w = x.shape
    wide = x.new_zeros(b, weight.shape[1], 2 * h + 2, 2 * w + 2)
    for i, j in itertools.product(range(4), range(4)):
        part = torch.einsum("bchw,co->bohw", x, weight[:, :, i, j])
        wide[:, :, i : i + 2 * h : 2, j : j + 2 * w : 2] += part
    return torch.cat([F.relu(between(wide[:, :, 1:-1, 1:-1])), skip], dim=1)
