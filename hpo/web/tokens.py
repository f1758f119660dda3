"""Who may do what: the tokens of two roles, read anew when they change, and signed sessions."""

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from itsdangerous import BadData, URLSafeTimedSerializer

from hpo.errors import UsageError

Role = Literal["viewer", "admin"]
ROLES: tuple[Role, ...] = ("admin", "viewer")
VARIABLES: dict[Role, str] = {
    "admin": "HPO_DASHBOARD_ADMIN_TOKEN",
    "viewer": "HPO_DASHBOARD_VIEWER_TOKEN",
}
FILES: dict[Role, str] = {
    "admin": "HPO_DASHBOARD_ADMIN_TOKEN_FILE",
    "viewer": "HPO_DASHBOARD_VIEWER_TOKEN_FILE",
}
SHORTEST = 16  # characters
LONGEST_SESSION_S = 12 * 3600
Stamp = tuple[int, int, int]


@dataclass
class _File:
    """A token in a file, read again when the file is another: its time, size or inode differs."""

    path: Path
    token: str = ""
    stamp: Stamp | None = None

    def read(self) -> str:
        """The token now. Raises UsageError where it cannot be read."""
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self.stamp:
                self.token, self.stamp = self.path.read_text(encoding="utf-8").strip(), stamp
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise UsageError(f"cannot read a token: {reason}", where=str(self.path)) from None
        return self.token


@dataclass(frozen=True)
class Tokens:
    """The tokens in force; `now()` reads their files again where they have changed."""

    given: Mapping[Role, str]
    files: Mapping[Role, _File] = field(default_factory=dict)

    @property
    def are_asked_for(self) -> bool:
        """Whether one needs a token at all; that never changes while the dashboard runs."""
        return bool(self.given or self.files)

    def now(self) -> dict[Role, str]:
        """The token of each role that has one. Raises UsageError for what is no good token."""
        found = {role: file.read() for role, file in self.files.items()} | dict(self.given)
        for role, token in found.items():
            if len(token) < SHORTEST:
                raise UsageError(
                    f"the {role}'s token has {len(token)} characters",
                    where=_origin(role, self.files),
                    remedy=f"give it at least {SHORTEST}, for example from: openssl rand -hex 24",
                )
        if len(set(found.values())) < len(found):
            raise UsageError(
                "the viewer's token is the admin's",
                where=" and ".join(_origin(role, self.files) for role in ROLES),
                remedy="give each role a token of its own",
            )
        return found

    def role_of(self, token: str) -> Role | None:
        """Whose token this is; compared in a time that tells nothing. None also for bad files."""
        matching = [r for r, own in self._valid().items() if _same(own, token)]
        return matching[0] if matching else None

    def session(self, role: Role) -> str:
        """A signed proof that its bearer has shown the token of this role."""
        return _signer(role, self.now()[role]).dumps(role)

    def role_of_session(self, proof: str) -> Role | None:
        """The role that a session proves; None when it is old, or its token was changed."""
        for role, token in self._valid().items():
            try:
                if _signer(role, token).loads(proof, max_age=LONGEST_SESSION_S) == role:
                    return role
            except BadData:
                continue
        return None

    def _valid(self) -> dict[Role, str]:
        """The tokens, or none where a file holds no good one just now: then nobody gets in."""
        try:
            return self.now()
        except UsageError:
            return {}


def tokens_in_force(environment: Mapping[str, str] = os.environ) -> Tokens:
    """The tokens that the environment gives or names the files of. Raises UsageError."""
    for role in ROLES:
        if environment.get(VARIABLES[role]) and environment.get(FILES[role]):
            raise UsageError(
                f"{VARIABLES[role]} and {FILES[role]} are both set", remedy="set one of them"
            )
    tokens = Tokens(
        given={role: environment[n] for role, n in VARIABLES.items() if environment.get(n)},
        files={r: _File(Path(environment[n])) for r, n in FILES.items() if environment.get(n)},
    )
    tokens.now()
    return tokens


def _origin(role: Role, files: Mapping[Role, object]) -> str:
    return FILES[role] if role in files else VARIABLES[role]


def _same(own: str, shown: str) -> bool:
    return hmac.compare_digest(own.encode(), shown.encode("utf-8", "surrogateescape"))


_keys: dict[tuple[str, str], bytes] = {}
_derive: Callable[..., bytes] = hashlib.scrypt  # slow, so that a stolen session tells no token


def _signer(role: Role, token: str) -> URLSafeTimedSerializer:
    if (role, token) not in _keys:
        for known in [known for known in _keys if known[0] == role]:  # of a token that was changed
            _keys.pop(known, None)
        _keys[role, token] = _derive(token.encode(), salt=f"hpo {role}".encode(), n=2**14, r=8, p=1)
    return URLSafeTimedSerializer(_keys[role, token], salt="hpo dashboard session")
