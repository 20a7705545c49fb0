"""Imports from the engine's package: the client and a few data types, never anything that needs torch.

In the installed extension iseg_core lies in this folder, so that nothing has to be added to Blender's search path.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iseg_core.clicks.click import (
        Click,
        Clicks,
        Prompt,
        SurfacePoint,
        granularity_of,
        size_of,
    )
    from iseg_core.engine import messages
    from iseg_core.engine.client import EngineClient, EngineState, as_error, as_progress
    from iseg_core.engine.connection import clean_environment
    from iseg_core.errors import (
        Cancelled,
        ClickError,
        DownloadError,
        EngineError,
        IsegError,
        ModelFileError,
        Superseded,
        UnknownMeshError,
    )
    from iseg_core.formats.common import colour_labels, most_frequent
    from iseg_core.geometry.domain import Domain
    from iseg_core.geometry.mesh import Mesh, equal_rows, with_marks
    from iseg_core.progress import Progress
    from iseg_core.system.atomic_file import atomic_write
    from iseg_core.system.download import download, read_page
    from iseg_core.system.lru import Recent
    from iseg_core.teachers.registry import DEFAULT_TEACHER, TEACHERS, extras, is_geometric, weights_files
    from iseg_core.training.settings import DEFAULT_PRESET, PRESETS
    from iseg_core.version import __version__
else:
    from .iseg_core.clicks.click import (
        Click,
        Clicks,
        Prompt,
        SurfacePoint,
        granularity_of,
        size_of,
    )
    from .iseg_core.engine import messages
    from .iseg_core.engine.client import EngineClient, EngineState, as_error, as_progress
    from .iseg_core.engine.connection import clean_environment
    from .iseg_core.errors import (
        Cancelled,
        ClickError,
        DownloadError,
        EngineError,
        IsegError,
        ModelFileError,
        Superseded,
        UnknownMeshError,
    )
    from .iseg_core.formats.common import colour_labels, most_frequent
    from .iseg_core.geometry.domain import Domain
    from .iseg_core.geometry.mesh import Mesh, equal_rows, with_marks
    from .iseg_core.progress import Progress
    from .iseg_core.system.atomic_file import atomic_write
    from .iseg_core.system.download import download, read_page
    from .iseg_core.system.lru import Recent
    from .iseg_core.teachers.registry import DEFAULT_TEACHER, TEACHERS, extras, is_geometric, weights_files
    from .iseg_core.training.settings import DEFAULT_PRESET, PRESETS
    from .iseg_core.version import __version__

__all__ = [
    "Cancelled",
    "Click",
    "ClickError",
    "Clicks",
    "DEFAULT_PRESET",
    "DEFAULT_TEACHER",
    "Domain",
    "DownloadError",
    "EngineClient",
    "EngineError",
    "EngineState",
    "IsegError",
    "Mesh",
    "ModelFileError",
    "PRESETS",
    "Progress",
    "Prompt",
    "Recent",
    "Superseded",
    "SurfacePoint",
    "TEACHERS",
    "UnknownMeshError",
    "__version__",
    "as_error",
    "as_progress",
    "atomic_write",
    "clean_environment",
    "colour_labels",
    "download",
    "equal_rows",
    "extras",
    "granularity_of",
    "is_geometric",
    "messages",
    "most_frequent",
    "read_page",
    "size_of",
    "weights_files",
    "with_marks",
]
