"""The tests' own hand on the API server: plain objects over one HTTPS connection."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import time
from typing import Any

Object = dict[str, Any]

_IDLE = 30.0  # seconds; the API server closes a connection that was not used for 90


class ApiError(Exception):
    """The API server refused; `status` is the HTTP status."""

    def __init__(self, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status


class NotFoundError(ApiError):
    """404."""


class ApiClient:
    """Create, read, change and delete objects; where an object lives is read from the object itself.

    Raises (every method):
        ApiError: refused. OSError, http.client.HTTPException: the server is not there.
    """

    def __init__(self, host: str, port: int, token: str, tls: ssl.SSLContext) -> None:
        self._connection = http.client.HTTPSConnection(host, port, context=tls, timeout=30)
        self._token = token
        self._used = time.monotonic()

    def close(self) -> None:
        self._connection.close()

    def create(self, obj: Object) -> Object:
        """A field that the API does not know is refused."""
        return self.post(collection(obj) + "?fieldValidation=Strict", obj)

    def post(self, path: str, body: Object) -> Object:
        return self._json("POST", path, body)

    def replace(self, obj: Object) -> Object:
        """Write all of it, whatever its state was: without a resourceVersion there is no conflict."""
        return self._json("PUT", path_of(obj), obj)

    def patch(self, obj: Object, change: Object) -> Object:
        """Apply a JSON merge patch (RFC 7396)."""
        return self._json("PATCH", path_of(obj), change, "application/merge-patch+json")

    def delete(self, obj: Object) -> None:
        self._json("DELETE", path_of(obj))

    def get(self, path: str) -> Object:
        return self._json("GET", path)

    def exists(self, path: str) -> bool:
        try:
            self.get(path)
        except NotFoundError:
            return False
        return True

    def text(self, path: str) -> str:
        return self._request("GET", path, None, "").decode()

    def delete_namespace(self, name: str) -> None:
        """Delete an emptied Namespace for good, without the namespace controller, which alone would take its finalizer
        away; if it runs it may be the faster one."""
        obj = namespace(name)
        self.delete(obj)
        with contextlib.suppress(NotFoundError):
            self._json("PUT", path_of(obj) + "/finalize", {**obj, "spec": {"finalizers": []}})

    def _json(self, method: str, path: str, body: Object | None = None, media: str = "application/json") -> Object:
        answer = json.loads(self._request(method, path, body, media))
        assert isinstance(answer, dict)
        return answer

    def _request(self, method: str, path: str, body: Object | None, media: str) -> bytes:
        if time.monotonic() > self._used + _IDLE:
            self._connection.close()  # http.client opens it anew
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = media
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = self._connection.getresponse()
            answer = response.read()
            self._used = time.monotonic()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        if response.status >= 300:
            error = NotFoundError if response.status == 404 else ApiError
            raise error(method, path, response.status, answer.decode(errors="replace"))
        return answer


def collection(obj: Object) -> str:
    """The path that objects of this kind (and namespace) are created under."""
    version: str = obj["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if space := obj["metadata"].get("namespace"):
        root += f"/namespaces/{space}"
    return f"{root}/{obj['kind'].lower()}s"


def path_of(obj: Object) -> str:
    return f"{collection(obj)}/{obj['metadata']['name']}"


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
