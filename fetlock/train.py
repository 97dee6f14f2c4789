"""`fetlock train`: a run from its configuration to its policy, video and summary."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from fetlock.arguments import VerbParser
from fetlock.artifacts import LoopFigures, finish_run
from fetlock.build import contract_of, goals_of, judged_config, make_env, mark_of, policy_layout
from fetlock.config import RunConfig, config_yaml, load_config, task_of
from fetlock.console.process import add_console_option, console_beside, require_port
from fetlock.films import filmer_of, picture_px
from fetlock.machines import HardwareConfig
from fetlock.prior import find_beginning, is_kept
from fetlock.progress import Gauge, Progress
from fetlock.recording import metadata_of
from policy.layout import PolicyLayout
from robot.clock import monotonic_s, sleep_s
from robot.errors import UsageError
from training.caution import ActionBox
from training.contract import Contract
from training.evaluation import read_evaluations
from training.judging import Judge, Terms
from training.link import Link, LinkShape, linked
from training.roles.collect import collect
from training.roles.evaluate import Filmer, evaluate
from training.roles.record import record
from training.rollout_log import read_run, recover, stream_positions
from training.runs import LOGS, RunFolder, run_path
from training.supervisor import Role, Supervisor

# How often the supervisor looks at its children and the counters.
_POLL_S = 0.1


def run(argv: list[str]) -> int:
    """Train; see `fetlock train --help`."""
    parser = VerbParser("train", "Train a policy; the run's folder holds all that it leaves.")
    parser.add_argument("--name", help="name of the run's folder; by default train and the time")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="where run folders are made")
    from_help = "begin with policy, critics and data of this run (--prior.policy)"
    parser.add_argument("--from", dest="beginning", metavar="RUN", help=from_help)
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run of this name; with --train.total-steps further than it was to go"
    )
    parser.add_argument("--deterministic", action="store_true", help="everything in one process, bit-reproducible")
    parser.add_argument("--no-video", action="store_true", help="film nothing: neither the best policy nor those that are evaluated")
    add_console_option(parser)
    options, rest = parser.read_before_config(argv)
    if options.resume and options.name is None:
        raise UsageError("--resume needs the --name of the run to go on with")
    path = run_path(options.runs_dir, options.name, "train")
    named = any(word.partition("=")[0] == "--config" for word in rest)
    if options.resume and not named and (path / "config.yaml").is_file():
        rest = ["--config", str(path / "config.yaml"), *rest]
    if options.beginning is not None:
        rest += ["--prior.policy", options.beginning]
    config = load_config(rest, prog=parser.prog, others=parser.flags)
    text = config_yaml(config)
    require_port(options.console)
    # Whatever is wrong with it is said before there is a folder.
    beginning = None if options.resume and is_kept(path) else find_beginning(config)
    opened = RunFolder.resume(path, text) if options.resume else RunFolder.create(path, text)
    with opened as folder, console_beside(folder.path, options.console):
        if beginning is not None:
            beginning.keep(folder.path)
        if options.resume:
            _require_whole(folder)
        start_s = monotonic_s()
        train = _train_in_one_process if options.deterministic else _train_in_processes
        loop = train(folder, config, None if options.no_video else filmer_of(folder.path, config))
        finish_run(folder.path, config, seconds=monotonic_s() - start_s, loop=loop, video=not options.no_video)
    return 0


def _require_whole(folder: RunFolder) -> None:
    """Read what a resumed run begins with, so that damage is named before any process starts."""
    from training.checkpoint import load_checkpoint

    load_checkpoint(folder.path / "checkpoints", config_sha=folder.config_sha)
    read_run(folder.path / "rollouts")


@contextmanager
def _linked(folder: RunFolder, config: RunConfig, layout: PolicyLayout) -> Iterator[tuple[LinkShape, Link]]:
    """Create the run's shared memory with streams, and boxes of actions, that begin behind its log."""
    rollouts = folder.path / "rollouts"
    recover(rollouts)
    with linked(layout, stream_positions(rollouts, config.train.collectors), config.frame) as (shape, link):
        if config.train.caution is not None:
            steps = read_run(rollouts)
            for index in range(config.train.collectors):
                link.counters.set(f"box_{index}", ActionBox.after(config.train.caution, steps, index).bound)
        yield shape, link


def _train_in_processes(folder: RunFolder, config: RunConfig, filmer: Filmer | None) -> LoopFigures:
    """Run the processes of `docs/architecture.md` until the run is over."""
    # One thread per process for NumPy: a second one that waits for its turn delays the control loop.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    layout = policy_layout(config)
    contract = contract_of(config)
    with _linked(folder, config, layout) as (shape, link):
        link.counters.set("started_s", _started_s(folder))
        supervisor = Supervisor(_roles(folder, config, layout, contract, shape, filmer), folder.path / LOGS)
        with _stop_on_signals(link), Progress() as progress:
            supervisor.start()
            gauge = Gauge(link, contract, config.train.collectors, task_of(config).measure)
            try:
                while not link.counters.get("stop"):
                    sleep_s(_POLL_S)
                    supervisor.poll()
                    progress.show(gauge.read())
                    if _over(link, config):
                        link.counters.set("stop", 1)
            finally:
                link.counters.set("stop", 1)
                supervisor.join()
        sys.stderr.write(gauge.read().line() + "\n")
        return LoopFigures(supervisor.restarts, link.total("missed"), link.total("lost"))


def _started_s(folder: RunFolder) -> float:
    """Return when the run would have begun without interruptions, monotonic time, s: compiling counts, pauses between starts do not."""
    return monotonic_s() - max((result.seconds for result in read_evaluations(folder.path / "evaluations.jsonl")), default=0.0)


def _terms(folder: RunFolder, config: RunConfig) -> Terms:
    return Terms(mark_of(config), config.train.evaluation_episodes, folder.path)


def _roles(
    folder: RunFolder, config: RunConfig, layout: PolicyLayout, contract: Contract, shape: LinkShape, filmer: Filmer | None
) -> list[Role]:
    metadata = metadata_of(folder.config_sha, config)
    roles = [
        Role("learner", partial(_learn, shape, layout, config, contract, folder.path, folder.config_sha)),
        Role("logger", partial(record, shape, folder.path / "rollouts", metadata)),
    ]
    terms = _terms(folder, config)
    # Of a robot of metal there is one: what it learns, it shows.
    alone = isinstance(config.robot, HardwareConfig)
    if not alone:
        env = partial(make_env, judged_config(config), picture_px=picture_px(config))
        roles.append(Role("evaluator", partial(evaluate, shape, env, layout, terms, filmer)))
    for index in range(config.train.collectors):
        env = partial(make_env, config, realtime=config.realtime)
        body = partial(collect, shape, env, layout, contract, config.train, config.seed, index, terms if alone else None)
        roles.append(Role(f"collector-{index}", body))
    return roles


def _learn(shape: LinkShape, layout: PolicyLayout, config: RunConfig, contract: Contract, folder: Path, config_sha: str) -> None:
    """Import torch in the learner's process only."""
    from training.roles.learn import learn

    learn(shape, layout, config.sac, config.train, config.prior, contract, folder, config_sha, config.seed, goals_of(config))


def _over(link: Link, config: RunConfig) -> bool:
    """Tell whether the run has reached its mark, or its last step with nothing owed and the last candidate judged."""
    counters = link.counters
    marks = int(counters.get("marks"))
    if config.train.stop_after_marks and marks >= config.train.stop_after_marks:
        return True
    if not counters.get("learner_done"):
        return False
    # A robot that collects no more judges no more.
    return isinstance(config.robot, HardwareConfig) or int(counters.get("evaluated")) >= int(counters.get("offered"))


@contextmanager
def _stop_on_signals(link: Link) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into an orderly stop: everything acknowledged is on disk and the run can be resumed."""

    def stop(number: int, frame: FrameType | None) -> None:
        link.counters.set("stop", 1)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _train_in_one_process(folder: RunFolder, config: RunConfig, filmer: Filmer | None) -> LoopFigures:
    """Run everything in this process, bit-reproducible."""
    from training.checkpoint import load_checkpoint
    from training.deterministic import make_deterministic_learner, run_deterministic
    from training.roles.evaluate import Evaluator
    from training.rollout_log import Logger, set_aside

    if config.train.collectors != 1 or config.realtime:
        raise UsageError("--deterministic runs one collector on simulated time: set train.collectors 1 and train.realtime false")
    checkpoint = load_checkpoint(folder.path / "checkpoints", config_sha=folder.config_sha)
    set_aside(folder.path / "rollouts", after=checkpoint[1].log_position if checkpoint else {0: 0})
    layout = policy_layout(config)
    contract = contract_of(config)
    env, judged = make_env(config), make_env(judged_config(config), picture_px=picture_px(config))
    with _linked(folder, config, layout) as (_, link), Progress() as progress, _stop_on_signals(link):
        metadata = metadata_of(folder.config_sha, config)
        logger = Logger(folder.path / "rollouts", link.steps, link.bus, link.counters, metadata, link.frames)
        learner = make_deterministic_learner(layout, config.sac, config.train, config.seed, config.prior, folder.path, goals_of(config))
        judge = Judge(layout, _terms(folder, config), _started_s(folder))
        judge.forget_after(checkpoint[1].steps if checkpoint else 0)
        gauge = Gauge(link, contract, 1, task_of(config).measure)

        def each_step() -> bool:
            progress.show(gauge.read())
            return not link.counters.get("stop")

        try:
            run_deterministic(
                link,
                env,
                logger,
                learner,
                Evaluator(judged, judge, filmer),
                config.train,
                contract,
                folder.path,
                folder.config_sha,
                config.seed,
                each_step,
            )
        finally:
            logger.close()
            env.close()
            judged.close()
    return LoopFigures({}, 0, 0)
