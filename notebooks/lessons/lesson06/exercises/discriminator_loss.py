"""Lesson 06: what the discriminator minimises, in four games, with a smoothed label for real pairs."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips
from lessons.lesson06.exercises._games import KINDS, SMOOTHING, both, game

ex = Exercise(
    id="discriminator_loss",
    lesson="06",
    title="Four losses for the discriminator",
    difficulty=3,
    minutes=14,
    spec=r"""
    $r$ are D's raw logits of real pairs, $f$ those of fake ones, $\sigma$ is the sigmoid, and $y$ =
    `real_label` is what D is asked to say of real pairs. D minimises *half* the sum of two means:

    | `kind` | real | fake |
    |---|---|---|
    | `"minimax"` | $-y \log \sigma(r) - (1 - y) \log(1 - \sigma(r))$ | $-\log(1 - \sigma(f))$ |
    | `"non_saturating"` | the same | the same |
    | `"lsgan"` | $(r - y)^2$ | $f^2$ |
    | `"hinge"` | $\max(0, 1 - r)$ | $\max(0, 1 + f)$ |

    A label below 1 (one-sided smoothing) bounds D's confidence: a
    logit above $\log(y / (1 - y))$, or above $y$, is pulled back. Fakes stay at 0. The hinge has a margin and
    no target, so with a label other than 1 it raises a `ValueError`; so does another `kind`. The two maps may
    differ in size, so each has its own mean. Value and gradient (by both maps) must be right at logits of
    -100 and 100.
    """,
    hints=(
        "Cross-entropy on logits, without a sigmoid: `F.softplus(f)` for fakes. For real ones -y log s(r) - "
        "(1 - y) log(1 - s(r)) is `F.softplus(r) - y * r`.",
        "`F.relu(1 - r)` is the hinge: a real logit above 1 is good enough and costs nothing.",
        "Set `real` and `fake` (maps) in each branch, then once: `0.5 * (real.mean() + fake.mean())`.",
    ),
    source="Goodfellow et al. 2014, eq. 1; Mao et al. 2017, eq. 9; Lim and Ye 2017; Salimans et al. 2016, "
    "sec. 3.4 (one-sided label smoothing); halved as in pix2pix.",
    gradients=("real_logits", "fake_logits"),
    equivalent={
        "2.77 `1.0` ->": "every input states the label; the default stands in the stub",
        "`real_label - real_logits`": "the square forgets the sign",
        "-> `(F.softplus(fake_logits)": "both means enter the sum alike, so their order does not matter",
        "-> `(F.relu(1 + fake_logits)": "both means enter the sum alike, so their order does not matter",
        "-> `(fake_logits.square()": "both means enter the sum alike, so their order does not matter",
        "`('non_saturating', 'minimax')`": "the order of the two names does not matter",
    },
)


@ex.reference
def discriminator_loss(
    real_logits: Tensor, fake_logits: Tensor, kind: str, real_label: float = 1.0
) -> Tensor:
    """Logits (B, 1, h, w) of real and fake pairs, kind, label of real ones in (0.5, 1] -> scalar."""
    if kind in ("minimax", "non_saturating"):
        real, fake = F.softplus(real_logits) - real_label * real_logits, F.softplus(fake_logits)
    elif kind == "lsgan":
        real, fake = (real_logits - real_label).square(), fake_logits.square()
    elif kind == "hinge" and real_label == 1:
        real, fake = F.relu(1 - real_logits), F.relu(1 + fake_logits)
    else:
        raise ValueError(f"unknown kind {kind!r}, or a hinge with the label {real_label}")
    return 0.5 * (real.mean() + fake.mean())


@ex.edges
def _() -> list[Args]:
    values = [
        ([0.25], [0.5]),
        ([-100.0, 100.0], [-100.0, 100.0]),
        ([2.0, 0.5, -3.0], [-2.0, 0.5]),
        ([150.0, -200.0], [200.0, -150.0]),
        ([2.1972246, 1.5], [-5.0, -1.5]),
        ([-40.0], [60.0]),
        ([0.5, -0.5], [-0.5, -3.0]),
    ]
    pairs = [tuple(torch.tensor(v).view(1, 1, 1, -1) for v in pair) for pair in values]
    maps = torch.linspace(-2.3, 3.1, 24).view(2, 1, 3, 4)  # sizes that have nothing in common
    pairs.append((maps[:1], maps[:, :, :2].flip(0) / 2))
    whole = [(*p, kind, 1.0) for p in pairs for kind in KINDS]
    part = [(*p, kind, y) for p in pairs for kind in KINDS[1:3] for y in (0.9, 0.7)]
    unknown = ("wgan", "Hinge", "", "min", "non-saturating", "lsgan ")
    return [*whole, *part, *((*pairs[0], kind, 1.0) for kind in unknown), (*pairs[2], "hinge", 0.9)]


@ex.inputs
def _(case: Case) -> Args:
    scale = case.choice((1, 2, 4))
    real = scale * case.randn(case.batch, 1, case.height, case.width) + 1
    fake = scale * case.randn(case.batch, 1, case.height, case.width + case.integer(0, 2)) - 1
    kind = KINDS[case.seed // 2 % 4]
    return real, fake, kind, 1.0 if kind == "hinge" else case.choice((1.0, 0.9, 0.75))


for slip in SMOOTHING:
    ex.wrong(*slip)

for name, misconception, answer in (
    (
        "not_halved",
        "You do not halve the sum: D then learns twice as fast as the course means it to.",
        game({}, lambda real, fake: real.mean() + fake.mean()),
    ),
    (
        "swapped",
        "You have real and fake the wrong way round.",
        lambda real, fake, kind, y: game({})(fake, real, kind, y),
    ),
    (
        "own_loss_for_non_saturating",
        "You change D's loss in the non-saturating game (-log f for fakes); only the generator's loss "
        "changes there.",
        game({"non_saturating": lambda r, f, y: (F.softplus(r) - y * r, F.softplus(-f))}),
    ),
    (
        "ascent",
        "You return D's log-likelihood: the paper lets D ascend it, but an optimiser descends, so the sign "
        "must turn.",
        game(both(lambda r, f, y: (y * r - F.softplus(r), F.logsigmoid(-f)))),
    ),
    (
        "lsgan_minus_one",
        "You pull fake logits to -1; their target in the least-squares game is 0 here.",
        game({"lsgan": lambda r, f, y: ((r - y).square(), (f + 1).square())}),
    ),
    (
        "lsgan_sigmoid",
        "You squash the logits before squaring: least squares is for raw outputs.",
        game({"lsgan": lambda r, f, y: ((r.sigmoid() - y).square(), f.sigmoid().square())}),
    ),
    (
        "lsgan_swapped",
        "You have the targets of least squares the wrong way round: y for real, 0 for fake.",
        game({"lsgan": lambda r, f, y: (r.square(), (f - y).square())}),
    ),
    (
        "no_margin",
        "You leave the hinge's margin out: with max(0, -r) a real logit of 0.01 already counts as done.",
        game({"hinge": lambda r, f, y: (F.relu(-r), F.relu(f))}),
    ),
    (
        "no_hinge",
        "You forget the maximum with 0: the loss has no lower bound, and D makes its logits larger for ever.",
        game({"hinge": lambda r, f, y: (1 - r, 1 + f)}),
    ),
    (
        "hinge_sign",
        "You write max(0, 1 - f) for fakes: that rewards D for calling fakes real.",
        game({"hinge": lambda r, f, y: (F.relu(1 - r), F.relu(1 - f))}),
    ),
    (
        "hinge_swapped",
        "You have the signs of the hinge the wrong way round: max(0, 1 - r) and max(0, 1 + f).",
        game({"hinge": lambda r, f, y: (F.relu(1 + r), F.relu(1 - f))}),
    ),
    (
        "hinge_fake_margin",
        "You subtract the margin for fakes, max(0, f - 1): a fake logit of 0.5 would then cost nothing.",
        game({"hinge": lambda r, f, y: (F.relu(1 - r), F.relu(f - 1))}),
    ),
    (
        "squared_hinge",
        "You square the hinge; its slope is constant up to the margin.",
        game({"hinge": lambda r, f, y: (F.relu(1 - r).square(), F.relu(1 + f).square())}),
    ),
    (
        "hinge_not_halved",
        "You do not halve the hinge loss; all four are halved here.",
        game({"hinge": lambda r, f, y: (2 * F.relu(1 - r), 2 * F.relu(1 + f))}),
    ),
    (
        "cross_entropy_swapped",
        "You have the signs of the cross-entropy the wrong way round: that rewards D for being fooled.",
        game(both(lambda r, f, y: (F.softplus(-r) + y * r, F.softplus(-f)))),
    ),
    (
        "cross_entropy_not_halved",
        "You do not halve the cross-entropy; all four are halved here.",
        game(both(lambda r, f, y: (2 * (F.softplus(r) - y * r), 2 * F.softplus(f)))),
    ),
    (
        "one_mean",
        "You take one mean over all logits together: with more fake logits than real ones the fakes count "
        "more.",
        game({}, lambda real, fake: torch.cat([real.flatten(), fake.flatten()]).mean()),
    ),
    (
        "summed",
        "You sum over the patches: the loss then grows with the size of the map.",
        game({}, lambda real, fake: (real.sum() + fake.sum()) / 2),
    ),
    (
        "real_only",
        "You look at real pairs only: D would call everything real.",
        game({}, lambda real, fake: real.mean() / 2),
    ),
    ("fake_only", "You look at fake pairs only.", game({}, lambda real, fake: fake.mean() / 2)),
    (
        "real_only_halved",
        "You halve the real part only; the half stands before the sum.",
        game({}, lambda real, fake: real.mean() / 2 + fake.mean()),
    ),
    (
        "subtracted",
        "You subtract the fake part; D minimises both.",
        game({}, lambda real, fake: (real.mean() - fake.mean()) / 2),
    ),
    (
        "detached_fake",
        "You detach the fake logits: D gets no gradient from fakes. Detach the fake *image*, before D.",
        lambda real, fake, kind, y: game({})(real, fake.detach(), kind, y),
    ),
    (
        "detached_real",
        "You detach the real logits: D gets no gradient from real pairs.",
        lambda real, fake, kind, y: game({})(real.detach(), fake, kind, y),
    ),
    (
        "silent_default",
        "You take an unknown `kind` for one of the four: a typing mistake would train another game in "
        "silence.",
        lambda real, fake, kind, y: game({})(real, fake, kind if kind in KINDS else "lsgan", y),
    ),
    (
        "kind_in_any_spelling",
        "You take `kind` in any spelling; only the four names as they are written are known.",
        lambda real, fake, kind, y: game({})(real, fake, kind.strip().lower().replace("-", "_"), y),
    ),
):
    ex.wrong(name, misconception, answer)

ex.right(game({}))
ex.right(game({}, lambda real, fake: torch.stack([real.mean(), fake.mean()]).mean()))


@ex.right
def _(real: Tensor, fake: Tensor, kind: str, real_label: float = 1.0) -> Tensor:
    targets, zeros = torch.full_like(real, real_label), torch.zeros_like(fake)
    if kind in {"minimax", "non_saturating"}:
        loss = torch.nn.BCEWithLogitsLoss()
        return 0.5 * loss(real, targets) + 0.5 * loss(fake, zeros)
    if kind == "lsgan":
        return 0.5 * (F.mse_loss(real, targets) + F.mse_loss(fake, zeros))
    if kind != "hinge" or real_label < 1:
        raise ValueError("kind")
    return -0.5 * (torch.minimum(real - 1, 0 * targets).mean() + torch.minimum(-fake - 1, zeros).mean())


@ex.right
def _(real: Tensor, fake: Tensor, kind: str, y: float = 1.0) -> Tensor:
    score: dict[str, Callable[[Tensor, float], Tensor]] = {
        "minimax": lambda x, t: x.clamp(min=0) - x * t + torch.log1p(torch.exp(-x.abs())),
        "non_saturating": lambda x, t: (1 - t) * F.softplus(x) + t * F.softplus(-x),
        "lsgan": lambda x, t: (x - t).pow(2),
        "hinge": lambda x, t: (1 - (2 * t - 1) * x).relu(),
    }
    if kind == "hinge" and y != 1.0:
        raise ValueError("the hinge has no target")
    try:
        chosen = score[kind]
    except KeyError as error:
        raise ValueError(f"{kind} is none of {list(score)}") from error
    return chosen(real, y).mean().add(chosen(fake, 0.0).mean()).div(2)


common_slips(ex, "returned_nothing", "graph_cut", "assertion", "none_for_an_error", "float32_result")

ex.breach("$r$ are D's raw logits", "swapped")
ex.breach("`real_label` is what D is asked to say", "not_smoothed")
ex.breach("`real_label` is what D is asked to say", "always_0_9")
ex.breach("D minimises *half* the sum", "not_halved")
ex.breach("of two means", "summed")
ex.breach("| `kind` | real | fake |", "fakes_as_real")
ex.breach('| `"minimax"` ', "ascent")
ex.breach('| `"minimax"` ', "mirrored_label")
ex.breach('| `"non_saturating"` ', "own_loss_for_non_saturating")
ex.breach('| `"lsgan"` ', "lsgan_minus_one")
ex.breach('| `"lsgan"` ', "squares_not_smoothed")
ex.breach('| `"hinge"` ', "no_margin")
ex.breach('| `"hinge"` ', "no_hinge")
ex.breach("A label below 1", "scaled_only")
ex.breach("A label below 1", "clamped_logit")
ex.breach("Fakes stay at 0", "two_sided")
ex.breach("The hinge has a margin", "hinge_ignores_the_label")
ex.breach("so does another `kind`", "silent_default")
ex.breach("The two maps may differ", "one_mean")
ex.breach("Value and gradient", "sigmoid_then_log")
ex.breach("Value and gradient", "clamped_probability_1e-07")
ex.breach("Value and gradient", "detached_fake")
