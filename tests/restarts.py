"""What a restart from a checkpoint brings back."""


def probabilities_after_restart(path, make):
    """Probabilities by task of a new curriculum that loads a checkpoint.

    Args:
        path: of the checkpoint.
        make: makes the curriculum, in a session of its own.
    """
    with make() as curriculum:
        curriculum.load(path)
        curriculum.verify()
        return probabilities(curriculum)


def probabilities(curriculum):
    """Probabilities by task."""
    ids, chances = curriculum.probabilities()
    return dict(zip(ids.tolist(), chances.tolist(), strict=True))
