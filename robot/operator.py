"""The person beside the robot: an object that is asked, so that a test or a script can answer for them."""

from __future__ import annotations

from typing import Protocol, TextIO

from robot.errors import RobotError


class Operator(Protocol):
    """Who puts the robot into poses and says that it is safe to move."""

    def confirm(self, request: str) -> None:
        """Ask for something to be done; return when it is. Raises RobotError if the person refuses or is not there."""


class ConsoleOperator:
    """Implements Operator on a terminal.

    Args:
        input_stream: Where answers come from.
        output_stream: Where requests go.
    """

    def __init__(self, input_stream: TextIO, output_stream: TextIO) -> None:
        self._input = input_stream
        self._output = output_stream

    def confirm(self, request: str) -> None:
        self._output.write(f"{request} [Enter; q to give up] ")
        self._output.flush()
        answer = self._input.readline()
        if not answer:
            raise RobotError("nobody answers: this needs a person at a terminal (standard input is closed)")
        if answer.strip().lower() in ("q", "n", "no", "quit"):
            raise RobotError("given up by the operator: nothing was changed")
