"""Objects to click on."""

import bmesh
import bpy


def monkey() -> bpy.types.Object:
    bpy.ops.mesh.primitive_monkey_add()
    return bpy.context.object


def made(obj) -> list[tuple[int, bool]]:
    return [(click.vertex, click.positive) for part in obj.iseg.parts for click in part.clicks]


def quads():
    bpy.ops.mesh.primitive_torus_add(major_segments=20, minor_segments=10)


def ngons():
    bpy.ops.mesh.primitive_cylinder_add(vertices=17, end_fill_type="NGON")


def mixed():
    bpy.ops.mesh.primitive_uv_sphere_add(segments=14, ring_count=9)


def concave_polygon():
    corners = [(0, 0, 0), (4, 0, 0), (4, 4, 0), (2, 1, 0), (0, 4, 0)]
    top = [(x, y, 1) for x, y, _ in corners]
    sides = [(i, (i + 1) % 5, (i + 1) % 5 + 5, i + 5) for i in range(5)]
    add([*corners, *top], [(4, 3, 2, 1, 0), (5, 6, 7, 8, 9), *sides])


def loose_parts():
    """Vertices and edges without a face, in front of those with one."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=8, ring_count=6)
    sphere = bpy.context.object.data
    points = [(9, 9, 9), (9, 9, 8), *(v.co[:] for v in sphere.vertices)]
    add(points, [[i + 2 for i in p.vertices] for p in sphere.polygons], [(0, 1)])


def generating_modifiers():
    monkey()
    bpy.context.object.modifiers.new("Subdivision", "SUBSURF").levels = 1
    bpy.context.object.modifiers.new("Mirror", "MIRROR")


def deforming_modifier():
    quads()
    bpy.context.object.modifiers.new("Bend", "SIMPLE_DEFORM").angle = 1.0


def negative_scale():
    mixed()
    bpy.context.object.scale = (-1.0, 2.0, 0.5)
    bpy.context.object.rotation_euler = (0.3, 0.2, 0.1)


def shape_key():
    monkey()
    bpy.context.object.shape_key_add(name="Basis")
    key = bpy.context.object.shape_key_add(name="Long")
    for point in key.data:
        point.co.z *= 2
    key.value = 1.0


def edit_mode():
    """Changes of edit mode that are not in the mesh yet."""
    monkey()
    bpy.ops.object.mode_set(mode="EDIT")
    work = bmesh.from_edit_mesh(bpy.context.object.data)
    work.verts.ensure_lookup_table()
    bmesh.ops.delete(work, geom=[work.verts[5]], context="VERTS")
    for vertex in work.verts:
        vertex.co.x *= 1.5
    bmesh.update_edit_mesh(bpy.context.object.data)


def add(points, polygons, edges=()):
    mesh = bpy.data.meshes.new("Mesh")
    mesh.from_pydata(points, edges, polygons)
    obj = bpy.data.objects.new("Mesh", mesh)
    bpy.context.scene.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj


MESHES = [
    monkey,
    quads,
    ngons,
    mixed,
    concave_polygon,
    loose_parts,
    generating_modifiers,
    deforming_modifier,
    negative_scale,
    shape_key,
    edit_mode,
]
