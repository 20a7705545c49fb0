"""Services of the machine: files, downloads, devices, memory. Nothing about meshes."""
