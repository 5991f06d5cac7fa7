"""What goes wrong in a simulation, drawn from a seed."""

import dataclasses
import random

MINUTE = 60.0
HOUR = 3600.0
TARGETS = ("gpu-vm", "tpu-vm", "vertex")
PHASES = ("provisioning", "installing", "running", "saving", "ended")


@dataclasses.dataclass(frozen=True)
class Window:
    """Simulated time in which requests fail.

    Attributes:
      start: in seconds.
      end: in seconds.
      kind: "503", "401", "drop" (the connection is reset) or "timeout" (after a minute).
      who: "submitter", "machine" or "all".
      share: of the requests, the part that fails.
      uploads_only: whether only uploads fail.
    """

    start: float
    end: float
    kind: str
    who: str = "all"
    share: float = 1.0
    uploads_only: bool = False


@dataclasses.dataclass(frozen=True)
class Preemption:
    """The machine is taken away some seconds after the job came to a phase.

    Attributes:
      phase: one of PHASES.
      after: seconds.
      notice: seconds between SIGTERM and SIGKILL; 0 for no SIGTERM.
    """

    phase: str
    after: float
    notice: float


@dataclasses.dataclass(frozen=True)
class Faults:
    """All that a simulation varies. The defaults are a day without faults.

    Attributes:
      windows: in which requests fail.
      stockouts: number of creations that fail for lack of resources.
      tpu_waits: seconds that a TPU request waits in such a case; 0 for FAILED.
      preemptions: each happens once, in order.
      kills: times at which the submitter is killed and then run again.
      restart_seconds: from the kill to the next submitter.
      attaches: whether the next one is `trainer jobs attach` rather than the same command.
      suspensions: (start, seconds) of the laptop.
      operation_seconds: of a creation.
      boot_seconds: from the running machine to its startup script.
      error_seconds: from the state FAILED of a custom job to its error.
      vertex_restarts: how often Vertex restarts a container that failed.
      exit_status: of the trainer: 0, or 1 or 2 at half of the steps.
      steps: simulated minutes that the training takes without faults.
    """

    target: str
    seed: int | None = None
    windows: tuple = ()
    stockouts: int = 0
    tpu_waits: float = 0.0
    preemptions: tuple = ()
    kills: tuple = ()
    restart_seconds: float = 60.0
    attaches: bool = False
    suspensions: tuple = ()
    operation_seconds: float = 20.0
    boot_seconds: float = 60.0
    error_seconds: float = 60.0
    vertex_restarts: int = 0
    exit_status: int = 0
    steps: int = 24

    @classmethod
    def from_seed(cls, target, seed):
        """Draws faults: some simulations have few, some have many."""
        rng = random.Random(f"{target} {seed}")
        busy = rng.random()

        def happens(chance):
            return rng.random() < chance * (0.5 + busy)

        def window(kind, shortest, longest, **options):
            start = round(rng.uniform(0, 0.75 * HOUR))
            return Window(start, start + round(rng.uniform(shortest, longest)), kind, **options)

        windows = []
        if happens(0.4):
            windows.append(window("503", 10, 3 * MINUTE, share=round(rng.uniform(0.3, 1), 1)))
        if happens(0.2):
            windows.append(window("401", MINUTE, 10 * MINUTE, who="submitter"))
        if happens(0.25):
            windows.append(window("drop", 10, 2 * MINUTE, share=0.5))
        if happens(0.15):
            windows.append(window("timeout", 10, 3 * MINUTE, share=0.5, who="submitter"))
        if happens(0.25):
            windows.append(window("drop", 5 * MINUTE, 3 * HOUR, who="submitter"))
        if happens(0.25):
            options = {"who": "machine", "uploads_only": True}
            windows.append(window("503", MINUTE, 10 * MINUTE, **options))
        preemptions = tuple(
            Preemption(rng.choice(PHASES), round(rng.uniform(0, 300)), rng.choice((0, 30, 30)))
            for _ in range(rng.choice((0, 0, 1, 1, 2)))
        )
        kills = tuple(sorted(round(rng.uniform(1, 2700), 1) for _ in range(2) if happens(0.3)))
        asleep = ((round(rng.uniform(60, 2700)), 6 * HOUR),) if happens(0.15) else ()
        return cls(
            target,
            seed,
            tuple(windows),
            stockouts=rng.choice((0, 0, 0, 1, 2)),
            tpu_waits=rng.choice((0.0, 2 * HOUR)),
            preemptions=preemptions,
            kills=kills,
            restart_seconds=rng.choice((1.0, 60.0, 900.0)),
            attaches=rng.random() < 0.5,
            suspensions=asleep,
            operation_seconds=rng.choice((10.0, 20.0, 20.0, 240.0)),
            boot_seconds=rng.choice((45.0, 90.0)),
            vertex_restarts=rng.choice((0, 0, 1)),
            exit_status=rng.choice((0,) * 8 + (1, 2)),
        )

    def __str__(self):
        default = type(self)(self.target)
        changed = [
            f"  {field.name} = {getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(default, field.name)
        ]
        return "\n".join([f"{self.target}, seed {self.seed}:", *changed])
