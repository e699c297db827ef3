"""Bodies of the requests and responses of the monitors and of the registry."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from gantrans.operations.feedback.records import VerdictWord

Who = Annotated[str, StringConstraints(max_length=100, pattern=r"\S")]
Why = Annotated[str, StringConstraints(max_length=1000, pattern=r"\S")]
VersionName = Annotated[str, StringConstraints(pattern=r"^v[0-9]{1,9}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Reference(BaseModel):
    """The version that quality is compared with; `chosen` by a person, or the first one with true labels."""

    model: str
    chosen: bool
    value: float | None = None
    metric: str = ""
    count: int = 0
    who: str = ""
    why: str = ""
    made_at: str = ""


class Monitors(BaseModel):
    """Reports of the three monitors: operation, input drift, performance."""

    operational: dict[str, Any]
    drift: dict[str, Any] | None
    performance: list[dict[str, Any]]
    notes: dict[str, str]
    reference: dict[str, Reference]
    store: dict[str, int]
    problems: dict[str, str]


class Series(BaseModel):
    """One line over time. A point: start of its step in seconds since 1970, value, number behind it."""

    name: str
    direction: str | None
    model: str | None
    unit: str
    limit: float | None
    points: list[tuple[int, float, int]]


class Past(BaseModel):
    """What the monitors showed at earlier times; a step without a point is unknown."""

    start: str
    end: str
    step_s: int
    series: list[Series]


class Acknowledge(BaseModel):
    """A person has seen the alarms; `alarms` is their number, as it was shown."""

    who: Who
    why: Why
    alarms: Annotated[int, Field(ge=0, lt=2**31)]


class Acknowledged(BaseModel):
    """The acknowledgement is on the disk; `new` is false if there was nothing left to acknowledge."""

    direction: str
    status: str
    acknowledged: int
    new: bool


class ChooseReference(BaseModel):
    """Make a version the reference of quality."""

    model: VersionName
    who: Who
    why: Why


class StrangeImage(BaseModel):
    """A prediction whose input deviates; the feature that deviates most, against the reference."""

    id: str
    model: str
    made_at: str
    distance: float
    feature: str
    value: float
    reference: float
    spread: float
    deviations: float | None
    verdict: VerdictWord | None
    labelled: bool


class Strangest(BaseModel):
    """The strangest of the newest predictions. `against`: the detector's reference, or the recent images."""

    direction: str
    against: Literal["reference", "recent"]
    considered: int
    waiting: int = Field(description="Not measured yet; ask again.")
    damaged: int
    images: list[StrangeImage]


class QueuedImage(BaseModel):
    """A prediction to label, and why it is in the queue."""

    id: str
    model: str
    made_at: str
    why: Literal["random", "strange"]
    distance: float | None
    feature: str | None


class Queue(BaseModel):
    """Predictions to label: a random share, and the strangest."""

    direction: str
    candidates: int
    random_share: float
    random: int
    strange: int
    waiting: int
    text: str
    images: list[QueuedImage]


class RegisteredVersion(BaseModel):
    """A version of a registry. digest: SHA-256 of its version.json, to be sent back with a promotion."""

    version: str
    digest: str
    created: str
    parent: str | None
    note: str
    metrics: dict[str, Any]
    aliases: list[str]
    can_promote: bool


class Change(BaseModel):
    """A line of a registry's history."""

    time: str
    action: str
    version: str
    who: str
    why: str
    details: dict[str, Any]


class Regime(BaseModel):
    """The conditions that hold now."""

    name: str
    since: str
    why: str


class RegistryDirection(BaseModel):
    """One direction of a registry. serving: the version that is loaded in this process."""

    direction: str
    champion: str | None
    challenger: str | None
    previous: str | None
    serving: str | None
    problem: str | None
    regime: Regime | None
    versions: list[RegisteredVersion]
    log: list[Change]


class RegistryState(BaseModel):
    """The registry that is served; `served` is false if run folders are served."""

    served: bool
    directions: list[RegistryDirection]


class Move(BaseModel):
    """A promotion or a rollback, confirmed by what was shown.

    version, digest: the version that becomes champion. over: the champion now; null if there is none.
    """

    version: VersionName
    digest: Digest
    over: VersionName | None
    who: Who
    why: Why


class Moved(BaseModel):
    """The champion now; `new` is false if an earlier request had made it so."""

    direction: str
    champion: str
    previous: str | None
    serving: str | None
    new: bool
