"""The files around the code: locks, Makefile, Compose, images."""

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from sweeper.settings import SweeperSettings
from worker.settings import WorkerSettings

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-model.lock", "requirements-dev.lock", "requirements-uv.lock", "uv.lock")
GPU = ("worker-gpu-interactive", "worker-gpu-bulk")
OURS = ("gateway", "worker-interactive", "worker-bulk", *GPU, "worker-assembly", "worker-standin", "sweeper")
SETTINGS = {"gateway": GatewaySettings, "init": GatewaySettings, "sweeper": SweeperSettings}


def compose() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def settings_names(*classes: type[BaseSettings]) -> set[str]:
    return {f"EMOTIVOICE_{name.upper()}" for each in classes for name in each.model_fields}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_address(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_has_torch_or_cuda(name: str) -> None:
    heavy = re.compile(r'^(name = ")?(torch|torchaudio|nvidia|triton|cuda)\b', re.MULTILINE)
    assert not heavy.search((ROOT / name).read_text())


@pytest.mark.parametrize("name", [name for name in LOCKS if name != "uv.lock"])
def test_every_locked_requirement_has_hashes(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", "")
    requirements = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert requirements
    assert all("==" in line and "--hash=sha256:" in line for line in requirements)


def test_the_lock_is_up_to_date() -> None:
    """Also shows that uv reads the lock without addresses. If this fails: make lock."""
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run([uv, "lock", "--check", "--offline"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_requirements_follow_from_the_lock() -> None:
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    versions = {f"{package['name']}=={package['version']}" for package in locked}
    for name in ("requirements.lock", "requirements-model.lock", "requirements-dev.lock"):
        assert set(re.findall(r"^([a-z0-9.-]+==[^ ]+)", (ROOT / name).read_text(), re.MULTILINE)) <= versions


def test_make_alone_lists_every_target() -> None:
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    documented = {target for target in phony[1].split() if not target.startswith("setup-")}
    assert documented == set(re.findall(r"^  make ([a-z]+)", listed, re.MULTILINE))


def test_make_installs_a_model_s_needs_for_the_engine_that_has_one() -> None:
    def planned(*variables: str) -> list[str]:
        make = ["make", "-n", "--no-print-directory", command, "PYTHON=", *variables]
        done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
        return [line.strip() for line in done.stdout.splitlines()]

    for command in ("up", "demo"):
        assert planned("ENGINE=", "MODEL_DIR=", "DEVICE=", "ARGS=") == [
            "PYTHON= scripts/setup.sh demo",
            f".venv/bin/emotivoice {command}",
        ]
        assert planned("ENGINE=emotivoice", "MODEL_DIR=my models/one", "DEVICE=cpu", "ARGS=--port 0") == [
            "PYTHON= scripts/setup.sh model",
            f".venv/bin/emotivoice {command} --engine 'emotivoice' --model-dir 'my models/one' --device 'cpu' --port 0",
        ]


@pytest.mark.parametrize("name", GPU)
def test_a_gpu_worker_has_a_device_and_a_model_that_it_can_only_read(name: str) -> None:
    service = compose()[name]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    (model,) = service["volumes"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert (model["type"], model["read_only"], model["bind"]["create_host_path"]) == ("bind", True, False)
    assert service["environment"]["EMOTIVOICE_MODEL_DIR"] == model["target"]
    assert service["environment"]["EMOTIVOICE_ENGINE"] == "emotivoice"
    assert service["build"]["target"] == "worker-gpu"


def test_a_worker_knows_the_seconds_between_sigterm_and_sigkill() -> None:
    """Else it would not hand back in time what it can't finish."""
    workers = {name: each for name, each in compose().items() if "EMOTIVOICE_LANE" in each.get("environment", {})}
    assert len(workers) == 6
    for name, worker in workers.items():
        assert f"{worker['environment']['EMOTIVOICE_GRACE_SECONDS']}s" == worker["stop_grace_period"], name


def test_workers_of_one_lane_are_never_of_two_engines() -> None:
    """The profiles part them, and the example chooses one."""
    services = compose()
    for lane in ("interactive", "bulk"):
        of_lane = [each for each in services.values() if each.get("environment", {}).get("EMOTIVOICE_LANE") == lane]
        assert sorted(each["profiles"] for each in of_lane) == [["builtin"], ["gpu"]]
    assert "COMPOSE_PROFILES=builtin\n" in (ROOT / ".env.example").read_text()


def test_the_gpu_image_has_torch_and_all_that_the_model_s_lock_names() -> None:
    stages = dockerfile()
    assert "--require-hashes -r requirements-model.lock" in stages["build-gpu"]
    assert "--target /opt/torch --no-cache --compile-bytecode -r requirements-torch.txt" in stages["torch"]
    assert "COPY --from=build-gpu /opt/venv /opt/venv" in stages["worker-gpu"]
    model_dir = re.search(r"EMOTIVOICE_MODEL_DIR=(\S+)", stages["worker-gpu"])
    assert model_dir
    assert model_dir[1] == compose()[GPU[0]]["environment"]["EMOTIVOICE_MODEL_DIR"]


@pytest.mark.parametrize("name", [*compose()])
def test_every_service_is_pinned_and_watched(name: str) -> None:
    service = compose()[name]
    tag = service["image"].rpartition(":")[2]
    assert tag not in ("latest", service["image"])
    assert "build" in service or re.search(r"\d+\.\d+|\d{4}-", tag)
    assert service["healthcheck"] == {"disable": True} or service["healthcheck"]["test"]


@pytest.mark.parametrize("name", [*OURS, "init"])
def test_a_service_waits_until_its_servers_are_healthy(name: str) -> None:
    conditions = {each: value["condition"] for each, value in compose()[name]["depends_on"].items()}
    assert conditions.pop("init", "service_completed_successfully") == "service_completed_successfully"
    assert set(conditions.values()) == {"service_healthy"}


@pytest.mark.parametrize("name", [*OURS, "init"])
def test_compose_sets_only_settings_that_exist(name: str) -> None:
    given = set(compose()[name]["environment"])
    if name == "init":
        given.remove("EMOTIVOICE_BROKER_ADMIN_URL")  # no setting, but an option of the command
    assert given <= settings_names(SETTINGS.get(name, WorkerSettings))
    assert {"EMOTIVOICE_BROKER_URL", "EMOTIVOICE_REDIS_URL", "EMOTIVOICE_S3_ENDPOINT"} <= given


def test_every_password_comes_from_the_env_file() -> None:
    """A missing one stops Compose with a sentence, and the example has them all."""
    text = (ROOT / "docker-compose.yml").read_text()
    secret = re.compile(r"(?:PASS\w*|SECRET_KEY|AUTH|BROKER_URL|REDIS_URL): (.+)")
    assert all("${" in value and ":?" in value for value in secret.findall(text))
    example = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(re.findall(r"\$\{(\w+)", text)) <= set(example)


@pytest.mark.parametrize("target", ["gateway", "worker-cpu", "worker-gpu"])
def test_an_image_runs_as_a_fixed_user_with_a_health_check(target: str) -> None:
    stages = dockerfile()
    chain = "".join(stages[name] for name in ancestry(target, stages))
    assert re.findall(r"^USER (.+)$", chain, re.MULTILINE)[-1] == "10001:10001"
    assert "HEALTHCHECK" in chain
    assert re.search(r'^CMD \["python", "-m", "(gateway|worker)"\]$', chain, re.MULTILINE)


@pytest.mark.parametrize("target", ["gateway", "worker-cpu", "worker-gpu"])
def test_a_change_of_our_code_changes_one_small_layer_only(target: str) -> None:
    """So a node that has the version before fetches neither torch nor anything else of what it needs."""
    stages = dockerfile()
    chain = "".join(stages[name] for name in ancestry(target, stages))
    layers = [line for line in chain.splitlines() if line.startswith(("COPY", "RUN", "ADD"))]
    dependencies = re.findall(r"^COPY --from=(\S+)", "\n".join(layers[:-1]), re.MULTILINE)

    assert layers[-1] == "COPY --from=code /opt/emotivoice /opt/emotivoice"
    assert dependencies == (["torch", "build-gpu"] if target == "worker-gpu" else ["build"])
    assert all(source.startswith("requirements") for each in dependencies for source in copied_into(each, stages))


def test_torch_is_a_layer_below_those_that_a_lock_changes_and_changes_with_none_of_them() -> None:
    """It is most of the image, so a bump of another dependency must not send it again."""
    stages = dockerfile()

    assert copied_into("torch", stages) == ["requirements-uv.lock", "requirements-torch.txt"]
    assert re.findall(r"^COPY --from=(\S+)", stages["worker-gpu"], re.MULTILINE) == ["torch", "build-gpu", "code"]


def test_torch_is_found_behind_what_the_lock_names(tmp_path: Path) -> None:
    """By the same .pth, in an environment made as the image's is."""
    (line,) = re.findall(r"echo /opt/torch > /opt/venv/(\S+)$", dockerfile()["build-gpu"], re.MULTILINE)
    assert f"FROM python:{line.split('/')[1].removeprefix('python')}-" in (ROOT / "docker" / "Dockerfile").read_text()
    venv.create(tmp_path / "venv", symlinks=True)
    (packages,), torch = (tmp_path / "venv" / "lib").glob("python*/site-packages"), tmp_path / "torch"
    torch.mkdir()
    (packages / Path(line).name).write_text(f"{torch}\n")
    for folder, modules in ((packages, ["both"]), (torch, ["both", "only"])):
        for module in modules:
            (folder / f"{module}.py").write_text("")

    program = "import both, only; print(both.__file__, only.__file__)"
    done = subprocess.run([tmp_path / "venv/bin/python", "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == [str(packages / "both.py"), str(torch / "only.py")]


def test_the_dockerfile_pins_its_bases_and_needs_no_other_frontend() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text()
    stages = set(dockerfile())
    bases = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) - stages
    assert bases == {"python:3.11-slim-bookworm"}
    assert not text.startswith("# syntax")


def test_what_the_dockerfile_copies_is_sent_to_the_builder() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    for source in " ".join(copied).split():
        assert any(Path(source).match(pattern) for pattern in allowed), source


def test_the_monitoring_asks_every_part() -> None:
    jobs = cast(list[dict[str, Any]], yaml.safe_load((ROOT / "docker/prometheus.yml").read_text())["scrape_configs"])
    asked = str(jobs)
    assert all(name in asked for name in OURS)


def dockerfile() -> dict[str, str]:
    """Each stage with its own lines."""
    text = (ROOT / "docker" / "Dockerfile").read_text()
    return dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL))


def copied_into(target: str, stages: dict[str, str]) -> list[str]:
    """What a stage that only builds is made of."""
    lines = "".join(stages[name] for name in ancestry(target, stages))
    return [source for each in re.findall(r"^COPY (.+) \./$", lines, re.MULTILINE) for source in each.split()]


def ancestry(target: str, stages: dict[str, str]) -> list[str]:
    """The stage and those it is built on, the first one first."""
    text = (ROOT / "docker" / "Dockerfile").read_text()
    parents = {name: base for base, name in re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)}
    chain = [target]
    while parents[chain[0]] in stages:
        chain.insert(0, parents[chain[0]])
    return chain
