"""Lesson 06: what the discriminator minimises, in four games."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="discriminator_loss",
    lesson="06",
    title="Four losses for the discriminator",
    difficulty=3,
    minutes=12,
    spec=r"""
    $r$ are D's raw logits of real pairs and $f$ those of fake ones. D minimises *half* the sum of two means:

    | `kind` | real | fake |
    |---|---|---|
    | `"minimax"`, `"non_saturating"` | $-\log \sigma(r)$ | $-\log(1 - \sigma(f))$ |
    | `"lsgan"` | $(r - 1)^2$ | $f^2$ |
    | `"hinge"` | $\max(0, 1 - r)$ | $\max(0, 1 + f)$ |

    The non-saturating game changes the generator's loss only. The two maps may differ in size, so each has
    its own mean. Value and gradient (by both maps) must be right at logits of -100 and 100. Another `kind`
    raises a `ValueError`.
    """,
    hints=(
        "Cross-entropy on logits: `F.softplus(-r)` for real, `F.softplus(f)` for fake. No sigmoid anywhere.",
        "`F.relu(1 - r)` is the hinge: a real logit above 1 is good enough and costs nothing.",
        "Set `real` and `fake` (maps) in each branch, then once: `0.5 * (real.mean() + fake.mean())`.",
    ),
    source="Goodfellow et al. 2014, eq. 1; Mao et al. 2017, eq. 9; Lim and Ye 2017; halved as in pix2pix.",
    gradients=("real_logits", "fake_logits"),
    equivalent={
        "`1 - real_logits`": "the square forgets the sign",
        "-> `(F.softplus(fake_logits)": "both means enter the sum alike, so their order does not matter",
        "-> `(F.relu(1 + fake_logits)": "both means enter the sum alike, so their order does not matter",
        "-> `(fake_logits.square()": "both means enter the sum alike, so their order does not matter",
        "`('non_saturating', 'minimax')`": "the order of the two names does not matter",
    },
)


@ex.reference
def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, kind: str) -> Tensor:
    """Raw logits (B, 1, h, w) of real and fake pairs; minimax, non_saturating, lsgan or hinge -> scalar."""
    if kind in ("minimax", "non_saturating"):
        real, fake = F.softplus(-real_logits), F.softplus(fake_logits)
    elif kind == "lsgan":
        real, fake = (real_logits - 1).square(), fake_logits.square()
    elif kind == "hinge":
        real, fake = F.relu(1 - real_logits), F.relu(1 + fake_logits)
    else:
        raise ValueError(f"unknown kind {kind!r}")
    return 0.5 * (real.mean() + fake.mean())


KINDS = ("minimax", "non_saturating", "lsgan", "hinge")
Maps = tuple[Tensor, Tensor]
Formula = Callable[[Tensor, Tensor], Maps]


@ex.edges
def _() -> list[Args]:
    values = [
        ([0.25], [0.5]),
        ([-100.0, 100.0], [-100.0, 100.0]),
        ([2.0, 0.5, -3.0], [-2.0, 0.5]),
        ([150.0, -200.0], [200.0, -150.0]),
        ([1.5], [-1.5]),
        ([-40.0], [60.0]),
        ([0.5, -0.5], [-0.5, -3.0]),
    ]
    pairs = [tuple(torch.tensor(v).view(1, 1, 1, -1) for v in pair) for pair in values]
    maps = torch.linspace(-2.3, 3.1, 24).view(2, 1, 3, 4)  # sizes that have nothing in common
    pairs.append((maps[:1], maps[:, :, :2].flip(0) / 2))
    unknown = ("wgan", "Hinge", "", "min", "non-saturating", "lsgan ")
    return [*((*p, kind) for p in pairs for kind in KINDS), *((*pairs[0], kind) for kind in unknown)]


@ex.inputs
def _(case: Case) -> Args:
    scale = case.choice((1, 2, 4))
    real = scale * case.randn(case.batch, 1, case.height, case.width) + 1
    fake = scale * case.randn(case.batch, 1, case.height, case.width + case.integer(0, 2)) - 1
    return real, fake, KINDS[case.seed // 2 % 4]


def _cross_entropy(real: Tensor, fake: Tensor) -> Maps:
    return -F.logsigmoid(real), -F.logsigmoid(-fake)


FORMULAS: dict[str, Formula] = {
    "minimax": _cross_entropy,
    "non_saturating": _cross_entropy,
    "lsgan": lambda r, f: ((1 - r) ** 2, f**2),
    "hinge": lambda r, f: ((1 - r).clamp(min=0), (1 + f).clamp(min=0)),
}


def _half(real: Tensor, fake: Tensor) -> Tensor:
    return (real.mean() + fake.mean()) / 2


def _game(
    changes: dict[str, Formula], reduce: Callable[[Tensor, Tensor], Tensor] = _half
) -> Callable[[Tensor, Tensor, str], Tensor]:
    """An answer with some formulas, or the reduction, replaced."""
    table = FORMULAS | changes

    def answer(real: Tensor, fake: Tensor, kind: str) -> Tensor:
        if kind not in table:
            raise ValueError(kind)
        return reduce(*table[kind](real, fake))

    return answer


def _both(formula: Formula) -> dict[str, Formula]:
    return {"minimax": formula, "non_saturating": formula}


ex.wrong(
    "not_halved",
    "You do not halve the sum: D then learns twice as fast as the course means it to.",
    _game({}, lambda real, fake: real.mean() + fake.mean()),
)
ex.wrong(
    "swapped",
    "You have real and fake the wrong way round.",
    lambda real, fake, kind: _game({})(fake, real, kind),
)
ex.wrong(
    "sigmoid_then_log",
    "You compute the sigmoid first and its logarithm afterwards: at extreme logits the sigmoid is "
    "exactly 0 or 1, and the logarithm gives infinity or a gradient of 0.",
    _game(_both(lambda r, f: (-r.sigmoid().log(), -(1 - f.sigmoid()).log()))),
)
ex.wrong(
    "exponential",
    "You write log(1 + exp(x)) out: exp overflows above 88 in float32. `F.softplus` knows.",
    _game(_both(lambda r, f: ((1 + (-r).exp()).log(), (1 + f.exp()).log()))),
)
ex.wrong(
    "own_loss_for_non_saturating",
    "You change D's loss in the non-saturating game (-log f for fakes); only the generator's loss "
    "changes there.",
    _game({"non_saturating": lambda r, f: (F.softplus(-r), F.softplus(-f))}),
)
ex.wrong(
    "ascent",
    "You return D's log-likelihood: the paper lets D ascend it, but an optimiser descends, so the sign "
    "must turn.",
    _game(_both(lambda r, f: (F.logsigmoid(r), F.logsigmoid(-f)))),
)
ex.wrong(
    "lsgan_minus_one",
    "You pull fake logits to -1; the targets of the least-squares game are 1 and 0 here.",
    _game({"lsgan": lambda r, f: ((r - 1).square(), (f + 1).square())}),
)
ex.wrong(
    "lsgan_sigmoid",
    "You squash the logits before squaring: least squares is for raw outputs.",
    _game({"lsgan": lambda r, f: ((r.sigmoid() - 1).square(), f.sigmoid().square())}),
)
ex.wrong(
    "no_margin",
    "You leave the hinge's margin out: with max(0, -r) a real logit of 0.01 already counts as done.",
    _game({"hinge": lambda r, f: (F.relu(-r), F.relu(f))}),
)
ex.wrong(
    "no_hinge",
    "You forget the maximum with 0: the loss has no lower bound, and D makes its logits larger for ever.",
    _game({"hinge": lambda r, f: (1 - r, 1 + f)}),
)
ex.wrong(
    "hinge_sign",
    "You write max(0, 1 - f) for fakes: that rewards D for calling fakes real.",
    _game({"hinge": lambda r, f: (F.relu(1 - r), F.relu(1 - f))}),
)
ex.wrong(
    "squared_hinge",
    "You square the hinge; its slope is constant up to the margin.",
    _game({"hinge": lambda r, f: (F.relu(1 - r).square(), F.relu(1 + f).square())}),
)
ex.wrong(
    "one_mean",
    "You take one mean over all logits together: with more fake logits than real ones the fakes count more.",
    _game({}, lambda real, fake: torch.cat([real.flatten(), fake.flatten()]).mean()),
)
ex.wrong(
    "summed",
    "You sum over the patches: the loss then grows with the size of the map.",
    _game({}, lambda real, fake: (real.sum() + fake.sum()) / 2),
)
ex.wrong(
    "detached_fake",
    "You detach the fake logits: D gets no gradient from fakes. Detach the fake *image*, before D.",
    lambda real, fake, kind: _game({})(real, fake.detach(), kind),
)
ex.wrong(
    "real_only",
    "You look at real pairs only: D would call everything real.",
    _game({}, lambda real, fake: real.mean() / 2),
)
ex.wrong(
    "silent_default",
    "You take an unknown `kind` for one of the four: a typing mistake would train another game in silence.",
    lambda real, fake, kind: _game({})(real, fake, kind if kind in FORMULAS else "lsgan"),
)


ex.right(_game({}))
ex.right(_game(_both(lambda r, f: (F.softplus(r) - r, F.softplus(-f) + f))))
ex.right(_game({}, lambda real, fake: torch.stack([real.mean(), fake.mean()]).mean()))


@ex.right
def _(real: Tensor, fake: Tensor, kind: str) -> Tensor:
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    if kind in {"minimax", "non_saturating"}:
        loss = torch.nn.BCEWithLogitsLoss()
        return 0.5 * loss(real, ones) + 0.5 * loss(fake, zeros)
    if kind == "lsgan":
        return 0.5 * (F.mse_loss(real, ones) + F.mse_loss(fake, zeros))
    if kind != "hinge":
        raise ValueError("kind")
    return -0.5 * (torch.minimum(real - 1, 0 * ones).mean() + torch.minimum(-fake - 1, zeros).mean())


@ex.right
def _(real: Tensor, fake: Tensor, kind: str) -> Tensor:
    score: dict[str, Callable[[Tensor, int], Tensor]] = {
        "minimax": lambda x, sign: F.softplus(-sign * x),
        "non_saturating": lambda x, sign: F.softplus(-sign * x),
        "lsgan": lambda x, sign: (x - (sign + 1) // 2).pow(2),
        "hinge": lambda x, sign: (1 - sign * x).relu(),
    }
    try:
        chosen = score[kind]
    except KeyError as error:
        raise ValueError(f"{kind} is none of {list(score)}") from error
    return chosen(real, 1).mean().add(chosen(fake, -1).mean()).div(2)


ex.wrong(
    "real_only_halved",
    "You halve the real part only; the half stands before the sum.",
    _game({}, lambda real, fake: real.mean() / 2 + fake.mean()),
)
ex.wrong(
    "fake_only",
    "You look at fake pairs only.",
    _game({}, lambda real, fake: fake.mean() / 2),
)
ex.wrong(
    "subtracted",
    "You subtract the fake part; D minimises both.",
    _game({}, lambda real, fake: (real.mean() - fake.mean()) / 2),
)
ex.wrong(
    "cross_entropy_swapped",
    "You have the two signs of the cross-entropy the wrong way round: that rewards D for being fooled.",
    _game(_both(lambda r, f: (F.softplus(r), F.softplus(-f)))),
)
ex.wrong(
    "both_fakes_real",
    "You give fakes the target of real pairs.",
    _game(
        _both(lambda r, f: (F.softplus(-r), F.softplus(-f)))
        | {"lsgan": lambda r, f: ((r - 1).square(), (f - 1).square())}
        | {"hinge": lambda r, f: (F.relu(1 - r), F.relu(1 - f))}
    ),
)
ex.wrong(
    "lsgan_swapped",
    "You have the targets of least squares the wrong way round: 1 for real, 0 for fake.",
    _game({"lsgan": lambda r, f: (r.square(), (f - 1).square())}),
)
ex.wrong(
    "hinge_swapped",
    "You have the signs of the hinge the wrong way round: max(0, 1 - r) and max(0, 1 + f).",
    _game({"hinge": lambda r, f: (F.relu(1 + r), F.relu(1 - f))}),
)
ex.wrong(
    "hinge_fake_margin",
    "You subtract the margin for fakes, max(0, f - 1): a fake logit of 0.5 would then cost nothing.",
    _game({"hinge": lambda r, f: (F.relu(1 - r), F.relu(f - 1))}),
)
ex.wrong(
    "clamped_probability",
    "You keep the probability away from 0 and 1 by a small number: the gradient at extreme logits is gone.",
    _game(_both(lambda r, f: (-r.sigmoid().clamp(1e-7, 1).log(), -(1 - f.sigmoid()).clamp(1e-7, 1).log()))),
)
ex.wrong(
    "kind_in_any_spelling",
    "You take `kind` in any spelling; only the four names as they are written are known.",
    lambda real, fake, kind: _game({})(real, fake, kind.strip().lower().replace("-", "_")),
)
ex.wrong(
    "detached_real",
    "You detach the real logits: D gets no gradient from real pairs.",
    lambda real, fake, kind: _game({})(real.detach(), fake, kind),
)
common_slips(ex, "returned_nothing", "graph_cut", "assertion", "none_for_an_error", "float32_result")

ex.breach("$r$ are D's raw logits", "swapped")
ex.breach("D minimises *half* the sum", "not_halved")
ex.breach("of two means", "summed")
ex.breach("| `kind` | real | fake |", "both_fakes_real")
ex.breach('| `"minimax"`, ', "ascent")
ex.breach('| `"lsgan"` ', "lsgan_minus_one")
ex.breach('| `"hinge"` ', "no_margin")
ex.breach('| `"hinge"` ', "no_hinge")
ex.breach("The non-saturating game", "own_loss_for_non_saturating")
ex.breach("The two maps may differ", "one_mean")
ex.breach("Value and gradient", "sigmoid_then_log")
ex.breach("Value and gradient", "clamped_probability")
ex.breach("Value and gradient", "detached_fake")
ex.breach("Another `kind`", "silent_default")
