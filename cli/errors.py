"""What can go wrong between the command and the gateway."""


class ClientError(Exception):
    """The gateway did not do what was asked; the sentence says why."""


class ApiError(ClientError):
    """The gateway refused: its own status, code and sentence (RFC 9457)."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{detail} [{code}]")
        self.status = status
        self.code = code
        self.detail = detail


class GatewayUnreachable(ClientError):
    """Nothing answers at that URL."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"no answer from {url} ({reason}). To start the service here: emotivoice up. "
            "To use another gateway: --url, or the variable EMOTIVOICE_URL"
        )
        self.url = url


class InvalidUrl(ClientError):
    """That is no address of a gateway."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{url!r} is not an address of a gateway; it should look like http://127.0.0.1:8080")


class InvalidToken(ClientError):
    """That can't be sent as a token."""

    def __init__(self) -> None:
        super().__init__("the token of --token or EMOTIVOICE_TOKEN holds a space, a line end or another odd character")
