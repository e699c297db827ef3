"""L1 or diffusion for your pairs? Both are trained on a folder of pairs, and one table says what each costs.

    python my_choice.py --help
    python my_choice.py --data FOLDER --size 32 --steps 2000 --out report
    python my_choice.py --data FOLDER --limit-ms 5 --transformer
    python my_choice.py --data FOLDER --few

FOLDER holds two folders of grey images, `input` (given) and `target` (wanted), or `a` and `b`: the same names
in both (.npy, .npz, and .png where Pillow is installed). Without --data, bars are drawn. Every tenth pair is
held out; at least 20 pairs are needed. Diffusion gives many answers to each input, and from them an interval
of the bright area. A network that was trained is kept in --out; the same command goes on with it. The file
needs PyTorch and NumPy, and runs on the CPU.
"""

import argparse
import csv
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.mine import (
    answers_at_once,
    choose_method,
    conditional_loss,
    cosine_betas,
    ddpm_step,
    draw_answers,
    ensemble_interval,
    sampling_times,
)
from lessons.exports._checkpoint import write
from lessons.exports._conditional import ConditionalUNet, PatchTransformer
from lessons.exports._few_steps import Distilling, few_answers, flow_matching_loss, new_student
from lessons.exports._images import stop
from lessons.exports._pairs import drawn_pairs, held_out, read_pairs
from lessons.exports._sheet import sheet, write_png

# ---- noise and its times

# part: cosine_betas
# part: q_sample
# part: sampling_times

# ---- the networks: a U-Net that sees noisy answer and input, and a transformer

# part: sinusoidal_embedding
# part: time_modulation
# part: UNet
# part: to_patches
# include: _conditional

# ---- losses and the training loop

# part: conditional_loss

Loss = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
BARS = torch.cumprod(1 - cosine_betas(1000, 0.999), dim=0)


def l1_loss(net: nn.Module, y: Tensor, x: Tensor, draw: torch.Generator) -> Tensor:
    """One answer without noise, compared by absolute error."""
    return F.l1_loss(one_answer(net, x), y)


def diffusion_loss(net: nn.Module, y: Tensor, x: Tensor, draw: torch.Generator) -> Tensor:
    """The right answer is noised, and asked back."""
    t = torch.randint(len(BARS), (len(y),), generator=draw)
    return conditional_loss(net, y, x, t, torch.randn(y.shape, generator=draw), BARS)


def learn(
    net: nn.Module, loss_of: Loss, x: Tensor, y: Tensor, o: argparse.Namespace, draw: torch.Generator
) -> None:
    """Train `net` on given x and wanted y, (N, 1, H, W) in [-1, 1]; the rate rises and falls to 0."""
    optimizer = torch.optim.Adam(net.parameters(), lr=o.lr)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, o.lr, o.steps, pct_start=0.15)
    losses: list[float] = []
    for step in range(1, o.steps + 1):
        chosen = torch.randint(len(x), (o.batch,), generator=draw)
        loss = loss_of(net, y[chosen], x[chosen], draw)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        losses.append(loss.item())
        if step % 100 == 0 or step == o.steps:
            print(f"  step {step}: loss {np.mean(losses[-100:]):.4f}", flush=True)


def trained(
    name: str, net: nn.Module, loss_of: Loss, x: Tensor, y: Tensor, o: argparse.Namespace
) -> nn.Module:
    """The network trained, or as an earlier run with the same options left it in --out."""
    path, wanted = o.out / f"{name}.pt", f"{o.data} {o.size} {o.steps} {o.batch} {o.lr} {o.seed}"
    if path.exists():
        try:
            stored = torch.load(path, weights_only=True)
            before = stored["options"]
        except Exception:  # damaged bytes can make the reader raise anything
            stop(f"{path} is no network of this program; remove it or choose another --out.")
        if before != wanted:
            stop(f"{path} was trained with other options; give the same ones, or another --out.")
        net.load_state_dict(stored["net"])
        print(f"{name}: as it was trained before, {path}")
        return net.eval()
    print(f"{name}: {o.steps} steps")
    learn(net, loss_of, x, y, o, torch.Generator().manual_seed(o.seed))
    write({"options": wanted, "net": net.state_dict()}, path)
    return net.eval()


# ---- answers

# part: sample
# part: ddpm_step
# part: draw_answers
# part: answers_at_once

AT_ONCE = 1024
"""The most images in one batch, which bounds the memory."""


def one_answer(net: nn.Module, x: Tensor) -> Tensor:
    """What a network without noise says of x, (N, 1, H, W)."""
    made: Tensor = net(torch.zeros_like(x), torch.full((len(x),), len(BARS) - 1), x)
    return made


def ddpm(x: Tensor, x0: Tensor, noise: Tensor, bar: float, bar_next: float, before: object) -> Tensor:
    """The step of the sampler."""
    return ddpm_step(x, x0, noise, bar, bar_next)


@torch.no_grad()
def many_answers(net: nn.Module, x: Tensor, count: int, evaluations: int, seed: int) -> Tensor:
    """`count` answers of a diffusion model to each of x -> (count, N, 1, H, W) in [-1, 1]."""

    def image(x_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        guess: Tensor = net(x_t, t, condition).clamp(-1, 1)
        return guess

    draw = torch.Generator().manual_seed(seed)
    times = sampling_times(len(BARS), evaluations)
    ask = answers_at_once if count * len(x) <= AT_ONCE else draw_answers
    return ask(image, x, count, times, BARS, ddpm, draw)


# ---- few steps: flow matching, and a student of the diffusion model

# part: ema_update
# part: flow_loss
# part: euler_sample
# part: Consistent
# part: consistency_loss
# part: jump_sample
# part: own_four
# include: _few_steps

# ---- the table

# part: ensemble_interval
# part: choose_method

Row = dict[str, float]


def area(images: Tensor) -> Tensor:
    """The share of pixels that are bright, one per image."""
    return (images > 0).double().mean(dim=(-1, -2, -3))


def error(made: Tensor, wanted: Tensor) -> float:
    """Mean absolute error, where black and white are 1 apart."""
    return float((made - wanted).abs().mean() / 2)


def timed(ask: Callable[[], Tensor], images: int) -> tuple[Tensor, float]:
    """What is made, and milliseconds per image of the second of two calls."""
    ask()
    began = time.perf_counter()
    made = ask()
    return made, 1000 * (time.perf_counter() - began) / images


def judged(many: Tensor, wanted: Tensor, ms: float) -> tuple[Row, Tensor, Tensor]:
    """The row of several answers (K, N, 1, H, W): the error of their mean, spread, coverage; the interval."""
    low, high, coverage = ensemble_interval(area(many), area(wanted), 0.9)
    spread = float(many.std(dim=0).mean() / 2)
    return (
        {"ms": ms, "error": error(many.mean(dim=0), wanted), "spread": spread, "coverage": coverage},
        low,
        high,
    )


def table(rows: dict[str, Row]) -> str:
    """The rows as text."""
    names = ("ms", "error", "spread", "coverage")
    lines = [f"{'':24}" + "".join(f"{name:>10}" for name in names)]
    for method, row in rows.items():
        cells = (f"{row[name]:10.3f}" if name in row else f"{'-':>10}" for name in names)
        lines.append(f"{method:24}" + "".join(cells))
    return "\n".join(lines)


# ---- images and the command line

# part: to_network
# part: augment_pair
# part: ncc_offset
# include: _images
# include: _checkpoint
# include: _pairs
# include: _sheet


def options() -> argparse.Namespace:
    """What the command line asks for; a mistake ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.error = stop  # type: ignore[assignment, method-assign]
    add = parser.add_argument
    add("--data", type=Path, help="a folder of pairs: input and target, or a and b")
    add("--out", type=Path, default=Path("."), help="folder of networks, pictures and tables")
    add("--size", type=int, default=32, help="side to which images are scaled, a multiple of 8, from 16 on")
    add("--steps", type=int, default=500, help="training steps of each method (default: %(default)s)")
    add("--batch", type=int, default=16, help="pairs in a step (default: %(default)s)")
    add("--lr", type=float, default=2e-3, help="highest learning rate (default: %(default)s)")
    add("--answers", type=int, default=19, help="answers to each input, from 19 on (default: %(default)s)")
    add("--evaluations", type=int, default=10, help="calls of the network per answer (default: %(default)s)")
    add("--limit-ms", type=float, default=math.inf, help="most milliseconds that an image may take")
    add("--margin", type=float, default=0.002, help="difference of errors that does not count")
    add("--transformer", action="store_true", help="train a transformer with L1 as well")
    add("--few", action="store_true", help="train flow matching and a student of few steps as well")
    add("--seed", type=int, default=0)
    o = parser.parse_args()
    if min(o.steps, o.batch) < 1 or o.size < 16 or o.size % 8:
        stop("--steps and --batch are at least 1, --size is a multiple of 8 and at least 16.")
    if o.answers < 19 or not 1 <= o.evaluations <= len(BARS):
        stop("--answers is at least 19, which an interval of 90 % needs; --evaluations is 1 to 1000.")
    if not 0 < o.lr < math.inf or not o.limit_ms > 0 or not 0 <= o.margin < math.inf or o.seed < 0:
        stop("--lr and --limit-ms are above 0, --margin and --seed at least 0.")
    try:
        o.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=o.out).close()
    except OSError as problem:
        stop(f"Nothing can be written into {o.out}: {problem.strerror}.")
    return o


def compare(o: argparse.Namespace, x: Tensor, y: Tensor, new: Tensor, wanted: Tensor) -> dict[str, Row]:
    """Train, ask and judge every method; writes pictures and intervals."""
    torch.manual_seed(o.seed)
    rows: dict[str, Row] = {}
    plain = {"L1": ConditionalUNet()}
    if o.transformer:
        plain["transformer, L1"] = PatchTransformer(o.size)  # type: ignore[assignment]
    shown = [new, wanted]
    for name, net in plain.items():
        known = trained(name.split(",")[0].lower(), net, l1_loss, x, y, o)
        with torch.no_grad():
            made, ms = timed(lambda known=known: one_answer(known, new), len(new))  # type: ignore[misc]
        rows[name] = {"ms": ms, "error": error(made, wanted), "spread": 0.0}
        shown.append(made)
    model = trained("diffusion", ConditionalUNet(), diffusion_loss, x, y, o)
    for evaluations in sorted({1, 4, o.evaluations}):
        many, ms = timed(lambda n=evaluations: many_answers(model, new, o.answers, n, o.seed), len(new))  # type: ignore[misc]
        row, low, high = judged(many, wanted, ms)
        rows[f"diffusion, {evaluations} steps"] = row
    if o.few:
        rows |= few_rows(model, o, x, y, new, wanted)
    np.save(o.out / "answers.npy", ((many[:, :, 0] + 1) * 127.5).round().to(torch.uint8).numpy())
    with (o.out / "intervals.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["held-out pair", "lowest area", "highest area", "true area"])
        lines.writerows(
            [i, *(f"{float(v):.4f}" for v in three)]
            for i, three in enumerate(zip(low, high, area(wanted), strict=True))
        )
    columns = [*shown, *many[:4]]
    write_png(o.out / "answers.png", sheet(torch.stack(columns, 1)[:6].flatten(0, 1), len(columns)))
    return rows


def few_rows(
    model: nn.Module, o: argparse.Namespace, x: Tensor, y: Tensor, new: Tensor, wanted: Tensor
) -> dict[str, Row]:
    """Flow matching, and a student of the diffusion model, in one to four evaluations."""
    flow = trained("flow", ConditionalUNet(), flow_matching_loss, x, y, o)
    student = new_student(model, BARS)
    student = trained("student", student, Distilling(model, student, BARS), x, y, o)
    rows: dict[str, Row] = {}
    asked = [("own", model, 4), ("flow", flow, 4), *(("student", student, n) for n in (1, 2, 4))]
    for kind, net, n in asked:
        many, ms = timed(
            lambda kind=kind, net=net, n=n: few_answers(kind, net, new, o.answers, n, BARS, o.seed),  # type: ignore[misc]
            len(new),
        )
        rows[f"{kind}, {n} step{'s' * (n > 1)}"] = judged(many, wanted, ms)[0]
    return rows


def main() -> None:
    """Train both, and write networks, `answers.png`, `answers.npy`, `intervals.csv` and `table.txt`."""
    o = options()
    draw = torch.Generator().manual_seed(o.seed)
    x, y = read_pairs(o.data, o.size, 0) if o.data else drawn_pairs(400, o.size, draw)
    if len(x) < 20:
        stop(f"There are {len(x)} pairs; at least 20 are needed, because every tenth is held out.")
    (x, y), (new, wanted) = held_out(x, y)
    print(f"{len(x)} pairs to train on, {len(new)} held out")
    rows = compare(o, x, y, new, wanted)
    (o.out / "table.txt").write_text(table(rows) + "\n")
    print(table(rows))
    chosen = choose_method(rows, {"ms": (0.0, o.limit_ms)}, "error", o.margin)
    limit = "" if o.limit_ms == math.inf else f" within {o.limit_ms:g} ms an image"
    print(f"Smallest error{limit}: {chosen or 'no method keeps the limit'}.")
    print(
        "Columns of answers.png: given, wanted, one of each method without noise, four answers of diffusion."
    )


if __name__ == "__main__":
    main()
