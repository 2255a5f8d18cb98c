"""The one shape of every error answer."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class ComplianceIssue(BaseModel):
    """One field of a submission that was refused."""

    field: str
    details: str


class Problem(BaseModel):
    """Error document: `code` is the HTTP status, `message` what was wrong, `details` what was expected and what to do."""

    code: int
    message: str
    details: str = ""
    reason: str = Field(default="", description="stable word for programs, such as `project-not-found`")
    complianceIssues: list[ComplianceIssue] | None = None
    extra: dict[str, Any] | None = None
