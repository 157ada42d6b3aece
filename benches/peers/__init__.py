"""What Curricle is compared with, each used as its own users would use it."""
