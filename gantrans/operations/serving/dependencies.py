"""Dependencies and parameter types of the routes: service, request, name of a direction, uploaded image."""

from enum import IntEnum
from typing import Annotated, Any

from fastapi import Depends, File, HTTPException, Query, Request, UploadFile
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from gantrans.directions import directions
from gantrans.operations.serving.calls import Call
from gantrans.operations.serving.intake import CALL
from gantrans.operations.serving.service import Service


def current_call(request: Request) -> Call:
    """The request as `Intake` watches it."""
    return request.scope.get(CALL) or Call()


def current_service(request: Request) -> Service:
    """The service that `serve_app` was given."""
    return request.app.state.service


async def _only_image(
    request: Request, image: Annotated[UploadFile, File(description="PNG, JPEG, TIFF or BMP.")]
) -> UploadFile:
    """The part `image` of a form that has no other part: of two images, one would be ignored."""
    parts = [name for name, _ in (await request.form()).multi_items()]
    if len(parts) > 1:
        raise HTTPException(422, f"The form has {len(parts)} parts; send one image, as the part 'image'.")
    return image


def _check_direction(name: str) -> str:
    if name not in directions():
        known = {"name": repr(name), "known": ", ".join(directions())}
        raise PydanticCustomError("direction", "{name} is not one of {known}", known)
    return name


class _DirectionSchema:
    """Lists the registered directions in the OpenAPI document, at the time when it is generated."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core), "enum": list(directions())}


class UsedBits(IntEnum):
    """`decode.BITS` as an enumeration, for the OpenAPI document."""

    eight = 8
    ten = 10
    twelve = 12
    fourteen = 14
    sixteen = 16


CurrentCall = Annotated[Call, Depends(current_call)]
CurrentService = Annotated[Service, Depends(current_service)]
DirectionName = Annotated[str, AfterValidator(_check_direction), _DirectionSchema()]
Bits = Annotated[UsedBits | None, Query(description="Used bits of a 16-bit image.")]
Upload = Annotated[UploadFile, Depends(_only_image)]
