"""The same tasks on a Dask cluster, however that was deployed. Workers need hexsched, and no disk in common."""

from __future__ import annotations

import logging
import os
import queue
from typing import TYPE_CHECKING, Any

from experiments.grid.backend import Loss
from experiments.grid.work import OtherCodeError, Result, Task, run_task
from hexsched.errors import InputError

if TYPE_CHECKING:
    from distributed import Future

CONNECT_SECONDS = 15  # to wait for the scheduler's answer
LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")
TASKS_A_THREAD = 3  # queued on the cluster, so that no thread waits for the next


class DaskBackend:
    """A Dask scheduler and its workers.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://127.0.0.1:8786``, or its scheduler file.

    Raises
    ------
    InputError
        When Dask is not installed, or nothing answers.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise InputError("--dask needs Dask: pip install 'hexsched[dask]'") from None
        for name in LOGGERS:  # they report in tracebacks, we do in lines
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        where = {"scheduler_file": address} if os.path.isfile(address) else {"address": address}
        try:
            self._client = Client(**where, timeout=CONNECT_SECONDS, set_as_default=False, direct_to_workers=True)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(f"cannot reach a Dask scheduler there: {error or type(error).__name__}", address) from None
        self._address = address
        self._tasks: dict[object, tuple[Future, Task]] = {}
        self._over: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def threads(self) -> int:
        """Threads of all workers; 0 while there are none."""
        try:
            return sum(self._client.nthreads().values())
        except (OSError, RuntimeError, ValueError) as error:
            raise self._gone(error) from None

    def room(self) -> int:
        return max(TASKS_A_THREAD * max(self.threads(), 1) - len(self._tasks), 0)

    def submit(self, task: Task) -> None:
        try:
            future = self._client.submit(_all_of, task, pure=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._gone(error) from None
        self._tasks[future.key] = (future, task)
        future.add_done_callback(self._over.put)

    def wait(self, seconds: float) -> list[Result | Loss]:
        try:
            future = self._over.get(timeout=seconds)
        except queue.Empty:
            if self._client.status != "running":
                raise self._gone(self._client.status) from None
            return []
        _, task = self._tasks.pop(future.key)
        return self._outcome(future, task)

    def close(self) -> None:
        # what the cluster is still computing is of no use to anyone
        futures = [future for future, _ in self._tasks.values()]
        if self._client.status == "running" and futures:
            self._client.cancel(futures, force=True)
        self._client.close(timeout=CONNECT_SECONDS)

    def _outcome(self, future: Future, task: Task) -> list[Result | Loss]:
        from distributed import CancelledError, KilledWorker

        try:
            return list(future.result())
        except KilledWorker as error:
            culprit = task.cells[0] if len(task.cells) == 1 else None
            return [Loss(task.cells, culprit, task.rate, f"Dask workers died over it: {error.task}")]
        except OtherCodeError as error:
            raise InputError(f"the Dask workers have another version of hexsched: {error}", self._address) from None
        except ImportError as error:
            raise InputError(f"the Dask workers cannot run hexsched: {error}", self._address) from None
        except (CancelledError, OSError) as error:
            raise self._gone(error) from None
        except Exception as error:  # what goes wrong in a cell is a row, so this is the worker's surroundings
            reason = f"a Dask worker cannot compute cells: {type(error).__name__}: {error}"
            raise InputError(reason, self._address) from None

    def _gone(self, error: object) -> InputError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return InputError(f"lost the Dask scheduler ({reason}); finished cells are kept", self._address)


def _all_of(task: Task) -> list[Result]:
    """A task on a worker; results travel together."""
    return list(run_task(task))
