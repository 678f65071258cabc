"""What is shipped beside the code: the compose file, the image, the pinned versions, the documents."""

import re
import subprocess
import sys
import tomllib
from functools import lru_cache
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped,unused-ignore]
from packaging.requirements import Requirement

from app.core.settings import Settings

ROOT = Path(__file__).parents[1]
OWN_SERVICES = ("migrate", "api", "trainer")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

# In pieces, so that this file does not hold what it looks for.
_MACHINE_PATH = re.compile("(?<![A-Za-z0-9_.-])/(?:" + "|".join(("wo" + "rk", "ro" + "ot")) + ")/")
_REGISTRY_HOSTS = re.compile(
    r"\b(?:"
    + "|".join(
        r"\.".join(parts)
        for parts in (
            ("pypi", "org"),
            ("files", "python" + "hosted", "org"),
            ("registry", "npmjs", "org"),
            ("proxy", "golang", "org"),
            ("docker", "io"),
            ("ghcr", "io"),
            ("quay", "io"),
        )
    )
    + r"|[a-z0-9.-]*artifactory[a-z0-9-]*\.[a-z]"
    + r")|--(?:extra-)?index-[u]rl|--trusted-[h]ost"
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@lru_cache(maxsize=1)
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_all_settings_are_described() -> None:
    described = dict(
        re.findall(
            r"^\| `(VITRINE_[A-Z_]+)` \| ([^|]+) \| [^|]+ \|$",
            (ROOT / "docs/operations.md").read_text(),
            re.M,
        )
    )
    for name, field in Settings.model_fields.items():
        variable = f"VITRINE_{name.upper()}"
        assert variable in described, variable
        value = field.default
        if value not in (None, [], {}):
            shown = str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")
            assert described[variable].strip() == f"`{shown}`", variable


def test_documents_name_no_setting_that_does_not_exist() -> None:
    known = {f"VITRINE_{name.upper()}" for name in Settings.model_fields} | {"VITRINE_PUBLISH"}
    for document in [*DOCUMENTS, ROOT / ".env.example", ROOT / "docker-compose.yml", ROOT / "Dockerfile"]:
        named = set(re.findall(r"VITRINE_[A-Z_]*[A-Z]", document.read_text()))
        assert named <= known, document.name


def test_compose_starts_in_order() -> None:
    services = compose()["services"]
    assert set(services) == {"postgres", *OWN_SERVICES}
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["postgres"]["healthcheck"]["test"]
    for name in ("api", "trainer"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["command"] == ["migrate"]
    assert services["migrate"]["restart"] == "no"
    assert "--no-trainer" in services["api"]["command"]
    assert services["trainer"]["command"] == ["trainer"]


def test_compose_holds_no_secrets() -> None:
    for name, service in compose()["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|KEY|SECRET|TOKEN", variable):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), f"{name}: {variable}"
            credentials = re.search(r"://[^:/]+:(.+)@", str(value))
            if credentials:
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", credentials[1]), f"{name}: {variable}"
    secrets = re.findall(r"^(\w*(?:PASSWORD|KEY)\w*)=(.*)$", (ROOT / ".env.example").read_text(), re.M)
    assert {name for name, _ in secrets} == {"POSTGRES_PASSWORD", "VITRINE_ADMIN_KEY"}
    assert not any(value for _, value in secrets)


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_compose_gives_few_rights(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 (in memory, in a container)
    assert not [volume for volume in service["volumes"] if volume.partition(":")[2] != "/data/artifacts"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "user"} & set(service)


def test_compose_shares_the_artifacts_and_nothing_of_the_host() -> None:
    folder = dict(re.findall(r"(VITRINE_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))["VITRINE_ARTIFACTS"]
    for name in ("api", "trainer"):
        assert f"artifacts:{folder}" in compose()["services"][name]["volumes"]
    named = set(compose()["volumes"])
    for service in compose()["services"].values():
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= named


def test_compose_publishes_to_this_machine_only() -> None:
    services = compose()["services"]
    assert [name for name in services if "ports" in services[name]] == ["api"]
    assert services["api"]["ports"] == ["${VITRINE_PUBLISH:-127.0.0.1:8000}:8000"]


def test_image_runs_unprivileged_and_is_checked() -> None:
    instructions = re.findall(r"^([A-Z]+) +(.*)$", (ROOT / "Dockerfile").read_text(), re.M)
    last_stage = max(place for place, (word, _) in enumerate(instructions) if word == "FROM")
    final = instructions[last_stage:]
    users = [value for word, value in final if word == "USER"]
    assert users
    user = users[-1].partition(":")[0]
    assert user.isdigit()
    assert int(user) >= 1000
    words = [word for word, _ in final]
    assert "HEALTHCHECK" in words
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert dict(final)["ENTRYPOINT"] == '["vitrine"]'


def test_constraints_pin_exact_versions() -> None:
    text = (ROOT / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines
    wrong = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+", line)]
    assert not wrong
    names = [_plain(line.partition("==")[0]) for line in lines]
    assert len(names) == len(set(names))


def test_constraints_pin_all_that_is_installed() -> None:
    """Everything that the tests, the demo and the image install, with what that needs in turn."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {_plain(name): version for name, _, version in (line.partition("==") for line in lines) if version}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    parts = [project["dependencies"], *(needs for extra, needs in optional.items() if extra != "fuzz")]
    wanted = [Requirement(text) for part in parts for text in part]
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        needed = wanted.pop()
        name = _plain(needed.name)
        if name == "vitrine" or (name, frozenset(needed.extras)) in seen:
            continue
        seen.add((name, frozenset(needed.extras)))
        assert name in pins, f"{needed} has no version in constraints.txt"
        assert needed.specifier.contains(pins[name], prereleases=True), f"{needed}: {pins[name]} is pinned"
        for text in requires(name) or ():
            further = Requirement(text)
            extras = [*needed.extras, ""]
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(further)
    assert len(seen) > 50


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path in _files_of_the_project():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures and compressed files
        for number, line in enumerate(text.splitlines(), 1):
            if _MACHINE_PATH.search(line) or _REGISTRY_HOSTS.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert not found


def _files_of_the_project() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        leads_to = (document.parent / name).resolve() if name else document
        assert leads_to.is_relative_to(ROOT), target
        assert leads_to.exists(), target
        if anchor:
            assert anchor in {_anchor(heading) for heading in _HEADING.findall(leads_to.read_text())}, target


def _anchor(heading: str) -> str:
    """The name that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_all_decisions_are_listed() -> None:
    folder = ROOT / "docs/decisions"
    pages = {path.name for path in folder.glob("[0-9]*.md")}
    assert pages == set(_LINK.findall((folder / "README.md").read_text()))
    for name in pages:
        parts = re.findall(r"^\*\*(\w+)\.\*\*", (folder / name).read_text(), re.M)
        assert parts == ["Context", "Decision", "Consequences", "Alternatives"], name


def test_answers_need_nothing_that_only_trainings_use() -> None:
    heavy = ("sklearn", "scipy.stats", "scipy.optimize")
    code = f"import app.main, app.cli, sys; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
