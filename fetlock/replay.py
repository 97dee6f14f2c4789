"""`fetlock replay`: plays a recorded episode back, decides its commands again, or asks a policy again."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.config import RunConfig, config_yaml, load_config
from fetlock.replays import acting, chain, playing, simulation
from fetlock.replays.drawing import plot_tracking
from fetlock.replays.logs import config_of, find_log, some_logs_of
from fetlock.replays.viewing import view
from robot.errors import UsageError
from training.rollout_log import RolloutLog, read_log
from training.runs import RunFolder, run_path


def run(argv: list[str]) -> int:
    """Replay and print the difference; 1 where the guard decided otherwise. See `fetlock replay --help`."""
    parser = VerbParser("replay", "Play a recorded episode back, in the configuration of its run unless flags change it.")
    parser.add_argument("log", type=Path, metavar="LOG_OR_RUN", help="an .mcap file, or a run folder; before any flag")
    parser.add_argument(
        "--compare",
        choices=("sim", "guard", "policy"),
        default="sim",
        help="sim: play its commands in simulation, and compare where the joints were; "
        "guard: run the safety chain again over all episodes, and compare what was sent, bit for bit; "
        "policy: ask a policy again at every observation, and compare the actions (sim)",
    )
    parser.add_argument(
        "--on",
        choices=("sim", "emulated", "hardware", "viewer"),
        help="play its actions on a robot, through task and guard: in simulation, or in real time behind an emulated bus or on metal; "
        "or show what was recorded in Rerun's viewer",
    )
    parser.add_argument("--name", help="with --on: name of the folder that gets the log of it; by default play and the time")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="with --on: where run folders are made")
    parser.add_argument("--policy", type=Path, help="to be asked: a run folder, or the folder of a policy; by default the run's own")
    parser.add_argument("--episode", type=int, help="episode of a run folder; by default its last complete one, for guard and policy all")
    parser.add_argument("--collector", type=int, default=0, help="collector of the episode (0)")
    parser.add_argument("--video", type=Path, metavar="FILE.mp4", help="film it, in simulation")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw recorded and simulated joints")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options, rest = parser.read_before_config(argv)
    paths = _paths(options)
    if options.on == "viewer":
        if rest:
            raise UsageError(f"{rest[0]}: the viewer shows what was recorded, whatever the configuration: leave it out")
        return view(paths[0])
    if options.on is not None:
        return _play(options, paths[0], rest, parser)
    log = read_log(paths[-1])
    with config_of(paths[-1], log) as default:
        config = load_config(rest, prog=parser.prog, others=parser.flags, default=default)
    result, words, exact = _compared(options, paths, log, config)
    sys.stdout.write(json.dumps(result) + "\n" if options.json else words)
    return 0 if exact else 1


def _paths(options: argparse.Namespace) -> list[Path]:
    """Return the logs that are meant."""
    _require_fitting(options)
    one = options.on is not None or options.compare == "sim" or options.episode is not None
    if one:
        return [find_log(options.log, options.collector, options.episode)]
    return some_logs_of(options.log)


def _require_fitting(options: argparse.Namespace) -> None:
    """Refuse options that do not belong together."""
    if options.on is not None and options.compare != "sim":
        raise UsageError("--on plays and --compare looks: give one of them")
    if options.policy is not None and options.compare != "policy":
        raise UsageError("--policy is asked for by --compare policy: give it too, or leave --policy out")
    for name in ("video", "plot"):
        if getattr(options, name) is not None and (options.on is not None or options.compare != "sim"):
            raise UsageError(f"--{name} shows a comparison with a simulation: leave it out, or give --compare sim and no --on")


def _play(options: argparse.Namespace, path: Path, rest: list[str], parser: VerbParser) -> int:
    """Play a recorded motion on a robot; 1 if something stopped it."""
    log = read_log(path)
    with config_of(path, log) as default:
        made = load_config([], default=default)
        config = load_config(rest, prog=parser.prog, others=parser.flags, default=default)
    # The same start, where a simulation draws one.
    config = playing.machine_for(options.on, config.model_copy(update={"seed": int(log.metadata.get("seed", config.seed))}))
    actions = playing.actions_to_play(path, log, made, config)
    folder = run_path(options.runs_dir, options.name, "play")
    with RunFolder.create(folder, config_yaml(config)) as opened:
        report = playing.play_on(opened, path, log, actions, config, options.on)
    sys.stdout.write(json.dumps(asdict(report)) + "\n" if options.json else playing.sentence(report))
    return 0 if report.finished else 1


def _compared(options: argparse.Namespace, paths: list[Path], log: RolloutLog, config: RunConfig) -> tuple[dict[str, object], str, bool]:
    """Return what was found, in words, and whether it may be called a success; `log` is the last one, read already."""
    if options.compare == "guard":
        decided = chain.compare_chain(paths, config)
        return asdict(decided), chain.sentence(decided), decided.exact
    if options.compare == "policy":
        if options.policy is None and not options.log.is_dir():
            raise UsageError("which policy? give --policy RUN_FOLDER")
        asked = acting.compare_actions(paths, options.policy or options.log, config)
        return asdict(asked), acting.sentence(asked), True
    played = simulation.play(paths[0], log, config, video=options.video)
    if options.plot is not None:
        plot_tracking(played, options.plot)
    compared = simulation.compare(paths[0], played)
    return asdict(compared), simulation.sentence(compared), True
