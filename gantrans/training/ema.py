"""Exponential moving average of network weights (Polyak & Juditsky 1992; in GANs: Yazici et al. 2019).

    average <- d * average + (1 - d) * weights,   d = min(decay, (1 + n) / (10 + n)) at update n = 0, 1, ...

With the warm-up of d the random initial weights lose their influence on the average within a few dozen steps,
for every `decay`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Averages of the weights of named networks, on the device of the networks.

    Weights and the running statistics of batch normalisation are averaged (statistics of the newest weights
    do not fit averaged weights); every other buffer is copied from the network.

    Args:
        networks: name -> module, already on their device.
        decay: the largest d, in [0, 1).
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._live = {name: network.state_dict(keep_vars=True) for name, network in networks.items()}
        self._average = {
            name: {key: tensor.detach().clone() for key, tensor in state.items()}
            for name, state in self._live.items()
        }
        pairs = [
            (_is_averaged(key, live), live, self._average[name][key])
            for name, state in self._live.items()
            for key, live in state.items()
        ]
        self._averaged = ([a for yes, _, a in pairs if yes], [v for yes, v, _ in pairs if yes])
        self._copied = ([a for yes, _, a in pairs if not yes], [v for yes, v, _ in pairs if not yes])

    @torch.no_grad()
    def update(self) -> None:
        """Update the averages with the current weights of the networks.

        Canonical form: `lessons.lesson03.exercises.ema_update.ema_update`; this updates all tensors
        in place by one call, because an average is taken after every step.
        """
        decay = min(self.decay, (1.0 + self.updates) / (10.0 + self.updates))
        torch._foreach_lerp_(*self._averaged, 1.0 - decay)
        if self._copied[0]:
            torch._foreach_copy_(*self._copied)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the networks have the averaged weights; their own are restored afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state_dict(self) -> dict[str, dict[str, Tensor] | int]:
        """`updates` and, under each network's name, a complete state dict that `load_state_dict` accepts."""
        return {"updates": self.updates, **self._average}

    def load_state_dict(self, state: Mapping[str, dict[str, Tensor] | int]) -> None:
        """Restore what `state_dict` returned."""
        self.updates = int(state["updates"])  # type: ignore[arg-type]
        for name, average in self._average.items():
            for key, tensor in average.items():
                tensor.copy_(state[name][key])  # type: ignore[index]

    def _swap(self) -> None:
        for name, state in self._live.items():
            for key, live in state.items():
                average = self._average[name][key]
                live.data, average.data = average.data, live.data


def _is_averaged(key: str, tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) or key.endswith(("running_mean", "running_var"))
