"""Presets: every number of a training run. A Settings is all that a run needs beside mesh and teacher.

PRESETS is their registry: a new preset is one entry. Help and menus read it, Blender's too: nothing heavy is imported.

The preset `paper` has the published networks and as much of the published training as shared views allow.
As in section 3, the supplement and the released code:
    field         6 layers of 256 on an encoding of size 515, equation 3 itself (ridge 0), 3000 steps, rate 1e-3
    clicks        3 % of the vertices, at most 5 second clicks of either kind
    decoder       16 layers, batches of 16 click sets; w = 5 in equation 8
Departures:
    views         200 spread evenly, shared by all clicks and both fits (1000 for the field, 100 for each click)
    steps         a step of the field sees all views (one); AdamW, the rate warms up and falls (Adam, constant)
    clicks        32 to 160 clicked vertices of a proxy; every granularity (the finest); where the teacher answers in
                  3D, sequences of up to 8 clicks as well (2), and in all presets wrong answers are clicked and replayed
    decoder       256 vertices a click set and the bound on equation 7 (all, rendered: train(objective="rendered")),
                  1500 steps at 5e-4 (5 epochs at 1e-4)
In brackets: what was published. The networks' own departures: network.py.
"""

from dataclasses import dataclass

from ..errors import SettingsError

DEFAULT_PRESET = "standard"


@dataclass(frozen=True)
class Settings:
    """Settings of a run. The defaults are the preset `standard`."""

    preset: str = DEFAULT_PRESET

    proxy_vertices: int = 5000
    """Vertices of the proxy on which everything is computed; a mesh of fewer is taken as it is."""

    # Observation (observe.py)
    views: int = 100
    """Cameras over the sphere; the student gains up to about 100 and nothing beyond."""
    click_share: float = 0.03
    """Share of the vertices that are clicked in training (farthest-point sampled; supplementary D)."""
    click_range: tuple[int, int] = (32, 160)
    """Least and greatest number of these vertices, for small meshes and for large ones."""
    second_clicks: int = 2
    """Second clicks that include, and second clicks that exclude, asked for each of them (at most)."""
    hidden_targets: int = 64
    """Regions towards which longer click sequences are simulated, where the teacher can answer in 3D."""
    max_clicks: int = 8
    """Clicks in the longest training sequence."""

    # Feature field (fit_field)
    field_width: int = 256
    field_layers: int = 5
    """Hidden layers of the field's MLP (the paper's 6 layers count the output)."""
    fourier_frequencies: int = 256
    fourier_sigma: float = 5.0
    """Frequencies are drawn from N(0, sigma^2); 1 underfits slightly, 15 equals 5."""
    ridge: float = 0.5
    """lambda of the target (A + lambda diag A)^-1 b. 0: no target, the loss of equation 3 itself, full batch."""
    field_steps: int = 400
    field_batch: int = 512
    """Vertices a step (all of them where ridge is 0)."""
    field_rate: float = 4e-3
    """Peak of the learning rate, as of the decoder's. The field must follow its target closely: the decoder loses 0.1
    IoU where their correlation is 0.91 and nothing where it is 0.99."""

    # Decoder (fit_decoder)
    decoder_widths: tuple[int, ...] = (128, 128, 128)
    """Hidden layers behind the attention."""
    decoder_steps: int = 1600
    """The student alone gains from the second click only after some 1500."""
    decoder_sets: int = 32
    """Click sets a step."""
    decoder_vertices: int = 32
    """Vertices a click set and step."""
    decoder_rate: float = 2e-3
    """Peak of the learning rate; it warms up, then follows a cosine to zero."""
    joint_weight: float = 5.0
    """w of the ablation that trains field and decoder together (equation 8)."""


@dataclass(frozen=True)
class Preset:
    """Entry of the registry: settings, and what menus say of them."""

    label: str
    description: str
    settings: Settings

    @property
    def name(self) -> str:
        """Name as the user gives it, and as models keep it."""
        return self.settings.preset


# Blender's files keep the position of a preset in its menu: new ones go to the end.
PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "Draft",
            "Trains fastest, for a first look",
            Settings(
                preset="draft",
                proxy_vertices=3000,
                views=40,
                click_range=(32, 96),
                second_clicks=1,
                hidden_targets=32,
                field_steps=200,
                decoder_steps=240,
            ),
        ),
        Preset("Standard", "The right one for most meshes", Settings()),
        Preset(
            "Paper",
            "The settings of the published method; takes many times longer",
            Settings(
                preset="paper",
                views=200,
                second_clicks=5,
                hidden_targets=128,
                ridge=0.0,
                field_steps=3000,
                field_rate=1e-3,
                decoder_widths=(512,) + 14 * (256,),
                decoder_steps=1500,
                decoder_sets=16,
                decoder_vertices=256,
                decoder_rate=5e-4,
            ),
        ),
    )
}


def get_settings(preset: str) -> Settings:
    """Look up the settings of a preset by name. Raises SettingsError where there is none of that name."""
    if preset not in PRESETS:
        raise SettingsError(f"Unknown preset {preset!r}. Choose one of: {', '.join(PRESETS)}.")
    return PRESETS[preset].settings
