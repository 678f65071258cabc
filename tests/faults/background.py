"""Threads that work beside a block, from its beginning to its end."""

import threading
from abc import ABC, abstractmethod
from typing import Self


class Background(ABC):
    """Some threads that call `work` with their numbers; what one of them raises is raised at the end."""

    def __init__(self, count: int = 1) -> None:
        self._ended = threading.Event()
        self._raised: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]

    @abstractmethod
    def work(self, number: int) -> None:
        """Go on until `is_over`."""

    @property
    def is_over(self) -> bool:
        return self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for so long, or until the end; whether the end has come."""
        return self._ended.wait(seconds)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        if self._raised and kind is None:
            raise self._raised[0]

    def _run(self, number: int) -> None:
        try:
            self.work(number)
        except BaseException as error:
            self._raised.append(error)
