"""Answers to the loop exercises of lesson 03 by people who saw only the texts."""

import itertools
import math
from collections import deque

import numpy as np
import torch
from strangers import right, wrong

# ---------------------------------------------------------------- sampling_times


@wrong(
    "sampling_times", "moves the whole old list up to T - 1 by a shift of the wrong size", breaks="From one"
)
def _(steps, count):
    times = [round(i * steps / count) for i in reversed(range(count))]
    return [min(t + steps // count, steps - 1) for t in times]


@wrong("sampling_times", "np.linspace with count + 1 points, the last dropped, down to 0", breaks="So does")
def _(steps, count):
    return np.linspace(steps - 1, 0, count + 1).round().astype(int)[:-1].tolist()


@wrong("sampling_times", "int() in place of round()", breaks="Where `count`")
def _(steps, count):
    return [int((i + 1) * steps / count) - 1 for i in reversed(range(count))]


@wrong(
    "sampling_times",
    "leaves the last time out and begins one earlier: count times, shifted",
    breaks="So does",
)
def _(steps, count):
    return [round(steps - 1 - i * (steps - 1) / count) for i in range(count)]


@wrong("sampling_times", "a slice with a stride", breaks="Return these times")
def _(steps, count):
    return list(range(steps))[:: -max(1, steps // count)]


@wrong("sampling_times", "a slice with a stride, cut to count", breaks="Where `count`")
def _(steps, count):
    return list(range(steps))[:: -max(1, round(steps / count))][:count]


@wrong("sampling_times", "a set sorted the wrong way", breaks="Return these times")
def _(steps, count):
    return sorted({round((i + 1) * steps / count) - 1 for i in range(count)})


@wrong("sampling_times", "a float tensor", breaks="Return these times")
def _(steps, count):
    return (torch.arange(count, 0, -1, dtype=torch.float64) * steps / count - 1).round()


@wrong("sampling_times", "the times as strings", breaks="Return these times")
def _(steps, count):
    return [str(round((i + 1) * steps / count) - 1) for i in reversed(range(count))]


@wrong("sampling_times", "rounds what a step covers and counts down from T - 1", breaks="Where `count`")
def _(steps, count):
    return [steps - 1 - k * round(steps / count) for k in range(count)]


@wrong("sampling_times", "times on a log scale", breaks="From one")
def _(steps, count):
    return [round(t) for t in np.geomspace(steps, 1, count) - 1]


@wrong("sampling_times", "a generator", breaks="Return these times")
def _(steps, count):
    for i in reversed(range(count)):
        yield round((i + 1) * steps / count) - 1


@right("sampling_times", "counts from 1")
def _(steps, count):
    times = [round(i * steps / count) - 1 for i in range(1, count + 1)]
    times.reverse()
    return times


@right("sampling_times", "linspace without its end, from T - 1 to -1")
def _(steps, count):
    return [int(t) for t in np.rint(np.linspace(steps - 1, -1, count, endpoint=False))]


@right("sampling_times", "a difference from T - 1")
def _(steps, count):
    times = []
    for k in range(count):
        times.append(round(steps - 1 - k * steps / count))
    return times


@right("sampling_times", "floor of a half more")
def _(steps, count):
    return [math.floor((i + 1) * steps / count - 0.5) for i in range(count - 1, -1, -1)]


@right("sampling_times", "torch.linspace in float64, as a tuple")
def _(steps, count):
    ends = torch.linspace(0, steps, count + 1, dtype=torch.float64)[1:].flip(0)
    return tuple(ends.round().int().sub(1).tolist())


@right("sampling_times", "an array of whole numbers")
def _(steps, count):
    return (np.round(np.arange(1, count + 1) * (steps / count)).astype(int) - 1)[::-1]


# ---------------------------------------------------------------- sample


@wrong(
    "sample", "looks alpha-bars up by t - stride with the stride of the first two times", breaks="`bar` is"
)
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    stride = times[0] - times[1] if len(times) > 1 else times[0] + 1
    path, before = [x], None
    for now in times:
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        bar = float(alpha_bars[now])
        nxt = float(alpha_bars[now - stride]) if now >= stride else 1.0
        x = step(x, x0, noise, bar, nxt, before)
        before = (x0, bar)
        path.append(x)
    return path


@wrong("sample", "a last step at the end of zip is lost", breaks="After the last time")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    for now, nxt in itertools.pairwise(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = step(x, x0, noise, float(alpha_bars[now]), float(alpha_bars[nxt]), before)
        before = x0, float(alpha_bars[now])
        path.append(x)
    return path


@wrong("sample", "the last x is the prediction, without calling step", breaks="Go on")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        if i == len(times) - 1:
            path.append(x0)
            break
        bar = float(alpha_bars[now])
        x = step(x, x0, noise, bar, float(alpha_bars[times[i + 1]]), before)
        before = x0, bar
        path.append(x)
    return path


@wrong("sample", "uses randn_like and so the global generator, seeded first", breaks="Draw fresh noise")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    torch.manual_seed(0)
    path, before = [x], None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        x = step(x, x0, torch.randn_like(x), bars[i], bars[i + 1], before)
        before = x0, bars[i]
        path.append(x)
    return path


@wrong(
    "sample",
    "detaches only what it returns; before keeps the graph alive through the steps",
    breaks="Nothing",
)
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = step(x, x0, noise, bars[i], bars[i + 1], before)
        before = x0, bars[i]
        path.append(x)
    return [*path[:-1], path[-1].detach()]


@wrong("sample", "one entry of path, over and over: the list holds the same tensor", breaks="Leave the `x`")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x[:] = step(x, x0, noise, bars[i], bars[i + 1], before)
        before = x0, bars[i]
        path.append(x)
    return path


@wrong(
    "sample", "copies first, then writes in place: the start is lost from the list", breaks="Return a list"
)
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    x = x.clone()
    path, before = [x], None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x.copy_(step(x, x0, noise, bars[i], bars[i + 1], before))
        before = x0, bars[i]
        path.append(x)
    return path


@wrong("sample", "asks twice a step, as a predictor and a corrector", breaks="Ask the network")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        t = torch.full((len(x),), now, device=x.device)
        x0 = (predict(x, t) + predict(x, t)) / 2
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = step(x, x0, noise, bars[i], bars[i + 1], before)
        before = x0, bars[i]
        path.append(x)
    return path


@wrong("sample", "passes before as two values more, not as a pair", breaks="`before` is the pair")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, x0_before, bar_before = [x], None, None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = step(x, x0, noise, bars[i], bars[i + 1], (x0_before, bar_before))
        x0_before, bar_before = x0, bars[i]
        path.append(x)
    return path


@wrong("sample", "remembers the image clipped to [0, 1] for the next step", breaks="`before` is the pair")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = step(x, x0, noise, bars[i], bars[i + 1], before)
        before = (x0.clamp(0, 1), bars[i])
        path.append(x)
    return path


@wrong("sample", "t of int32", breaks="`x0 = predict")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device, dtype=torch.int32))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = step(x, x0, noise, bars[i], bars[i + 1], before)
        before = x0, bars[i]
        path.append(x)
    return path


@wrong("sample", "1 - alpha-bar in place of alpha-bar", breaks="`bar` is")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    bars = [1 - float(alpha_bars[t]) for t in times] + [0.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = step(x, x0, noise, bars[i], bars[i + 1], before)
        before = x0, bars[i]
        path.append(x)
    return path


@wrong("sample", "stops when x looks clean", breaks="For each time")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = step(x, x0, noise, bars[i], bars[i + 1], before)
        before = x0, bars[i]
        path.append(x)
        if (x - x0).abs().max() < 0.3:
            break
    return path


@wrong("sample", "moves everything to the CPU to collect it", breaks="`x0 = predict")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x.cpu()], None
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    for i, now in enumerate(times):
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device="cpu", dtype=x.dtype)
        x = step(x, x0, noise, bars[i], bars[i + 1], before)
        before = x0, bars[i]
        path.append(x.cpu())
    return path


@wrong("sample", "takes times out of the list it was given", breaks="For each time")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    path, before = [x], None
    while times:
        now = times.pop(0)
        bar = float(alpha_bars[now])
        later = float(alpha_bars[times[0]]) if times else 1.0
        x0 = predict(x, torch.full((len(x),), now, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = step(x, x0, noise, bar, later, before)
        before = x0, bar
        path.append(x)
    return path


@right("sample", "the usual loop, bars by list comprehension")
def _(predict, x, times, alpha_bars, step, generator):
    before = None
    xs = [x]
    bars = [float(alpha_bars[t]) for t in times] + [1.0]
    with torch.no_grad():
        for now, bar, bar_next in zip(times, bars[:-1], bars[1:]):
            t = torch.full((x.shape[0],), now, dtype=torch.long, device=x.device)
            x0 = predict(x, t)
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = step(x, x0, noise, bar, bar_next, before)
            before = (x0, bar)
            xs.append(x)
    return xs


@right("sample", "a deque of waiting times, set_grad_enabled")
def _(predict, x, times, alpha_bars, step, generator):
    waiting, trail, last = deque(times), [x], None
    with torch.set_grad_enabled(False):
        while waiting:
            now = waiting.popleft()
            x0 = predict(trail[-1], torch.ones(len(x), dtype=torch.int64).to(x.device) * now)
            z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            here = alpha_bars[now].item()
            there = alpha_bars[waiting[0]].item() if waiting else 1.0
            trail.append(step(trail[-1], x0, z, here, there, last))
            last = x0, here
    return trail


@right("sample", "noise first, then the question; detach in three places")
def _(predict, x, times, alpha_bars, step, generator):
    out, prev, n = [x.detach().clone()], None, len(times)
    for i in range(n):
        z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        t = torch.tensor(times[i], device=x.device).expand(x.shape[0])
        x0 = predict(out[i], t).detach()
        a = float(alpha_bars[times[i]])
        b = 1.0 if i + 1 == n else float(alpha_bars[times[i + 1]])
        out.append(step(out[i], x0, z, a, b, prev).detach())
        prev = (x0, a)
    return out


@right("sample", "alpha-bars in a dict, a preallocated list, torch.zeros + now")
@torch.no_grad()
def _(predict, x, times, alpha_bars, step, generator):
    table = dict(enumerate(alpha_bars.tolist()))
    path = [x] * (len(times) + 1)
    before = None
    for k, now in enumerate(times):
        following = times[k + 1] if k + 1 < len(times) else None
        x0 = predict(path[k], torch.zeros(len(x), device=x.device).long() + now)
        noise = torch.randn(size=x.shape, generator=generator, device=x.device, dtype=x.dtype)
        path[k + 1] = step(path[k], x0, noise, table[now], table.get(following, 1.0), before)
        before = x0, table[now]
    return path


@right("sample", "an inner generator function, collected at the end")
def _(predict, x, times, alpha_bars, step, generator):
    def walk(x):
        yield x
        before = None
        for now, later in itertools.zip_longest(times, times[1:]):
            bar = alpha_bars[now].item()
            x0 = predict(x, torch.full([len(x)], now).to(x.device))
            noise = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)
            x = step(x, x0, noise, bar, 1.0 if later is None else alpha_bars[later].item(), before)
            before = x0, bar
            yield x

    with torch.no_grad():
        return list(walk(x))


@right("sample", "stacked and taken apart again, with alpha-bars padded by a 1")
def _(predict, x, times, alpha_bars, step, generator):
    bars = torch.cat([alpha_bars[torch.tensor(times, device=alpha_bars.device)], alpha_bars.new_ones(1)])
    path, before = x[None], None
    with torch.no_grad():
        for i, now in enumerate(times):
            bar, bar_next = float(bars[i]), float(bars[i + 1])
            x0 = predict(path[-1], torch.full((len(x),), now, device=x.device))
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            new = step(path[-1], x0, noise, bar, bar_next, before)
            before = (x0, bar)
            path = torch.cat([path, new[None]])
    return list(path)
