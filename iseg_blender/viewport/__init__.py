"""What is seen and pointed at in the 3D viewport."""
