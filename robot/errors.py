"""The one exception tree of the project.

Every error that a user can cause or meet derives from `FetlockError`; the command line turns it into one line and an exit code.
A message names the value, the bound, the valid choices and the next step.
"""

from __future__ import annotations


class FetlockError(Exception):
    """Something that the user can act on. Exit code 1."""


class UsageError(FetlockError):
    """The call or a configuration is wrong; nothing was started. Exit code 2."""


class RobotError(FetlockError):
    """A robot, its bus or its simulation did not do what it was asked."""


class CommandError(RobotError):
    """A command that no robot can execute: wrong shape or not finite."""


class ClosedError(RobotError):
    """The robot was read or written after `close`."""


class StaleError(RobotError):
    """A sensor has no reading young enough to act on."""


class CameraError(RobotError):
    """The camera whose frames are recorded gives none: it is gone, or its newest is too old."""


class PortError(RobotError):
    """A serial port cannot be opened or used: absent, not a terminal, not permitted, held by another process."""


class PortLostError(PortError):
    """A port that worked is gone: unplugged, or its other end closed. The robot can be reconnected."""


class BusError(RobotError):
    """A motor did not answer, or not with what was asked, within the time for it."""


class MotorError(RobotError):
    """A motor is not as the robot's description says, or reports an error of its own."""


class CalibrationError(RobotError):
    """A calibration is missing, damaged or of another robot, or the robot does not stand where it says."""


class LogError(FetlockError):
    """A rollout log cannot be written or read."""


class CheckpointError(FetlockError):
    """A checkpoint is missing, corrupt or belongs to another run."""


class PolicyError(FetlockError):
    """A policy is missing, corrupt or belongs to another robot or task."""
