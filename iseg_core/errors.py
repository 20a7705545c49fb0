"""Every error that iSeg raises on purpose. The message names the defect and the remedy."""


class IsegError(Exception):
    """Base of all errors that iSeg raises on purpose."""


class MeshError(IsegError, ValueError):
    """The mesh cannot be used: empty, not finite, indices out of range, no area, unreadable."""


class ClickError(IsegError, ValueError):
    """A click names a vertex that the mesh does not have, or contradicts another click."""


class WeightsError(IsegError):
    """Weights of a 2D model are missing, incomplete or not the official file."""


class ModelFileError(IsegError, ValueError):
    """A model file is truncated, edited, of another version or of another mesh."""


class SettingsError(IsegError, ValueError):
    """An unknown teacher, preset, device or option."""


class Cancelled(IsegError):
    """The caller asked to stop; nothing was written."""
