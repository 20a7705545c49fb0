"""Display and picking in the 3D viewport."""
