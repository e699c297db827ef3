"""Coroutines for tests that may run where Playwright has been."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def run_apart(main: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
    """A coroutine's result, from a thread of its own: where the browser's tests ran before, Playwright has
    left an event loop running in this one, and `asyncio.run` refuses."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(main(*arguments))).result()  # noqa: TID251
