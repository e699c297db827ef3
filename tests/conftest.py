"""What all tests share: no network, no progress bars, smoke scale, runs and progress in a temporary folder;
JupyterLab and a browser for those that need them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
OFFLINE = FIXTURES / "offline"
LONGEST_FIRST = [
    "tests/teaching/test_notebooks.py",
    "tests/teaching/test_browser.py",
    "tests/test_style.py",
    "tests/training/test_crash.py",
    "tests/training/test_processes.py",
    "notebooks/",
]
CHROMIUM_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip

collect_ignore = ["fixtures"]  # its notebooks are driven by tests; most of them must fail

sys.path.insert(0, str(OFFLINE))
import offline  # noqa: E402
from exported_files import file, here, run, script  # noqa: E402, F401

offline.install()

if "GANTRANS_TEST_FOLDER" not in os.environ:  # the first process of a run; workers and kernels inherit it
    folder = tempfile.TemporaryDirectory(prefix="gantrans-tests-")
    os.environ.update(
        GANTRANS_TEST_FOLDER=folder.name,
        GANTRANS_CACHE=os.path.join(folder.name, "cache"),
        GANTRANS_CLAIMS=os.path.join(folder.name, "claims"),
        GANTRANS_HEADLESS="1",  # as committed outputs are made, so that nbval can compare them
        GANTRANS_PROGRESS=os.path.join(folder.name, "progress.json"),
        PYTHONPATH=os.pathsep.join(
            filter(None, [str(OFFLINE), str(ROOT / "tests"), os.environ.get("PYTHONPATH")])
        ),
        TQDM_DISABLE="1",
    )
    os.environ.setdefault("GANTRANS_SCALE", "smoke")
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that two workers end at about the same time."""

    def place(item: pytest.Item) -> int:
        return next((i for i, begin in enumerate(LONGEST_FIRST) if item.nodeid.startswith(begin)), 99)

    items.sort(key=place)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A JupyterLab on loopback with its own settings: its address and the folder it serves."""
    home = tmp_path_factory.mktemp("lab")
    served = home / "served"
    served.mkdir()
    write_settings(home / "settings")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
        "--ServerApp.password=", f"--ServerApp.root_dir={served}", "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    with open(home / "log", "w") as log:
        environment = os.environ | {name: str(home / place) for name, place in places.items()}
        environment.pop("GANTRANS_HEADLESS")  # here somebody watches
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(server, f"http://127.0.0.1:{port}/api", home / "log")
            yield f"http://127.0.0.1:{port}", served
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def write_settings(folder: Path) -> None:
    """No news, and every cell in the page (a hidden one cannot be clicked)."""
    settings = {
        "apputils-extension/notification": {
            "fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True,
        },
        "notebook-extension/tracker": {"windowingMode": "none"},
    }  # fmt: skip
    for name, content in settings.items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


def wait_for(server: subprocess.Popen, url: str, log: Path) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.2)


def system_browser() -> str | None:
    """The Chromium of this system, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Headless Chromium: the system's, or the one that `playwright install chromium` brought."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = system_browser() or playwright.chromium.executable_path
        if not Path(path).exists():
            missing = "no Chromium: install it with your system's packages or `playwright install chromium`"
            if os.environ.get("GANTRANS_REQUIRE_BROWSER"):
                pytest.fail(missing)
            pytest.skip(missing)
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def prepared_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with one champion, and a store with labels; made once, see `site`."""
    from benchmarks import _cycle_kills as kills

    return kills.prepared(tmp_path_factory.mktemp("site") / "made")


@pytest.fixture
def site(prepared_site: Path, tmp_path: Path) -> Path:
    """A copy of the prepared site, to change."""
    return Path(shutil.copytree(prepared_site, tmp_path / "site"))


@pytest.fixture
def at_a_terminal() -> Iterator[None]:
    """Ctrl-C interrupts, as at a terminal; a shell's background job, as CI may be, ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def served() -> Iterator[Callable[[Any], str]]:
    """Serve ASGI applications from threads: a function that starts one and gives its address."""
    import uvicorn

    started = []

    def start(app: Any) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        started.append((server, thread))
        return f"http://127.0.0.1:{listening.getsockname()[1]}/"

    yield start
    for server, thread in started:
        server.should_exit = True
        thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    """An empty feedback store; tests that need something in it have a fixture of their own."""
    from gantrans.operations.feedback.store import Store

    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()
