"""Pictures of runs; see `fetlock plot --help`."""
