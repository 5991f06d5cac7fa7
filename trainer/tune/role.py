"""The role of this process in a search on several hosts, from the environment."""

import dataclasses
import enum
from collections.abc import Mapping

from trainer.engine.cluster import ClusterSpec, from_environment
from trainer.errors import UserError

_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


class RoleKind(enum.Enum):
    """The kinds of roles."""

    LOCAL = "local"
    CHIEF = "chief"
    WORKER = "worker"


@dataclasses.dataclass(frozen=True)
class Role:
    """The role of a process: the chief assigns trials and workers run them; local does both.

    Attributes:
      kind: the role.
      name: unique among the workers.
      address: host:port of the chief; "" for a local search.
      trains: True if the process runs trials.
    """

    kind: RoleKind
    name: str
    address: str
    trains: bool = True


def role_from_environment(environment: Mapping[str, str]) -> Role:
    """Returns the role given by KERASTUNER_* variables, else by TF_CONFIG, else local.

    A chief named by KERASTUNER_* only assigns trials. A chief named by TF_CONFIG has a host
    like the workers and runs trials too; without a chief, the first worker is the chief.

    Raises:
      UserError: if the variables are incomplete or invalid.
    """
    given = [name for name in _VARIABLES if environment.get(name)]
    if given:
        return _from_kerastuner(environment, given)
    cluster = from_environment(environment)
    return _from_cluster(cluster) if cluster else Role(RoleKind.LOCAL, "local", "")


def _from_kerastuner(environment: Mapping[str, str], given: list[str]) -> Role:
    if len(given) < len(_VARIABLES):
        raise UserError(
            f"a search on several hosts needs {', '.join(_VARIABLES)}; "
            f"only {', '.join(given)} is set"
        )
    name, host, port = (environment[variable] for variable in _VARIABLES)
    # KerasTuner itself accepts any name that contains "chief", such as mischief.
    is_chief = name.startswith("chief")
    kind = RoleKind.CHIEF if is_chief else RoleKind.WORKER
    return Role(kind, name, f"{host}:{port}", trains=not is_chief)


def _from_cluster(cluster: ClusterSpec) -> Role:
    if cluster.num_processes <= 1:
        return Role(RoleKind.LOCAL, "local", "")
    kind, index = cluster.task_type, cluster.task_index
    if kind not in ("chief", "worker"):
        raise UserError(
            "a search runs on the chief and the workers of TF_CONFIG only. "
            f"Received: task type {kind!r}"
        )
    role = RoleKind.CHIEF if cluster.is_chief else RoleKind.WORKER
    return Role(role, f"{kind}-{index}", cluster.training_hosts[0])
