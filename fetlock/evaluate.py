"""`fetlock eval`: runs episodes of a trained policy's mean action."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from fetlock.arguments import VerbParser
from fetlock.build import judged_config, make_env, mark_of, policy_layout
from fetlock.config import DEFAULT_CONFIG, RunConfig, load_config, task_of
from fetlock.films import scene
from fetlock.video import Film
from policy.acting import load_actor
from robot.errors import UsageError
from training.evaluation import Episode, Evaluation, run_episode, summarise
from training.tasks import Measure


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation over episodes; the latter is 0 for one episode."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Reduce values."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found.

    Attributes:
        policy: Where the policy was read.
        version: Of the policy.
        trained_steps: Environment steps that it was trained on.
        seed: Of the first episode.
        episodes: In order.
        episode_return: Over the episodes.
        measure: Of the task, for walking the forward speed in m/s.
        steps: Policy ticks.
        share_fallen: 0 to 1.
        mark: What the measure must reach, without a failure.
        mark_reached: Whether it did.
    """

    policy: str
    version: int
    trained_steps: int
    seed: int
    episodes: list[Episode]
    episode_return: Spread
    measure: Spread
    steps: Spread
    share_fallen: float
    mark: float
    mark_reached: bool


def run(argv: list[str]) -> int:
    """Evaluate a policy and print a table or one line of JSON; see `fetlock eval --help`."""
    parser = VerbParser("eval", "Run episodes of a policy's mean action, in the configuration of its run unless flags change it.")
    parser.add_argument("policy", type=Path, metavar="POLICY_OR_RUN", help="run folder, or the folder of a policy; before any flag")
    parser.add_argument("-n", "--episodes", type=int, default=10, help="number of episodes (10)")
    parser.add_argument("--seed", type=int, default=0, help="start pose of the first episode; the next ones count on (0)")
    parser.add_argument("--video", type=Path, metavar="FILE.mp4", help="film all episodes")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options, rest = parser.read_before_config(argv)
    if options.episodes < 1:
        raise UsageError(f"--episodes {options.episodes}: at least 1")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: at least 0")
    config = load_config(rest, prog=parser.prog, others=parser.flags, default=default_config_of(options.policy))
    report = evaluate(options.policy, config, episodes=options.episodes, first_seed=options.seed, video=options.video)
    if options.json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
    else:
        _print(report, task_of(config).measure)
    return 0


def evaluate(policy_folder: Path, config: RunConfig, *, episodes: int, first_seed: int = 0, video: Path | None = None) -> Report:
    """Run episodes in simulation.

    Args:
        policy_folder: A run's folder or a policy's.
        config: Robot, guard and task to run it on.
        episodes: Number of them.
        first_seed: Of the first start pose; the next ones count on.
        video: File to film all of them into.

    Raises:
        PolicyError: If there is no policy, or it belongs to another robot, task or network.
    """
    actor, policy = load_actor(policy_folder, policy_layout(config))
    env = make_env(judged_config(config), render_mode=None if video is None else "rgb_array")
    try:
        with nullcontext() if video is None else Film(partial(scene, env), video, config.control_hz) as film:
            each_step = (lambda: None) if film is None else film.step
            results = [run_episode(env, actor, first_seed + index, each_step) for index in range(episodes)]
    finally:
        env.close()
    mark = mark_of(config)
    summary = summarise(results, mark, steps=policy.config.steps, updates=policy.config.updates, version=policy.config.version, seconds=0.0)
    return _report(policy_folder, summary, results, first_seed, mark.measure)


def _report(policy_folder: Path, summary: Evaluation, results: list[Episode], first_seed: int, mark: float) -> Report:
    return Report(
        policy=str(policy_folder),
        version=summary.version,
        trained_steps=summary.steps,
        seed=first_seed,
        episodes=results,
        episode_return=Spread.of([episode.reward for episode in results]),
        measure=Spread.of([episode.measure for episode in results]),
        steps=Spread.of([float(episode.steps) for episode in results]),
        share_fallen=summary.falls / summary.episodes,
        mark=mark,
        mark_reached=summary.mark,
    )


def default_config_of(path: Path) -> Path:
    """Return the configuration of the run that a path is or lies in, up to two folders below; else the default one."""
    resolved = path.resolve()
    found = (folder / "config.yaml" for folder in (resolved, *resolved.parents[:2]) if (folder / "config.yaml").is_file())
    return next(found, DEFAULT_CONFIG)


def _print(report: Report, measure: Measure) -> None:
    sys.stdout.write(f"{report.policy}: version {report.version}, trained for {report.trained_steps} steps\n")
    table = Table()
    for column in ("seed", "return", "steps", f"{measure.name}, {measure.unit}", "failed"):
        table.add_column(column, justify="right")
    for index, episode in enumerate(report.episodes):
        fell = "[red]yes[/red]" if episode.failed else "no"
        table.add_row(str(report.seed + index), f"{episode.reward:.1f}", str(episode.steps), f"{episode.measure:.3f}", fell)
    table.add_section()
    table.add_row("mean", *(f"{spread.mean:.{digits}f}" for spread, digits in _columns(report)), f"{report.share_fallen:.0%}")
    table.add_row("sd", *(f"{spread.sd:.{digits}f}" for spread, digits in _columns(report)), "")
    Console().print(table)
    verdict = "reached" if report.mark_reached else "not reached"
    sys.stdout.write(f"mark of {report.mark:g} {measure.unit} without a failure: {verdict}\n")


def _columns(report: Report) -> tuple[tuple[Spread, int], ...]:
    """Return the spreads with the decimals to print."""
    return (report.episode_return, 1), (report.steps, 0), (report.measure, 3)
