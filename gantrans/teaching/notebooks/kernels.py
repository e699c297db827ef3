"""Kernels for notebooks that run without a person: quiet, and without a wait that never ends.

When a cell prints into an Output widget (every explorer does), nbclient answers on the shell channel with a
plain ZeroMQ send while its asyncio side waits there for the cell's reply. ZeroMQ signals a message once; that
send takes the signal, and a reply that has just arrived is never noticed: the kernel is idle and nbclient
waits for ever. Looking again every half second finds the reply.
"""

import time
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from traitlets import Type
from traitlets.config import Config

LOOK_AGAIN = 0.5
"""Seconds between two looks at a channel that gave no signal."""
START_SECONDS = 180
"""How long a kernel may take to start; on a busy machine a minute is not enough."""

END_SECONDS = 60.0
"""How long a kernel may take to end by itself; on a busy machine five seconds, the default, cut it off."""


class LookingChannel(AsyncZMQSocketChannel):
    """A channel that does not rely on the signal alone."""

    async def get_msg(  # type: ignore[override]
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        """The next message.

        Raises:
            queue.Empty: none came within `timeout` seconds (None: wait for as long as it takes).
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK_AGAIN if end is None else min(LOOK_AGAIN, end - time.monotonic())
            try:
                return await super().get_msg(max(left, 0.0))
            except Empty:
                if end is not None and time.monotonic() >= end:
                    raise


class LookingClient(AsyncKernelClient):
    """The client of a kernel, with `LookingChannel` where replies and outputs arrive."""

    shell_channel_class = Type(LookingChannel)
    iopub_channel_class = Type(LookingChannel)


def kernel_config() -> Config:
    """Settings for papermill and nbclient; without the encryption, ipykernel prints a warning."""
    client = f"{LookingClient.__module__}.{LookingClient.__qualname__}"
    return Config(
        {
            "KernelManager": {"transport_encryption": "auto", "shutdown_wait_time": END_SECONDS},
            "AsyncKernelManager": {"client_class": client},
        }
    )
