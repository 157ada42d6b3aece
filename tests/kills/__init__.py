"""Processes that work on one session and are killed, and the accounts that must come out."""
