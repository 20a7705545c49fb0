"""Command line. main.py lists the commands; each has a module of its own or shares one with related commands."""
