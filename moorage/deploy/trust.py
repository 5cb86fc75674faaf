"""Which authority a deployment's certificate comes from, as far as this machine knows."""

from __future__ import annotations

from pathlib import Path

from moorage.answers.model import Answers
from moorage.deploy import private_ca
from moorage.desired.certificates import read_chain


def authority_of(answers: Answers) -> bytes | None:
    """Return the certificate clients have to trust besides the public ones, or None.

    With ``ssl.mode: private_ca`` that is the CA kept on this machine; with ``files`` the last
    certificate of the file, when it signed itself.

    Args:
        answers: What the operator decided.

    Returns:
        PEM of one certificate.

    Raises:
        MoorageError: The private CA is there and cannot be read.
    """
    if answers.ssl.mode == "private_ca":
        authority = private_ca.load(answers.ssl.private_ca.name)
        return authority.certificate_pem if authority else None
    if answers.ssl.mode == "files" and answers.ssl.files is not None:
        try:
            content = Path(answers.ssl.files.certificate).expanduser().read_bytes()
            last = read_chain(content)[-1]
        except (OSError, ValueError):
            return None
        if last.issuer == last.subject:
            from cryptography.hazmat.primitives.serialization import Encoding

            return last.public_bytes(Encoding.PEM)
    return None
