"""What the service's answers look like; FastAPI makes the OpenAPI document from it."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from gantrans.operations.feedback.records import VerdictWord

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""Names of predictions, labels and events: they become file names."""


class Error(BaseModel):
    """Every refusal: one sentence that says what is wrong and what to do."""

    detail: str


class Statistics(BaseModel):
    """Grey values of an image, 0 to 1."""

    mean: float
    contrast: float = Field(description="Standard deviation.")


class Translation(BaseModel):
    """A translation that was registered."""

    id: str
    direction: str
    model: str
    width: int
    height: int
    milliseconds: dict[str, float]
    input: Statistics
    output: Statistics
    image: str = Field(description="The output as PNG, base64.")


class Registered(BaseModel):
    """A prediction as the store holds it."""

    id: str
    direction: str
    model: str
    pixel_nm: float | None
    seconds: float
    made_at: str
    verdict: VerdictWord | None = None
    note: str = ""


class Kept(BaseModel):
    """A label or a verdict is on the disk. `new` is false if it had come before."""

    new: bool
    prediction_known: bool


class Judgement(BaseModel):
    """What a person says about a prediction; null takes the last verdict back."""

    verdict: VerdictWord | None
    note: Annotated[str, StringConstraints(max_length=4000)] = ""


class Live(BaseModel):
    """The process answers."""

    live: bool


class Ready(BaseModel):
    """The process can translate."""

    ready: bool
    problem: str | None = None


class ServerMetadata(BaseModel):
    """Open Inference Protocol: what runs here."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """Open Inference Protocol: an input or output; -1 stands for any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """Open Inference Protocol: a translator; its name is its direction."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, float | int | None]


class ModelReady(BaseModel):
    """Open Inference Protocol: this model can be asked."""

    name: str
    ready: bool


class Monitors(BaseModel):
    """The three monitors, kept apart."""

    operational: dict[str, Any]
    drift: dict[str, Any] | None
    performance: list[dict[str, Any]]
    store: dict[str, int]
    problems: dict[str, str]


Responses = dict[int | str, dict[str, Any]]

_WHY = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site.",
    404: "There is none of that name.",
    408: "The upload was too slow.",
    409: "The id was used for something else.",
    413: "The body is too large.",
    422: "The image or a parameter cannot be used.",
    503: "Too many requests are waiting, or the store refuses.",
}


def errors(*statuses: int) -> Responses:
    """How a route declares these refusals in the OpenAPI document."""
    return {status: {"model": Error, "description": _WHY[status]} for status in statuses}
