"""Torch is imported when it is first needed: that takes seconds, and it may be missing or broken."""

import threading

from ..errors import EngineError, lacks_runtime


class TorchLoader:
    """Imports torch once; where that has failed it stays so, for half of it may be loaded."""

    def __init__(self) -> None:
        self._loading, self._defect = threading.Lock(), ""

    def load(self) -> None:
        """Import torch. Raises EngineError where it does not load."""
        with self._loading:
            if not self._defect:
                try:
                    import torch  # noqa: F401
                except Exception as error:  # missing, broken, or no memory for it: a different error each time
                    remedy = lacks_runtime(error) or (
                        "Repair the engine's environment, or close other programs where memory is short; then start "
                        "the engine again."
                    )
                    self._defect = f"PyTorch does not load ({type(error).__name__}: {error}). {remedy}"
        if self._defect:
            raise EngineError(self._defect)
