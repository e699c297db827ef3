"""Bodies of the service's requests and responses; FastAPI generates the OpenAPI document from them."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from gantrans.operations.feedback.records import VerdictWord

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""Ids of predictions, labels and events; they become file names."""


Reviewer = Annotated[str, StringConstraints(max_length=80)]
"""Who judged; "" if unknown."""


class Error(BaseModel):
    """The body of every error response: one sentence with the problem and the remedy."""

    detail: str


class Statistics(BaseModel):
    """Values of an image, 0 to 1; of colour those of all channels."""

    mean: float
    contrast: float = Field(description="Standard deviation.")


class ClassShown(BaseModel):
    """A class of a model: its stored value, and the colour in which pages show it."""

    value: str
    colour: Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]


class Translation(BaseModel):
    """A translation that was stored."""

    id: str
    direction: str
    model: str
    width: int
    height: int
    milliseconds: dict[str, float]
    input: Statistics
    output: Statistics | None = Field(description="null for a mask of classes.")
    classes: dict[str, float] | None = Field(
        default=None, description="Share of the pixels of each class, by its stored value."
    )
    image: str = Field(description="The output as PNG, base64.")


class Registered(BaseModel):
    """A stored prediction."""

    id: str
    direction: str
    model: str
    pixel_nm: float | None
    seconds: float
    made_at: str
    verdict: VerdictWord | None = None
    note: str = ""
    reviewer: str = ""


class Kept(BaseModel):
    """A label or a verdict is on the disk. `new` is false if an earlier request had stored it."""

    new: bool
    prediction_known: bool


class Judgement(BaseModel):
    """What a person decided about a prediction; null withdraws the last decision."""

    verdict: VerdictWord | None
    note: Annotated[str, StringConstraints(max_length=4000)] = ""
    reviewer: Reviewer = ""


class Live(BaseModel):
    """The process responds."""

    live: bool


class Ready(BaseModel):
    """The process can translate."""

    ready: bool
    problem: str | None = None


class ServerMetadata(BaseModel):
    """Open Inference Protocol: name and version of the server."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """Open Inference Protocol: an input or output; -1 means any size."""

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
    classes: list[ClassShown] = Field(default=[], description="By number; empty if the output is an image.")


class ModelReady(BaseModel):
    """Open Inference Protocol: this model can be used."""

    name: str
    ready: bool


Responses = dict[int | str, dict[str, Any]]

_WHY = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site.",
    404: "Nothing has that name.",
    408: "The upload took too long.",
    409: "The id belongs to another request, or the state is no longer the one that was shown.",
    410: "The stored picture is damaged.",
    413: "The body is too large.",
    422: "The image or a parameter cannot be used.",
    500: "An error of the program.",
    503: "Too many requests are queued, or a file cannot be read or written.",
}


def errors(*statuses: int) -> Responses:
    """The declaration of these error responses in the OpenAPI document."""
    return {status: {"model": Error, "description": _WHY[status]} for status in statuses}
