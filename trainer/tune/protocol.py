"""The connection between the chief and the workers of a search: KerasTuner's gRPC service.

CreateTrial is a claim, UpdateTrial a heartbeat and EndTrial the end of a trial. Configurations
and outcomes of trials are files in the shared directory.
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
from trainer.tune.coordinator import Coordinator, HeartbeatReply, NoTrial

_WORKER = "worker"
_CALL_SECONDS = 10.0
_CALL_FRACTION_OF_TIMEOUT = 0.25
# By default gRPC waits up to two minutes before it reconnects to a restarted chief.
_RECONNECT_MILLISECONDS = 2000
# Without a reply for this fraction of the chief's timeout a worker ends its trial, so that two
# hosts never train in one directory.
_TRIAL_FRACTION_OF_TIMEOUT = 0.7


class LockedCoordinator:
    """A coordinator that several threads may call."""

    def __init__(self, coordinator: Coordinator, lock: threading.Lock):
        self._coordinator = coordinator
        self._lock = lock

    def claim(self, worker: str) -> str | NoTrial:
        """As `Coordinator.claim`."""
        with self._lock:
            return self._coordinator.claim(worker)

    def heartbeat(self, worker: str, trial_id: str) -> HeartbeatReply:
        """As `Coordinator.heartbeat`."""
        with self._lock:
            return self._coordinator.heartbeat(worker, trial_id)

    def end(self, worker: str, trial_id: str) -> None:
        """As `Coordinator.end`."""
        with self._lock:
            self._coordinator.end(worker, trial_id)


_STATUS_OF_REPLY = {
    HeartbeatReply.CONTINUE: "RUNNING",
    HeartbeatReply.STOP: "STOPPED",
    HeartbeatReply.LOST: "INVALID",
}


class _Service(protos.get_service_grpc().OracleServicer):  # type: ignore[misc]
    """Serves a coordinator to workers."""

    def __init__(self, coordinator: Coordinator):
        self._coordinator = coordinator

    def CreateTrial(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        claimed = self._coordinator.claim(request.tuner_id)
        if isinstance(claimed, NoTrial):
            trial = _trial("", "IDLE" if claimed is NoTrial.WAIT else "STOPPED")
        else:
            trial = _trial(claimed, "RUNNING")
        return protos.get_service().CreateTrialResponse(trial=trial)

    def UpdateTrial(self, request: Any, context: Any) -> Any:  # noqa: N802
        reply = self._coordinator.heartbeat(_worker(context), request.trial_id)
        trial = _trial(request.trial_id, _STATUS_OF_REPLY[reply])
        return protos.get_service().UpdateTrialResponse(trial=trial)

    def EndTrial(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._coordinator.end(_worker(context), request.trial.trial_id)
        return protos.get_service().EndTrialResponse()


@contextmanager
def serve(coordinator: Coordinator, address: str) -> Iterator[None]:
    """Serves a coordinator, which several threads may call, at host:port.

    Raises:
      UserError: if the port is in use.
    """
    # Without this option two chiefs could share a port silently.
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)]
    )
    protos.get_service_grpc().add_OracleServicer_to_server(_Service(coordinator), server)
    try:
        server.add_insecure_port(_listening(address))
    except RuntimeError:
        raise UserError(
            f"the chief cannot listen at {address}; free the port, or choose another"
        ) from None
    server.start()
    try:
        yield
    finally:
        server.stop(grace=1.0).wait()


class RemoteCoordinator:
    """The coordinator of a chief in another process; several threads may call it."""

    def __init__(
        self, address: str, timeout: float, is_over: Callable[[], bool], patience: float = 600.0
    ):
        """Creates a client, which connects at the first call.

        Args:
          address: host:port of the chief.
          timeout: seconds without a heartbeat after which the chief reassigns a trial.
          is_over: returns True if the search has ended; called if the chief does not reply.
          patience: seconds for which a worker without a trial waits for the chief.
        """
        self._address = address
        self._patience = patience
        self._trial_seconds = timeout * _TRIAL_FRACTION_OF_TIMEOUT
        self._call_seconds = min(_CALL_SECONDS, timeout * _CALL_FRACTION_OF_TIMEOUT)
        self._is_over = is_over
        options = [("grpc.max_reconnect_backoff_ms", _RECONNECT_MILLISECONDS)]
        channel = grpc.insecure_channel(address, options)
        self._stub = protos.get_service_grpc().OracleStub(channel)
        self._last_reply = time.monotonic()
        self._has_replied = False

    def claim(self, worker: str) -> str | NoTrial:
        """As `Coordinator.claim`; WAIT while the chief does not reply.

        Raises:
          Interrupted: if it does not reply for too long.
        """
        request = protos.get_service().CreateTrialRequest(tuner_id=worker)
        response = self._call(self._stub.CreateTrial, request, worker)
        if response is None:
            if self._has_replied and self._is_over():
                return NoTrial.DONE
            if time.monotonic() - self._last_reply > self._patience:
                raise Interrupted(f"the chief at {self._address} does not reply")
            return NoTrial.WAIT
        status = response.trial.status
        statuses = protos.get_proto().TrialStatus
        if status == statuses.RUNNING:
            return str(response.trial.trial_id)
        return NoTrial.WAIT if status == statuses.IDLE else NoTrial.DONE

    def heartbeat(self, worker: str, trial_id: str) -> HeartbeatReply:
        """As `Coordinator.heartbeat`; LOST if the chief does not reply for too long."""
        request = protos.get_service().UpdateTrialRequest(trial_id=trial_id, metrics={}, step=0)
        response = self._call(self._stub.UpdateTrial, request, worker)
        if response is None:
            is_lost = time.monotonic() - self._last_reply > self._trial_seconds
            return HeartbeatReply.LOST if is_lost else HeartbeatReply.CONTINUE
        status = protos.get_proto().TrialStatus.Name(response.trial.status)
        replies = {name: reply for reply, name in _STATUS_OF_REPLY.items()}
        return replies.get(status, HeartbeatReply.LOST)

    def end(self, worker: str, trial_id: str) -> None:
        """As `Coordinator.end`; if the call fails, the next claim of the trial ends it at once."""
        request = protos.get_service().EndTrialRequest(trial=_trial(trial_id, "COMPLETED"))
        self._call(self._stub.EndTrial, request, worker)

    def _call(self, method: Any, request: Any, worker: str) -> Any:
        try:
            response = method(request, timeout=self._call_seconds, metadata=((_WORKER, worker),))
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return None
            raise
        self._last_reply = time.monotonic()
        self._has_replied = True
        return response


def _trial(trial_id: str, status: str) -> Any:
    number = protos.get_proto().TrialStatus.Value(status)
    return protos.get_proto().Trial(trial_id=trial_id, status=number)


def _worker(context: Any) -> str:
    return str(dict(context.invocation_metadata())[_WORKER])


def _listening(address: str) -> str:
    """Returns the address to listen at: the host name in `address` may not be a local one."""
    host, _, port = address.rpartition(":")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    return address if local else f"0.0.0.0:{port}"
