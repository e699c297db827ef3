"""Lesson 06: what the generator minimises, in four games."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="generator_loss",
    lesson="06",
    title="Four losses for the generator",
    difficulty=3,
    minutes=12,
    spec=r"""
    $f$ are D's raw logits of generated images and $\sigma$ is the sigmoid. The generator minimises the mean,
    over all logits, of

    | `kind` | per logit |
    |---|---|
    | `"minimax"` | $\log(1 - \sigma(f))$ |
    | `"non_saturating"` | $-\log \sigma(f)$ |
    | `"lsgan"` | $(f - 1)^2$ |
    | `"hinge"` | $-f$ |

    Value and gradient must be right at logits of -100 and 100 too, where $\sigma(f)$ is 0 or 1 in float32.
    Another `kind` is a mistake: raise a `ValueError`.
    """,
    hints=(
        "`softplus(x) = log(1 + exp(x))` is safe for every x, and both logarithms are softplus in disguise.",
        "-log sigmoid(f) = log(1 + exp(-f)) = `F.softplus(-f)`; log(1 - sigmoid(f)) = `-F.softplus(f)`.",
        "Four branches, each ending in `.mean()`; the last two are `(f - 1).square()` and `-f`.",
    ),
    source="Goodfellow et al. 2014, sec. 3 (minimax, non-saturating); Mao et al. 2017 (least squares); "
    "Lim and Ye 2017 (hinge).",
    gradients=("fake_logits",),
    equivalent={"`1 - fake_logits`": "the square forgets the sign"},
)


@ex.reference
def generator_loss(fake_logits: Tensor, kind: str) -> Tensor:
    """D's raw logits of fakes (B, 1, h, w); minimax, non_saturating, lsgan or hinge -> scalar."""
    if kind == "minimax":
        loss = -F.softplus(fake_logits)
    elif kind == "non_saturating":
        loss = F.softplus(-fake_logits)
    elif kind == "lsgan":
        loss = (fake_logits - 1).square()
    elif kind == "hinge":
        loss = -fake_logits
    else:
        raise ValueError(f"unknown kind {kind!r}")
    return loss.mean()


KINDS = ("minimax", "non_saturating", "lsgan", "hinge")
Formula = Callable[[Tensor], Tensor]


@ex.edges
def _() -> list[Args]:
    values = [[0.25], [-10.0, -8.0], [3.0, -1.0], [-100.0, 100.0], [-30.0, -60.0], [-200.0, 150.0]]
    maps = [torch.tensor(v).view(1, 1, 1, -1) for v in values]
    maps.append(torch.linspace(-2.3, 3.1, 24).view(2, 1, 4, 3))
    unknown = ("wgan", "LSGAN", "", "min", "non-saturating", "hinge ")
    return [*((m, kind) for m in maps for kind in KINDS), *((maps[0], kind) for kind in unknown)]


@ex.inputs
def _(case: Case) -> Args:
    logits = case.choice((1, 2, 4)) * case.randn(case.batch, 1, case.height, case.width) - 1
    return logits, KINDS[case.seed // 2 % 4]


FORMULAS: dict[str, Formula] = {
    "minimax": lambda f: F.logsigmoid(-f),
    "non_saturating": lambda f: -F.logsigmoid(f),
    "lsgan": lambda f: (1 - f) ** 2,
    "hinge": lambda f: -f,
}


def _game(changes: dict[str, Formula], reduce: Formula = torch.mean) -> Callable[[Tensor, str], Tensor]:
    """An answer with some formulas, or the reduction, replaced."""
    table = FORMULAS | changes

    def answer(fake: Tensor, kind: str) -> Tensor:
        if kind not in table:
            raise ValueError(kind)
        return reduce(table[kind](fake))

    return answer


ex.wrong(
    "swapped_logs",
    "You have minimax and non-saturating the wrong way round: log(1 - D) is the original game, -log D its "
    "remedy.",
    _game({"minimax": FORMULAS["non_saturating"], "non_saturating": FORMULAS["minimax"]}),
)
ex.wrong(
    "sigmoid_then_log",
    "You take the logarithm of a sigmoid, or of 1 + exp, as it stands: at extreme logits float32 gives 0, 1 "
    "or infinity, and value or gradient is lost.",
    _game({"minimax": lambda f: (1 - f.sigmoid()).log(), "non_saturating": lambda f: -f.sigmoid().log()}),
)
ex.wrong(
    "epsilon",
    "You add a small number inside the logarithm: the value stays finite, but below a logit of about -18 the "
    "gradient is gone, just where G needs it most.",
    _game(
        {
            "minimax": lambda f: (1 - f.sigmoid() + 1e-8).log(),
            "non_saturating": lambda f: -(f.sigmoid() + 1e-8).log(),
        }
    ),
)
ex.wrong(
    "bce_on_sigmoid",
    "You use `binary_cross_entropy` on the sigmoid: it cuts the logarithm off at -100, and the gradient "
    "with it. Work on logits.",
    _game(
        {
            "minimax": lambda f: -F.binary_cross_entropy(f.sigmoid(), torch.zeros_like(f), reduction="none"),
            "non_saturating": lambda f: F.binary_cross_entropy(
                f.sigmoid(), torch.ones_like(f), reduction="none"
            ),
        }
    ),
)
ex.wrong(
    "maximised",
    "You return log D instead of -log D: minimised, it teaches G to be caught.",
    _game({"non_saturating": F.logsigmoid}),
)
ex.wrong(
    "minimax_sign",
    "You return -log(1 - D), which is D's own loss for fakes: minimised by G, it helps the opponent.",
    _game({"minimax": F.softplus}),
)
ex.wrong(
    "lsgan_to_zero",
    "You pull the logits to 0, which is D's target for fakes; the generator wants D to say 1.",
    _game({"lsgan": torch.square}),
)
ex.wrong(
    "lsgan_halved",
    "You halve the least-squares loss of G; here only D's loss is halved, to slow D down.",
    _game({"lsgan": lambda f: (f - 1).square() / 2}),
)
ex.wrong(
    "lsgan_sigmoid",
    "You squash the logits before squaring: the gradient of least squares then vanishes too.",
    _game({"lsgan": lambda f: (f.sigmoid() - 1).square()}),
)
ex.wrong(
    "smoothed_aim",
    "You let G aim at 0.9: above a logit of 0.9 its gradient turns round. Smoothing is for D's real target.",
    _game({"lsgan": lambda f: (f - 0.9).square(), "non_saturating": lambda f: F.softplus(f) - 0.9 * f}),
)
ex.wrong(
    "hinge_with_margin",
    "You give G a margin, max(0, 1 - f); only D has one. G would stop learning as soon as D is fooled.",
    _game({"hinge": lambda f: F.relu(1 - f)}),
)
ex.wrong(
    "hinge_sign",
    "You minimise the logits themselves: G wants them large, so the loss is -f.",
    _game({"hinge": lambda f: f}),
)
ex.wrong(
    "summed",
    "You sum over the patches: the loss then grows with the size of the map.",
    _game({}, torch.sum),
)
ex.wrong(
    "mean_first",
    "You average the logits first: one well fooled patch would excuse many that are caught.",
    lambda fake, kind: _game({})(fake.mean(), kind),
)
ex.wrong(
    "detached",
    "You detach the logits: G learns from the adversarial loss through D or not at all.",
    lambda fake, kind: _game({})(fake.detach(), kind),
)
ex.wrong(
    "per_image",
    "You give one loss per image; training needs a single number.",
    _game({}, lambda loss: loss.mean(dim=(1, 2, 3))),
)
ex.wrong(
    "silent_default",
    "You take an unknown `kind` for one of the four: a typing mistake would train another game in silence.",
    lambda fake, kind: _game({})(fake, kind if kind in FORMULAS else "lsgan"),
)


ex.right(_game({}))
ex.right(_game({"minimax": lambda f: -f - F.softplus(-f), "non_saturating": lambda f: F.softplus(f) - f}))
ex.right(_game({"minimax": lambda f: -torch.logaddexp(f, torch.zeros_like(f))}))


@ex.right
def _(fake: Tensor, kind: str) -> Tensor:
    bce, ones = F.binary_cross_entropy_with_logits, torch.ones_like(fake)
    if kind == "minimax":
        return -bce(fake, 0 * ones)
    if kind == "non_saturating":
        return bce(fake, ones)
    if kind == "lsgan":
        return F.mse_loss(fake, ones)
    if kind == "hinge":
        return fake.mean().neg()
    raise ValueError(f"choose another kind than {kind}")


@ex.right
def _(fake: Tensor, kind: str) -> Tensor:
    match kind:
        case "minimax":
            return torch.nn.LogSigmoid()(fake.neg()).mean()
        case "non_saturating":
            return -torch.nn.LogSigmoid()(fake).mean()
        case "lsgan":
            return 1 - 2 * fake.mean() + fake.pow(2).mean()
        case "hinge":
            return -torch.mean(fake)
    raise ValueError


ex.wrong(
    "halved",
    "You halve the loss; only D's is halved.",
    _game({}, lambda loss: loss.mean() / 2),
)
ex.wrong(
    "sign_turned",
    "You return the negative of all losses: G would be taught to be caught.",
    _game({}, lambda loss: -loss.mean()),
)
ex.wrong(
    "minimax_as_non_saturating",
    "You use -log sigmoid(f) for minimax, too; the original game minimises log(1 - sigmoid(f)).",
    _game({"minimax": FORMULAS["non_saturating"]}),
)
ex.wrong(
    "non_saturating_as_minimax",
    "You use log(1 - sigmoid(f)) for the non-saturating game, too; there it is -log sigmoid(f).",
    _game({"non_saturating": FORMULAS["minimax"]}),
)
ex.wrong(
    "clamped_probability",
    "You keep the probability away from 0 and 1 by a small number: the gradient at extreme logits is gone.",
    _game(
        {
            "minimax": lambda f: (1 - f.sigmoid()).clamp(min=1e-7).log(),
            "non_saturating": lambda f: -f.sigmoid().clamp(min=1e-7).log(),
        }
    ),
)
ex.wrong(
    "lsgan_absolute",
    "You take the absolute distance to 1; it is squared.",
    _game({"lsgan": lambda f: (f - 1).abs()}),
)
ex.wrong(
    "lsgan_to_minus_one",
    "You pull the logits to -1; the generator's aim is 1.",
    _game({"lsgan": lambda f: (f + 1).square()}),
)
ex.wrong(
    "hinge_rectified",
    "You cut the hinge off: max(0, -f). G's loss is -f for every logit.",
    _game({"hinge": lambda f: F.relu(-f)}),
)
ex.wrong(
    "kind_in_any_spelling",
    "You take `kind` in any spelling; only the four names as they are written are known.",
    lambda fake, kind: _game({})(fake, kind.strip().lower().replace("-", "_")),
)
common_slips(ex, "returned_nothing", "assertion", "none_for_an_error", "float32_result", "python_number")

ex.breach("$f$ are D's raw logits", lambda fake, kind: _game({})(fake.sigmoid(), kind))
ex.breach("The generator minimises the mean", "summed")
ex.breach("| `kind` | per logit |", "swapped_logs")
ex.breach('| `"minimax"` ', "minimax_sign")
ex.breach('| `"non_saturating"` ', "maximised")
ex.breach('| `"lsgan"` ', "lsgan_to_zero")
ex.breach('| `"lsgan"` ', "lsgan_halved")
ex.breach('| `"hinge"` ', "hinge_with_margin")
ex.breach('| `"hinge"` ', "hinge_sign")
ex.breach("Value and gradient", "sigmoid_then_log")
ex.breach("Value and gradient", "epsilon")
ex.breach("Value and gradient", "bce_on_sigmoid")
ex.breach("Another `kind`", "silent_default")
