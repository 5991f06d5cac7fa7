"""Which part this process plays in a search of several hosts, as its environment says."""

import dataclasses
import json
from collections.abc import Mapping

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
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment["TF_CONFIG"])
    return Role("alone", "local", "")


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


def _from_tf_config(text: str) -> Role:
    try:
        config = json.loads(text)
        cluster = {name: list(hosts) for name, hosts in config.get("cluster", {}).items()}
        kind, index = config["task"]["type"], int(config["task"]["index"])
        size = sum(map(len, cluster.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"TF_CONFIG is wrong; it needs cluster and task, with type and index "
            f"({type(error).__name__}: {error}). Received: {text}"
        ) from None
    if size <= 1:
        return Role("alone", "local", "")
    chiefs = [*cluster.get("chief", []), *cluster.get("worker", [])]
    if kind not in ("chief", "worker") or not chiefs:
        raise UserError(
            "TF_CONFIG of a search names a chief or workers, and this process as one of them. "
            f"Received: {text}"
        )
    is_chief = kind == "chief" or ("chief" not in cluster and index == 0)
    return Role("chief" if is_chief else "worker", f"{kind}-{index}", chiefs[0])
