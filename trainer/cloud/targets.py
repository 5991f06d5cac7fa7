"""The table of targets."""

from trainer.cloud import docker
from trainer.cloud.google import gpu_vm, tpu_vm, vertex

TARGETS = {
    target.name: target for target in (docker.TARGET, tpu_vm.TARGET, gpu_vm.TARGET, vertex.TARGET)
}
