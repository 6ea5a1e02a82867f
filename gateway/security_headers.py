"""What each answer tells a browser: take nothing for what it is not, keep it to yourself, put it into no frame."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",  # audio may be played on other sites, where CORS lets them
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
PAGES = ("/docs", "/redoc")  # load their script and style from elsewhere
PAGE_POLICY = "frame-ancestors 'none'"


class SecurityHeaders:
    """Adds them to every answer; one that a route has set stays. HSTS is for whoever ends TLS."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        page = scope["path"].startswith(PAGES)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, PAGE_POLICY if page and name == "Content-Security-Policy" else value)
            await send(message)

        await self._app(scope, receive, told)
