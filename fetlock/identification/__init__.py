"""System identification: the parameters of a simulation with which it does what a log recorded."""
