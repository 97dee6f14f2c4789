"""The rollout log: MCAP files with every policy tick and every bus tick, the truth that everything else derives from."""

from training.rollout_log.logger import Logger
from training.rollout_log.reader import Records, RolloutLog, log_files, read_log, read_run
from training.rollout_log.recovery import StreamPosition, recover, set_aside, stream_positions
from training.rollout_log.writer import EpisodeWriter, RunMetadata

__all__ = [
    "EpisodeWriter",
    "Logger",
    "Records",
    "RolloutLog",
    "RunMetadata",
    "StreamPosition",
    "log_files",
    "read_log",
    "read_run",
    "recover",
    "set_aside",
    "stream_positions",
]
