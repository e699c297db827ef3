"""A translator in operation: metrics, a monitor with calibrated limits, a gate, and a loop over days, in one
file.

    python my_loop.py --help
    python my_loop.py --steps 200 --days 30 --out report
    python my_loop.py --data folder_with_a_and_b --per-day 8

`--data` holds two folders of grey images, `a` (given) and `b` (wanted), paired by name; they arrive in the
order of their names, `--per-day` a day. Without it a stream is drawn whose process changes on day 12. It
needs PyTorch and NumPy. Images are .npy or .npz, and .png where Pillow is installed.
"""

import argparse
import copy
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.mine import (
    anisotropy,
    cd_on_cut,
    chunk_threshold,
    cluster_bound,
    contour_epe,
    cool_down,
    count_defects,
    cusum,
    gaussian_window,
    iou,
    join_labels,
    ks_distance,
    promotion_rule,
    psnr,
    replay_slots,
    ssim_index,
    three_monitors,
    z_scores,
)
from lessons.exports._images import read_images, stop

# ---- metrics

# part: iou
# part: psnr
# part: gaussian_window
# part: ssim_index
# part: cd_on_cut
# part: contour_epe
# part: count_defects


def labels_of(mask: Tensor) -> Tensor:
    """Mask (H, W) -> the number of each pixel's connected piece (4 neighbours), 0 outside."""
    number = torch.arange(1.0, mask.numel() + 1).view(mask.shape) * mask
    cross = torch.tensor([[0.0, 1, 0], [1, 1, 1], [0, 1, 0]])
    while True:
        around = F.unfold(F.pad(number, (1, 1, 1, 1))[None, None], 3).view(9, *mask.shape)
        grown = around[cross.flatten() > 0].amax(0) * mask
        if torch.equal(grown, number):
            return number.long()
        number = grown


def corners_of(mask: Tensor) -> Tensor:
    """The four corners (y, x) of the box around a mask (H, W); none for an empty one."""
    places = mask.nonzero().double()
    if len(places) == 0:
        return places
    (top, left), (bottom, right) = places.amin(0).tolist(), (places.amax(0) + 1).tolist()
    return torch.tensor([[top, left], [top, right], [bottom, right], [bottom, left]], dtype=torch.float64)


def measured(made: Tensor, wanted: Tensor) -> dict[str, float]:
    """What a batch of translations (B, 1, H, W) in [0, 1] is worth; lengths in pixels."""
    window = gaussian_window(7, 1.5).to(made.dtype)
    middle = made.shape[-2] // 2
    widths = [[sum(cd_on_cut(image[0, middle], 1.0)) for image in images] for images in (made, wanted)]
    edges = [
        contour_epe(corners_of(a[0] > 0.5), corners_of(b[0] > 0.5), 1.0)
        for a, b in zip(made, wanted, strict=True)
    ]
    known = [edge for edge in edges if edge == edge]
    return {
        "iou": float(iou(made, wanted, 0.5).mean()),
        "psnr": float(psnr(made, wanted, 1.0).mean()),
        "ssim": float(ssim_index(made, wanted, window, 1.0).mean()),
        "width error": sum(abs(a - b) for a, b in zip(*widths, strict=True)) / len(made),
        "edge error": sum(known) / max(1, len(known)),
    }


def defects(made: Tensor, wanted: Tensor) -> int:
    """Opens, bridges, missing and extra pieces of a batch, all together."""
    pairs = zip(made[:, 0] > 0.5, wanted[:, 0] > 0.5, strict=True)
    return sum(sum(count_defects(labels_of(a), labels_of(b))) for a, b in pairs)


# ---- the monitor

# part: anisotropy
# part: z_scores
# part: chunk_threshold
# part: cusum
# part: ks_distance
# part: three_monitors
# part: join_labels


def features(images: Tensor) -> Tensor:
    """(N, 1, H, W) -> (N, 4): mean, spread, sharpness, anisotropy."""
    flat = images.flatten(1)
    step = (images[..., 1:] - images[..., :-1]).abs().flatten(1).mean(1)
    return torch.stack([flat.mean(1), flat.std(1), step, anisotropy(images[:, 0])], dim=1)


@dataclass
class Monitor:
    """Compares each day's inputs with a reference; limits are calibrated on the reference itself."""

    reference: Tensor  # features (n, F) in time order
    per_day: int
    slack: float = 0.5
    means: list[Tensor] = field(default_factory=list)

    def limits(self) -> tuple[float, float]:
        """Of a day's mean z-score, and of the CUSUM of these means."""
        z = z_scores(self.reference, self.reference)
        found = [chunk_threshold(column, self.per_day, 4) for column in z.T]
        limit = 1.5 * max([float(f) for f in found if f is not None], default=1.0)
        return limit, 5 * limit

    def strange(self, images: Tensor) -> bool:
        """Whether this day, or the way of the days until it, leaves the limits."""
        z = z_scores(self.reference, features(images))
        self.means.append(z.mean(0))
        limit, summed = self.limits()
        way = torch.stack(self.means)
        sums = max(float(cusum(column, self.slack * limit)[-1].max()) for column in way.T)
        return bool(self.means[-1].abs().max() > limit or sums > summed)


# ---- training and the gate

# part: replay_slots
# part: cluster_bound
# part: promotion_rule
# part: cool_down


def translator() -> nn.Module:
    """(B, 1, H, W) in [-1, 1] -> the same; a small one, trained in seconds."""
    layers: list[nn.Module] = []
    for channels in (1, 16, 16):
        layers += [nn.Conv2d(channels, 16, 5, padding=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(16, 1, 1), nn.Tanh())


Pairs = tuple[Tensor, Tensor]


def fit(net: nn.Module, new: Pairs, old: Pairs, steps: int, share: float) -> nn.Module:
    """Train on new pairs, a share of each batch from old ones."""
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(steps):
        fresh, kept = replay_slots(step, 8, share)
        x, y = (
            torch.cat([n[[i % len(n) for i in fresh]], o[[i % len(o) for i in kept]]])
            for n, o in zip(new, old, strict=True)
        )
        loss = F.l1_loss(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net


@torch.no_grad()
def translated(net: nn.Module, images: Tensor) -> Tensor:
    """(B, 1, H, W) in [-1, 1] -> in [0, 1]."""
    made: Tensor = (net(images) + 1) / 2
    return made


def seconds(net: nn.Module, image: Tensor) -> float:
    """How long one image takes: the best of three, since other work on the machine only adds."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        translated(net, image)
        times.append(time.perf_counter() - began)
    return min(times)


def slowest(nets: tuple[nn.Module, nn.Module], images: Tensor) -> tuple[float, float]:
    """The 95th percentile of the seconds for an image, of two networks that take turns."""
    times = torch.tensor([[seconds(net, image) for net in nets] for image in images[:20].split(1)])
    first, second = times.quantile(0.95, dim=0).tolist()
    return first, second


def better(new: nn.Module, old: nn.Module, fresh: Pairs, kept: Pairs, draw: torch.Generator) -> bool:
    """The gate: is the challenger surely better on new pairs, and no worse on old ones?"""
    bounds = []
    for x, y in (fresh, kept):
        wanted = (y + 1) / 2
        change = iou(translated(new, x), wanted, 0.5) - iou(translated(old, x), wanted, 0.5)
        groups = torch.arange(len(x)) // 2  # two neighbours come from one place
        drawn = torch.randint(int(groups[-1]) + 1, (500, int(groups[-1]) + 1), generator=draw)
        bounds.append(float(cluster_bound(change.double(), groups, drawn, 0.05)))
    x, y = fresh
    flaws = [defects(translated(net, x), (y + 1) / 2) for net in (old, new)]
    return bool(promotion_rule(*bounds, [], (flaws[0], flaws[1]), slowest((old, new), x), 0.02, 0.05))


# ---- the loop over days


def run(days: list[Pairs], o: argparse.Namespace) -> list[dict[str, Any]]:
    """Translate day after day; where the monitor calls and the cool-down is over, train and let the gate
    decide."""
    draw = torch.Generator().manual_seed(o.seed)
    first = tuple(torch.cat(part) for part in zip(*days[: o.first], strict=True))
    known: Pairs = (first[0], first[1])
    net = fit(translator(), known, known, o.steps, 0.0)
    monitor = Monitor(features(known[0]), len(days[0][0]))
    last, version, rows = None, 1, []
    for number, (x, y) in enumerate(days[o.first :], o.first):
        made, wanted = translated(net, x), (y + 1) / 2
        strange = monitor.strange(x)
        each = iou(made, wanted, 0.5)
        events = [
            ("prediction", f"{number}-{i}", f"v{version}", float(number), float(q))
            for i, q in enumerate(each)
        ]
        events += [("label", f"of {name}", name, when + 1, 1.0) for _, name, _, when, _ in events]
        lost = join_labels(events)[f"v{version}"]
        requests = [(200, strange, bool(q > 0.8)) for q in each]
        _, _, right, _ = three_monitors(requests)
        row = {
            "day": number,
            "version": version,
            **measured(made, wanted),
            "right": right,
            "strange": strange,
        }
        row["lost"] = sum(lost.values()) / len(lost)
        row["distance"] = float(ks_distance(features(x)[:, 1], monitor.reference[:, 1]))
        if strange or row["lost"] > o.most_loss:
            started, last = cool_down(number * 86400.0, last, 72.0)
            if started:
                challenger = fit(copy.deepcopy(net), (x, y), known, o.steps, 0.5)
                row["promoted"] = better(challenger, net, (x, y), known, draw)
                if row["promoted"]:
                    net, version = challenger, version + 1
                    monitor = Monitor(features(x), len(x) // 4 or 1)
        rows.append(row)
        print(
            ", ".join(
                f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in row.items()
            )
        )
    return rows


# ---- data and the command line

# include: _images


def drawn_day(day: int, count: int, size: int, draw: torch.Generator) -> Pairs:
    """Pictures of bars and the bars; from day 12 on the pictures are darker and less sharp."""
    place = torch.arange(size)
    low = torch.randint(1, size // 2, (count, 2, 1), generator=draw)
    high = low + torch.randint(size // 4, size // 2, (count, 2, 1), generator=draw)
    inside = (place >= low) & (place < high)
    layout = (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None].float() * 2 - 1
    blurred = F.avg_pool2d(layout, 3, stride=1, padding=1)
    if day >= 12:
        blurred = F.avg_pool2d(blurred, 5, stride=1, padding=2) * 0.5 - 0.4
    return (0.7 * blurred + 0.1 * torch.randn(layout.shape, generator=draw)).clamp(-1, 1), layout


def main() -> None:
    """Run the loop and write `days.json`, one entry a day, into the folder `--out`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="a folder with the folders a and b; without it a stream is drawn"
    )
    parser.add_argument("--size", type=int, default=24, help="side of the images in pixels, at least 8")
    parser.add_argument("--days", type=int, default=20, help="days of the drawn stream")
    parser.add_argument("--per-day", type=int, default=16, help="pairs that arrive in a day, at least 2")
    parser.add_argument("--first", type=int, default=8, help="days for the first training and the reference")
    parser.add_argument("--steps", type=int, default=200, help="steps of each training")
    parser.add_argument("--most-loss", type=float, default=0.3, help="1 - IoU of a day above which to train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("."))
    o = parser.parse_args()
    if o.size < 8 or o.per_day < 2 or min(o.days, o.first, o.steps) < 1:
        stop("--size is at least 8, --per-day at least 2; --days, --first and --steps are at least 1.")
    torch.manual_seed(o.seed)
    if o.data:
        a, b = (read_images(o.data / name, o.size)[0] for name in ("a", "b"))
        if len(a) != len(b):
            stop(f"{o.data / 'a'} has {len(a)} images and {o.data / 'b'} has {len(b)}; they must be pairs.")
        whole = len(a) // o.per_day * o.per_day
        days = list(zip(a[:whole].split(o.per_day), b[:whole].split(o.per_day), strict=True))
    else:
        draw = torch.Generator().manual_seed(o.seed)
        days = [drawn_day(day, o.per_day, o.size, draw) for day in range(o.days)]
    if len(days) <= o.first:
        stop(f"There are {len(days)} days of data; more than --first ({o.first}) are needed.")
    rows = run(days, o)
    o.out.mkdir(parents=True, exist_ok=True)
    (o.out / "days.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} days: {o.out / 'days.json'}")


if __name__ == "__main__":
    main()
