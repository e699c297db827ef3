"""Which latencies the gate can compare."""

import numpy as np
import pytest

from gantrans.errors import DataError
from gantrans.operations.promotion.gate import GateConfig, _latency_check


@pytest.mark.parametrize("spoilt", [0.0, -0.01, np.nan, np.inf])
def test_one_latency_of_the_champion_that_cannot_be_stops_the_gate(spoilt: float) -> None:
    champion = np.linspace(0.01, 0.02, 20)
    assert _latency_check((champion, champion), GateConfig()).passed
    broken = champion.copy()
    broken[7] = spoilt
    with pytest.raises(DataError, match="20 positive latencies"):
        _latency_check((broken, champion), GateConfig())


def test_nineteen_latencies_are_too_few() -> None:
    seconds = np.linspace(0.01, 0.02, 20)
    for pair in ((seconds[1:], seconds), (seconds, seconds[1:])):
        with pytest.raises(DataError, match="20 positive latencies"):
            _latency_check(pair, GateConfig())
