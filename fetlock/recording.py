"""What a robot does is written to a run's folder by a logger in a process of its own, whoever drives it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from fetlock import document
from fetlock.config import RunConfig, config_yaml
from fetlock.guarding import describe_servos
from fetlock.machines import names_of_joints
from fetlock.revision import revision
from policy.layout import PolicyLayout
from robot.clock import monotonic_s
from training.link import Link, linked
from training.roles.record import record
from training.rollout_log import RunMetadata, StreamPosition
from training.runs import LOGS, RunFolder
from training.supervisor import Role, Supervisor

# Between two looks at the logger, s: a loop in real time has no time for more.
_LOOK_S = 0.5


class Recorder:
    """Where the records of one robot go.

    Args:
        link: With one collector's rings.
        supervisor: Of the logger.
    """

    def __init__(self, link: Link, supervisor: Supervisor) -> None:
        self.link = link
        self._supervisor = supervisor
        self._looked_s = monotonic_s()

    @property
    def refused(self) -> bool:
        """Whether the disk takes nothing."""
        return bool(self.link.counters.get("log_error"))

    def look(self) -> None:
        """Start a logger that died again, if it is time to look.

        Raises:
            RobotError: If it dies again and again.
        """
        if monotonic_s() - self._looked_s > _LOOK_S:
            self._looked_s = monotonic_s()
            self._supervisor.poll()


@contextmanager
def recording(folder: RunFolder, config: RunConfig, layout: PolicyLayout) -> Iterator[Recorder]:
    """Record one robot into a run's folder; at the end all that was recorded is on the disk.

    Args:
        folder: Open.
        config: Of the run.
        layout: Of the policy that drives.
    """
    with linked(layout, [StreamPosition()], config.frame) as (shape, link):
        logger = Role("logger", partial(record, shape, folder.path / "rollouts", metadata_of(folder.config_sha, config)))
        supervisor = Supervisor([logger], folder.path / LOGS)
        supervisor.start()
        try:
            yield Recorder(link, supervisor)
        finally:
            link.counters.set("stop", 1)
            supervisor.join()


def metadata_of(config_sha: str, config: RunConfig) -> RunMetadata:
    """Return what every log of a run says of it."""
    described = describe_servos(config.robot)
    return RunMetadata(
        config_sha=config_sha,
        robot=config.robot.kind,
        seed=config.seed,
        revision=revision(),
        config=config_yaml(config),
        description="" if described is None else document.dump(described.model_dump(mode="json")),
        joint_names=names_of_joints(config.robot),
    )
