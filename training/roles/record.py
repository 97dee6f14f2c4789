"""The logger's process: it imports neither torch nor pybullet, and nobody waits for it."""

from __future__ import annotations

from pathlib import Path

from robot.clock import monotonic_s, sleep_s
from training.link import Link, LinkShape
from training.roles import orphaned
from training.rollout_log import Logger, RunMetadata

_IDLE_S = 0.002
# After the stop the collectors finish their tick: records are taken until none has come for this long.
_QUIET_S = 0.5


def record(shape: LinkShape, folder: Path, metadata: RunMetadata) -> None:
    """Log until the run stops or its parent dies, and then until the collectors are quiet."""
    alone = orphaned()
    link = Link.attach(shape)
    logger = Logger(folder, link.steps, link.bus, link.counters, metadata, link.frames)
    newest_s = monotonic_s()
    try:
        while True:
            over = bool(link.counters.get("stop")) or alone()
            if logger.drain(flush=over):
                newest_s = monotonic_s()
            elif over and monotonic_s() - newest_s > _QUIET_S:
                break
            else:
                sleep_s(_IDLE_S)
    finally:
        logger.close()
        link.close()
