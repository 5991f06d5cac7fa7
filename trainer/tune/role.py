"""The role of this process in a search on several hosts, from the environment."""

import dataclasses
import enum
import json
from collections.abc import Mapping

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
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment["TF_CONFIG"])
    return Role(RoleKind.LOCAL, "local", "")


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


def _from_tf_config(text: str) -> Role:
    try:
        config = json.loads(text)
        cluster = {name: list(hosts) for name, hosts in config.get("cluster", {}).items()}
        kind, index = config["task"]["type"], int(config["task"]["index"])
        size = sum(map(len, cluster.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "TF_CONFIG must contain a cluster, and a task with type and index "
            f"({type(error).__name__}: {error}). Received: {text}"
        ) from None
    if size <= 1:
        return Role(RoleKind.LOCAL, "local", "")
    chiefs = [*cluster.get("chief", []), *cluster.get("worker", [])]
    if kind not in ("chief", "worker") or not chiefs:
        raise UserError(
            "TF_CONFIG of a search must name a chief or workers, and this process among them. "
            f"Received: {text}"
        )
    is_chief = kind == "chief" or ("chief" not in cluster and index == 0)
    role = RoleKind.CHIEF if is_chief else RoleKind.WORKER
    return Role(role, f"{kind}-{index}", chiefs[0])
