"""Tells Kubernetes whom to spare when it scales in: workers that have something in hand.

Nothing would be lost without it: a worker that must go finishes its segment. But it goes while another stands idle.
"""

import os
import ssl
from pathlib import Path
from typing import Any

import httpx

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
BUSY, IDLE = "1000", "0"  # the lower goes first; a pod without the annotation counts as 0
WORKERS = "app.kubernetes.io/name=worker"
MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # token, ca.crt, namespace
TIMEOUT_SECONDS = 5.0
NOT_FOUND = 404


class PodsUnreachable(Exception):
    """The API server does not answer, or refuses."""

    code = "pods_unreachable"


class Pods:
    """The worker pods of our own namespace."""

    def __init__(self, url: str, mounted: Path = MOUNTED) -> None:
        """Raise OSError if the service account's files are not mounted."""
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
        pods = self._ask("GET", "/pods", params={"labelSelector": WORKERS})["items"]
        changed = [pod["metadata"] for pod in pods if _cost(pod["metadata"]) != _wanted(pod["metadata"], busy)]
        for pod in changed:
            patch = {"metadata": {"annotations": {ANNOTATION: _wanted(pod, busy)}}}
            self._ask("PATCH", f"/pods/{pod['name']}", json=patch, content_type="application/merge-patch+json")
        return len(changed)

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


def _wanted(pod: dict[str, Any], busy: set[str]) -> str:
    return BUSY if pod["name"] in busy else IDLE


def api_server() -> str:
    """Return the API server's URL, as Kubernetes tells each pod.

    Raises:
        PodsUnreachable: this is no pod.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise PodsUnreachable("EMOTIVOICE_POD_DELETION_COST is for a sweeper in Kubernetes, and this is no pod")
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"
