"""`fetlock bus`: finds, sets up and watches the motors of a bus."""
