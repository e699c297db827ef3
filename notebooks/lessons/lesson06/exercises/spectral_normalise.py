"""Lesson 06: power iteration and the spectral norm of a convolution's weight."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="spectral_normalise",
    lesson="06",
    title="Divide by the largest singular value",
    difficulty=4,
    minutes=15,
    spec=r"""
    Reshape a convolution's weight to a matrix $W$ with one row per output channel. Its largest singular
    value $\sigma$ is estimated by power iteration from a unit vector $u$ that is kept between calls:

    $$v \leftarrow \frac{W^\top u}{\|W^\top u\|}, \qquad u \leftarrow \frac{W v}{\|W v\|} \qquad
    (\texttt{steps} \text{ times}), \qquad \sigma = u^\top W v.$$

    Return three things: the weight divided by $\sigma$, in its own shape; $\sigma$; and the new $u$, for the
    next call (leave the one you were given alone). The iteration is not differentiated: $u$ and $v$ count as
    constants. $\sigma$ is differentiated, through $W$.
    """,
    hints=(
        "`matrix = weight.reshape(len(weight), -1)`; `matrix.T @ u` and `matrix @ v` are all you need.",
        "Put the loop into `with torch.no_grad():`, but compute sigma after it, outside.",
        "In the loop: `v = F.normalize(matrix.T @ u, dim=0)`, `u = F.normalize(matrix @ v, dim=0)`. Then "
        "`sigma = u @ matrix @ v`.",
    ),
    source="Miyato et al. 2018, eq. 11, algorithm 1; power iteration after von Mises.",
    gradients=("weight",),
    equivalent={
        "value.detach()": "inside no_grad nothing has a gradient to lose",
        "-> `v @ (u @ matrix)`": "a scalar product is symmetric",
        "`F.normalize(matrix.T @ u, dim=0)` -> `F.normalize(matrix.T @ u, dim=-1)`": "a vector has one axis",
        "`F.normalize(matrix @ v, dim=0)` -> `F.normalize(matrix @ v, dim=-1)`": "a vector has one axis",
    },
)


@ex.reference
def spectral_normalise(weight: Tensor, u: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """weight (C_out, C_in, k, k), unit u (C_out,), steps >= 1 -> weight / sigma, sigma (scalar), new u."""
    matrix = weight.reshape(len(weight), -1)
    with torch.no_grad():
        for _ in range(steps):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    sigma = u @ matrix @ v
    return weight / sigma, sigma, u


@ex.edges
def _() -> list[Args]:
    diagonal = torch.tensor([[3.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]).view(2, 1, 2, 2)
    u = torch.tensor([0.6, 0.8])
    shrinking = torch.tensor([[0.1, 0.2], [-0.3, 0.05]]).view(2, 2, 1, 1)
    small = [(w, u, steps) for steps in (1, 2, 30) for w in (diagonal, shrinking)]
    weight = torch.linspace(-1, 2, 36).view(3, 3, 2, 2)
    third = torch.tensor([2.0, -1.0, 2.0]) / 3
    single = weight[:1] * 20, torch.tensor([-1.0])
    return [*small, (weight, third, 1), (weight.flip(1), -third, 2), (*single, 1), (*single, 3)]


@ex.inputs
def _(case: Case) -> Args:
    out, channels, kernel = case.integer(2, 5), case.integer(1, 3), case.choice((1, 3, 4))
    weight = case.choice((0.1, 1.0, 3.0)) * case.randn(out, channels, kernel, kernel)
    return weight, F.normalize(case.randn(out), dim=0), case.choice((1, 1, 2, 3, 5))


Answer = tuple[Tensor, Tensor, Tensor]


def _iterate(matrix: Tensor, u: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    v = matrix.T @ u
    for _ in range(steps):
        v = matrix.T @ u / (matrix.T @ u).norm()
        u = matrix @ v / (matrix @ v).norm()
    return u, v


def _uv(weight: Tensor, u: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Matrix, and both vectors as constants."""
    matrix = weight.flatten(1)
    return matrix, *_iterate(matrix.detach(), u, steps)


def _by(sigma: Tensor, weight: Tensor, u: Tensor) -> Answer:
    return weight / sigma, sigma, u


THROUGH = (
    "You differentiate through the iteration: u and v count as constants, so the gradient of sigma is u v^T"
)


@ex.wrong("through_the_iteration", THROUGH + "; and the u that you return carries its graph.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix = weight.flatten(1)
    u, v = _iterate(matrix, u, steps)
    return _by(u @ matrix @ v, weight, u)


@ex.wrong("through_the_iteration_u_detached", THROUGH + ".")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix = weight.flatten(1)
    u, v = _iterate(matrix, u, steps)
    return _by(u @ matrix @ v, weight, u.detach())


@ex.wrong(
    "constant_sigma",
    "You detach sigma: the gradient of the normalised weight must know that a larger weight is divided "
    "by more.",
)
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps)
    return _by((u @ matrix @ v).detach(), weight, u)


@ex.wrong(
    "exact",
    "You compute the exact largest singular value; the task is the estimate after so many steps, which "
    "costs two products per step instead of a decomposition.",
)
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, _v = _uv(weight, u, steps)
    return _by(torch.linalg.matrix_norm(matrix, 2), weight, u)


@ex.wrong("frobenius", "You divide by the length of the whole weight (Frobenius norm), which is larger.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    return _by(weight.norm(), weight, _uv(weight, u, steps)[1])


@ex.wrong(
    "scrambled",
    "You reshape to (-1, C_out) and transpose: the rows then mix numbers of several output channels.",
)
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix = weight.reshape(-1, len(weight)).T
    u, v = _iterate(matrix.detach(), u, steps)
    return _by(u @ matrix @ v, weight, u)


@ex.wrong(
    "u_not_kept",
    "You return the old u: every call would start from nothing, and one step from nothing is a poor "
    "estimate.",
)
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, new, v = _uv(weight, u, steps)
    return _by(new @ matrix @ v, weight, u)


@ex.wrong("one_step", "You do one step whatever `steps` says.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, 1)
    return _by(u @ matrix @ v, weight, u)


@ex.wrong("one_too_many", "You do one step more than `steps`.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps + 1)
    return _by(u @ matrix @ v, weight, u)


@ex.wrong("not_normalised", "You do not scale u and v to length 1: sigma then grows with every step.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(steps):
            v = matrix.T @ u
            u = matrix @ v
    return _by(u @ matrix @ v, weight, u)


@ex.wrong("squared", "You return the length of W^T W v, which is the square of the singular value.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps)
    return _by((matrix.T @ (matrix @ v)).norm(), weight, u)


@ex.wrong(
    "per_channel",
    "You scale every output channel to length 1: that is weight normalisation, and it does not bound sigma.",
)
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps)
    return weight / matrix.norm(dim=1).view(-1, 1, 1, 1), u @ matrix @ v, u


@ex.wrong("multiplied", "You multiply by sigma; dividing makes the largest singular value 1.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps)
    return weight * (u @ matrix @ v), u @ matrix @ v, u


@ex.wrong("in_place", "You write the new u into the one you were given; return it as a new tensor.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, new, v = _uv(weight, u, steps)
    u.copy_(new)
    return _by(u @ matrix @ v, weight, u)


@ex.wrong(
    "random_start",
    "You start from a fresh random vector: the u of the last call is nearly right already, and chance "
    "has no place in a forward pass.",
)
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, F.normalize(torch.randn_like(u), dim=0), steps)
    return _by(u @ matrix @ v, weight, u)


@ex.wrong("matrix_shape", "You return the matrix; the convolution needs the weight in its own shape.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps)
    return _by(u @ matrix @ v, matrix, u)


@ex.right
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps)
    return _by(u @ matrix @ v, weight, u)


@ex.right
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps)
    sigma = (matrix @ v).norm()  # u is W v over its length; and its gradient is u v^T, too
    return weight.div(sigma), sigma, u


@ex.right
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    fixed, u = weight.detach(), u.clone()
    for _ in range(steps):
        v = torch.einsum("oikl,o->ikl", fixed, u)
        v /= v.square().sum().sqrt()
        u = torch.einsum("oikl,ikl->o", fixed, v)
        u /= u.square().sum().sqrt()
    sigma = torch.einsum("oikl,o,ikl->", weight, u, v)
    return weight / sigma, sigma, u


@ex.right
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix = weight.reshape(weight.shape[0], -1)
    gram = (matrix @ matrix.mT).detach()
    for _ in range(steps - 1):
        u = F.normalize(gram @ u, dim=0)
    v = F.normalize(torch.mv(matrix.detach().t(), u), dim=0)
    u = F.normalize(torch.mv(matrix.detach(), v), dim=0)
    sigma = torch.dot(u, torch.mv(matrix, v))
    return weight * sigma.reciprocal(), sigma, u


@ex.right
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    # the convolution itself on a patch of its own size is W v
    column, kernels = u[:, None], weight.detach()
    for _ in range(steps):
        patch = (kernels * column[..., None, None]).sum(0, keepdim=True)
        patch = patch / torch.linalg.vector_norm(patch)
        column = F.conv2d(patch, kernels).view(-1, 1)
        column = column / torch.linalg.vector_norm(column)
    sigma = (F.conv2d(patch, weight).view(-1) * column.view(-1)).sum()
    return weight / sigma, sigma, column.view(-1)


@ex.wrong(
    "all_detached", "You cut sigma and the normalised weight off the graph: the weight could not learn."
)
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight.detach(), u, steps)
    return _by(u @ matrix @ v, weight.detach(), u)


@ex.wrong("v_returned", "You return v; the next call starts from u.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps)
    return _by(u @ matrix @ v, weight, v)


@ex.wrong("old_u_in_sigma", "You use the old u for sigma; it is the one after the steps.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, new, v = _uv(weight, u, steps)
    return _by(u @ matrix @ v, weight, new)


@ex.wrong("order", "You return sigma first; the normalised weight comes first, then sigma, then u.")
def _(weight: Tensor, u: Tensor, steps: int) -> tuple[Tensor, ...]:
    matrix, u, v = _uv(weight, u, steps)
    return u @ matrix @ v, weight / (u @ matrix @ v), u


@ex.wrong("sigma_rooted", "You take the root of sigma; u^T W v is the singular value itself.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, u, v = _uv(weight, u, steps)
    return _by((u @ matrix @ v).abs().sqrt(), weight, u)


@ex.wrong("largest_entry", "You divide by the largest entry of the weight; that is no singular value.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    return _by(weight.abs().max(), weight, _uv(weight, u, steps)[1])


@ex.wrong(
    "one_norm", "You scale u and v by the sum of their absolute values; the double bars mean the length."
)
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(steps):
            v = F.normalize(matrix.T @ u, p=1.0, dim=0)
            u = F.normalize(matrix @ v, p=1.0, dim=0)
    return _by(u @ matrix @ v, weight, u)


@ex.wrong("v_not_normalised", "You scale u to length 1 but not v, so sigma is too large or too small.")
def _(weight: Tensor, u: Tensor, steps: int) -> Answer:
    matrix, new, v = _uv(weight, u, steps)
    before = _uv(weight, u, steps - 1)[1] if steps > 1 else u
    return _by(new @ matrix @ v * (matrix.T @ before).norm().detach(), weight, new)


common_slips(ex, "returned_nothing", "float32_result")

ex.breach("with one row per output channel", "scrambled")
ex.breach("Its largest singular value", "exact")
ex.breach("from a unit vector $u$ that is kept", "random_start")
for _name in ("one_step", "one_too_many", "not_normalised", "squared", "old_u_in_sigma"):
    ex.breach("v \\leftarrow", _name)
ex.breach("the weight divided by $\\sigma$", "multiplied")
ex.breach("in its own shape", "matrix_shape")
ex.breach("Return three things", "order")
ex.breach("and the new $u$", "u_not_kept")
ex.breach("leave the one you were given alone", "in_place")
ex.breach("The iteration is not differentiated", "through_the_iteration")
ex.breach("$u$ and $v$ count as constants", "through_the_iteration_u_detached")
ex.breach("$\\sigma$ is differentiated", "constant_sigma")
