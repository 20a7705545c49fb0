"""What libraries say when they do not load, and what iSeg makes of it."""

import sys

import pytest

from iseg_core.engine.error_fields import describe
from iseg_core.engine.torch_loader import TorchLoader
from iseg_core.errors import EngineError, lacks_runtime

# What importing PyTorch raises on a Windows without Microsoft's Visual C++ runtime, whose words are in its language.
LIBRARY = 'Error loading "C:\\env\\Lib\\site-packages\\torch\\lib\\fbgemm.dll" or one of its dependencies.'
NO_RUNTIME = [
    OSError(22, f"The specified module could not be found. {LIBRARY}"),
    OSError(f"[WinError 126] Das angegebene Modul wurde nicht gefunden. {LIBRARY}"),
    OSError(f"[WinError 1114] A dynamic link library (DLL) initialization routine failed. {LIBRARY}"),
    ImportError("DLL load failed while importing _C: The specified module could not be found."),
]


@pytest.mark.parametrize("error", NO_RUNTIME)
def test_a_windows_without_the_runtime_is_told_what_to_install(error, monkeypatch):
    assert "vc_redist.x64.exe" in lacks_runtime(error)
    sentence = describe(error).sentence
    assert "does not load" in sentence and "vc_redist.x64.exe" in sentence
    assert "Check it" not in sentence and "Repair" not in sentence

    class Broken:
        def find_spec(self, name, *_):
            if name == "torch":
                raise error

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(EngineError, match="PyTorch does not load.*vc_redist") as caught:
        TorchLoader().load()
    assert "Repair" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "a.dll"),
        ImportError("libtorch.so: cannot open shared object file"),
        RuntimeError('Error loading "a.dll"'),
    ],
)
def test_other_errors_keep_their_own_remedies(error):
    assert lacks_runtime(error) == ""
    assert "vc_redist" not in describe(error).sentence
