"""A reply whose signal was taken by another use of the socket is found all the same."""

import asyncio
import time
from queue import Empty

import nbformat
import pytest
import zmq
import zmq.asyncio
from apart import run_apart
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.session import Session

from gantrans.teaching.notebooks.executed import execute
from gantrans.teaching.notebooks.kernels import LookingChannel


async def reply_after_its_signal_was_taken(kind: type[AsyncZMQSocketChannel], patience: float) -> dict:
    context, session = zmq.asyncio.Context(), Session(key=b"k")
    kernel = zmq.Socket(zmq.Context.shadow(context), zmq.ROUTER)
    socket = context.socket(zmq.DEALER, socket_class=zmq.asyncio.Socket)
    socket.identity = b"client"
    try:
        socket.connect(f"tcp://127.0.0.1:{kernel.bind_to_random_port('tcp://127.0.0.1')}")
        await socket.send(b"here I am")
        kernel.recv_multipart()
        waiting = asyncio.ensure_future(kind(socket, session).get_msg(timeout=None))
        await asyncio.sleep(0.1)  # now it waits for the signal
        session.send(kernel, "execute_reply", {"status": "ok"}, ident=b"client")
        plain = zmq.Socket.shadow(socket.underlying)
        while not plain.get(zmq.EVENTS) & zmq.POLLIN:  # a plain send asks this first; the loop has not run
            time.sleep(0.01)
        return await asyncio.wait_for(waiting, patience)
    finally:
        kernel.close(linger=0)
        context.destroy(linger=0)


def test_reply_without_a_signal_is_found():
    reply = run_apart(reply_after_its_signal_was_taken, LookingChannel, 20.0)
    assert reply["content"] == {"status": "ok"}


def test_the_plain_channel_still_needs_the_remedy():
    """When this fails, jupyter_client has mended it: take `LookingChannel` out."""
    with pytest.raises(TimeoutError):
        run_apart(reply_after_its_signal_was_taken, AsyncZMQSocketChannel, 3.0)


@pytest.mark.parametrize("timeout", [0.0, 0.7])
def test_silence_is_reported_in_time(timeout):
    async def listen() -> float:
        context = zmq.asyncio.Context()
        start = time.monotonic()
        try:
            with pytest.raises(Empty):
                await LookingChannel(context.socket(zmq.DEALER), Session()).get_msg(timeout)
            return time.monotonic() - start
        finally:
            context.destroy(linger=0)

    assert run_apart(listen) >= timeout


def test_many_cells_that_print_into_output_widgets_come_to_an_end(tmp_path):
    """Without the remedy one such cell in about twenty never ended."""
    cell = "import ipywidgets\n\nout = ipywidgets.Output()\ndisplay(out)\n"
    cell += "for i in range(5):\n    with out:\n        print(i)"
    cells = [nbformat.v4.new_code_cell(cell, id=f"cell-{i}") for i in range(120)]
    path = tmp_path / "widgets.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    execute(path, "smoke", timeout=60)
    assert [c.execution_count for c in nbformat.read(path, 4).cells] == list(range(1, 121))
