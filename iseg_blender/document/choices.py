"""Choices: the entries of menus, and the limits of what a document holds."""

CLICKS_LIMIT, PARTS_LIMIT = 1024, 256
NAME_LIMIT = 63  # bytes of a vertex group's name

GRANULARITIES = (
    ("fine", "Fine", "The smallest part that the first click can mean"),
    ("part", "Part", "The part that people mostly mean"),
    ("whole", "Whole", "The largest part that the first click can mean"),
)
TEACHERS = (
    ("geometric", "Geometric", "Learns from the shape alone; nothing to download, no GPU needed"),
    ("sam_vit_b", "SAM ViT-B", "Learns from Segment Anything, 375 MB of weights; needs a GPU to be quick"),
    ("sam_vit_l", "SAM ViT-L", "Learns from Segment Anything, 1.2 GB of weights; needs a GPU"),
    ("sam_vit_h", "SAM ViT-H", "Learns from Segment Anything, 2.6 GB of weights; needs a GPU"),
)
LICENCE = "Apache-2.0"  # of the weights
WEIGHTS = {"sam_vit_b": "375 MB", "sam_vit_l": "1.2 GB", "sam_vit_h": "2.6 GB"}  # what a teacher has to fetch
PRESETS = (
    ("draft", "Draft", "Trains fastest, for a first look"),
    ("standard", "Standard", "The right one for most meshes"),
    ("paper", "Paper", "The settings of the published method; takes many times longer"),
)
DEVICES = (
    ("auto", "Automatic", "The GPU where there is one that works, else the processor"),
    ("cuda", "NVIDIA GPU", "CUDA"),
    ("cpu", "Processor", "Always works"),
)
