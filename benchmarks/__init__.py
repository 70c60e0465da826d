"""What is searched, on which data, and the truth about it."""
