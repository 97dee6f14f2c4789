"""The command line, and the Gymnasium ids: `gymnasium.make("fetlock:fetlock/MinitaurWalk-v0")` imports this package to find them."""

from __future__ import annotations

import gymnasium

gymnasium.register("fetlock/MinitaurWalk-v0", entry_point="fetlock.environments:minitaur_walk")
gymnasium.register("fetlock/KittyWalk-v0", entry_point="fetlock.environments:kitty_walk")
gymnasium.register("fetlock/ClawTurn-v0", entry_point="fetlock.environments:claw_turn")
gymnasium.register("fetlock/ClawTurnPixels-v0", entry_point="fetlock.environments:claw_turn_pixels")
gymnasium.register("fetlock/ClawScrew-v0", entry_point="fetlock.environments:claw_screw")
