"""The house stands: links, import rules, a light import, clean source.

Rules are functions from source text to offences, read from syntax trees; each is shown a planted
fault, so that none can pass by seeing nothing.
"""

import ast
import graphlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINKS = ("modalities", "benchmarks")
HEAVY = (
    "PIL",
    "matplotlib",
    "open3d",
    "pandas",
    "sklearn",
    "torch_geometric",
    "torchaudio",
    "transformers",
)
DISTRIBUTIONS = {
    "PIL": "pillow",
    "open3d": "open3d-cpu",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Where a package's import name is not its name in pyproject.toml."""
VAGUE = {"utils", "helpers", "common", "misc"}


def sources() -> dict[str, Path]:
    """Every module of the package and its file at its real place; links are not followed."""
    places = {"anymae": "anymae", **{f"anymae.{name}": name for name in LINKS}}
    found = {}
    for package, folder in places.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            found[".".join((package, *parts))] = path
    return found


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


# Links


@pytest.mark.parametrize("name", LINKS)
def test_links_are_links(name):
    assert (ROOT / "anymae" / name).readlink() == Path("..", name)


@pytest.mark.parametrize("name", LINKS)
def test_a_linked_folder_refuses_its_bare_name(name):
    done = run_python(f"import {name}")
    said = f"ImportError: '{name}' is a folder of anymae: import 'anymae.{name}' instead"
    assert done.stderr.splitlines()[-1] == said


@pytest.mark.parametrize("name", LINKS)
def test_a_linked_folder_imports_by_its_full_name(name):
    done = run_python(f"import anymae.{name}")
    assert done.returncode == 0, done.stderr


def test_the_build_hook_knows_a_broken_tree(tmp_path):
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    assert hook.fault(ROOT) is None

    modalities = tmp_path / "anymae" / "modalities"
    assert "anymae/modalities" in hook.fault(tmp_path)
    assert "found nothing" in hook.fault(tmp_path)
    modalities.parent.mkdir()
    modalities.write_text("../modalities")
    assert "found a text file" in hook.fault(tmp_path)
    modalities.unlink()
    modalities.mkdir()
    assert "found a folder without */adapter.py" in hook.fault(tmp_path)
    (modalities / "image").mkdir()
    (modalities / "image" / "adapter.py").touch()
    assert "anymae/benchmarks" in hook.fault(tmp_path)
    (tmp_path / "anymae" / "benchmarks").mkdir()
    (tmp_path / "anymae" / "benchmarks" / "__init__.py").touch()
    assert hook.fault(tmp_path) is None


# Imports


def is_within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def imports(nodes: Iterator[ast.AST], importer: str, is_package: bool) -> set[str]:
    """Absolute dotted names of what import statements among ``nodes`` name."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = [node.module] if node.module else []
            if node.level:
                parents = importer.split(".")
                origin = parents[: len(parents) - node.level + is_package] + origin
            found |= {".".join([*origin, alias.name]) for alias in node.names}
    return found


def at_import_time(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: no function bodies, no type checking."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from at_import_time(node)


def import_offences(source: str, importer: str, is_package: bool = False) -> list[str]:
    """Imports, lazy ones included, that the rooms of the house forbid."""
    forbidden = _forbidden(importer)
    named = imports(ast.walk(ast.parse(source)), importer, is_package)
    return sorted(f"{importer} imports {name}" for name in named if forbidden(name))


def _forbidden(importer: str) -> Callable[[str], bool]:
    if is_within(importer, "anymae.kernels"):
        allowed = {"anymae.kernels", "numpy", "torch", "triton", *sys.stdlib_module_names}
        return lambda name: not is_within(name, *allowed)
    if is_within(importer, "anymae.modalities"):
        own = ".".join(importer.split(".")[:3])
        above = [f"anymae.{room}" for room in ("training", "data", "evaluation", "report", "cli")]
        return lambda name: (
            is_within(name, *above)
            or (is_within(name, "anymae.modalities") and not is_within(name, own))
        )
    if is_within(importer, "anymae.benchmarks"):
        return lambda name: False
    return lambda name: is_within(name, "anymae.modalities")


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle at import time; empty if there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def import_graph(texts: dict[str, str], packages: set[str]) -> dict[str, set[str]]:
    """Module -> the modules of ``texts`` that it imports at import time."""
    graph = {}
    for module, text in texts.items():
        named = imports(at_import_time(ast.parse(text)), module, module in packages)
        targets = {name if name in texts else name.rpartition(".")[0] for name in named}
        graph[module] = targets & texts.keys()
    return graph


def test_no_room_is_entered_from_below():
    offences = [
        offence
        for module, path in sources().items()
        for offence in import_offences(path.read_text(), module, path.stem == "__init__")
    ]
    assert not offences


def test_no_imports_in_circles():
    files = sources()
    texts = {module: path.read_text() for module, path in files.items()}
    packages = {module for module, path in files.items() if path.stem == "__init__"}
    assert not circle(import_graph(texts, packages))


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("anymae.model", "import anymae.modalities.image"),
        ("anymae.model", "from anymae import modalities"),
        ("anymae.model", "from . import modalities"),
        ("anymae.data.reading", "from ..modalities.image import adapter"),
        ("anymae.training.trainer", "def late():\n    from anymae.modalities.image import x"),
        ("anymae.kernels.attention.dense", "import einops"),
        ("anymae.kernels.attention.dense", "from anymae.errors import BadInput"),
        ("anymae.kernels.attention.dense", "from ...errors import BadInput"),
        ("anymae.kernels.attention.dense", "from anymae import Tokens"),
        ("anymae.modalities.image.adapter", "from anymae.training import trainer"),
        ("anymae.modalities.image.adapter", "import anymae.data.reading"),
        ("anymae.modalities.image.adapter", "from anymae import evaluation"),
        ("anymae.modalities.image.adapter", "from anymae.report import html"),
        ("anymae.modalities.image.adapter", "from anymae.cli import main"),
        ("anymae.modalities.image.adapter", "from ..video.adapter import VideoAdapter"),
        ("anymae.modalities.image.adapter", "import anymae.modalities.video"),
    ],
)
def test_a_forbidden_import_is_found(importer, source):
    assert import_offences(source, importer)


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("anymae.model", "from anymae.adapter import Adapter"),
        ("anymae.kernels.attention.dense", "import math, torch\nfrom ..segments import Segments"),
        ("anymae.kernels.attention.dense", "from torch.nn import functional"),
        ("anymae.modalities.image.adapter", "from .survey import survey\nimport anymae.tokens"),
        ("anymae.benchmarks.runner", "from anymae.modalities.image.adapter import ImageAdapter"),
    ],
)
def test_an_allowed_import_passes(importer, source):
    assert import_offences(source, importer) == []


def test_a_package_resolves_its_own_relative_imports():
    assert import_offences("from . import modalities", "anymae", is_package=True)
    assert import_offences("from .. import tokens", "anymae.kernels", is_package=True)
    assert import_offences("from . import segments", "anymae.kernels", is_package=True) == []


def test_a_circle_is_found():
    texts = {"a": "", "a.b": "from a.c import x", "a.c": "import a.b"}
    assert set(circle(import_graph(texts, {"a"}))) == {"a.b", "a.c"}


@pytest.mark.parametrize(
    "late", ["def f():\n    import a.b", "if TYPE_CHECKING:\n    from a.b import x"]
)
def test_a_late_import_closes_no_circle(late):
    assert not circle(import_graph({"a.b": "from a.c import x", "a.c": late}, set()))


def undeclared(named: set[str], declared: set[str]) -> set[str]:
    """Imported packages that are neither ours, nor the library's, nor a declared dependency."""
    foreign = {name.partition(".")[0] for name in named} - sys.stdlib_module_names - {"anymae"}
    names = {DISTRIBUTIONS.get(name, name).replace("_", "-") for name in foreign}
    return names - declared - {"triton"}  # which comes with torch where there is one


def test_every_package_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(r for e in extras if e != "dev" for r in extras[e])]
    declared = {re.match(r"[\w-]+", requirement)[0] for requirement in wanted}
    named = set()
    for module, path in sources().items():
        if not is_within(module, "anymae.benchmarks"):  # which may import the peers they measure
            tree = ast.parse(path.read_text())
            named |= imports(ast.walk(tree), module, path.stem == "__init__")
    assert not undeclared(named, declared)


def test_an_undeclared_package_is_found():
    named = {"os.path", "anymae.model", "PIL.Image", "click", "torch_geometric.data"}
    assert undeclared(named, {"pillow", "torch-geometric"}) == {"click"}


def loaded_by(code: str) -> list[str]:
    """Modules that an importer should not have to wait for, loaded by running ``code``."""
    done = run_python(f"import sys\n{code}\nprint(*sys.modules)")
    assert done.returncode == 0, done.stderr
    adapters = "anymae.modalities."
    return [
        name
        for name in done.stdout.split()
        if name.startswith(adapters) or name.partition(".")[0] in HEAVY
    ]


def test_import_is_light():
    assert loaded_by("import anymae") == []


def test_a_heavy_import_is_found():
    assert "PIL" in loaded_by("import PIL.Image")


# Names


def vague(paths: Iterator[Path] | list[Path]) -> list[str]:
    """Paths with a file or folder whose name says nothing."""
    return [str(path) for path in paths if VAGUE & {*path.parent.parts, path.stem}]


def test_every_name_says_something():
    folders = ("anymae", *LINKS, "examples", "tests")
    assert not vague(p.relative_to(ROOT) for f in folders for p in (ROOT / f).rglob("*.py"))


def test_a_vague_name_is_found():
    assert vague([Path("anymae/utils.py"), Path("anymae/common/x.py")])
    assert not vague([Path("anymae/model.py")])


# Clean source: nothing that runs or lets in foreign code

BANNED = {
    "eval",
    "exec",
    "joblib.load",
    "marshal.load",
    "marshal.loads",
    "os.popen",
    "os.system",
    "pandas.read_pickle",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "runpy.run_path",
    "shelve.open",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
}
ALWAYS_FALSE = {"allow_pickle", "shell", "trust_remote_code"}


def _is_true(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def _is_not_false(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and value.value is False)


REQUIRED = {
    "jinja2.Environment": ("autoescape", _is_not_false),
    "jinja2.Template": ("autoescape", _is_not_false),
    "torch.distributed.checkpoint.load": ("storage_reader", _is_not_false),
    "torch.load": ("weights_only", _is_true),
}
"""Calls and the keyword that makes them safe."""


def unsafe(source: str) -> list[str]:
    """Uses of what could run or let in foreign code, as ``line: what``."""
    tree = ast.parse(source)
    origins = _origins(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [f"{node.lineno}: {what}" for what in _unsafe_call(node, origins)]
        elif _dotted(node, origins) in BANNED:
            found.append(f"{node.lineno}: {_dotted(node, origins)}")
    return found


def _unsafe_call(call: ast.Call, origins: dict[str, str]) -> Iterator[str]:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    for name in ALWAYS_FALSE & given.keys():
        if _is_not_false(given[name]):
            yield name
    name = _dotted(call.func, origins)
    if name in REQUIRED:
        keyword, is_safe = REQUIRED[name]
        if keyword not in given or not is_safe(given[keyword]):
            yield f"{name} without {keyword}"
    is_method = isinstance(call.func, ast.Attribute)
    if is_method and call.func.attr == "extractall" and "filter" not in given:
        yield "extractall without filter"


def _origins(tree: ast.AST) -> dict[str, str]:
    """Local name -> what an import statement anywhere in the file bound it to."""
    origins = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            origins |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return origins


def _dotted(node: ast.AST, origins: dict[str, str]) -> str | None:
    """``a.b.c`` as written, its first name replaced by what it was imported as."""
    if isinstance(node, ast.Name):
        return origins.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, origins)
        return owner and f"{owner}.{node.attr}"
    return None


def test_the_source_is_clean():
    offences = [f"{m}:{line}" for m, path in sources().items() for line in unsafe(path.read_text())]
    assert not offences


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(f)",
        "import pickle as p\np.loads(b)",
        "from pickle import loads as read\nread(b)",
        "class Reader(pickle.Unpickler): ...",
        "decode = map(pickle.loads, parts)",
        "import pandas as pd\npd.read_pickle(path)",
        "os.system(command)",
        "from torch import jit\njit.load(path)",
        "eval(text)",
        "exec(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=trusted)",
        "from torch import load\nload(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "from yaml import unsafe_load\nunsafe_load(text)",
        "subprocess.run(command, shell=True)",
        "tar.extractall(folder)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "jinja2.Environment(loader=loader)",
        "from jinja2 import Environment\nEnvironment(autoescape=False)",
        "jinja2.Template(text)",
        "import torch.distributed.checkpoint as dcp\ndcp.load(state, checkpoint_id=folder)",
    ],
)
def test_unsafe_source_is_found(source):
    assert unsafe(source)


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "json.load(file)",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "tar.extractall(folder, filter='data')",
        "jinja2.Environment(autoescape=True)",
        "jinja2.Environment(autoescape=jinja2.select_autoescape())",
        "dcp.load(state, storage_reader=HuggingFaceStorageReader(folder))",
    ],
)
def test_safe_source_passes(source):
    assert unsafe(source) == []
