"""A live view of a running session for the terminal."""
