"""TF_CONFIG: the hosts that train together."""

import socket

from trainer.doctor.finding import Finding, of_error
from trainer.engine import cluster
from trainer.errors import UserError


def check_hosts() -> Finding:
    """Whether TF_CONFIG names a cluster whose hosts can be found."""
    try:
        addresses = cluster.training_hosts()
    except UserError as error:
        return of_error("TF_CONFIG", error)
    if not addresses:
        return Finding("TF_CONFIG", "ok", "not set: one host")
    unknown = [address for address in addresses if not _is_known(address)]
    if unknown:
        text = f"no address is known for {', '.join(unknown)}"
        return Finding("TF_CONFIG", "fail", text, "name hosts that this one can resolve")
    return Finding("TF_CONFIG", "ok", f"{len(addresses)} processes: {', '.join(addresses)}")


def _is_known(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        return bool(socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM))
    except OSError:
        return False
