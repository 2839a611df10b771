"""The project as a whole: rooms resolve here, importing them does nothing, and light things stay light."""

import ast
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("flows", "generators", "releases", "sources", "validators")
HEAVY = {"torch", "prefect", "sdv", "great_expectations", "sklearn", "scipy", "statsmodels", "matplotlib", "sqlalchemy"}


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after `code`."""
    script = f"import sys, json\n{code}\nprint('\\n' + json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_resolves_inside_the_repository(room: str) -> None:
    spec = importlib.util.find_spec(room)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).parent == ROOT / room


def test_no_installed_distribution_provides_a_room() -> None:
    provided = importlib.metadata.packages_distributions()
    assert {room: provided[room] for room in ROOMS if room in provided} == {}


@pytest.mark.parametrize("path", sorted(ROOT.glob("[fgrsv]*/**/__init__.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_an_init_file_is_a_docstring_and_nothing_else(path: Path) -> None:
    (statement,) = ast.parse(path.read_text()).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Constant)


def test_importing_every_room_loads_nothing_heavy() -> None:
    assert modules_after("import flows, generators, releases, sources, validators") & (HEAVY | {"pandas"}) == set()


def test_help_loads_nothing_heavy() -> None:
    code = (
        "from typer.testing import CliRunner\n"
        "from flows.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0"
    )
    assert modules_after(code) & (HEAVY | {"pandas", "pyarrow"}) == set()


def test_importing_the_judges_and_the_verifier_does_not_load_torch() -> None:
    loaded = modules_after("import validators.judge, validators.registry, releases.verify, releases.report.page")
    assert "torch" not in loaded
    assert "validators" in loaded


def test_modules_with_torch_are_imported_by_each_other_and_inside_functions_alone() -> None:
    own, features = "networks|own|inception|vision_transformer|weight_files", r"validators\.features"
    pattern = rf"^\s*((from|import) torch|from {features} import ({own})|from {features}\.({own}) )"
    importers = {
        str(path.relative_to(ROOT))
        for path in [*ROOT.glob("validators/**/*.py"), *ROOT.glob("releases/**/*.py"), *ROOT.glob("sources/**/*.py")]
        if re.search(pattern, path.read_text(), re.MULTILINE)
    }
    with_torch = {f"validators/features/{name}.py" for name in own.split("|")}
    inside_functions = {"column", "making", "own_space"}
    assert importers == with_torch | {f"validators/features/{name}.py" for name in inside_functions}


def test_the_autoregressive_family_needs_only_what_bare_gpu_images_have() -> None:
    bare = {"torch", "numpy", "pandas", "scipy", "sklearn", "safetensors"}
    wanted = {re.split(r"[<>=\[; ]", line)[0].replace("-", "_").lower() for line in declared_dependencies()}
    wanted = (wanted | {"yaml", "rich", "typer", "opacus"}) - bare - {"scikit_learn", "pyyaml"}
    code = (
        "import importlib.abc\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name.split('.')[0] in {wanted!r}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import generators.tabular.autoregressive, generators.tabular.vae"
    )
    assert "torch" in modules_after(code)


def declared_dependencies() -> list[str]:
    """Return the requirement lines of pyproject.toml."""
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])


def test_every_dependency_is_locked() -> None:
    locked = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    names = {re.split(r"[<>=\[; ]", line)[0].lower() for line in declared_dependencies()}
    assert names - locked == set()
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def test_the_project_is_an_application_that_no_index_accepts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]
