"""Replay of transitions with images: state rows as in `Replay`, each frame once, stacks made by index when they are sampled."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from policy.image import ImageLayout
from robot.errors import UsageError
from training.frames import FrameStore
from training.replay import Replay
from training.sac import Batch
from training.waiting import Complete, Waiting

# Frames for one that there are transitions more: the first ones of episodes of 40 steps.
_EPISODE_STEPS = 40
# So far back a collector's newest frames may lie, for those of others lie between them; further back they are stored again. At least as
# many as a collector is drained of at once, and of a large replay a 160th.
_SPREAD = 64
_SPREAD_SHARE = 160


def default_shift_px(side_px: int) -> int:
    """Return how far stacks are shifted: 4 px of 84 (DrQ, arXiv 2004.13649), as much of the image at other sizes."""
    return round(4 * side_px / 84)


class PixelReplay:
    """The newest `capacity` transitions; fewer, where episodes are of less than 40 steps on average and the frames do not suffice.

    Its bytes are 1.04 times those of the frames of so many steps, and the rows of their states: a replay that holds stacks of three for
    observation and next observation takes six times as much.

    Args:
        observation: Elements of the vector beside the images.
        action: Elements.
        layout: Of the images.
        capacity: Transitions.
        folder: Where the frames are on disk, in a file that ends with the process; None: in memory.
        shift_px: Largest shift of a stack, up, down and sideways; None: `default_shift_px`.
        tracking: Keep where the tracked object was.
        images: How many transitions of a batch come with their images, the first; None: all.
        following: Whether next observations come with theirs.

    Raises:
        UsageError: If there is no room for the frames, or nothing is to be held.
    """

    def __init__(
        self,
        observation: int,
        action: int,
        layout: ImageLayout,
        capacity: int,
        folder: Path | None = None,
        shift_px: int | None = None,
        *,
        tracking: bool = False,
        images: int | None = None,
        following: bool = True,
    ) -> None:
        self._images, self._following = images, following
        self._rows = Replay(observation, action, capacity, tracking=tracking)
        self._layout = layout
        self._shift = default_shift_px(min(layout.width_px, layout.height_px)) if shift_px is None else shift_px
        if not 0 <= self._shift < min(layout.width_px, layout.height_px):
            raise UsageError(f"a shift of {self._shift} px leaves nothing of {layout.width_px} x {layout.height_px} px: give less")
        # A frame of a transition is at most so many older than the newest one when it is added.
        self._spread = max(_SPREAD, capacity // _SPREAD_SHARE)
        count = capacity + capacity // _EPISODE_STEPS + 2 * self._spread
        self._frames = FrameStore(count, layout.height_px, layout.width_px, folder)
        # For each row: slots of its stack and of the next observation's newest frame, and a number that none of its frames is older than.
        self._slots = np.empty((capacity, layout.stack + 1), np.int32)
        self._oldest = np.empty(capacity, np.int64)
        self._waiting = Waiting(layout.stack)
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._next_frame = 0
        self._added = 0
        self.size = 0

    @property
    def capacity(self) -> int:
        """Largest number of transitions."""
        return self._rows.capacity

    @property
    def waiting(self) -> int:
        """Steps whose frames have not come yet."""
        return self._waiting.steps

    @property
    def missing(self) -> int:
        """Steps that were left out because a frame of theirs never came."""
        return self._waiting.missing

    @property
    def nbytes(self) -> int:
        """Size once it is full, in memory and on disk, bytes."""
        return self._rows.nbytes + self._frames.nbytes + self._slots.nbytes + self._oldest.nbytes

    def extend(self, steps: NDArray[np.void], frames: NDArray[np.void], collector: int = 0) -> int:
        """Append steps and frames, and return the number of transitions that became whole.

        A transition is whole when the frames of both of its stacks are there. One that waits for a frame holds up those that came later, so
        that their order, and with it what is sampled, does not depend on when frames arrive. A frame that a later one of its collector has
        overtaken never comes: the steps that need it are left out and counted in `missing`, as are those that cannot be learned from,
        uncounted.

        Args:
            steps: Records of `training.records.step_dtype`, of any collectors, of each in order.
            frames: Records of `training.records.frame_dtype`, of one collector, in order.
            collector: Whose frames they are.

        Raises:
            UsageError: If the frames are of another size.
        """
        if frames["image"].shape[1:] != self._layout.shape[1:]:
            height, width = frames["image"].shape[1:3]
            raise UsageError(
                f"frames of {width} x {height} px do not fit a replay of {self._layout.width_px} x {self._layout.height_px} px: set "
                "camera.width_px and camera.height_px to what the policy sees"
            )
        self._waiting.add_steps(steps)
        self._waiting.add_frames(frames, collector)
        return self._admit(self._waiting.take())

    def fill_with_noise(self, generator: torch.Generator) -> None:
        """Fill it with random numbers and pixels as of one long episode: data to warm a compiler up on."""
        self._rows.fill_with_noise(generator)
        self._frames.noise(np.random.default_rng(int(torch.randint(2**31, (), generator=generator))))
        self._slots[:] = np.arange(self.capacity)[:, None] + np.arange(self._layout.stack + 1)
        self._oldest[:] = 0
        self._next_frame = self._frames.count
        self._added = self.size = self.capacity

    def sample(self, batch_size: int, batches: int, generator: torch.Generator) -> Iterator[Batch]:
        """Draw batches uniformly with replacement, one when it is asked for: the images of a batch of 256 at 84 px are 33 MB.

        Every stack is shifted at random, the frames of one alike, observation and next observation each on its own.

        Raises:
            UsageError: If no transition is whole.
        """
        if self.size == 0:
            raise UsageError("the replay is empty: collect transitions before sampling")
        for _ in range(batches):
            draw = torch.randint(self.size, (batch_size,), generator=generator)
            rows = (draw + (self._added - self.size)) % self.capacity
            slots = self._slots[rows.numpy()].astype(np.int64)
            seen = slots[: self._images, :-1]
            stacks = np.concatenate([seen, slots[: self._images, 1:]]) if self._following else seen
            shifts = torch.randint(-self._shift, self._shift + 1, (len(stacks), 2), generator=generator).numpy()
            images = torch.from_numpy(self._frames.gather(stacks, shifts))
            batch = self._rows.split(self._rows.at(rows))
            yield batch._replace(image=images[: len(seen)], next_image=images[len(seen) :] if self._following else None)

    def _admit(self, transitions: Iterator[Complete]) -> int:
        steps = []
        for transition in transitions:
            self._store(transition)
            steps.append(transition.step)
        if steps:
            self._rows.extend(np.concatenate(steps))
        return len(steps)

    def _store(self, transition: Complete) -> None:
        oldest = self._next_frame - self._spread
        for key in list(takewhile(lambda key: self._numbers[key] < oldest, self._numbers)):
            del self._numbers[key]
        numbers = []
        for key, image in zip(transition.keys, transition.images, strict=True):
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = self._next_frame
                self._next_frame += 1
                self._frames.write(np.array([number]), image[None])
            numbers.append(number)
        row = self._added % self.capacity
        self._slots[row] = np.array(numbers) % self._frames.count
        self._oldest[row] = oldest
        self._added += 1
        self.size = min(self.size + 1, self.capacity)
        while self._oldest[(self._added - self.size) % self.capacity] < self._next_frame - self._frames.count:
            self.size -= 1
