"""What a curriculum costs in trainers that people use: ``python -m benches.trainers``."""
