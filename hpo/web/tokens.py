"""Who may do what: the tokens of two roles, read anew when they change, and signed sessions."""

import hashlib
import hmac
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
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
    """The tokens in force: their files are read again where they have changed."""

    given: Mapping[Role, str]
    files: Mapping[Role, _File] = field(default_factory=dict)
    tell: Callable[[str], object] = sys.stderr.write  # hears once what is wrong with a file
    _told: set[str] = field(default_factory=set)

    @property
    def are_asked_for(self) -> bool:
        """Whether one needs a token at all; that never changes while the dashboard runs."""
        return bool(self.given or self.files)

    def now(self) -> dict[Role, str]:
        """The token of each role that has one. Raises UsageError for what is no good token."""
        found, wrong = self._look()
        if wrong:
            raise wrong[0]
        return found

    def role_of(self, token: str) -> Role | None:
        """Whose token this is; compared in a time that tells nothing.

        Raises UsageError for a token that is nobody's while one of the roles has no good one.
        """
        found, wrong = self._look_and_tell()
        matching = [role for role, own in found.items() if _same(own, token)]
        if wrong and not matching:
            raise wrong[0]
        return matching[0] if matching else None

    def role_of_session(self, proof: str) -> Role | None:
        """The role that a session proves; None when it is old, or its token was changed."""
        for role, token in self._look_and_tell()[0].items():
            try:
                if _signer(role, token).loads(proof, max_age=LONGEST_SESSION_S) == role:
                    return role
            except BadData:
                continue
        return None

    def _look(self) -> tuple[dict[Role, str], list[UsageError]]:
        """The good tokens, and what is wrong with the others: each role stands for itself."""
        found: dict[Role, str] = {}
        wrong = []
        for role in ROLES:
            try:
                if role in self.given or role in self.files:
                    found[role] = self._token_of(role)
            except UsageError as error:
                wrong.append(error)
        if len(set(found.values())) < len(found):  # which of the two was meant?
            both = UsageError(
                "the viewer's token is the admin's",
                where=" and ".join(_origin(role, self.files) for role in ROLES),
                remedy="give each role a token of its own",
            )
            return {}, [both]
        return found, wrong

    def _look_and_tell(self) -> tuple[dict[Role, str], list[UsageError]]:
        found, wrong = self._look()
        reasons = {str(error) for error in wrong}
        for reason in reasons - self._told:
            self.tell(f"{reason}\n")
        self._told.intersection_update(reasons)  # what is mended may break again
        self._told.update(reasons)
        return found, wrong

    def _token_of(self, role: Role) -> str:
        token = self.given[role] if role in self.given else self.files[role].read()
        if len(token) < SHORTEST:
            raise UsageError(
                f"the {role}'s token has {len(token)} characters",
                where=_origin(role, self.files),
                remedy=f"give it at least {SHORTEST}, for example from: openssl rand -hex 24",
            )
        return token


def session(role: Role, token: str) -> str:
    """A signed proof that its bearer has shown this token, which is the role's."""
    return _signer(role, token).dumps(role)


def tokens_in_force(environment: Mapping[str, str] = os.environ) -> Tokens:
    """The tokens that the environment gives or names the files of. Raises UsageError."""
    for role in ROLES:
        if environment.get(VARIABLES[role]) and environment.get(FILES[role]):
            raise UsageError(
                f"{VARIABLES[role]} and {FILES[role]} are both set", remedy="set one of them"
            )
    tokens = Tokens(
        given={r: environment[n].strip() for r, n in VARIABLES.items() if environment.get(n)},
        files={r: _File(Path(environment[n])) for r, n in FILES.items() if environment.get(n)},
    )
    tokens.now()
    return tokens


def _origin(role: Role, files: Mapping[Role, object]) -> str:
    return FILES[role] if role in files else VARIABLES[role]


def _same(own: str, shown: str) -> bool:
    return hmac.compare_digest(own.encode(), shown.encode("utf-8", "surrogateescape"))


@lru_cache(maxsize=4)  # of both roles, before and after a change
def _key(role: Role, token: str) -> bytes:
    """Slow to make, so that a stolen session tells no token."""
    return hashlib.scrypt(token.encode(), salt=f"hpo {role}".encode(), n=2**14, r=8, p=1)


def _signer(role: Role, token: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_key(role, token), salt="hpo dashboard session")
