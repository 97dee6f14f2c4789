"""What Fetlock measures of itself, each beside a peer in the same run: `./run bench NAME`."""
