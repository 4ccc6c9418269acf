"""The account's web pages: a session by cookie, and the page that reboots a gateway."""

from collections.abc import Callable

from thekeys_async.simulator.cloud.tables import CloudTables
from thekeys_async.simulator.http.messages import HttpRequest, HttpResponse

_SESSION = "PHPSESSID"
_LOGIN = "/auth/fr/login"


class WebPages:
    """The pages of one account.

    Args:
        tables: The cloud's memory.
        knows: Whether the form of a log-in is the account's.
    """

    def __init__(self, tables: CloudTables, knows: Callable[[dict[str, str]], bool]) -> None:
        self._tables = tables
        self._knows = knows

    def answer(self, name: str, named: tuple[str, ...], request: HttpRequest) -> HttpResponse:
        """Answer like a browser's server: who has not logged in is sent to the log-in, whatever the page.

        Args:
            name: The title of the page.
            named: The name in its path.
            request: The request.
        """
        if name == "login_page":
            return _page("Connexion")
        if name == "web_login":
            return self._log_in(request.form())
        if not self._tables.knows_session(_session(request)):
            return _redirect(_LOGIN)
        return self._gateway(name, *named) if named else _page("Mon compte")

    def _log_in(self, form: dict[str, str]) -> HttpResponse:
        if not self._knows(form):
            return _redirect(_LOGIN)
        cookie = f"{_SESSION}={self._tables.new_session()}; path=/; HttpOnly; SameSite=lax"
        return _redirect("/fr/compte", ("Set-Cookie", cookie))

    def _gateway(self, name: str, number: str) -> HttpResponse:
        row = self._tables.accessory(number)
        if row is None or row.gateway is None:
            return HttpResponse(b"<html>Not found</html>", 404, "text/html")
        if name == "view":
            return _page(row.name)
        row.gateway.reboot()
        return _redirect(f"/fr/compte/accessoire/{row.number}/view")


def _session(request: HttpRequest) -> str:
    """Return the session that a browser's cookies name."""
    pairs = (pair.strip().partition("=") for pair in (request.header("cookie") or "").split(";"))
    return next((value for name, _, value in pairs if name == _SESSION), "")


def _page(title: str) -> HttpResponse:
    return HttpResponse(f"<!DOCTYPE html><html><title>{title}</title></html>".encode(), 200, "text/html; charset=UTF-8")


def _redirect(path: str, *headers: tuple[str, str]) -> HttpResponse:
    return HttpResponse(b"<html></html>", 302, "text/html; charset=UTF-8", (("Location", path), *headers))
