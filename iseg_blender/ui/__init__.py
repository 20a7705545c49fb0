"""What is pressed and read: sidebar and preferences."""
