"""What the motors of a bus answer to a frame: the instructions of Protocol 2.0, on registers.

Choices where the manual is silent: a frame with a wrong CRC gets no answer, for nobody knows for whom it was; a motor that is asked
together with a dead one answers as `silent_successors` says, in its turn or not at all.
Source: ROBOTIS e-manual, Protocol 2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from robot.dynamixel import codec
from robot.dynamixel.codec import BROADCAST_ID, ErrorCode, Frame, Instruction, Status
from robot.dynamixel.fast_frames import BurstBuilder
from robot.emulator.motor import EmulatedMotor, Outcome

# Registers of the present position: who reads them asks for the state of the machine.
_POSITION = range(132, 136)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer on the wire.

    Attributes:
        motor: Who sends it; several motors share the frame of a fast read.
        data: Its bytes.
        return_delay_s: Before it begins.
        frames: How many answers it holds, one behind the other.
    """

    motor: int
    data: bytes
    return_delay_s: float
    frames: int = 1


class Responder:
    """Answers frames.

    Args:
        motors: On the bus.
        before_state: Called before an answer that holds positions.
        silent_successors: Whether a motor that is asked behind a dead one stays silent too.
    """

    def __init__(self, motors: Sequence[EmulatedMotor], before_state: Callable[[], None], *, silent_successors: bool) -> None:
        self.motors = tuple(motors)
        self._before_state = before_state
        self._silent_successors = silent_successors
        self._group: dict[int, Callable[[Frame, float, list[EmulatedMotor]], list[Reply]]] = {
            Instruction.SYNC_READ: self._sync_read,
            Instruction.FAST_SYNC_READ: self._sync_read,
            Instruction.BULK_READ: self._bulk_read,
            Instruction.FAST_BULK_READ: self._bulk_read,
            Instruction.SYNC_WRITE: self._sync_write,
            Instruction.BULK_WRITE: self._bulk_write,
        }
        self.dead: set[int] = set()
        self.whole_bursts = True

    def answer(self, frame: Frame, now_s: float, baud: int) -> list[Reply]:
        """Return the answers to a frame, in order.

        Args:
            frame: With a right CRC.
            now_s: On the machine's clock.
            baud: Of the port; motors of another rate hear noise.
        """
        if frame.instruction == Instruction.STATUS:
            return []
        hearing = [motor for motor in self.motors if motor.baud == baud and motor.awake(now_s) and motor.id not in self.dead]
        for motor in hearing:
            motor.feed(now_s)
        group = self._group.get(frame.instruction)
        if group is not None:
            return group(frame, now_s, hearing) if frame.id == BROADCAST_ID else []
        if frame.instruction == Instruction.READ and frame.id == BROADCAST_ID:
            # Nobody answers it, so that nobody has to look.
            return []
        addressed = hearing if frame.id == BROADCAST_ID else [motor for motor in hearing if motor.id == frame.id]
        answers = [(motor, motor.id, self._single(frame, motor, now_s)) for motor in sorted(addressed, key=lambda motor: motor.id)]
        broadcast = frame.id == BROADCAST_ID
        return [
            self._status(motor, motor_id, outcome)
            for motor, motor_id, outcome in answers
            if self._speaks(frame.instruction, motor, broadcast=broadcast)
        ]

    def _single(self, frame: Frame, motor: EmulatedMotor, now_s: float) -> Outcome:
        parameters = frame.parameters
        match frame.instruction:
            case Instruction.PING:
                return Outcome(data=motor.memory["model_number"].to_bytes(2, "little") + bytes((motor.memory["firmware_version"],)))
            case Instruction.READ:
                return self._read(motor, parameters)
            case Instruction.WRITE:
                return motor.write(_u16(parameters), parameters[2:]) if len(parameters) > 2 else Outcome(ErrorCode.DATA_LENGTH)
            case Instruction.REG_WRITE:
                return motor.register_write(_u16(parameters), parameters[2:]) if len(parameters) > 2 else Outcome(ErrorCode.DATA_LENGTH)
            case Instruction.ACTION:
                return motor.act()
            case Instruction.REBOOT:
                motor.reboot(now_s)
                return Outcome()
            case Instruction.FACTORY_RESET:
                return motor.factory_reset(parameters[0], now_s) if len(parameters) == 1 else Outcome(ErrorCode.DATA_LENGTH)
            case Instruction.CLEAR:
                return motor.clear_turns() if parameters == b"\x01\x44\x58\x4c\x22" else Outcome(ErrorCode.RESULT_FAIL)
            case Instruction.CONTROL_TABLE_BACKUP:
                return self._backup(motor, parameters)
        return Outcome(ErrorCode.INSTRUCTION)

    def _read(self, motor: EmulatedMotor, parameters: bytes) -> Outcome:
        if len(parameters) != 4:
            return Outcome(ErrorCode.DATA_LENGTH)
        address, size = _u16(parameters), _u16(parameters[2:])
        self._look([(motor, address, size)])
        return motor.read(address, size)

    @staticmethod
    def _backup(motor: EmulatedMotor, parameters: bytes) -> Outcome:
        # 01 keeps, 02 restores; CTRL is the manual's safeguard against a stray frame.
        if len(parameters) != 5 or parameters[1:] != b"CTRL" or parameters[0] not in (1, 2):
            return Outcome(ErrorCode.RESULT_FAIL)
        return motor.back_up(restore=parameters[0] == 2)

    def _look(self, reads: Sequence[tuple[EmulatedMotor, int, int]]) -> None:
        if any(motor.memory.shows(address, size, _POSITION) for motor, address, size in reads):
            self._before_state()

    def _speaks(self, instruction: int, motor: EmulatedMotor, *, broadcast: bool) -> bool:
        if instruction == Instruction.PING:
            return True
        if broadcast:
            return False
        return motor.memory["status_return_level"] >= (1 if instruction == Instruction.READ else 2)

    @staticmethod
    def _status(motor: EmulatedMotor, motor_id: int, outcome: Outcome) -> Reply:
        data = outcome.data if outcome.error == ErrorCode.NONE else b""
        return Reply(motor_id, codec.encode_status(motor_id, outcome.error, data, alert=motor.alert), motor.return_delay_s)

    def _sync_read(self, frame: Frame, now_s: float, hearing: list[EmulatedMotor]) -> list[Reply]:
        if len(frame.parameters) < 5:
            return []
        address, size = _u16(frame.parameters), _u16(frame.parameters[2:])
        return self._several([(motor, address, size) for motor in frame.parameters[4:]], frame.instruction, hearing)

    def _bulk_read(self, frame: Frame, now_s: float, hearing: list[EmulatedMotor]) -> list[Reply]:
        body = frame.parameters
        if not body or len(body) % 5:
            return []
        wanted = [(body[at], _u16(body[at + 1 :]), _u16(body[at + 3 :])) for at in range(0, len(body), 5)]
        return self._several(wanted, frame.instruction, hearing)

    def _several(self, wanted: list[tuple[int, int, int]], instruction: int, hearing: list[EmulatedMotor]) -> list[Reply]:
        """Answer a sync or bulk read."""
        by_id = {motor.id: motor for motor in hearing if motor.memory["status_return_level"] >= 1}
        # Who is just starting is asked too: time must pass for it.
        self._look([(by_id.get(motor_id, self.motors[0]), address, size) for motor_id, address, size in wanted])
        answers: list[tuple[EmulatedMotor, int, Outcome]] = []
        for motor_id, address, size in wanted:
            motor = by_id.get(motor_id)
            if motor is None:
                # The next one waits for an answer that does not come.
                if self._silent_successors or instruction in (Instruction.FAST_SYNC_READ, Instruction.FAST_BULK_READ):
                    break
                continue
            answers.append((motor, motor_id, motor.read(address, size)))
        if instruction in (Instruction.FAST_SYNC_READ, Instruction.FAST_BULK_READ):
            return self._fast(answers, wanted)
        return self._burst(answers) or [self._status(*answer) for answer in answers]

    def _burst(self, answers: list[tuple[EmulatedMotor, int, Outcome]]) -> list[Reply]:
        """Return the answers of a sync read as one reply, if nothing about them is special."""
        if not self.whole_bursts or len(answers) < 2 or any(outcome.error for _, _, outcome in answers):
            return []
        sizes = {len(outcome.data) for _, _, outcome in answers}
        if len(sizes) != 1:
            return []
        builder = _builder(tuple(motor_id for _, motor_id, _ in answers), sizes.pop())
        data = builder.build([outcome.data for _, _, outcome in answers], [motor.alert for motor, _, _ in answers])
        delay_s = sum(motor.return_delay_s for motor, _, _ in answers)
        return [] if data is None else [Reply(answers[0][1], data, delay_s, len(answers))]

    @staticmethod
    def _fast(answers: list[tuple[EmulatedMotor, int, Outcome]], wanted: list[tuple[int, int, int]]) -> list[Reply]:
        """Answer in one frame, whose length counts everybody who was asked; it ends before the first who is silent."""
        statuses = [
            Status(motor_id, outcome.error, motor.alert, outcome.data if not outcome.error else bytes(wanted[place][2]))
            for place, (motor, motor_id, outcome) in enumerate(answers)
        ]
        if not statuses:
            return []
        missing = [Status(motor_id, 0, False, bytes(size)) for motor_id, _, size in wanted[len(statuses) :]]
        whole = codec.encode_fast_status([*statuses, *missing])
        length = 8 + sum(4 + len(status.data) for status in statuses)
        return [Reply(answers[0][1], whole[:length], answers[0][0].return_delay_s)]

    def _sync_write(self, frame: Frame, now_s: float, hearing: list[EmulatedMotor]) -> list[Reply]:
        body = frame.parameters
        if len(body) < 4:
            return []
        address, size = _u16(body), _u16(body[2:])
        by_id = {motor.id: motor for motor in hearing}
        for at in range(4, len(body) - size, size + 1):
            if body[at] in by_id:
                # What is refused here is refused in silence.
                by_id[body[at]].write(address, body[at + 1 : at + 1 + size])
        return []

    def _bulk_write(self, frame: Frame, now_s: float, hearing: list[EmulatedMotor]) -> list[Reply]:
        body, at = frame.parameters, 0
        by_id = {motor.id: motor for motor in hearing}
        while at + 5 <= len(body):
            motor, address, size = body[at], _u16(body[at + 1 :]), _u16(body[at + 3 :])
            if motor in by_id and at + 5 + size <= len(body):
                by_id[motor].write(address, body[at + 5 : at + 5 + size])
            at += 5 + size
        return []


def _u16(data: bytes) -> int:
    return data[0] | data[1] << 8


@lru_cache(maxsize=64)
def _builder(motors: tuple[int, ...], size: int) -> BurstBuilder:
    return BurstBuilder(motors, size)
