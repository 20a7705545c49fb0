"""The command line. main.py lists the commands; each has a module of its own or one with its kin."""
