"""Tells Kubernetes whom to spare when it scales in: workers that have something in hand.

Nothing would be lost without it: a worker that must go finishes its segment. But it goes while another stands idle.
"""

import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
BUSY, IDLE = "1000", "0"  # the lower goes first; a pod without the annotation counts as 0
WORKERS = "app.kubernetes.io/name=worker"
MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # token, ca.crt, namespace
TIMEOUT_SECONDS = 5.0
IDLE_SECONDS = 60.0  # before a worker counts as idle: between two short jobs nobody is, and each change is a write
NOT_FOUND = 404


class PodsUnreachable(Exception):
    """The API server does not answer, or refuses."""

    code = "pods_unreachable"


class Pods:
    """The worker pods of our own namespace."""

    def __init__(self, url: str, mounted: Path = MOUNTED, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raise OSError if the service account's files are not mounted."""
        self._clock = clock
        self._busy_at: dict[str, float] = {}  # when each pod was last seen at work
        namespace = (mounted / "namespace").read_text().strip()
        self._token = mounted / "token"
        self._client = httpx.Client(
            base_url=f"{url}/api/v1/namespaces/{namespace}",
            verify=ssl.create_default_context(cafile=str(mounted / "ca.crt")),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    def spare(self, busy: set[str]) -> int:
        """Let the pods of these names cost more than the others; return how many had to be told.

        Raises:
            PodsUnreachable: the rest is told another time.
        """
        found = self._ask("GET", "/pods", params={"labelSelector": WORKERS})["items"]
        costs = {pod["metadata"]["name"]: _cost(pod["metadata"]) for pod in found}
        now = self._clock()
        # One that costs much and was never seen at work was told so by another sweeper, a moment ago.
        was = {name: self._busy_at.get(name, now) for name, cost in costs.items() if cost == BUSY}
        self._busy_at = was | dict.fromkeys(costs.keys() & busy, now)
        wanted = {name: self._wanted(name, now) for name in costs}
        changed = [name for name in costs if costs[name] != wanted[name]]
        for name in changed:
            patch = {"metadata": {"annotations": {ANNOTATION: wanted[name]}}}
            self._ask("PATCH", f"/pods/{name}", json=patch, content_type="application/merge-patch+json")
        return len(changed)

    def _wanted(self, name: str, now: float) -> str:
        seen = self._busy_at.get(name)
        return IDLE if seen is None or now - seen >= IDLE_SECONDS else BUSY

    def _ask(self, method: str, path: str, *, content_type: str = "", **request: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}"}  # it is renewed every hour
        if content_type:
            headers["Content-Type"] = content_type
        try:
            answer = self._client.request(method, path, headers=headers, **request)
            if answer.status_code == NOT_FOUND and method == "PATCH":  # it is gone meanwhile
                return {}
            return answer.raise_for_status().json()
        except httpx.HTTPError as error:
            raise PodsUnreachable(f"{method} {path}: {error or type(error).__name__}") from error


def _cost(pod: dict[str, Any]) -> str:
    return pod.get("annotations", {}).get(ANNOTATION, IDLE)


def api_server() -> str:
    """Return the API server's URL, as Kubernetes tells each pod.

    Raises:
        PodsUnreachable: this is no pod.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise PodsUnreachable("EMOTIVOICE_POD_DELETION_COST is for a sweeper in Kubernetes, and this is no pod")
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"
