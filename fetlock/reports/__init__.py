"""The report of a run; see `fetlock report --help`."""
