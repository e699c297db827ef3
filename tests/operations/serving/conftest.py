"""What the tests of the service share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gantrans.operations.feedback.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store of its own for each test."""
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()
