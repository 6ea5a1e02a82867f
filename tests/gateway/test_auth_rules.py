"""Who may do what, path by path: the table below has a rule for every operation, and each rule is tried."""

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from starlette.testclient import WebSocketDenialResponse

from gateway.auth.guard import PUBLIC
from gateway.main import application
from gateway.settings import GatewaySettings
from shared.books import Wanted
from shared.jobs import JobState
from shared.live import LivePiece
from tests.gateway.books import read_book, rendered, with_edition
from tests.gateway.conftest import World, world_with
from tests.pictures import png
from tests.tokens import SECRET, by_secret

ANYBODY, ANY_CALLER = "anybody", ""
SETTINGS = GatewaySettings.model_validate({"jwt_secret": SECRET})

# An operation that is new needs a line here: who may ask for it.
RULES = {
    ("post", "/v1/jobs"): "speech:write",
    ("get", "/v1/jobs"): "jobs:read",
    ("get", "/v1/jobs/{job_id}"): "jobs:read",
    ("delete", "/v1/jobs/{job_id}"): "speech:write",
    ("get", "/v1/jobs/{job_id}/timings"): "jobs:read",
    ("get", "/v1/jobs/{job_id}/audio"): "jobs:read",
    ("head", "/v1/jobs/{job_id}/audio"): "jobs:read",
    ("get", "/v1/jobs/{job_id}/events"): "jobs:read",
    ("post", "/v1/webhooks"): "speech:write",
    ("get", "/v1/webhooks"): "jobs:read",
    ("get", "/v1/webhooks/{webhook_id}"): "jobs:read",
    ("patch", "/v1/webhooks/{webhook_id}"): "speech:write",
    ("delete", "/v1/webhooks/{webhook_id}"): "speech:write",
    ("post", "/v1/webhooks/{webhook_id}/secret"): "speech:write",
    ("get", "/v1/webhooks/{webhook_id}/deliveries"): "jobs:read",
    ("post", "/v1/webhooks/{webhook_id}/test"): "speech:write",
    ("post", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"): "speech:write",
    ("post", "/v1/uploads"): "books:write speech:write voices:write",  # any of them
    ("post", "/v1/books"): "books:write",
    ("get", "/v1/books"): "jobs:read",
    ("get", "/v1/books/{book_id}"): "jobs:read",
    ("patch", "/v1/books/{book_id}"): "books:write",
    ("delete", "/v1/books/{book_id}"): "books:write",
    ("put", "/v1/books/{book_id}/cover"): "books:write",
    ("delete", "/v1/books/{book_id}/cover"): "books:write",
    ("post", "/v1/books/{book_id}/render"): "books:write",
    ("post", "/v1/books/{book_id}/pause"): "books:write",
    ("post", "/v1/books/{book_id}/resume"): "books:write",
    ("post", "/v1/books/{book_id}/retry"): "books:write",
    ("post", "/v1/books/{book_id}/cancel"): "books:write",
    ("get", "/v1/books/{book_id}/report"): "jobs:read",
    ("get", "/v1/books/{book_id}/events"): "jobs:read",
    ("get", "/v1/books/{book_id}/chapters/{chapter_id}/text"): "jobs:read",
    ("get", "/v1/books/{book_id}/chapters/{chapter_id}/audio"): "jobs:read",
    ("head", "/v1/books/{book_id}/chapters/{chapter_id}/audio"): "jobs:read",
    ("get", "/v1/books/{book_id}/editions/{format}"): "jobs:read",
    ("head", "/v1/books/{book_id}/editions/{format}"): "jobs:read",
    ("post", "/v1/batches"): "speech:write",
    ("get", "/v1/batches"): "jobs:read",
    ("get", "/v1/batches/{batch_id}"): "jobs:read",
    ("delete", "/v1/batches/{batch_id}"): "speech:write",
    ("post", "/v1/batches/{batch_id}/cancel"): "speech:write",
    ("post", "/v1/batches/{batch_id}/retry"): "speech:write",
    ("get", "/v1/batches/{batch_id}/jobs"): "jobs:read",
    ("get", "/v1/batches/{batch_id}/errors"): "jobs:read",
    ("get", "/v1/batches/{batch_id}/manifest"): "jobs:read",
    ("get", "/v1/batches/{batch_id}/audio.zip"): "jobs:read",
    ("get", "/v1/batches/{batch_id}/events"): "jobs:read",
    ("get", "/v1/voices"): ANY_CALLER,
    ("post", "/v1/voices"): "voices:write",
    ("put", "/v1/voices/default"): "voices:write",
    ("get", "/v1/voices/{voice_id}"): "jobs:read",
    ("patch", "/v1/voices/{voice_id}"): "voices:write",
    ("delete", "/v1/voices/{voice_id}"): "voices:write",
    ("put", "/v1/voices/{voice_id}/clip"): "voices:write",
    ("get", "/v1/voices/{voice_id}/preview"): "jobs:read",
    ("head", "/v1/voices/{voice_id}/preview"): "jobs:read",
    ("get", "/v1/emotions"): ANY_CALLER,
    ("get", "/v1/usage"): "jobs:read",
    ("post", "/v1/audio/speech"): "speech:write",
    ("get", "/v1/models"): ANY_CALLER,
    ("get", "/v1/audio/models"): ANY_CALLER,
    ("get", "/v1/audio/voices"): ANY_CALLER,
    ("get", "/healthz"): ANYBODY,
    ("get", "/readyz"): ANYBODY,
    ("get", "/metrics"): ANYBODY,
}
WEBSOCKETS = {"/v1/stream": "speech:write"}  # the same for these, which the OpenAPI document does not have
PAGES = {"/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"}  # made by FastAPI
HIDDEN = {operation for operation in RULES if operation[0] == "head"}  # not in the OpenAPI document
FOR_CALLERS = sorted(operation for operation, rule in RULES.items() if rule != ANYBODY)
OWNED = sorted(operation for operation in RULES if "{" in operation[1])
NO_JOB = "00000000-0000-7000-8000-000000000000"
NONE = {
    "job_id": NO_JOB,
    "webhook_id": "wh_none",
    "delivery_id": "evt_none",
    "book_id": NO_JOB,
    "chapter_id": "1",
    "format": "m4b",
    "batch_id": NO_JOB,
    "voice_id": f"voice-{NO_JOB}",
}
BODIES = {
    ("post", "/v1/audio/speech"): {"input": "Hello"},
    ("post", "/v1/webhooks"): {"url": "https://hooks.example/"},
    ("patch", "/v1/webhooks/{webhook_id}"): {},
    ("patch", "/v1/books/{book_id}"): {},
    ("post", "/v1/books/{book_id}/render"): {},
    ("put", "/v1/voices/default"): {"voice": "buzz"},
    ("patch", "/v1/voices/{voice_id}"): {"name": "Anna"},
}
_AGREED = (None, '{"consent": true}')
FILES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/v1/books"): {"file": ("book.txt", b"It begins.")},
    ("post", "/v1/batches"): {"file": ("lines.jsonl", b'{"text": "Hello"}')},
    ("post", "/v1/voices"): {"file": ("anna.wav", b"a recording"), "options": _AGREED},
    ("put", "/v1/voices/{voice_id}/clip"): {"file": ("anna.wav", b"another one"), "options": _AGREED},
}
CONTENT = {("put", "/v1/books/{book_id}/cover"): png()}

KEPT = (
    *("/v1/jobs/{job_id}", "/v1/webhooks/{webhook_id}", "/v1/books/{book_id}"),
    *("/v1/batches/{batch_id}", "/v1/voices/{voice_id}"),
)
EVERYTHING = "speech:write jobs:read books:write voices:write"
Operation = tuple[str, str]
SPOKEN = (JobState.SUCCEEDED, JobState.SUCCEEDED)


@pytest.fixture
def world() -> Iterator[World]:
    with world_with(SETTINGS) as world:
        yield world


def token(**claims: Any) -> str:
    usual: dict[str, Any] = {"iss": None, "aud": None}
    return by_secret(**usual | claims)


def ask(world: World, operation: Operation, *, ids: dict[str, str] = NONE, **claims: Any) -> httpx2.Response:
    """Ask for the operation as a caller with these claims, by a request that is good else."""
    method, path = operation
    has_json = method in ("post", "put", "patch") and operation not in FILES and operation not in CONTENT
    body: dict[str, Any] = {"json": BODIES.get(operation, {"text": "Hello"}) if has_json else None}
    body |= {"files": FILES.get(operation), "content": CONTENT.get(operation)}
    headers = {"Authorization": f"Bearer {token(**claims)}"} if claims else {}
    return world.client.request(method, path.format(**ids), headers=headers, **body)


def acmes_job(world: World) -> str:
    job_id = ask(world, ("post", "/v1/jobs"), tenant="acme", scope="speech:write").json()["id"]
    world.succeed(job_id)
    return job_id


def acmes(world: World) -> dict[str, str]:
    """Return the ids of one thing of each kind that are the tenant's; from now on every job is spoken at once."""
    world.live.usual = [LivePiece(0, bytes(3200), 16_000, last=True)]
    acme: dict[str, Any] = {"tenant": "acme", "scope": "speech:write"}
    made = {"job_id": acmes_job(world), "webhook_id": ask(world, ("post", "/v1/webhooks"), **acme).json()["id"]}
    test = ask(world, ("post", "/v1/webhooks/{webhook_id}/test"), ids=made, **acme)
    made |= {"delivery_id": test.json()["id"], "book_id": acmes_book(world), "chapter_id": "1", "format": "m4b"}
    return made | {"batch_id": acmes_batch(world), "voice_id": acmes_voice(world)}


def acmes_voice(world: World) -> str:
    """Return the id of a voice that has said its sentence."""
    voice_id = ask(world, ("post", "/v1/voices"), tenant="acme", scope="voices:write").json()["id"]
    world.succeed(world.voices.store.voices[voice_id].job)
    return voice_id


def acmes_batch(world: World) -> str:
    """Return the id of a batch that is cancelled: that may be done again, and so may it be retried."""
    acme: dict[str, Any] = {"tenant": "acme", "scope": "speech:write"}
    made = {"batch_id": ask(world, ("post", "/v1/batches"), **acme).json()["id"]}
    ask(world, ("post", "/v1/batches/{batch_id}/cancel"), ids=made, **acme)
    return made["batch_id"]


def acmes_book(world: World) -> str:
    """Return the id of a book that is paused: it may be paused, gone on with, cancelled and changed."""
    book = rendered(world, read_book(world, tenant="acme"), states=SPOKEN, wanted=Wanted.PAUSE)
    return with_edition(world, book).id


def documented() -> dict[Operation, list[str] | None]:
    """Return each operation of the OpenAPI document with the scopes that it asks for; None for anybody."""
    paths: dict[str, dict[str, Any]] = application(SETTINGS).openapi()["paths"]
    return {
        (method, path): [scope for one in each["security"] for scope in one["HTTPBearer"]]
        if "security" in each
        else None
        for path, methods in paths.items()
        for method, each in methods.items()
    }


def test_every_operation_has_a_rule_and_documents_it() -> None:
    rules = {
        operation: None if rule == ANYBODY else rule.split()
        for operation, rule in RULES.items()
        if operation not in HIDDEN
    }

    assert documented() == rules


def test_no_route_is_hidden_from_the_table() -> None:
    """Not every route is in the OpenAPI document."""
    found: set[Operation] = set()
    for each in application(SETTINGS).routes:
        router: Any = getattr(each, "original_router", None)  # FastAPI keeps routers as they were included
        routes: list[Any] = router.routes if router else [each]
        methods = [(one.path, getattr(one, "methods", None) or {"websocket"}) for one in routes]
        found |= {(method.lower(), path) for path, which in methods for method in which if path not in PAGES}

    assert found == RULES.keys() | {("websocket", path) for path in WEBSOCKETS}


def test_everything_that_has_an_id_is_known_here() -> None:
    """Where something else has an id, the tests below have to make one of it."""
    assert {name for _, path in RULES for name in re.findall(r"{(\w+)}", path)} == NONE.keys()


def test_what_anybody_may_see_is_listed() -> None:
    assert {path for (_, path), rule in RULES.items() if rule == ANYBODY} | PAGES == PUBLIC


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_anybody_may_see(world: World, path: str) -> None:
    assert world.client.get(path).status_code == 200


def test_the_reference_can_authorize(world: World) -> None:
    schemes = world.client.get("/openapi.json").json()["components"]["securitySchemes"]

    assert [(scheme["type"], scheme["scheme"]) for scheme in schemes.values()] == [("http", "bearer")]


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/jobs", "/healthz/", "/docs/../v1/jobs", "//healthz", "/metrics/x"])
def test_a_path_without_a_rule_is_nobody_s(world: World, path: str) -> None:
    assert world.client.get(path).status_code == 401


def test_a_websocket_without_a_rule_is_nobody_s_too(world: World) -> None:
    assert refusal(world, "/v1/anything") == (401, "unauthorized")


def refusal(world: World, path: str, **claims: Any) -> tuple[int, str]:
    """Return why the websocket is not opened."""
    headers = {"Authorization": f"Bearer {token(**claims)}"} if claims else {}
    with pytest.raises(WebSocketDenialResponse) as refused, world.client.websocket_connect(path, headers=headers):
        pass
    return refused.value.status_code, refused.value.json()["code"]


@pytest.mark.parametrize("path", WEBSOCKETS)
def test_a_websocket_needs_its_scope(world: World, path: str) -> None:
    others = " ".join({"speech:write", "jobs:read", "voices:write", "books:write"} - {WEBSOCKETS[path]})

    assert refusal(world, path) == (401, "unauthorized")
    assert refusal(world, path, tenant="acme", scope=others) == (403, "forbidden")
    allowed = {"Authorization": f"Bearer {token(tenant='acme', scope=WEBSOCKETS[path])}"}
    with world.client.websocket_connect(path, headers=allowed):
        pass


@pytest.mark.parametrize("operation", FOR_CALLERS, ids=" ".join)
def test_nobody_is_let_in_unknown(world: World, operation: Operation) -> None:
    assert ask(world, operation).status_code == 401


@pytest.mark.parametrize("operation", FOR_CALLERS, ids=" ".join)
def test_the_scope_is_needed_and_enough(world: World, operation: Operation) -> None:
    scope = RULES[operation]
    ids = acmes(world)
    if scope:
        others = " ".join({"speech:write", "jobs:read", "voices:write", "books:write"} - {*scope.split()})
        refused = ask(world, operation, ids=ids, tenant="acme", scope=others)
        assert refused.status_code == 403
        assert f'scope="{scope.split()[0]}"' in refused.headers["WWW-Authenticate"]

    for enough in scope.split() or [""]:
        assert ask(world, operation, ids=ids, tenant="acme", scope=enough).is_success


@pytest.mark.parametrize("operation", OWNED, ids=" ".join)
def test_what_is_another_tenant_s_is_as_good_as_none(world: World, operation: Operation) -> None:
    ids = acmes(world)
    none = ask(world, operation, tenant="other", scope=EVERYTHING)
    theirs = ask(world, operation, ids=ids, tenant="other", scope=EVERYTHING)

    assert (none.status_code, theirs.status_code) == (404, 404)
    assert [name for name in ids if theirs.text.replace(ids[name], NONE[name]) == none.text]
    assert {*theirs.headers} == {*none.headers}
    for path in KEPT:
        assert ask(world, ("get", path), ids=ids, tenant="acme", scope="jobs:read").is_success


@pytest.mark.parametrize("operation", [one for one in OWNED if "{job_id}" in one[1]], ids=" ".join)
def test_an_admin_may_do_it_for_every_tenant(world: World, operation: Operation) -> None:
    assert ask(world, operation, ids=acmes(world), tenant="ops", scope="admin").is_success


@pytest.mark.parametrize("known", ["*", "seen"])
def test_another_tenant_s_job_is_not_confirmed_by_its_etag(world: World, known: str) -> None:
    job_id = acmes_job(world)
    mine = {"Authorization": f"Bearer {token(tenant='acme')}"}
    etag = world.client.get(f"/v1/jobs/{job_id}", headers=mine).headers["ETag"] if known == "seen" else known
    theirs = {"Authorization": f"Bearer {token(tenant='other')}", "If-None-Match": etag}

    assert world.client.get(f"/v1/jobs/{job_id}", headers=theirs).status_code == 404


def test_audio_is_handed_out_by_link_to_its_owner_only() -> None:
    with world_with(GatewaySettings.model_validate({"jwt_secret": SECRET, "audio_delivery": "redirect"})) as world:
        job_id = acmes_job(world)
        answers = {
            tenant: world.client.get(
                f"/v1/jobs/{job_id}/audio",
                headers={"Authorization": f"Bearer {token(tenant=tenant)}"},
                follow_redirects=False,
            )
            for tenant in ("acme", "other")
        }

    assert answers["acme"].status_code == 307
    assert (answers["other"].status_code, "Location" in answers["other"].headers) == (404, False)


def listed(world: World, query: str = "", **claims: Any) -> httpx2.Response:
    return world.client.get(f"/v1/jobs{query}", headers={"Authorization": f"Bearer {token(**claims)}"})


def ids(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


def test_a_list_has_the_tenant_s_own_jobs(world: World) -> None:
    job_id = acmes_job(world)

    assert ids(listed(world, tenant="acme")) == ids(listed(world, "?state=succeeded", tenant="acme")) == [job_id]
    assert ids(listed(world, tenant="other")) == ids(listed(world, tenant="ops", scope="admin")) == []
    assert ids(listed(world, f"?cursor={NO_JOB.replace('0000', 'ffff')}", tenant="other")) == []


def test_only_an_admin_lists_for_another_tenant(world: World) -> None:
    job_id = acmes_job(world)
    refused = listed(world, "?tenant=acme", tenant="other")

    assert (refused.status_code, refused.json()["scope"]) == (403, "admin")
    assert ids(listed(world, "?tenant=acme", tenant="ops", scope="admin")) == [job_id]
    assert ids(listed(world, "?tenant=acme", tenant="acme")) == [job_id]
    assert listed(world, "?tenant=a:b", tenant="ops", scope="admin").status_code == 422


def test_the_same_idempotency_key_of_two_tenants_is_two_jobs(world: World) -> None:
    def submitted(tenant: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token(tenant=tenant)}", "Idempotency-Key": "monday"}
        return world.client.post("/v1/jobs", json={"text": f"Hello {tenant}"}, headers=headers)

    first, second, again = submitted("acme"), submitted("other"), submitted("acme")

    assert [answer.status_code for answer in (first, second, again)] == [202, 202, 202]
    assert first.json()["id"] == again.json()["id"] != second.json()["id"]


def test_who_is_not_known_has_no_body_read(world: World) -> None:
    """Neither a body that is too long nor one that is no JSON is looked at."""
    for content in (b"x" * (world.settings.max_body_bytes + 1), b"{"):
        assert world.client.post("/v1/jobs", content=content).status_code == 401
