"""Observation to action: actor, critics, acting at batch 1 and policy snapshots."""
