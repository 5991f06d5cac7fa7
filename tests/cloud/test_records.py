"""The records of a job, and how its machines' statuses decide."""

import dataclasses

import pytest

from trainer.cloud import records
from trainer.cloud.records import Attempt, End, HostStatus, JobRecord, Outcome

JOB = JobRecord(
    id="trainer-x-00000000-1234",
    target="gpu-vm",
    settings={"zone": "a", "hosts": 2},
    digest="00000000",
    command="train",
    task="supervised",
    arguments=("train", "--config=x.py"),
    workdir="gs://b/run",
    accelerator="gpu",
    image="",
    in_container=False,
    created=1000.0,
    max_hours=2.0,
    max_restarts=3,
    max_cost=0.0,
    keep=False,
)
ATTEMPT = Attempt(2, "n-2", "a", ("n-2-0", "n-2-1"), 1.0, 2.0, 1.0, 1, "abc")


def test_records_are_restored_from_their_text():
    end = End(Outcome.INTERRUPTED, "preempted", 3.0)
    assert records.job(records.to_json(JOB)) == JOB
    assert records.attempt(records.to_json(ATTEMPT)) == ATTEMPT
    assert records.end(records.to_json(end)) == end


def test_deadline_counts_from_the_creation():
    assert JOB.deadline == 1000 + 2 * 3600
    assert JOB.folder == "gs://b/run/jobs/trainer-x-00000000-1234"
    assert dataclasses.replace(JOB, max_hours=0.5).deadline == 2800


@pytest.mark.parametrize(
    ("statuses", "hosts", "expected"),
    [
        ([0], 1, Outcome.FINISHED),
        ([0, 0], 2, Outcome.FINISHED),
        ([0], 2, Outcome.INTERRUPTED),
        ([75], 1, Outcome.INTERRUPTED),
        ([2], 1, Outcome.REFUSED),
        ([1], 1, Outcome.FAILED),
        ([137], 1, Outcome.FAILED),
        # The others report that they have lost a worker.
        ([75, 1], 2, Outcome.FAILED),
        ([75, 2], 2, Outcome.REFUSED),
        ([75, 0], 2, Outcome.INTERRUPTED),
        ([], 1, Outcome.INTERRUPTED),
    ],
)
def test_outcome_of_an_attempt(statuses, hosts, expected):
    reported = {host: HostStatus(status, "", 0.0) for host, status in enumerate(statuses)}
    assert records.outcome_of(reported, hosts) is expected
