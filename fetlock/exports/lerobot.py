"""A LeRobot data set, format v3.0: parquet files of steps, one row each, and what describes them.

Layout, names and types: LeRobot's documentation of LeRobotDataset v3.0, and its constants. Frames of a camera are a feature of type
`image`: the PNG of the log, byte for byte, in the parquet files, as the Image of Hugging Face's datasets has it. A video would lose.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import JsonValue

from fetlock.exports.recording import Episode, Recording
from fetlock.exports.report import Exported, exported
from fetlock.exports.statistics import PixelCounts, count_pixels, pixel_statistics, statistics
from policy.layout import PolicyLayout
from robot.errors import LogError
from robot.files import made_whole

_VERSION = "v3.0"
# Files of a folder, and largest size of a file: LeRobot's DEFAULT_CHUNK_SIZE and DEFAULT_DATA_FILE_SIZE_IN_MB.
_CHUNK_FILES = 1000
_FILE_BYTES = 100 * 2**20
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
# The names that LeRobot gives its own columns.
_STATE, _ENVIRONMENT, _CAMERA = "observation.state", "observation.environment_state", "observation.images.camera"
# Of datasets.Image: the file itself, and where it was.
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

Columns = dict[str, NDArray[np.generic]]


def export_lerobot(recording: Recording, out: Path, file_bytes: int = _FILE_BYTES) -> Exported:
    """Write logs as a data set.

    Args:
        recording: The logs.
        out: Folder to make.
        file_bytes: From this size on, the next episode begins a new file.

    Raises:
        LogError: If the logs cannot be read.
        OSError: If the folder cannot be written.
    """
    features = features_of(recording.layout, recording.config.frame)
    with made_whole(out) as folder:
        rows, steps, pixels = _write_data(recording, folder, file_bytes)
        meta = folder / "meta"
        _write_parquet(meta / "episodes" / _FILE.format(chunk_index=0, file_index=0), pa.Table.from_pylist(rows))
        _write_parquet(meta / "tasks.parquet", _tasks(recording.layout.task))
        data = sorted((folder / "data").rglob("*.parquet"))
        stats = {name: statistics(_read_column(data, name)) for name in features if name != _CAMERA}
        if pixels is not None:
            stats[_CAMERA] = pixel_statistics(pixels, steps)
        _write_json(meta / "stats.json", cast("dict[str, JsonValue]", stats))
        _write_json(meta / "info.json", _info(recording.layout, features, episodes=len(rows), steps=steps))
    return exported(out, episodes=len(rows), steps=steps)


def features_of(layout: PolicyLayout, frame: tuple[int, int] | None) -> dict[str, JsonValue]:
    """Return the columns with type, shape and names, as `info.json` lists them.

    Args:
        layout: What the numbers mean.
        frame: Height and width of the camera's frames, px; None without frames.
    """
    image: dict[str, JsonValue] = {}
    if frame is not None:
        image[_CAMERA] = {"dtype": "image", "shape": [*frame, 3], "names": ["height", "width", "channels"]}
    return {
        _STATE: {**_feature("float32", tuple(f"{name}.pos" for name in layout.joint_names)), "info": {"unit": "rad"}},
        _ENVIRONMENT: _feature("float32", layout.observation_names),
        "action": _feature("float32", layout.action_names),
        "applied_action": _feature("float32", layout.action_names),
        "next.reward": _feature("float32"),
        "next.done": _feature("bool"),
        "next.truncated": _feature("bool"),
        "measure": _feature("float64"),
        "stamp_s": _feature("float64"),
        "policy_version": _feature("int64"),
        "filter_mask": _feature("int64"),
        "mode": _feature("int64"),
        "timestamp": _feature("float32"),
        "frame_index": _feature("int64"),
        "episode_index": _feature("int64"),
        "index": _feature("int64"),
        "task_index": _feature("int64"),
        **image,
    }


def _feature(dtype: str, names: tuple[str, ...] | None = None) -> dict[str, JsonValue]:
    return {"dtype": dtype, "shape": [1 if names is None else len(names)], "names": None if names is None else list(names)}


def _columns(episode: Episode, index: int, first: int, control_hz: float) -> Columns:
    """Return the columns of an episode.

    LeRobot takes step i of an episode for i / fps seconds (`timestamp`); the robot's own clock is `stamp_s`.
    """
    steps = episode.steps
    frames = np.arange(len(steps))
    return {
        _STATE: episode.joints_rad.astype(np.float32),
        _ENVIRONMENT: steps["observation"],
        "action": steps["action"],
        "applied_action": steps["applied_action"],
        "next.reward": steps["reward"].astype(np.float32),
        "next.done": (steps["terminated"] | steps["truncated"]).astype(np.bool_),
        "next.truncated": steps["truncated"].astype(np.bool_),
        "measure": steps["measure"],
        "stamp_s": steps["stamp_s"],
        "policy_version": steps["policy_version"].astype(np.int64),
        "filter_mask": steps["filter_mask"].astype(np.int64),
        "mode": steps["mode"].astype(np.int64),
        "timestamp": (frames / control_hz).astype(np.float32),
        "frame_index": frames,
        "episode_index": np.full(len(steps), index),
        "index": first + frames,
        "task_index": np.zeros(len(steps), np.int64),
    }


def _write_data(recording: Recording, folder: Path, file_bytes: int) -> tuple[list[dict[str, JsonValue]], int, PixelCounts | None]:
    """Write the steps; return the row of each episode, the number of steps, and how often which brightness occurs in their frames."""
    seen = recording.config.frame is not None
    pixels: PixelCounts | None = None
    rows: list[dict[str, JsonValue]] = []
    steps, number = 0, -1
    writer: pq.ParquetWriter | None = None
    path = folder
    try:
        for episode in recording.episodes(frames=seen):
            columns = _columns(episode, len(rows), steps, recording.layout.control_hz)
            table = _table(columns)
            own = None
            if seen:
                table = table.append_column(_CAMERA, _images(episode))
                own = count_pixels(episode.frames.of_steps(episode.steps).decoded())
                pixels = own if pixels is None else pixels + own
            if writer is None or path.stat().st_size >= file_bytes:
                if writer is not None:
                    writer.close()
                number += 1
                place = {"chunk_index": number // _CHUNK_FILES, "file_index": number % _CHUNK_FILES}
                path = folder / "data" / _FILE.format(**place)
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            rows.append(_row(episode, columns, recording.layout.task, place))
            if own is not None:
                rows[-1] |= _flat(_CAMERA, pixel_statistics(own, len(episode.steps)))
            steps += len(episode.steps)
    finally:
        if writer is not None:
            writer.close()
    return rows, steps, pixels


def _images(episode: Episode) -> pa.Array:
    """Return the column of images of an episode.

    Raises:
        LogError: If a step has no frame.
    """
    missing = ~np.isin(episode.steps["sequence"], episode.frames.sequence)
    if missing.any():
        raise LogError(
            f"{episode.log}: {np.count_nonzero(missing)} of {len(missing)} steps have no frame, and a data set needs one for each: "
            "export other episodes (--episode)"
        )
    return pa.array([{"bytes": png, "path": None} for png in episode.frames.of_steps(episode.steps).pngs], _IMAGE)


def _table(columns: Columns) -> pa.Table:
    """Turn columns of shape (k,) and (k, d) into a table: rows of fixed length for the latter."""
    arrays = [
        pa.array(values) if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        for values in columns.values()
    ]
    return pa.Table.from_arrays(arrays, names=list(columns))


def _row(episode: Episode, columns: Columns, task: str, place: dict[str, int]) -> dict[str, JsonValue]:
    """Describe an episode: what LeRobot asks for, and which log it was."""
    first = int(columns["index"][0])
    row: dict[str, JsonValue] = {
        "episode_index": int(columns["episode_index"][0]),
        "tasks": [task],
        "length": len(episode.steps),
        "dataset_from_index": first,
        "dataset_to_index": first + len(episode.steps),
        "data/chunk_index": place["chunk_index"],
        "data/file_index": place["file_index"],
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
        "log": episode.log,
        "collector": episode.collector,
        "episode": episode.number,
        "seed": episode.seed,
        "complete": episode.complete,
    }
    for name, values in columns.items():
        row |= _flat(name, statistics(values))
    return row


def _flat(name: str, figures: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {f"stats/{name}/{kind}": figure for kind, figure in figures.items()}


def _tasks(task: str) -> pa.Table:
    """Return the table of tasks, which LeRobot looks up by name: the name is its index in pandas."""
    columns = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
        for name, kind, numpy in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ]
    index = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    return pa.table({"task_index": [0], "task": [task]}).replace_schema_metadata({"pandas": json.dumps(index)})


def _info(layout: PolicyLayout, features: dict[str, JsonValue], *, episodes: int, steps: int) -> dict[str, JsonValue]:
    return {
        "codebase_version": _VERSION,
        "robot_type": layout.robot,
        "fps": int(layout.control_hz) if layout.control_hz.is_integer() else layout.control_hz,
        "total_episodes": episodes,
        "total_frames": steps,
        "total_tasks": 1,
        "chunks_size": _CHUNK_FILES,
        "data_files_size_in_mb": _FILE_BYTES // 2**20,
        "video_files_size_in_mb": 200,
        "splits": {"train": f"0:{episodes}"},
        "data_path": f"data/{_FILE}",
        "video_path": None,
        "features": features,
    }


def _read_column(files: list[Path], name: str) -> NDArray[np.generic]:
    """Read a column of all files back, shape (k,) or (k, d)."""
    column = pa.concat_tables([pq.read_table(file, columns=[name]) for file in files]).column(name).combine_chunks()
    if not pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return np.asarray(column.flatten().to_numpy()).reshape(len(column), column.type.list_size)


def _write_parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _write_json(path: Path, content: dict[str, JsonValue]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
