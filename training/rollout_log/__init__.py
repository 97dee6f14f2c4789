"""The rollout log: MCAP files with every policy tick, bus tick and camera frame, the truth that everything else derives from."""

from training.rollout_log.frames import NO_FRAMES, Frames
from training.rollout_log.logger import Logger
from training.rollout_log.reader import Records, RolloutLog, log_files, place_of, read_log, read_run, read_seen
from training.rollout_log.recovery import StreamPosition, copy_log, recover, set_aside, stream_positions
from training.rollout_log.writer import PART, EpisodeWriter, RunMetadata

__all__ = [
    "NO_FRAMES",
    "PART",
    "EpisodeWriter",
    "Frames",
    "Logger",
    "Records",
    "RolloutLog",
    "RunMetadata",
    "StreamPosition",
    "copy_log",
    "log_files",
    "place_of",
    "read_log",
    "read_run",
    "read_seen",
    "recover",
    "set_aside",
    "stream_positions",
]
