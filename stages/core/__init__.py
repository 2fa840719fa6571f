"""What the stages share: pure functions, in rooms by subject."""
