"""Pictures of a region on a mesh: six views on a sheet, sheets of captioned pictures, and coloured PLY files.

The look is that of the paper's figures (figures 1, 2 and 5): a grey shape on white, the region in blue, clicks as green
(include) and red (exclude) dots.
"""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..geometry.domain import Domain
from ..geometry.mesh import Mesh, weld
from ..system.atomic_file import atomic_write
from .camera import Camera
from .embree import EmbreeRasterizer
from .raster import EPSILON

if TYPE_CHECKING:
    from PIL.Image import Image

# Colours as sRGB, 0..255.
GREY = (214, 214, 217)
BLUE = (66, 133, 240)
GREEN = (38, 190, 76)
RED = (228, 48, 44)
RIM = (255, 255, 255)
INK = (60, 60, 66)

FOV = float(np.radians(24.0))  # narrow: little perspective, as a product photograph
MARGIN = 0.92  # share of a picture that the shape may fill
ELEVATIONS = np.radians([22.0, -14.0])  # in turn, so that tops and undersides are both seen
FIRST_AZIMUTH = np.radians(60.0)  # a three-quarter view of shapes that face +Z, as glTF's do
COLUMNS = 3  # pictures beside each other on a sheet
SAMPLES = 3  # rays along each side of a pixel
CREASE = np.cos(np.radians(25.0))  # a face this much off its vertex' normal keeps its own: edges stay sharp
KEY = np.array([-0.41, 0.59, 0.69], dtype=np.float32)  # towards the key light, in the camera's axes: right, up, back
LIGHT = (0.15, 0.65, 0.30)  # ambient, key, headlight
DOT = 0.016  # radius of a click's dot, of the picture's side

Dot = tuple[np.ndarray, bool]  # where a click is, a point of the surface [3] in the units of the vertices; include


def draw_views(
    vertices: np.ndarray,
    faces: np.ndarray,
    probability: np.ndarray | None = None,
    dots: Iterable[Dot] = (),
    size: int = 400,
    views: int = 6,
    domain: str = "vertex",
) -> "Image":
    """Draw views around the shape (Y up) on one sheet, each of size x size pixels, all at the same scale.

    vertices [V, 3] in any units, faces [F, 3]; probability in 0..1 of the vertices [V] or, with the domain face, of the
    faces [F] (None: all grey); dots: clicks. A click is drawn in the views that see it.
    """
    from PIL import Image

    painter = _Painter(vertices, faces, _corner_shares(faces, probability, Domain(domain)), dots, size)
    vertices = painter.vertices  # [V, 3]
    columns = min(views, COLUMNS)
    rows = -(-views // columns)
    sheet = Image.new("RGB", (columns * size, rows * size), "white")
    for i, camera in enumerate(_cameras(_used(vertices, faces), views)):
        sheet.paste(painter.paint(camera), (i % columns * size, i // columns * size))
    return sheet


def draw_from(
    direction: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    probability: np.ndarray | None = None,
    dots: Iterable[Dot] = (),
    size: int = 400,
    domain: str = "vertex",
) -> "Image":
    """Draw one view, size x size pixels, from a direction [3] of the shape's middle; all else as in draw_views."""
    painter = _Painter(vertices, faces, _corner_shares(faces, probability, Domain(domain)), dots, size)
    camera = _far_enough(_used(painter.vertices, faces), [direction / np.linalg.norm(direction)])[0]
    return painter.paint(camera)


def contact_sheet(images: Sequence["Image"], captions: Sequence[str], columns: int = 1, gap: int = 24) -> "Image":
    """Lay out images in rows of `columns`, each over its caption, on white; gap in pixels."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=22)
    width, height = max(i.width for i in images), max(i.height for i in images)
    line = 22 + gap // 2
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + line + gap) + gap), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = gap + i % columns * (width + gap), gap + i // columns * (height + line + gap)
        sheet.paste(image, (x + (width - image.width) // 2, y + (height - image.height) // 2))
        pen.text((x + width / 2, y + height), caption, INK, font, anchor="ma")
    return sheet


def write_ply(path: str | os.PathLike[str], mesh: Mesh, probability: np.ndarray, domain: str = "vertex") -> None:
    """Write encode_ply to `path`, whole or not at all. Raises OSError where it cannot be."""
    data = encode_ply(mesh, probability, domain)
    with atomic_write(path) as file:
        file.write(data)


def encode_ply(mesh: Mesh, probability: np.ndarray, domain: str = "vertex") -> bytes:
    """Encode the mesh as binary PLY, vertices in their order, coloured as in draw_views, with a property `probability`.

    probability in 0..1 of the vertices [V] or, with the domain face, of the faces [F]: these have colours then.
    """
    of_faces = Domain(domain) == Domain.FACE
    coloured = "property uchar red\nproperty uchar green\nproperty uchar blue\nproperty float probability\n"
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment iSeg\n"
        f"element vertex {len(mesh.vertices)}\n"
        "property double x\nproperty double y\nproperty double z\n"
        f"{'' if of_faces else coloured}"
        f"element face {len(mesh.faces)}\nproperty list uchar int vertex_indices\n"
        f"{coloured if of_faces else ''}end_header\n"
    )
    colours = [("rgb", "u1", 3), ("p", "<f4")]
    points, polygons = [("xyz", "<f8", 3)], [("count", "u1"), ("corners", "<i4", 3)]  # double: far from the origin, too
    rows = np.empty(len(mesh.vertices), dtype=points + ([] if of_faces else colours))  # [V]
    faces = np.empty(len(mesh.faces), dtype=polygons + (colours if of_faces else []))  # [F]
    rows["xyz"], faces["count"], faces["corners"] = mesh.vertices, 3, mesh.faces
    answered = faces if of_faces else rows  # [F] or [V]
    answered["rgb"] = _encode(_colours(_share(probability)))
    answered["p"] = probability
    return header.encode("ascii") + rows.tobytes() + faces.tobytes()


def _extent(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, float]:
    """Middle of the shape's AABB [3], and how far its farthest vertex is from there."""
    shape = _used(vertices, faces)  # [U, 3]
    middle = (shape.min(axis=0) + shape.max(axis=0)) / 2  # [3]
    return middle, float(np.linalg.norm(shape - middle, axis=1).max())


def _used(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Vertices without the isolated ones, which may lie anywhere. [U, 3]"""
    used = np.zeros(len(vertices), dtype=bool)  # [V]
    used[faces] = True
    return vertices[used]  # [U, 3]


def _cameras(vertices: np.ndarray, count: int) -> list[Camera]:
    """Place cameras around the Y axis, at the distance of _far_enough."""
    azimuth = FIRST_AZIMUTH - 2 * np.pi * np.arange(count) / count  # [N]
    elevation = np.resize(ELEVATIONS, count)  # [N]
    flat = np.cos(elevation)  # [N]
    directions = np.stack([flat * np.cos(azimuth), np.sin(elevation), flat * np.sin(azimuth)], axis=1)  # [N, 3]
    return _far_enough(vertices, list(directions))


def _far_enough(vertices: np.ndarray, directions: Sequence[np.ndarray]) -> list[Camera]:
    """Place cameras in these directions [3], all as far away as the one that needs it most to see every vertex."""
    distance, slope = 0.0, np.tan(FOV / 2) * MARGIN
    for direction in directions:
        local = vertices @ Camera(direction).axes.T  # [V, 3]
        distance = max(distance, float((local[:, 2] + np.abs(local[:, :2]).max(axis=1) / slope).max()))
    return [Camera(direction * distance, FOV) for direction in directions]


def _corner_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals at the corners of faces: the vertex', or the face's own along sharp edges. [F, 3, 3] float32"""
    position = weld(vertices)[faces]  # [F, 3] one number a position: seams shall not show
    a, b, c = (vertices[corner] for corner in faces.T)  # [F, 3] each
    area = np.cross(b - a, c - a)  # [F, 3] normals as long as twice the faces' areas
    total = np.stack([np.bincount(position.ravel(), np.repeat(n, 3)) for n in area.T], axis=1)  # [U, 3]
    flat = _unit(area)[:, None]  # [F, 1, 3]
    smooth = _unit(total)[position]  # [F, 3, 3]
    sharp = (smooth * flat).sum(axis=2, keepdims=True) < CREASE  # [F, 3, 1]
    return np.where(sharp, flat, smooth).astype(np.float32)  # [F, 3, 3]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors [N, 3] to length 1; those of no length stay so. [N, 3]"""
    length = np.sqrt(np.einsum("nk,nk->n", vectors, vectors))[:, None]  # [N, 1]
    return vectors / np.where(length > 0, length, 1)  # [N, 3]


def _share(probability: np.ndarray) -> np.ndarray:
    """Share of blue of probabilities [N], 0..1. [N] float32"""
    return np.clip(probability, 0, 1).astype(np.float32)  # [N]


def _corner_shares(faces: np.ndarray, probability: np.ndarray | None, domain: Domain) -> np.ndarray:
    """Share of blue at the corners of faces [F, 3], 0..1, by the probability of vertices or faces. [F, 3] float32"""
    if probability is None:
        return np.zeros(faces.shape, dtype=np.float32)  # [F, 3]
    share = _share(probability)  # [V] or [F]
    return share[faces] if domain == Domain.VERTEX else np.repeat(share[:, None], 3, axis=1)  # [F, 3]


def _colours(blend: np.ndarray) -> np.ndarray:
    """Blend [N] grey to blue, as linear light. [N, 3] float32"""
    grey, blue = _decode(GREY), _decode(BLUE)  # [3], [3]
    return grey + blend[:, None] * (blue - grey)  # [N, 3]


class _Painter:
    """Painter of the pictures of one answer: vertices [V, 3] in any units, faces [F, 3], share of blue [F, 3] at their
    corners, dots.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, blue: np.ndarray, dots: Iterable[Dot], size: int):
        middle, radius = _extent(vertices, faces)  # [3]
        self.vertices = (vertices - middle) / radius  # [V, 3] in the unit sphere
        self._caster = EmbreeRasterizer(self.vertices, faces)
        self._normals = _corner_normals(self.vertices, faces)  # [F, 3, 3]
        self._blue = blue
        self._dots = [((point - middle) / radius, include) for point, include in dots]
        side = size * SAMPLES
        pixels = Camera(np.array([0.0, 0.0, 1.0]), FOV).rays(side).astype(np.float32)  # [HW, 3]
        self._pixels = pixels.reshape(side, side, 3)  # [H, W, 3]

    def paint(self, camera: Camera) -> "Image":
        """Draw the view of one camera."""
        picture = _shade(self._caster, camera, self._pixels, self._normals, self._blue)
        return _draw_dots(picture, self._caster, camera, self._dots).reduce(SAMPLES)


def _shade(
    caster: EmbreeRasterizer, camera: Camera, pixels: np.ndarray, normals: np.ndarray, shares: np.ndarray
) -> "Image":
    """Shade one view: a key light from the upper left, a weaker one at the camera, both sides of faces lit.

    pixels [H, W, 3]: rays in the camera's own axes; normals [F, 3, 3] and share of blue [F, 3] of corners.
    """
    from PIL import Image

    image = np.full(pixels.shape, 255, dtype=np.uint8)  # [H, W, 3]
    shape = camera.project(_used(caster.vertices, caster.faces), len(pixels))  # [U, 2]
    (left, top), (right, bottom) = np.floor(shape.min(axis=0)).astype(int), np.ceil(shape.max(axis=0)).astype(int)
    window = np.s_[max(top, 0) : bottom, max(left, 0) : right]  # all rays beside it miss
    axes = camera.axes.astype(np.float32)  # [3, 3]
    rays = (pixels[window] @ axes).reshape(-1, 3)  # [N, 3]

    hit = caster.cast(np.broadcast_to(camera.position, rays.shape), rays)
    covered = hit["primID"] >= 0  # [N]
    face, u, v = hit["primID"][covered], hit["u"][covered], hit["v"][covered]  # [P] each
    weights = np.stack([1 - u - v, u, v], axis=1)  # [P, 3]
    normal = _unit(np.einsum("pc,pck->pk", weights, normals[face]))  # [P, 3]
    facing = np.einsum("pk,pk->p", normal, rays[covered])  # [P] below 0 where the normal looks at the camera
    key = np.clip(normal @ (KEY @ axes) * -np.sign(facing), 0, 1)  # [P]
    light = LIGHT[0] + LIGHT[1] * key + LIGHT[2] * np.abs(facing)  # [P]
    blue = np.einsum("pc,pc->p", weights, shares[face])  # [P]
    image[window][covered.reshape(image[window].shape[:2])] = _encode(_colours(blue) * light[:, None])
    return Image.fromarray(image)


def _draw_dots(picture: "Image", caster: EmbreeRasterizer, camera: Camera, dots: list[Dot]) -> "Image":
    """Draw the clicks that the camera sees onto the picture."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(picture)
    radius = DOT * picture.width
    for point, include in dots:
        offset = point - camera.position  # [3]
        distance = np.linalg.norm(offset)
        hit = caster.cast(camera.position[None], (offset / distance)[None])
        if hit["primID"][0] >= 0 and hit["tfar"][0] < distance - EPSILON:
            continue
        x, y = camera.project(point[None], picture.width)[0]
        pen.circle((x, y), radius * 1.3, RIM)
        pen.circle((x, y), radius, GREEN if include else RED)
    return picture


def _decode(colour: Sequence[int]) -> np.ndarray:
    """Decode sRGB 0..255 to linear light 0..1. [3] float32"""
    return (np.asarray(colour, dtype=np.float32) / 255) ** 2.2  # [3]


def _encode(light: np.ndarray) -> np.ndarray:
    """Encode linear light 0..1 as sRGB 0..255. [N, 3] uint8"""
    return np.rint(np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)  # [N, 3]
