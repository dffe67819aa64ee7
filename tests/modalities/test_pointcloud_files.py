"""Point cloud files and Open3D's clouds and meshes: what is read, and what nobody should."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anymae.adapter import read_file
from anymae.errors import BadInput, MissingExtra
from anymae.modalities.pointcloud.adapter import PointCloudAdapter
from anymae.modalities.pointcloud.meshes import sample_surface

POINTS = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
VERTICES = np.array([[0, 0, 0], [2, 0, 0], [0, 3, 0], [0, 0, 1]], dtype=np.float64)
TRIANGLES = np.array([[0, 1, 2], [0, 1, 3], [0, 1, 1]])


@pytest.fixture(scope="module")
def open3d():
    return pytest.importorskip("open3d")


@pytest.fixture
def cloud(open3d):
    made = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(POINTS))
    colours = np.random.default_rng(1).random((300, 3))
    made.colors = open3d.utility.Vector3dVector(colours)
    return made


@pytest.fixture
def sphere(open3d):
    return open3d.geometry.TriangleMesh.create_sphere(2.0, resolution=20)


def adapter(**options) -> PointCloudAdapter:
    return PointCloudAdapter(**options)


def points(sample, **options) -> np.ndarray:
    """What the adapter makes of a sample, in its own order."""
    return adapter(**options)._points(sample)


def read(path: Path, **options) -> np.ndarray:
    return points(read_file(adapter(**options), path), **options)


def ordered(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array, dtype=np.float64)
    return array[np.lexsort(array.T[::-1])]


def refused(path: Path, **options) -> str:
    """The one line with which a file is refused; it names the file."""
    with pytest.raises(BadInput) as caught:
        read_file(adapter(**options), path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


# Without Open3D


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", ">f4"])
def test_arrays_on_disk_are_clouds(tmp_path, dtype):
    array = (POINTS * 100).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(read(tmp_path / "a.npy"), ordered(array))


@pytest.mark.parametrize("columns", [4, 5])
def test_sweeps_are_rows_of_floats(tmp_path, columns):
    sweep = np.random.default_rng(0).normal(size=(50, columns)).astype("<f4")
    (tmp_path / "a.bin").write_bytes(sweep.tobytes())
    np.testing.assert_array_equal(read(tmp_path / "a.bin", bin_columns=columns), ordered(sweep))


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3\n4 5 6\n",
        "1,2,3\r\n4, 5, 6",
        "# x y z\n1 2 3 # a\n\n4 5 6",
        "1\t2\t3\n4e0 5.0 6",
    ],
)
def test_text_is_lines_of_numbers(tmp_path, text):
    (tmp_path / "a.xyz").write_text(text)
    np.testing.assert_array_equal(read(tmp_path / "a.xyz"), [[1, 2, 3], [4, 5, 6]])


def test_these_need_no_open3d(tmp_path):
    np.save(tmp_path / "a.npy", POINTS)
    (tmp_path / "a.xyz").write_text("1 2 3\n")
    (tmp_path / "a.bin").write_bytes(bytes(16))
    code = (
        "import sys; sys.modules['open3d'] = None\n"
        "from anymae.adapter import read_file\n"
        "from anymae.modalities.pointcloud.adapter import PointCloudAdapter\n"
        "for ending in ('npy', 'xyz', 'bin'):\n"
        f"    read_file(PointCloudAdapter(), r'{tmp_path}/a.' + ending)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("ending", ["ply", "pcd"])
def test_without_open3d_other_files_are_answered_with_the_command(
    tmp_path, cloud, open3d, monkeypatch, ending
):
    path = tmp_path / f"a.{ending}"
    open3d.io.write_point_cloud(str(path), cloud)
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(
        MissingExtra, match=rf"\.{ending} files.*pip install 'anymae\[pointcloud\]'"
    ):
        read_file(adapter(), path)


# With Open3D


@pytest.mark.parametrize("ending", ["ply", "pcd"])
@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_clouds_come_back(tmp_path, open3d, cloud, ending, text, compressed):
    path = tmp_path / f"a.{ending}"
    open3d.io.write_point_cloud(str(path), cloud, write_ascii=text, compressed=compressed)
    np.testing.assert_allclose(read(path), ordered(POINTS), atol=1e-5)
    found = read(path, attributes=("colors",))
    assert found.shape == (300, 6)
    assert len(np.unique(found[:, 3:], axis=0)) > 250


@pytest.mark.parametrize("ending", ["ply", "off", "obj"])
def test_meshes_become_points_on_their_surface(tmp_path, open3d, sphere, ending):
    path = tmp_path / f"a.{ending}"
    open3d.io.write_triangle_mesh(str(path), sphere)
    found = read(path, mesh_points=500)
    assert found.shape == (500, 3)
    assert np.abs(np.linalg.norm(found, axis=1) - 2).max() < 0.03
    np.testing.assert_array_equal(found, read(path, mesh_points=500))


def test_an_off_file_without_its_line_break_is_read(tmp_path, open3d):
    path = tmp_path / "a.off"
    path.write_text("OFF4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n3 0 2 3\n")
    assert np.ptp(read(path), axis=0).round(1).tolist() == [1, 1, 0]


def test_what_open3d_holds_is_a_sample(open3d, cloud, sphere):
    tensors = open3d.t.geometry
    for sample in (cloud, tensors.PointCloud.from_legacy(cloud)):
        np.testing.assert_allclose(points(sample), ordered(POINTS), atol=1e-6)
    for sample in (sphere, tensors.TriangleMesh.from_legacy(sphere)):
        assert points(sample, mesh_points=64).shape == (64, 3)
    fitted = adapter().fit([cloud, cloud])
    assert fitted.tokenize(cloud).values.shape == (33, 18 * 3)
    assert fitted.native(cloud) == [cloud]
    assert fitted.native([cloud]) is None
    assert fitted.native(POINTS) is None


def test_further_attributes_follow_by_name(open3d, cloud):
    held = open3d.t.geometry.PointCloud.from_legacy(cloud)
    held.point["intensity"] = np.arange(300, dtype=np.float32)[:, None]
    found = points(held, attributes=("intensity", "colors"))
    assert found.shape == (300, 7)
    order = np.lexsort(POINTS.T[::-1])
    np.testing.assert_array_equal(found[:, 3], order)
    with pytest.raises(BadInput, match="no attribute 'ring'; found colors, intensity, positions"):
        points(held, attributes=("ring",))


def test_normals_are_kept_computed_or_estimated(open3d, cloud, sphere):
    on_mesh = points(sphere, normals=True, mesh_points=400)
    assert on_mesh.shape == (400, 6)
    away = (on_mesh[:, :3] * on_mesh[:, 3:]).sum(1) / 2
    assert away.min() > 0.95
    bare = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(on_mesh[:, :3]))
    for sample in (bare, on_mesh[:, :3]):
        found = points(sample, normals=True)
        assert (found[:, :3] * found[:, 3:]).sum(1).min() > 2 * 0.9
    bare.normals = open3d.utility.Vector3dVector(np.tile([0, 0, 2.0], (400, 1)))
    assert (points(bare, normals=True)[:, 3:] == [0, 0, 1]).all()


def test_other_shapes_of_open3d_are_refused(open3d):
    with pytest.raises(BadInput, match="found Open3D LineSet"):
        points(open3d.geometry.LineSet())
    with pytest.raises(BadInput, match="has no points"):
        points(open3d.geometry.PointCloud())
    with pytest.raises(BadInput, match="no vertices"):
        points(open3d.geometry.TriangleMesh())


# Surfaces


def test_points_lie_on_triangles_by_their_area():
    found, normals = sample_surface(VERTICES, TRIANGLES, 4000)
    flat = found[:, 2] == 0
    # Areas 3 and 1; the third triangle has none.
    assert flat.mean() == pytest.approx(0.75, abs=0.001)
    assert np.abs(normals[flat]).tolist() == [[0, 0, 1]] * int(flat.sum())
    assert (np.abs(normals[~flat]) == [0, 1, 0]).all()
    x, y = found[flat, 0] / 2, found[flat, 1] / 3
    assert min(x.min(), y.min(), (1 + 1e-9 - x - y).min()) >= 0
    # A quarter of a triangle's area lies beyond the middle of a side.
    assert (x > 0.5).mean() == pytest.approx(0.25, abs=0.03)
    assert x.mean() == pytest.approx(1 / 3, abs=0.02)
    assert y.mean() == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize(
    ("triangles", "words"),
    [
        (np.zeros((0, 3), int), "no triangles"),
        (np.array([[0, 1, 9]]), "names a vertex that does not exist"),
        (np.array([[0, 1, 1]]), "positive area"),
    ],
)
def test_surfaces_without_area_are_refused(triangles, words):
    with pytest.raises(BadInput, match=words):
        sample_surface(VERTICES, triangles, 10)


# What is not read


@pytest.mark.parametrize("ending", ["ply", "pcd", "off", "obj", "xyz", "npy", "bin"])
@pytest.mark.parametrize("content", [b"", b"this is a letter\n" * 20, bytes(range(256)) * 3 + b"."])
def test_other_files_are_refused(tmp_path, ending, content):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("ending", ["ply", "pcd", "npy", "bin"])
@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.98])
def test_half_a_cloud_is_refused(tmp_path, open3d, cloud, ending, text, part):
    path = tmp_path / f"a.{ending}"
    if ending == "npy":
        np.save(path, POINTS)
    elif ending == "bin":
        path.write_bytes(bytes(1601))
    else:
        open3d.io.write_point_cloud(str(path), cloud, write_ascii=text, compressed=text)
    whole = path.read_bytes()
    cut = int(len(whole) * part)
    path.write_bytes(whole[: cut - (cut % 16 == 0)])
    refused(path)


@pytest.mark.parametrize("ending", ["ply", "off", "obj"])
@pytest.mark.parametrize("part", [0.1, 0.4, 0.6, 0.95])
def test_half_a_mesh_is_refused(tmp_path, open3d, sphere, ending, part):
    path = tmp_path / f"a.{ending}"
    open3d.io.write_triangle_mesh(str(path), sphere)
    whole = path.read_bytes()
    if ending == "obj":  # no header tells how long it is, and half the faces are a mesh
        whole = whole[: whole.find(b"\nf ") + 6]
        part = 1
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex {n}\nproperty float x\nend_header\n0\n"),
        ("b.ply", "ply\nformat binary_little_endian 1.0\nelement vertex {n}\n"
                  "property float x\nend_header\n0\n"),
        ("a.pcd", "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {n}\n"
                  "HEIGHT 1\nPOINTS {n}\nDATA binary_compressed\n\x01\x00\x00\x00"),
        ("a.off", "OFF\n{n} 1 0\n0 0 0\n"),
    ],
)  # fmt: skip
def test_a_header_that_claims_too_much_is_not_believed(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content.format(n=10**15))
    said = refused(path)
    assert "too large to read safely" in said or "ends before what its header promises" in said


@pytest.mark.parametrize("ending", ["npy", "bin", "xyz", "ply", "pcd"])
def test_limits_can_be_set(tmp_path, open3d, cloud, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "npy":
        np.save(path, POINTS)
    elif ending == "bin":
        path.write_bytes(bytes(16 * 300))
    elif ending == "xyz":
        path.write_text("1 2 3\n" * 300)
    else:
        open3d.io.write_point_cloud(str(path), cloud)
    assert "at most 299" in refused(path, point_limit=299)
    assert len(read(path, point_limit=300)) == 300


def test_a_pickle_in_an_array_file_is_never_run(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "object arrays are not read" in refused(path)


def test_sweeps_of_other_columns_are_told_what_to_do(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(20))
    assert "found 20 bytes; expected a positive multiple of 16" in refused(path)
    assert "bin_columns" in refused(path)


def test_rows_of_unequal_length_are_refused(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("1 2 3\n1 2\n")
    assert "not lines of numbers" in refused(path)
