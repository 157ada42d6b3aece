"""Adapters for trainers; each module needs the trainer's own package."""
