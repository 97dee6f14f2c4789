"""What the kill sweep kills, and what it looks at afterwards."""
