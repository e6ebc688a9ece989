"""Describe a provider as data: its address, credentials and kinds of jobs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from bridge.domain.groups.child_rule import ChildRule
from bridge.providers.spec import SHARED_LIMIT, KindSpec
from bridge.providers.start_evidence import ChargeList, SourceList, StartEvidence
from bridge.providers.start_spec import StartSpec
from bridge.providers.token_claims import TokenClaims, read_claims


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialForm:
    """One form of credential a provider hands out, with the documented limit of reads for it.

    `prefixes` are beginnings by which logs and texts recognise such a credential and mask it. `is_token`: it is a JSON
    Web Token, which is replaced by others of the same login.
    """

    name: str
    pattern: re.Pattern[str]
    requests_per_minute: int
    prefixes: tuple[str, ...] = ()
    is_token: bool = False


class Standing(StrEnum):
    """What a check of a credential showed."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowcaseJob:
    """The kind, which has parts, the ending and the related ids that a test event shows."""

    kind: KindSpec
    word: str
    related: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProviderSpec:
    """One upstream API.

    `base_url` is the default; kinds' paths follow it. A credential is checked by reading `check_kind` under
    `check_id`, an id that names nothing: the cheapest read that every key may try (see `read.read_credential`).
    `showcase` is left out by a provider whose jobs have no parts. `start_evidence` says, by the names of starts, how what
    one began is found if its answer was lost; the others leave no trace that could be told from another's. `children` say what
    may come of which kinds of jobs, `sources` where a persona's sources are listed.
    """

    name: str
    title: str
    base_url: str
    kinds: Mapping[str, KindSpec]
    credentials: tuple[CredentialForm, ...]
    auth_header: str
    auth_prefix: str
    check_kind: KindSpec
    check_id: str
    showcase: ShowcaseJob | None = None
    start_evidence: Mapping[str, StartEvidence] = field(default_factory=dict)
    charges: ChargeList | None = None
    children: tuple[ChildRule, ...] = ()
    sources: SourceList | None = None
    # What errors have beside code and message, the paths of calls that concern keys and money, and the beginnings of the
    # paths of calls that make or open a login, which need no key.
    error_fields: Mapping[str, object] = field(default_factory=dict)
    starts: tuple[StartSpec, ...] = ()
    admin_paths: tuple[str, ...] = ()
    keyless_paths: tuple[str, ...] = ()

    @property
    def key_variable(self) -> str:
        """The environment variable that holds the credential of project default."""
        return f"{self.name.upper()}_API_KEY"

    @property
    def url_variable(self) -> str:
        """The environment variable that may replace `base_url`."""
        return f"{self.name.upper()}_BASE_URL"

    @property
    def check_path(self) -> str:
        """The path of the read that verifies a credential."""
        return self.check_kind.path_for(self.check_id)

    @property
    def credential_pattern(self) -> re.Pattern[str]:
        """A pattern that matches the whole of any credential that this provider hands out."""
        return re.compile("|".join(form.pattern.pattern for form in self.credentials), re.ASCII)

    def error_body(self, code: str, message: str, details: Mapping[str, object]) -> dict[str, object]:
        """Return an error as this provider words it; details stand beside the message, where there are any."""
        shape = self.check_kind.errors
        body: dict[str, object] = dict(self.error_fields)
        for path, text in ((shape.code, code), (shape.message, message)):
            inner = body
            for name in path[:-1]:
                inner = inner.setdefault(name, {})  # type: ignore[assignment]  # a path leads through objects
            inner[path[-1]] = text
        if details:
            inner["details"] = dict(details)
        return body

    def limit_at(self, path: str) -> str | None:
        """Return the name of the rate limit that a request for a path counts under, None where no job's read does."""
        for kind in self.kinds.values():
            if kind.limit == SHARED_LIMIT or kind.matches(path):
                return kind.limit
        return None

    def read_claims(self, credential: str) -> TokenClaims:
        """Return what a credential says of itself, which is nothing unless it is a token."""
        is_token = any(form.is_token and form.pattern.fullmatch(credential) for form in self.credentials)
        return read_claims(credential) if is_token else TokenClaims()

    def requests_per_minute(self, credential: str) -> int:
        """Return the documented reads per minute for a credential, the provider's lowest when its form is unknown."""
        for form in self.credentials:
            if form.pattern.fullmatch(credential):
                return form.requests_per_minute
        return min(form.requests_per_minute for form in self.credentials)

    def auth_headers(self, credential: str) -> dict[str, str]:
        """Return the headers that authenticate a request.

        Raise ValueError, without the credential in it, for one that no header can carry.
        """
        if not credential.isascii() or not credential.isprintable() or not credential.strip():
            raise ValueError(f"a {self.title} credential is printable ASCII")
        return {self.auth_header: f"{self.auth_prefix}{credential}"}


def index_kinds(*kinds: KindSpec) -> Mapping[str, KindSpec]:
    """Return the kinds by their names."""
    return MappingProxyType({kind.name: kind for kind in kinds})
