"""Recipes: trainings that check what a curriculum is for."""
