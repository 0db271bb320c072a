"""What the tests of the screen share: an app under Pilot has settled when it has no work left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from settled import settle_under_pilot


@pytest.fixture(scope="session", autouse=True)
def _keys_wait_for_the_app() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        settle_under_pilot(patch)
        yield
