"""The person beside the robot, at a terminal."""

from __future__ import annotations

from typing import TextIO

from robot.errors import RobotError


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
