"""`fetlock config`: prints the configuration that a run with the same arguments would have."""

from __future__ import annotations

import sys

from fetlock.arguments import VerbParser
from fetlock.config import config_yaml, load_config


def run(argv: list[str]) -> int:
    """Print the resolved configuration as YAML, which `--config` reads again; see `fetlock config --help`."""
    parser = VerbParser("config", "Print the resolved configuration: the file's values, flags applied, defaults filled in.")
    _, rest = parser.read_before_config(argv)
    sys.stdout.write(config_yaml(load_config(rest, prog=parser.prog, others=parser.flags)))
    return 0
