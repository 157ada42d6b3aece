"""The built-in training job: a small agent learns the assembly lines under a curriculum."""
