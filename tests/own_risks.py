"""Evidential risks that are not the toolkit's, for the tests that train with them by name."""


def absolute(opinion, label):
    """|y - p|, a value per category."""
    return (label - opinion.logit.sigmoid()).abs()


def reduced(opinion, label):
    """What a risk must not do."""
    return absolute(opinion, label).mean()
