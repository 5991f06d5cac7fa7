"""A study shared between hosts: KerasTuner's gRPC service, with a chief that notices absence.

The messages are KerasTuner's own: CreateTrial is a claim, UpdateTrial a beat, EndTrial an
end. What a trial is and how it ended lies in the shared directory.
"""

import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc

from trainer.compat.keras_tuner import protos
from trainer.errors import Interrupted, UserError
from trainer.tune.coordinator import DONE, GO_ON, LOST, STOP, WAIT, Board

_WORKER = "worker"
_CALL_SECONDS = 10.0
_CALL_SHARE_OF_TIMEOUT = 0.25
# gRPC's own patience with a chief that comes back grows to two minutes.
_RECONNECT_MILLISECONDS = 2000
# Of the chief's patience: after so much of it without an answer a worker ends its trial, so
# that no two hosts ever train in one directory.
_SHARE_OF_TIMEOUT = 0.7


class OneAtATime:
    """A board that threads share."""

    def __init__(self, board: Board, lock: threading.Lock):
        self._board = board
        self._lock = lock

    def claim(self, worker: str) -> str:
        """As `Board.claim`."""
        with self._lock:
            return self._board.claim(worker)

    def beat(self, worker: str, trial_id: str) -> str:
        """As `Board.beat`."""
        with self._lock:
            return self._board.beat(worker, trial_id)

    def end(self, worker: str, trial_id: str) -> None:
        """As `Board.end`."""
        with self._lock:
            self._board.end(worker, trial_id)


class _Service(protos.get_service_grpc().OracleServicer):  # type: ignore[misc]
    """Answers workers from a board."""

    def __init__(self, board: Board):
        self._board = board

    def CreateTrial(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        claim = self._board.claim(request.tuner_id)
        status = {WAIT: "IDLE", DONE: "STOPPED"}.get(claim, "RUNNING")
        trial = _trial(claim if status == "RUNNING" else "", status)
        return protos.get_service().CreateTrialResponse(trial=trial)

    def UpdateTrial(self, request: Any, context: Any) -> Any:  # noqa: N802
        answer = self._board.beat(_worker(context), request.trial_id)
        status = {GO_ON: "RUNNING", STOP: "STOPPED", LOST: "INVALID"}[answer]
        return protos.get_service().UpdateTrialResponse(trial=_trial(request.trial_id, status))

    def EndTrial(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._board.end(_worker(context), request.trial.trial_id)
        return protos.get_service().EndTrialResponse()


@contextmanager
def serving(board: Board, address: str) -> Iterator[threading.Lock]:
    """Serves a board at host:port; the lock keeps calls out.

    Raises:
      UserError: if the port is taken.
    """
    lock = threading.Lock()
    # Two chiefs on one port would share its calls without a word.
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)]
    )
    protos.get_service_grpc().add_OracleServicer_to_server(
        _Service(OneAtATime(board, lock)), server
    )
    try:
        server.add_insecure_port(_listening(address))
    except RuntimeError:
        raise UserError(f"the chief's port cannot be opened. Received: {address!r}") from None
    server.start()
    try:
        yield lock
    finally:
        server.stop(grace=1.0).wait()


class RemoteBoard:
    """The chief's board, from another process."""

    def __init__(
        self, address: str, timeout: float, is_over: Callable[[], bool], patience: float = 600.0
    ):
        """Connects when first asked.

        Args:
          address: the chief's host:port.
          timeout: seconds of silence after which the chief gives a trial to another.
          is_over: whether the search has ended, once the chief no longer answers.
          patience: seconds that a worker without a trial waits for the chief.
        """
        self._address = address
        self._patience = patience
        self._trial_seconds = timeout * _SHARE_OF_TIMEOUT
        self._call_seconds = min(_CALL_SECONDS, timeout * _CALL_SHARE_OF_TIMEOUT)
        self._is_over = is_over
        options = [("grpc.max_reconnect_backoff_ms", _RECONNECT_MILLISECONDS)]
        channel = grpc.insecure_channel(address, options)
        self._stub = protos.get_service_grpc().OracleStub(channel)
        self._heard = time.monotonic()
        self._was_heard = False
        self._is_away = False

    def claim(self, worker: str) -> str:
        """As `Board.claim`; waits while the chief is away.

        Raises:
          Interrupted: if it stays away.
        """
        request = protos.get_service().CreateTrialRequest(tuner_id=worker)
        response = self._call(self._stub.CreateTrial, request, worker)
        if response is None:
            if self._was_heard and self._is_over():
                return DONE
            if time.monotonic() - self._heard > self._patience:
                raise Interrupted(f"the chief at {self._address} does not answer")
            return WAIT
        status = response.trial.status
        statuses = protos.get_proto().TrialStatus
        if status == statuses.RUNNING:
            return str(response.trial.trial_id)
        return WAIT if status == statuses.IDLE else DONE

    def beat(self, worker: str, trial_id: str) -> str:
        """As `Board.beat`; a trial goes on while the chief is away, but not for too long."""
        if self._is_away and time.monotonic() - self._heard > self._trial_seconds:
            # Another slot's call has just told; a second one would outlast the chief's patience.
            return LOST
        request = protos.get_service().UpdateTrialRequest(trial_id=trial_id, metrics={}, step=0)
        response = self._call(self._stub.UpdateTrial, request, worker)
        if response is None:
            away = time.monotonic() - self._heard
            return LOST if away > self._trial_seconds else GO_ON
        statuses = protos.get_proto().TrialStatus
        answers = {statuses.RUNNING: GO_ON, statuses.STOPPED: STOP}
        return answers.get(response.trial.status, LOST)

    def end(self, worker: str, trial_id: str) -> None:
        """As `Board.end`; if the chief is away, the trial's next claim ends it at once."""
        request = protos.get_service().EndTrialRequest(trial=_trial(trial_id, "COMPLETED"))
        self._call(self._stub.EndTrial, request, worker)

    def _call(self, method: Any, request: Any, worker: str) -> Any:
        try:
            response = method(request, timeout=self._call_seconds, metadata=((_WORKER, worker),))
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                self._is_away = True
                return None
            raise
        self._heard = time.monotonic()
        self._was_heard, self._is_away = True, False
        return response


def _trial(trial_id: str, status: str) -> Any:
    number = protos.get_proto().TrialStatus.Value(status)
    return protos.get_proto().Trial(trial_id=trial_id, status=number)


def _worker(context: Any) -> str:
    return str(dict(context.invocation_metadata())[_WORKER])


def _listening(address: str) -> str:
    """Where the chief listens: workers know its name, which need not be one of its own."""
    host, _, port = address.rpartition(":")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    return address if local else f"0.0.0.0:{port}"
