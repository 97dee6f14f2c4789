"""All faults, and the loop over the repeats of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import numpy as np

from benchmarks.fault_matrix import checks
from benchmarks.fault_matrix.bus_faults import BUS_FAULTS
from benchmarks.fault_matrix.outcome import Disturbed, Outcome, Promise, Row, WrongOutcome
from benchmarks.fault_matrix.rig import Bench, Rig

Repeat = Callable[[np.random.Generator], Outcome]
# A machine that spoils so many repeats in a row is too busy to measure anything.
_DISTURBED_MAX = 50


@contextmanager
def _bus(scenario: Callable[[Rig], Outcome]) -> Iterator[Repeat]:
    """Repeat a fault on one emulated machine, each time with a new driver and a new guard."""
    with Bench() as bench:

        def repeat(rng: np.random.Generator) -> Outcome:
            bench.prepare()
            skipped_s = bench.client.ask("status")["skipped_s"]
            rig = Rig(bench, rng)
            try:
                rig.start()
                outcome = scenario(rig)
                checks.require_limits(rig)
            except WrongOutcome as wrong:
                # Emulated motors whose clocks stood still for a while, as no motor's do, or a loop that missed ticks, prove nothing.
                if bench.client.ask("status")["skipped_s"] > skipped_s or rig.starved:
                    raise Disturbed("the machine was too busy") from wrong
                raise
            finally:
                rig.close()
            return outcome

        yield repeat


FAULTS: dict[str, tuple[Promise, Callable[[], AbstractContextManager[Repeat]]]] = {
    name: (promise, partial(_bus, scenario)) for name, (promise, scenario) in BUS_FAULTS.items()
}


def measure(name: str, repeats: int, rng: np.random.Generator) -> Row:
    """Repeat one fault; return its row."""
    promise, prepare = FAULTS[name]
    row = Row(promise, [], [])
    with prepare() as repeat:
        while row.repeats < repeats:
            try:
                row.outcomes.append(repeat(rng))
            except Disturbed:
                row.disturbed += 1
                if row.disturbed > _DISTURBED_MAX + repeats:
                    raise
            except WrongOutcome as wrong:
                row.wrong.append(str(wrong))
    return row
