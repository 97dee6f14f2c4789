"""What was identified as a file that `--overlay` lays over a configuration, and as words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from fetlock import document
from fetlock.identification.fit import Estimate
from fetlock.identification.identifying import Identification

# A fit that leaves more than this share of the distance has found nothing, unless there was none: five times what an encoder rounds, rad.
_EXPLAINED, _DISTANT_RAD = 0.5, 2e-3


def overlay_yaml(found: Identification, place: Sequence[str], measured: dict[str, float], logs: Sequence[Path]) -> str:
    """Write what was identified.

    Args:
        found: By the fit.
        place: Keys that lead to the simulated robot in a configuration.
        measured: What was read off the logs without a fit, by key.
        logs: That it was found in.
    """
    values: dict[str, JsonValue] = {one.key: one.value for one in found.estimates if one.identified}
    values |= dict(measured)
    nested: JsonValue = values
    for key in reversed(place):
        nested = {key: nested}
    rows = "".join(f"# {line}\n" for line in (*map(_row, found.estimates), *_distances(found)))
    return (
        f"# Made by `fetlock identify {' '.join(map(str, logs))}`; lay it over a configuration by --overlay.\n{rows}{document.dump(nested)}"
    )


def sentences(found: Identification, measured: dict[str, float], out: Path | None) -> str:
    """Say what was identified."""
    rows = "".join(f"{line}\n" for line in map(_row, found.estimates))
    read = "".join(f"{key} {value:g}: measured, not fitted\n" for key, value in measured.items())
    shown = {name: "did not move" if value is None else f"{1e3 * value:.2f}" for name, value in found.held_out_by_joint_rad.items()}
    joints = "".join(f"  {name} {value}\n" for name, value in shown.items())
    judged = "".join(f"{line}\n" for line in _distances(found))
    written = "" if out is None else f"written to {out}: give it to any verb by --overlay {out}\n"
    doubt = (
        "most of the distance stays: something else differs, such as load, ground or mounting; do not trust these values\n"
        if found.held_out_after_rad > max(_EXPLAINED * found.held_out_before_rad, _DISTANT_RAD)
        else ""
    )
    return f"{rows}{read}{judged}{doubt}held out, by joint, mrad RMS:\n{joints}{written}"


def _row(one: Estimate) -> str:
    unit = f" {one.unit}" if one.unit else ""
    if not one.identified:
        known = "nothing in the log depends on it" if math.isinf(one.half_width) else f"known to +- {one.half_width:.2g}{unit} only"
        return f"{one.key} {one.start:g}{unit}: not identifiable from this log, {known}; left as configured"
    bound = "; at the end of the range that is searched: look for something else that is wrong" if one.at_bound else ""
    return f"{one.key} {one.value:.4g}{unit} +- {one.half_width:.2g} (95%), was {one.start:g}{bound}"


def _distances(found: Identification) -> tuple[str, str]:
    return (
        f"fitted on {found.fit_s:g} s: joints {1e3 * found.fit_before_rad:.3f} mrad RMS off before, {1e3 * found.fit_after_rad:.3f} after",
        f"held out {found.held_out_s:g} s: joints {1e3 * found.held_out_before_rad:.3f} mrad RMS off before, "
        f"{1e3 * found.held_out_after_rad:.3f} after",
    )
