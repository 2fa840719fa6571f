"""The words for what becomes of a claim."""

HOLDS = "holds"
FAILS = "fails"
UNDECIDED = "undecided"
NOT_APPLICABLE = "not applicable"
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_APPLICABLE)


def verdict_key(verdict: str) -> str:
    """A verdict as a key of metrics: 'not applicable' -> 'not_applicable'."""
    return verdict.replace(" ", "_")
