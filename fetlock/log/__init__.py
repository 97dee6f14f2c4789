"""`fetlock log`: looks at recorded rollouts, checks and mends them."""
