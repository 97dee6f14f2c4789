"""`fetlock export`: rollout logs and policies in the formats of other programs."""
