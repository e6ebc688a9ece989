"""Errors in the shapes that each upstream documents."""

from typing import Any

import msgspec
from pydantic import ValidationError

# ReelMirror, "Introduction" and guide "Automation": code by HTTP status
REELMIRROR_CODES = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    402: "INSUFFICIENT_BALANCE",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    422: "UNPROCESSABLE_ENTITY",  # the page names the status without a code
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    502: "UPSTREAM_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
# ReelBot, "Error Handling"
REELBOT_CODES = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    402: "QUOTA_EXCEEDED",
    404: "NOT_FOUND",
    409: "KEY_LIMIT_REACHED",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}


class Problem(Exception):
    """An upstream error: a status, a documented code and a message."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.details = details


def not_found(what: str) -> Problem:
    """Return the error for an id that names nothing this caller may see."""
    return Problem(404, f"{what} not found")


def validation_problem(failure: ValidationError) -> Problem:
    """Return the 400 for a wrong request body; it names the first wrong field."""
    first = failure.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or "body"
    return Problem(400, f"{name}: {first['msg']}", details={"field": name})


def reelmirror_error(problem: Problem) -> bytes:
    """Return `{"error": {"code", "message", "details"}}` as JSON ("Introduction")."""
    code = problem.code or REELMIRROR_CODES.get(problem.status, "ERROR")
    inner = {"code": code, "message": problem.message, "details": problem.details or {}}
    return msgspec.json.encode({"error": inner})


def reelbot_error(problem: Problem) -> bytes:
    """Return `{"success": false, "message", "code", "details"?}` as JSON ("Error Handling")."""
    body: dict[str, Any] = {"success": False, "message": problem.message}
    code = problem.code or REELBOT_CODES.get(problem.status)
    if code is not None:
        body["code"] = code
    if problem.details is not None:
        body["details"] = problem.details
    return msgspec.json.encode(body)
