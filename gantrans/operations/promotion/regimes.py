"""What a person decides about a direction: which conditions hold, and with which quality is compared.

A regime is a time in which images and drawings keep one relation: one scanner, one process, one way of
drawing. Labels of an earlier regime teach what is no longer true, and a hold-out of it measures what is no
longer asked. Whether a regime has ended cannot be read from the images alone (a changed relation leaves them
as they were), so a person says it, with a reason. An image belongs to the regime in which it was taken: its
label may come later.

The reference is the quality that later labels are compared with. A promotion does not move it: a champion
that has recovered half of a loss would otherwise become the new normal.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from gantrans.config import check_range
from gantrans.errors import ConfigError
from gantrans.files import locked
from gantrans.operations.promotion.ledger import Ledger

FIRST = "first"
"""Name of the regime that holds until one is retired."""


@dataclass(frozen=True)
class Regime:
    """A regime. since: ISO 8601, UTC; "" for the first, which has no beginning.

    why, who, opened: the reason, who decided, and when.
    """

    name: str = FIRST
    since: str = ""
    why: str = ""
    who: str = ""
    opened: str = ""

    def covers(self, moment: str) -> bool:
        """Whether an image taken at `moment` (ISO 8601, UTC) belongs to it, if no later regime began."""
        return moment >= self.since


@dataclass(frozen=True)
class Reference:
    """The quality that later labels are compared with.

    version: whose. value: its mean, None for "the mean of its true labels". metric, count: of the value; the
    number of labels behind it.
    """

    version: str
    value: float | None = None
    metric: str = ""
    count: int = 0
    why: str = ""
    who: str = ""
    time: str = ""

    def __post_init__(self) -> None:
        check_range(self, "count", 0)


class Regimes(Ledger):
    """Regimes and reference of a registry; both are lines of its history."""

    def regimes(self, direction: str) -> list[Regime]:
        """All regimes, oldest first; the last one holds."""
        events = [event for event in self.history(direction) if event["action"] == "retire"]
        return [Regime(), *(Regime(**event["details"]) for event in events)]

    def regime(self, direction: str) -> Regime:
        """The regime that holds."""
        return self.regimes(direction)[-1]

    def retire(
        self, direction: str, *, opens: str, why: str, who: str = "", since: str | None = None
    ) -> Regime:
        """End the present regime and open another one; its pairs are neither taught nor judged any more.

        Args:
            opens: name of the new regime. why, who: the reason, and who decided.
            since: when it began, a date or ISO 8601; images from then on belong to it. None: now.

        Raises:
            ConfigError: no reason, a name that was used, or a beginning that is no date or before that of the
                present regime.
            RegistryError: nothing is registered. DiskError: a write failed; nothing was changed.
        """
        _check_reason(why, "a regime is retired")
        now = self._now()
        began = utc(since) if since is not None else utc(now)
        with locked(self._lock(direction)):
            known, state = self.regimes(direction), self.aliases(direction)
            if not opens.strip() or opens in [regime.name for regime in known]:
                used = ", ".join(regime.name for regime in known)
                raise ConfigError(f"{opens!r} cannot name a regime; choose a new name (used: {used}).")
            if began < known[-1].since:
                raise ConfigError(
                    f"The regime {opens!r} cannot begin at {began}, before {known[-1].name!r} "
                    f"({known[-1].since}); give a later beginning."
                )
            opened = Regime(opens, began, why, who, now)
            self._change(direction, state, "retire", state.champion or "", asdict(opened))
        return opened

    def reference(self, direction: str) -> Reference | None:
        """The reference of quality; None until somebody has set one."""
        for event in reversed(self.history(direction)):
            if event["action"] == "reference":
                return Reference(**event["details"])
        return None

    def set_reference(
        self,
        direction: str,
        *,
        version: str,
        why: str,
        who: str = "",
        value: float | None = None,
        metric: str = "",
        count: int = 0,
    ) -> Reference:
        """Set the reference of quality; see `Reference`.

        Raises:
            ConfigError: no reason. RegistryError: there is no such version.
            DiskError: a write failed; the reference is unchanged.
        """
        _check_reason(why, "the reference moves")
        with locked(self._lock(direction)):
            state, named = self.aliases(direction), self.version(direction, version).name
            found = Reference(named, value, metric, count, why, who, self._now())
            self._change(direction, state, "reference", named, asdict(found))
        return found


def utc(moment: str) -> str:
    """A date or an ISO 8601 time as the store writes times: UTC, with microseconds; no zone means UTC.

    Raises:
        ConfigError: it is neither.
    """
    try:
        found = datetime.fromisoformat(moment)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{moment!r} is no date; write one as 2026-05-04 or 2026-05-04T10:00:00Z."
        ) from error


def _check_reason(why: str, what: str) -> None:
    if not why.strip():
        raise ConfigError(f"Say why {what}; the reason is kept in the history.")
