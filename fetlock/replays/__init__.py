"""What can be done with a recorded rollout; see `fetlock replay --help`."""
