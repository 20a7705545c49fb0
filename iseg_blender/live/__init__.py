"""What happens by itself: answers, groups, edits."""
