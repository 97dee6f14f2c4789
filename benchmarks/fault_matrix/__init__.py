"""The fault matrix: what breaks, how long until the robot is safe, and whether everything happened as promised."""
