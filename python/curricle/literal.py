"""Texts of users where a terminal or a page would obey them."""


def literal(text: str) -> str:
    """A text with a replacement character for each sign that is not printable.

    Those are what a terminal obeys, what is invisible, and what changes the order of the text
    around it.
    """
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
