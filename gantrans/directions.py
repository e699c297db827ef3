"""The directions of translation in one table, read by data, recipes, evaluation, service and command line.

Registered here: "sem2layout" and "layout2sem"; and for any other pairs, by what their targets are,
"image2mask" (black and white), "image2classes" (a class in each pixel) and "image2image" (grey or colour). A
translation with names of its own is registered by the program that uses it, before the command line or the
service starts:

    register(Direction("noisy2clean", "noisy", "clean", metrics=("psnr", "ssim", "l1")))

The module imports neither torch nor a package of this library, so that `--help` stays fast.
"""

import re
from dataclasses import dataclass

from gantrans.config import check_choice
from gantrans.errors import ConfigError, DataError

KINDS = ("binary", "grey", "classes")
PIXELS = ("l1", "ssim", "psnr")
"""Metrics that compare grey values; defined for every pair of images."""
GEOMETRY = ("iou", "epe", "cd_error", "cd_error_abs")
TOPOLOGY = ("opens", "bridges", "missing", "extra")
"""`GEOMETRY` and `TOPOLOGY` compare binary images."""
LABELS = ("mean_iou", "accuracy", "cross_entropy")
"""Metrics that compare the classes of pixels."""
QUALITIES = ("iou", "ssim", "psnr", "mean_iou", "accuracy")
"""Metrics by which two models can be compared: one value per image, higher is better."""
_ALLOWED = {"binary": PIXELS + GEOMETRY + TOPOLOGY, "grey": PIXELS, "classes": LABELS}
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Direction:
    """What is translated into what, and by which metrics the result is measured.

    Attributes:
        name: used in commands, URLs, configurations and as a folder of the registry.
        input, target: names of the two kinds of image, such as "sem" and "layout"; `pairs.json` uses them.
        target_kind, input_kind: "binary" (two levels, such as a layout), "grey" (or colour); of the target
            also "classes" (each pixel has the number of a class).
        metrics: what an evaluation reports, out of `PIXELS` and, for a binary target, `GEOMETRY` and
            `TOPOLOGY`; out of `LABELS` for classes. The first is the `quality` that the gate compares; it
            must be one of `QUALITIES`.
        labels: how pages and tables call input and target; their names unless given.

    Raises:
        ConfigError: a field has a value that is not allowed.
    """

    name: str
    input: str
    target: str
    target_kind: str = "grey"
    metrics: tuple[str, ...] = ("ssim", "l1", "psnr")
    input_kind: str = "grey"
    labels: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        for field in ("name", "input", "target"):
            if not _NAME.fullmatch(getattr(self, field)):
                raise ConfigError(
                    f"Direction.{field} is {getattr(self, field)!r}; use 1 to 64 letters, digits, - and _."
                )
        if self.input == self.target:
            raise ConfigError(f"Direction.target is {self.target!r}, like the input; give it another name.")
        check_choice(self, "target_kind", KINDS)
        check_choice(self, "input_kind", KINDS[:2])
        allowed = _ALLOWED[self.target_kind]
        wrong = [m for m in self.metrics if m not in allowed]
        if wrong or len(set(self.metrics)) != len(self.metrics):
            raise ConfigError(
                f"Direction.metrics is {self.metrics!r}; for a {self.target_kind} target give each of "
                f"{', '.join(allowed)} at most once."
            )
        if not self.metrics or self.quality not in QUALITIES:
            raise ConfigError(
                f"Direction.metrics is {self.metrics!r}; the first one compares models, so it must be one of "
                f"{', '.join(q for q in QUALITIES if q in allowed)}."
            )

    @property
    def quality(self) -> str:
        """The metric by which the gate compares two models, higher is better."""
        return self.metrics[0]

    @property
    def validation(self) -> tuple[str, ...]:
        """Metrics measured during training: the fast ones, L1 and, for a binary target, IoU."""
        if self.target_kind == "classes":
            return LABELS
        return ("l1", "iou") if self.target_kind == "binary" else ("l1",)

    @property
    def read_back(self) -> bool:
        """Whether geometry is measured by segmenting the grey output and comparing it with the input."""
        return self.input_kind == "binary" and self.target_kind == "grey"

    @property
    def input_label(self) -> str:
        """How pages call the input."""
        return self.labels[0] if self.labels else self.input

    @property
    def target_label(self) -> str:
        """How pages call the output and its reference."""
        return self.labels[1] if self.labels else self.target


_TABLE: dict[str, Direction] = {}


def register(new: Direction) -> None:
    """Add a direction to the table; registering an equal one again changes nothing.

    Raises:
        ConfigError: the name belongs to another direction, or an image is of another kind there.
    """
    if _TABLE.get(new.name, new) != new:
        raise ConfigError(f"The direction {new.name!r} is registered already; give yours another name.")
    kinds = {new.input: new.input_kind, new.target: new.target_kind}
    for other in _TABLE.values():
        for image, kind in ((other.input, other.input_kind), (other.target, other.target_kind)):
            if kinds.get(image, kind) != kind:
                raise ConfigError(
                    f"Images {image!r} are {kind} in the direction {other.name!r} and {kinds[image]} in "
                    f"{new.name!r}; make both equal."
                )
    _TABLE[new.name] = new


def direction(name: str) -> Direction:
    """The registered direction of that name.

    Raises:
        DataError: there is none; the message lists those there are.
    """
    if name not in _TABLE:
        raise DataError(f"direction is {name!r}; choose one of {', '.join(_TABLE)}.")
    return _TABLE[name]


def directions() -> tuple[str, ...]:
    """The names of all registered directions, in the order of registration."""
    return tuple(_TABLE)


def images_of(name: str) -> tuple[str, str]:
    """The two images of a pair for the direction `name`, in the order in which a dataset stores them.

    A direction and its reverse share one order, that of the one registered first.

    Raises:
        DataError: there is no such direction.
    """
    chosen = direction(name)
    both = {chosen.input, chosen.target}
    first = next(other for other in _TABLE.values() if {other.input, other.target} == both)
    return first.input, first.target


def image_names() -> tuple[str, ...]:
    """The names of all images that a registered direction translates from or into."""
    return tuple(dict.fromkeys(name for d in _TABLE.values() for name in (d.input, d.target)))


register(
    Direction(
        "sem2layout",
        "sem",
        "layout",
        "binary",
        ("iou", *PIXELS, *GEOMETRY[1:], *TOPOLOGY),
        labels=("SEM image", "layout"),
    )
)
register(
    Direction(
        "layout2sem",
        "layout",
        "sem",
        metrics=("ssim", "l1", "psnr"),
        input_kind="binary",
        labels=("layout", "SEM image"),
    )
)
register(Direction("image2mask", "image", "mask", "binary", ("iou", *PIXELS, *GEOMETRY[1:], *TOPOLOGY)))
register(Direction("image2classes", "image", "classes", "classes", LABELS))
register(Direction("image2image", "image", "target", metrics=("ssim", "psnr", "l1")))
