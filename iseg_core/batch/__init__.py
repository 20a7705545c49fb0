"""Training a library of meshes on Ray (the extra `cluster`): on this machine, or on a cluster."""
