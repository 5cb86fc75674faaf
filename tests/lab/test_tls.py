"""TLS as clients find it: exactly the profile's versions and ciphers, HSTS, port 80, proxies."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from handshake import handshake
from operator_at_work import DOMAIN, Operator

from lab import LabServer

pytestmark = pytest.mark.ready

# What is tried: everything this machine's OpenSSL can be made to offer, weak ones included.
VERSIONS = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
         "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256")  # fmt: skip
PROFILE_13 = set(TLS13[:3])
ECDSA = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
         "ECDHE-ECDSA-CHACHA20-POLY1305"}  # fmt: skip
RSA = {name.replace("ECDSA", "RSA") for name in ECDSA}


def _accepts(server: LabServer, *options: str) -> bool:
    said = handshake(server, None, *options)
    return "Cipher is (NONE)" not in said and "Cipher is " in said


def _offered(server: LabServer, kind: str = "") -> tuple[set[str], set[str]]:
    """Return the TLS versions and the cipher suites that a server agrees to.

    Args:
        server: The server.
        kind: Of the suites before TLS 1.3, try only those with this in their names.
    """
    weak = ("-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    versions = {name for name, option in VERSIONS.items() if _accepts(server, option, *weak)}
    listed = subprocess.run(
        ["openssl", "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    suites = {
        name
        for name in listed.strip().split(":")
        if not name.startswith("TLS_")
        and kind in name
        and _accepts(server, "-tls1_2", "-cipher", f"{name}:@SECLEVEL=0")
    }
    suites |= {name for name in TLS13 if _accepts(server, "-tls1_3", "-ciphersuites", name)}
    return versions, suites


def _curl(server: LabServer, url: str, *options: str, port: int = 443) -> str:
    return subprocess.run(
        ["curl", "-sik", "-m", "20", "--resolve", f"{DOMAIN}:{port}:{server.address}",
         "--resolve", f"{DOMAIN}:80:{server.address}", *options, url],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip


@pytest.mark.deployed
def test_the_intermediate_profile_and_the_modern_one(
    operator: Operator, server: LabServer, tmp_path: Path
) -> None:
    versions, suites = _offered(server, "ECDSA")
    assert versions == {"TLSv1.2", "TLSv1.3"}
    assert suites == ECDSA | PROFILE_13
    # OCSP stapling is left off: Let's Encrypt, for one, has ended OCSP.
    assert "OCSP response: no response sent" in handshake(server, None, "-status")
    assert "Strict-Transport-Security" not in _curl(server, f"https://{DOMAIN}/v2/")

    # With an RSA key the same suites, for that kind of key.
    _rsa_files(tmp_path)
    files = {"certificate": str(tmp_path / "chain.pem"), "key": str(tmp_path / "key.pem")}
    operator.install(operator.answers([server], ssl={"mode": "files", "files": files}))
    assert _offered(server) == ({"TLSv1.2", "TLSv1.3"}, RSA | PROFILE_13)

    operator.install(operator.answers([server], ssl={"profile": "modern", "hsts": 63072000}))
    assert _offered(server, "ECDSA") == ({"TLSv1.3"}, PROFILE_13)
    for path in ("/v2/", "/elsewhere"):
        answer = _curl(server, f"https://{DOMAIN}{path}")
        assert "strict-transport-security: max-age=63072000\n" in answer.lower().replace("\r", "")


def _rsa_files(folder: Path) -> None:
    """Write a self-signed certificate with an RSA key."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
         f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}", "-keyout",
         str(folder / "key.pem"), "-out", str(folder / "chain.pem")],
        capture_output=True, check=True,
    )  # fmt: skip


def test_newer_debian_offers_the_hybrid_key_exchange(
    operator: Operator, lab: object, servers: object
) -> None:
    machine = servers(1, suite="trixie")[0]  # type: ignore[operator]
    operator.install(operator.answers([machine]))
    said = machine.run(
        f"openssl s_client -connect 127.0.0.1:443 -servername {DOMAIN} </dev/null 2>&1"
    ).stdout
    assert "X25519MLKEM768" in said
    assert _offered(machine, "ECDSA") == ({"TLSv1.2", "TLSv1.3"}, ECDSA | PROFILE_13)


@pytest.mark.deployed
def test_http_redirects_to_https_except_for_acme(operator: Operator, server: LabServer) -> None:
    answer = _curl(server, f"http://{DOMAIN}/v2/_catalog?n=5")
    assert " 301 " in answer
    assert f"Location: https://{DOMAIN}/v2/_catalog?n=5" in answer
    # Other names on this machine are not the registry's business.
    other = _curl(server, "http://other.example.test/", "--connect-to", f"::{server.address}:80")
    assert "Location" not in other

    operator.install(
        operator.answers([server], registry={"domain": DOMAIN, "redirect_http": False})
    )
    assert DOMAIN not in _curl(server, f"http://{DOMAIN}/v2/")


def test_forwarded_headers_count_from_trusted_proxies_only(
    operator: Operator, server: LabServer, servers: object
) -> None:
    proxy = servers(names=["proxy"], variant="client")[0]  # type: ignore[operator]
    stranger = server
    port = 8080
    answers = operator.answers(
        [server],
        registry={"domain": DOMAIN, "port": port},
        ssl={"mode": "none", "trusted_proxies": [proxy.address]},
    )
    operator.install(answers, verify=True)

    def begin(machine: LabServer, *headers: str) -> str:
        """Begin an upload from a machine; return where the registry wants it to go on."""
        words = [word for header in headers for word in ("-H", header)]
        login = f'user = "ci:{operator.passwords["ci"]}"\n'
        command = ["curl", "-s", "-i", "-X", "POST", "-K", "-", "-H", f"Host: {DOMAIN}", *words,
                   f"http://{server.address}:{port}/v2/a/b/blobs/uploads/"]  # fmt: skip
        if machine is stranger:
            done = subprocess.run(command, input=login, capture_output=True, text=True, check=True)
            return done.stdout
        return machine.run(command, stdin=login).stdout

    # The proxy says how the client came and who it is.
    said = begin(proxy, "X-Forwarded-Proto: https", "X-Forwarded-For: 198.51.100.7")
    assert f"Location: https://{DOMAIN}/v2/a/b" in said
    assert "198.51.100.7" in _last_access(server)
    said = begin(proxy, "X-Forwarded-Proto: http")
    assert f"Location: http://{DOMAIN}/v2/a/b" in said

    # Somebody else may claim what they like.
    said = begin(
        stranger,
        "X-Forwarded-Proto: http",
        "X-Forwarded-For: 198.51.100.8",
        "X-Forwarded-Host: evil.example.com",
        "Forwarded: host=evil.example.com;proto=http",
    )
    assert f"Location: https://{DOMAIN}/v2/a/b" in said
    assert "evil" not in said
    assert "198.51.100.8" not in _last_access(server)


def _last_access(server: LabServer) -> str:
    return server.run("tail -n 1 /var/log/nginx/moorage.log").stdout


def test_a_private_ca_is_constrained_to_the_registrys_name(
    operator: Operator, server: LabServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moorage.answers.secrets import Secret
    from moorage.deploy.certificates import ca

    monkeypatch.setenv("CA_PASSPHRASE", "open sesame")
    operator.leaks.add("open sesame", label="the CA's passphrase")
    section = {"name": "Moorage private CA", "passphrase": {"env": "CA_PASSPHRASE"}}
    answers = operator.answers([server], ssl={"mode": "private_ca", "private_ca": section})
    operator.install(answers, verify=True)
    folder = next((operator.home / "state" / "ca").iterdir())
    assert "Verify return code: 0 (ok)" in handshake(server, folder / "ca.pem")
    assert b"ENCRYPTED" in (folder / "ca.key").read_bytes()
    assert not operator.plan(answers).has_changes

    # A certificate of this CA for another name: openssl refuses it.
    authority = ca.load("Moorage private CA", DOMAIN)
    assert authority is not None
    foreign = authority.issue("bank.example.com", Secret("open sesame"))
    (tmp_path / "foreign.pem").write_bytes(foreign.certificate)
    said = subprocess.run(
        ["openssl", "verify", "-CAfile", str(folder / "ca.pem"), str(tmp_path / "foreign.pem")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "permitted subtree violation" in said.stderr + said.stdout

    # A wrong passphrase when a certificate has to be made: an error, and nothing is changed.
    server.run("rm /etc/nginx/moorage/tls/fullchain.pem")
    monkeypatch.setenv("CA_PASSPHRASE", "wrong sesame")
    with pytest.raises(Exception, match="passphrase does not open"):
        operator.plan(answers)
    monkeypatch.setenv("CA_PASSPHRASE", "open sesame")
    operator.install(answers)
    assert "Verify return code: 0 (ok)" in handshake(server, folder / "ca.pem")
