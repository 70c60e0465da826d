"""What a campaign shows: frames, tests, notes, plots, and a page that says what the numbers mean."""
