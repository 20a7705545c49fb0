"""Version of the engine, in one place: the package, the model files and the build read it here."""

__version__ = "0.2.0"
