"""One gate in front of the service and of the review page: limits, hosts, pages, and one shape of errors."""

from collections.abc import Callable, Collection

from fastapi import FastAPI
from starlette.types import Scope

from gantrans.operations.serving.answers import OneShape, add_error_handlers
from gantrans.operations.serving.hosting import LOOPBACK, add_pages
from gantrans.operations.serving.intake import Intake, IntakeConfig

OPEN = ("/", "/web/", "/v2/health/live", "/v2/health/ready")
"""Paths that need no token."""


def guard(
    app: FastAPI,
    page: str,
    config: IntakeConfig | None = None,
    *,
    hosts: tuple[str, ...] = LOOPBACK,
    open_paths: Collection[str] = OPEN,
    on_response: Callable[[Scope, int, float], None] = lambda *_: None,
    on_change: Callable[[int], None] = lambda _: None,
) -> None:
    """Put everything that protects an application in front of it; call it after its routes are added.

    Args:
        page: the file of the web folder that is served at /.
        config: the limits of admission; None: the usual ones.
        hosts: accepted names in the Host header; "*" accepts any.
        open_paths, on_response, on_change: see `Intake`.
    """
    add_error_handlers(app)
    app.router.redirect_slashes = False  # a redirection would repeat the client's Host header
    app.add_middleware(
        Intake,
        config=config or IntakeConfig(),
        open_paths=open_paths,
        on_response=on_response,
        on_change=on_change,
    )
    app.add_middleware(OneShape)
    add_pages(app, page, hosts)
