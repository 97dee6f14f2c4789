"""The operator's console: a page in a process of its own that shows a robot and stops it. Nothing waits for it."""
