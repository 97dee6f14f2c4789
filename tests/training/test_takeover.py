"""Who drives a robot that learns: over real shared memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fetlock.build import policy_layout
from fetlock.config import load_config
from policy.acting import NumpyActor
from policy.gaits import Twist, Walker
from policy.layout import Vector
from robot import UsageError
from robot.clock import monotonic_s
from robot.transport import Latest
from safety.types import Mode
from tests.training.records import walking_streams
from tests.training.walking import walking_env
from training.caution import ActionBox
from training.collector import Collector
from training.config import CautionConfig
from training.evaluation import Mark
from training.feed import Rehearsal
from training.judging import Judge, Terms
from training.link import linked
from training.records import learnable
from training.rollout_log import StreamPosition
from training.takeover import TWIST, Takeover, TwistSender, twist_name
from training.tasks import WalkConfig

NAMES = WalkConfig().legs.action_names


@pytest.fixture
def newest() -> Iterator[Latest]:
    with Latest.create(twist_name(f"fetlock-{os.getpid()}"), TWIST) as block:
        yield block
        block.unlink()


def test_who_is_silent_does_not_drive(newest: Latest) -> None:
    late_s = 0.0
    person = Takeover(newest, Walker(NAMES, 0.02), lambda: monotonic_s() + late_s)
    assert person.act() is None
    sender = TwistSender(os.getpid())
    sender.send(Twist(0.5, -0.25))
    expected = Walker(NAMES, 0.02).act(Twist(0.5, -0.25))
    np.testing.assert_array_equal(person.act(), expected)
    late_s = 0.4
    assert person.act() is None
    sender.close()


def test_one_person_drives_at_a_time(newest: Latest) -> None:
    first = TwistSender(os.getpid())
    with pytest.raises(UsageError, match="somebody else drives"):
        TwistSender(os.getpid())
    first.close()
    TwistSender(os.getpid()).close()


def test_a_process_that_trains_nothing_cannot_be_driven() -> None:
    with pytest.raises(UsageError, match="trains nothing that could be driven"):
        TwistSender(os.getpid())


def test_what_a_person_did_is_recorded_and_learned_from_and_no_box_clips_it() -> None:
    actions = {3: np.full(8, 0.9, np.float32), 4: np.full(8, -0.9, np.float32)}
    steps, bus = walking_streams()

    def person() -> Vector | None:
        return actions.get(steps.head)

    env = walking_env()
    box = ActionBox(CautionConfig(first=0.1))
    collector = Collector(env, None, steps, bus, seed=0, index=0, episode=0, box=box, person=person)  # type: ignore[arg-type]
    for _ in range(7):
        collector.collect(explore=True)
    rows = steps.array
    assert rows["mode"].tolist() == [Mode.ACTIVE] * 3 + [Mode.TELEOP] * 2 + [Mode.ACTIVE] * 2
    np.testing.assert_array_equal(rows["action"][3:5], [actions[3], actions[4]])
    assert (np.abs(rows["action"][[0, 1, 2, 5, 6]]) <= np.float32(0.1)).all()
    assert rows["policy_version"].tolist() == [0] * 7
    assert learnable(rows).all()


def test_what_a_person_did_widens_no_box_and_judges_no_candidate(tmp_path: Path) -> None:
    driven_episodes = {1}
    layout = policy_layout(load_config([]))
    with linked(layout, [StreamPosition()]) as (_, link):
        collector = Collector(
            walking_env(limit=4),
            NumpyActor(layout),
            link.steps[0],
            link.bus[0],
            seed=0,
            index=0,
            episode=0,
            box=ActionBox(CautionConfig(first=0.2, growth=0.1)),
            person=lambda: np.full(8, 0.1, np.float32) if collector.episode in driven_episodes else None,
        )
        judge = Judge(layout, Terms(Mark(measure=1.0), 2, tmp_path), 0.0)
        rehearsal = Rehearsal(link, collector, judge)
        vector = np.zeros(layout.vector_size, np.float32)
        link.weights.publish(7, vector, 0, 0)
        link.candidate.publish(7, vector, 0, 0)
        boxes = []
        for _ in range(3):
            for _ in range(4):
                rehearsal.poll()
                assert judge.results == []
                rehearsal.take(collector.collect(explore=False))
            boxes.append(collector.box.bound)
        # The first and the third of three episodes are the candidate's.
        assert [(result.version, result.episodes) for result in judge.results] == [(7, 2)]
        steps = link.steps[0].read(0, 100)
    assert boxes == pytest.approx([0.3, 0.3, 0.4])
    assert ActionBox.after(CautionConfig(first=0.2, growth=0.1), steps, 0).bound == pytest.approx(0.4)
    assert judge.results[0].mean_return == pytest.approx(steps["reward"][steps["episode"] != 1].sum() / 2.0)
