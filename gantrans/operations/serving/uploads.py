"""Unfinished uploads: how many there may be, and which one makes room for a new one."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

YOUNG_S = 0.25  # the first bytes of a body may arrive after its headers


@dataclass(eq=False)
class Unfinished:
    """An upload of `client` of which `received` bytes have arrived."""

    client: str
    started: float = field(default_factory=time.monotonic)
    received: int = 0
    displaced: asyncio.Event = field(default_factory=asyncio.Event)

    def age_s(self) -> float:
        """Seconds since the headers arrived."""
        return time.monotonic() - self.started


class Uploads:
    """A limited number of unfinished uploads.

    When all places are taken, a new upload displaces the slowest of those that are slower than
    `bytes_per_s`, or, if its client holds less than half of the places, one of a client that holds more. So
    uploads that stall cannot keep others out, whether they come from one address or from many.

    Args:
        limit: number of places. bytes_per_s: slowest accepted upload. grace_s: seconds before that counts.
    """

    def __init__(self, limit: int, bytes_per_s: float, grace_s: float) -> None:
        self.limit, self.bytes_per_s, self.grace_s = limit, bytes_per_s, grace_s
        self.open: list[Unfinished] = []

    def admit(self, client: str) -> Unfinished | None:
        """A place for an upload of `client`; None if there is none."""
        if len(self.open) >= self.limit:
            victim = self._slowest(client)
            if victim is None:
                return None
            self.end(victim)
            victim.displaced.set()
        upload = Unfinished(client)
        self.open.append(upload)
        return upload

    def end(self, upload: Unfinished) -> None:
        """Free the place of an upload."""
        if upload in self.open:
            self.open.remove(upload)

    def left_s(self, upload: Unfinished) -> float:
        """Seconds until the upload is too slow if nothing more arrives; negative if it is."""
        return self.grace_s + upload.received / self.bytes_per_s - upload.age_s()

    def _slowest(self, client: str) -> Unfinished | None:
        held = Counter(upload.client for upload in self.open)
        share = (self.limit + 1) // 2
        candidates = [
            upload
            for upload in self.open
            if (
                upload.age_s() > YOUNG_S and upload.received < self.bytes_per_s * upload.age_s()
            ) or held[client] < share < held[upload.client]
        ]  # fmt: skip
        return min(candidates, key=lambda u: u.received / max(u.age_s(), 1e-3), default=None)
