"""The errors of gcloud, as the real program prints them."""

import pytest

from trainer.cloud.command_errors import ErrorKind
from trainer.cloud.google.gcloud import ERRORS

MESSAGES = {
    ErrorKind.STOCK_OUT: [
        "ERROR: (gcloud.compute.instances.create) Could not fetch resource: - The zone "
        "'projects/p/zones/us-central1-a' does not have enough resources available to fulfill the "
        "request. '(resource type:compute)'.",
        "code: ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
        "There is no more capacity in the zone \"us-east5-b\"",
        "Resources are insufficient in region: us-central1. Please try a different region or use a "
        "different accelerator.",
    ],
    ErrorKind.QUOTA: [
        "ERROR: (gcloud.compute.instances.create) Could not fetch resource: - Quota "
        "'NVIDIA_L4_GPUS' exceeded. Limit: 0.0 in region us-central1.",
        "ERROR: (gcloud.ai.custom-jobs.create) RESOURCE_EXHAUSTED: The following quota metrics "
        "exceed quota limits: aiplatform.googleapis.com/custom_model_training_nvidia_l4_gpus",
    ],
    ErrorKind.EXISTS: [
        "ERROR: (gcloud.compute.instances.create) Could not fetch resource: - The resource "
        "'projects/p/zones/z/instances/n' already exists",
        "ERROR: (gcloud.compute.tpus.queued-resources.create) ALREADY_EXISTS: Resource "
        "'projects/p/locations/z/queuedResources/n' already exists.",
    ],
    ErrorKind.NOT_FOUND: [
        "ERROR: (gcloud.compute.tpus.queued-resources.describe) NOT_FOUND: Resource "
        "'projects/p/locations/z/queuedResources/n' was not found",
        "ERROR: (gcloud.storage.cat) The following URLs matched no objects or files: gs://b/x",
        "ERROR: (gcloud.storage.objects.describe) gs://b/x not found: 404.",
    ],
    ErrorKind.CONDITION: [
        "ERROR: HTTPError 412: At least one of the pre-conditions you specified did not hold."
    ],
    ErrorKind.NO_CONTACT: [
        "ERROR: gcloud crashed (ConnectionError): ('Connection aborted.', RemoteDisconnected("
        "'Remote end closed connection without response'))",
        "ERROR: (gcloud.storage.cat) HTTPError 503: We encountered an internal error. Please try "
        "again.",
        "ERROR: (gcloud.compute.instances.list) There was a problem refreshing your current auth "
        "tokens: ('invalid_grant: Token has been expired or revoked.')",
        "ERROR: (gcloud.compute.instances.list) Reauthentication failed. cannot prompt during "
        "non-interactive execution.",
        "ERROR: gcloud crashed (TransportError): HTTPSConnectionPool(host='oauth2.googleapis.com')"
        ": Max retries exceeded (Caused by NameResolutionError: Temporary failure in name "
        "resolution)",
        "ERROR: (gcloud.ai.custom-jobs.list) UNAUTHENTICATED: Request had invalid authentication "
        "credentials.",
    ],
    ErrorKind.OTHER: [
        "ERROR: (gcloud.compute.instances.create) Could not fetch resource: - Invalid value for "
        "field 'resource.machineType'",
        "ERROR: (gcloud.storage.cp) [me@x] does not have permission to access b instance [b] (or "
        "it may not exist)",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "message"),
    [(kind, message) for kind, messages in MESSAGES.items() for message in messages],
)
def test_kind_of_an_error(kind, message):
    assert ERRORS.kind(message) is kind
