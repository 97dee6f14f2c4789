"""The bodies of a run's processes: each attaches to the link and loops until it is told to stop."""
