"""An API process that comes warm from a fork server: killed and there again within a second."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

import uvicorn

from app.api.server import OPTIONS
from app.core.settings import Settings
from app.main import create_app
from tests.e2e.processes import Process
from tests.faults.service import Service


class WarmApi(Process):
    """The API as `vitrine serve` runs it with one worker, without the command around it."""

    def __init__(self, folder: Path, name: str, port: int, settings: dict[str, Any]) -> None:
        self.output = folder / f"{name}.log"
        made = multiprocessing.get_context("forkserver")
        made.set_forkserver_preload(["tests.faults.warm", "tests.faults.training_stages", "psycopg"])
        self._made = made.Process(target=_serve, args=(port, settings, str(self.output)), daemon=True)
        self._made.start()

    @property
    def pid(self) -> int:
        assert self._made.pid is not None
        return self._made.pid

    def is_running(self) -> bool:
        return self._made.is_alive()

    def kill(self) -> None:
        self._made.kill()
        self._made.join(10)

    def terminate(self) -> int:
        self._made.terminate()
        self._made.join(30)
        status = self._made.exitcode
        self.kill()
        return -1 if status is None else status


class WarmService(Service):
    """One such API, without trainers."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url, workers=1, trainers=0)

    def _api(self, replica: int) -> Process:
        self._started += 1
        settings = {name.lower(): value for name, value in self._settings.items()}
        return WarmApi(self.folder, f"api-{self._started}", self.ports[replica], settings)


def _serve(port: int, settings: dict[str, Any], output: str) -> None:
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 2)
    app = create_app(Settings(**settings))
    uvicorn.run(app, port=port, **OPTIONS)
