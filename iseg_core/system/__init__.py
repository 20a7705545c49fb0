"""The machine: files, downloads, devices, memory. Nothing of meshes."""
