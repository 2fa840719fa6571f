"""Odd inputs, kind by kind: each is refused in one line, or taken as what it is."""
