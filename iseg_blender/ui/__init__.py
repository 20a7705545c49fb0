"""User interface: sidebar and preferences."""
