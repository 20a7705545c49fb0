"""Live updates: answers, vertex groups, and clicks that follow edits, without the user asking for them."""
