"""Which part this process plays in a search of several hosts, as its environment says."""

import dataclasses
from collections.abc import Mapping

from trainer.engine.cluster import ClusterSpec, from_environment
from trainer.errors import UserError

_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


@dataclasses.dataclass(frozen=True)
class Role:
    """The chief gives trials out, a worker runs them; alone a process does both.

    Attributes:
      kind: alone, chief or worker.
      name: unlike every other worker's.
      address: of the chief, host:port; "" alone.
      trains: whether it runs trials.
    """

    kind: str
    name: str
    address: str
    trains: bool = True


def role_of(environment: Mapping[str, str]) -> Role:
    """The role that KERASTUNER_* gives, else TF_CONFIG, else none.

    KerasTuner's chief only gives trials out. One that TF_CONFIG names has a host like the
    others, and runs trials too; without one the first worker is the chief.

    Raises:
      UserError: if the variables do not say enough.
    """
    given = [name for name in _VARIABLES if environment.get(name)]
    if given:
        return _from_kerastuner(environment, given)
    cluster = from_environment(environment)
    return _from_cluster(cluster) if cluster else Role("alone", "local", "")


def _from_kerastuner(environment: Mapping[str, str], given: list[str]) -> Role:
    if len(given) < len(_VARIABLES):
        raise UserError(
            f"a search of several hosts needs {', '.join(_VARIABLES)}. "
            f"Received: {', '.join(given)} alone"
        )
    name, host, port = (environment[variable] for variable in _VARIABLES)
    # KerasTuner takes any name with "chief" in it; a host called mischief is none.
    is_chief = name.startswith("chief")
    kind = "chief" if is_chief else "worker"
    return Role(kind, name, f"{host}:{port}", trains=not is_chief)


def _from_cluster(cluster: ClusterSpec) -> Role:
    if cluster.num_processes <= 1:
        return Role("alone", "local", "")
    kind, index = cluster.task_type, cluster.task_index
    if kind not in ("chief", "worker"):
        raise UserError(
            "a search runs on the chief and the workers of TF_CONFIG only. "
            f"Received: task type {kind!r}"
        )
    role = "chief" if cluster.is_chief else "worker"
    return Role(role, f"{kind}-{index}", cluster.training_hosts[0])
