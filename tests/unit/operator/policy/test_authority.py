"""Whom a federation believes, and how one authority takes over from another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from fedward_operator.policy.joining.rotation import Step, rotate
from fedward_operator.policy.joining.trust import files_of, mark, read_authority
from fedward_protocol import tls
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

FEDERATION = "fed.example.org"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
OLD, NEW = Authority.create(FEDERATION, NOW), Authority.create(FEDERATION, NOW)
PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)


def made_elsewhere(key, signer=None, uri=f"spiffe://{FEDERATION}", ca=True) -> x509.Certificate:
    """Make a certificate as a company's authority, or another program, would."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri or "Example Company")])
    issuer, signing = (signer[0].subject, signer[1]) if signer else (name, key)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if uri:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signing, hashes.SHA256())


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key, password: bytes | None = None) -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(*PKCS8, hidden)


def believed(files) -> list[bytes]:
    return [pem(each) for each in x509.load_pem_x509_certificates(read_authority(FEDERATION, files).trusted_pem)]


def test_the_signer_is_believed_first_and_the_others_of_its_federation_beside_it():
    files = {**files_of(OLD), "ca.crt": NEW.ca_pem + OLD.ca_pem}
    assert believed(files) == [OLD.ca_pem, NEW.ca_pem]
    assert believed({**files, "ca.crt": b""}) == [OLD.ca_pem]
    assert believed({name: files[name] for name in ("tls.crt", "tls.key")}) == [OLD.ca_pem]


def test_a_companys_authority_that_vouches_for_the_federations_is_not_believed_for_that():
    company_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    company = made_elsewhere(company_key, uri=None)
    ours = made_elsewhere(key, (company, company_key))
    files = {"tls.crt": pem(ours) + pem(company), "tls.key": key_pem(key), "ca.crt": pem(company)}
    assert believed(files) == [pem(ours)]


async def test_a_connection_is_made_under_an_authority_that_a_company_vouches_for():
    company_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    company = made_elsewhere(company_key, uri=None)
    ours = made_elsewhere(key, (company, company_key))
    authority = read_authority(FEDERATION, {"tls.crt": pem(ours), "tls.key": key_pem(key), "ca.crt": pem(company)})
    job = authority.issue(Identity(FEDERATION, "job", "1"), ["localhost"], NOW, DAY)
    site = authority.issue(Identity(FEDERATION, "site", "north"), ["localhost"], NOW, DAY)
    server = grpc.aio.server()
    port = server.add_secure_port("localhost:0", tls.server_credentials(job, require_client=True))
    await server.start()
    try:
        async with grpc.aio.secure_channel(f"localhost:{port}", tls.channel_credentials(site)) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as answer:
                await channel.unary_unary("/no.Such/Call")(b"", timeout=10)
        assert answer.value.code() is grpc.StatusCode.UNIMPLEMENTED, "both ends believed each other, and then spoke"
    finally:
        await server.stop(None)


RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, r"tls\.crt is missing"),
        ({"tls.crt": b"x"}, r"tls\.key is missing"),
        ({"tls.crt": b"x", "tls.key": OLD.key_pem}, r"tls\.crt holds no certificate"),
        ({**files_of(OLD), "ca.crt": b"x"}, r"ca\.crt holds something else"),
        ({**files_of(OLD), "tls.key": NEW.key_pem}, "key is not its certificate's"),
        ({"tls.crt": pem(made_elsewhere(RSA)), "tls.key": key_pem(RSA)}, "no elliptic curve's"),
        ({"tls.crt": pem(made_elsewhere(EC)), "tls.key": key_pem(EC, b"secret")}, r"tls\.key is encrypted"),
        ({"tls.crt": pem(made_elsewhere(EC, uri=None)), "tls.key": key_pem(EC)}, f"the URI spiffe://{FEDERATION}"),
        ({"tls.crt": pem(made_elsewhere(EC, uri="spiffe://o")), "tls.key": key_pem(EC)}, "is not of fed.example.org"),
        ({"tls.crt": pem(made_elsewhere(EC, ca=False)), "tls.key": key_pem(EC)}, "it must be a CA's"),
    ],
)
def test_what_is_no_authority_is_refused_with_what_is_wrong(files, why):
    with pytest.raises(ValueError, match=why):
        read_authority(FEDERATION, files)


def test_a_rotation_goes_by_three_steps_and_nobody_is_ever_without_whom_to_believe():
    first = files_of(OLD)
    begun = rotate(FEDERATION, first, NOW)
    new = begun.files["next.crt"]
    assert (begun.step, believed(begun.files)) == (Step.BEGIN, [OLD.ca_pem, new])
    over = rotate(FEDERATION, begun.files, NOW)
    assert (over.step, believed(over.files)) == (Step.TAKE_OVER, [new, OLD.ca_pem])
    assert not {"next.crt", "next.key"} & over.files.keys()
    ended = rotate(FEDERATION, over.files, NOW)
    assert (ended.step, believed(ended.files)) == (Step.END, [new])
    assert rotate(FEDERATION, ended.files, NOW).step is Step.BEGIN
    marks = [mark(read_authority(FEDERATION, each.files).trusted_pem) for each in (begun, over, ended)]
    assert len({*marks, mark(OLD.trusted_pem)}) == 4, "each step is told to the sites"


def test_a_mark_is_of_the_certificates_and_not_of_the_text_around_them():
    assert mark(OLD.ca_pem + NEW.ca_pem) == mark(b"# ours\n" + OLD.ca_pem + b"\n\n" + NEW.ca_pem)
    assert mark(OLD.ca_pem + NEW.ca_pem) != mark(NEW.ca_pem + OLD.ca_pem)
    assert mark(b"") == mark(b"\n") == ""


def test_no_certificate_outlives_who_vouches_for_it():
    key = ec.generate_private_key(ec.SECP256R1())
    authority = read_authority(FEDERATION, {"tls.crt": pem(made_elsewhere(key)), "tls.key": key_pem(key)})
    issued = authority.issue(Identity(FEDERATION, "hub"), [], NOW, 90 * DAY)
    ends = x509.load_pem_x509_certificate(issued.cert_pem).not_valid_after_utc
    assert ends == authority.ends < NOW + 2 * DAY
