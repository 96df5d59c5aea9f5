"""Contexts from files, and what is said of files that are not what they should be."""

import ssl
from pathlib import Path

import pytest
import trustme

from jackfield.io.tls import TlsFiles


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    directory = tmp_path_factory.mktemp("pki")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    leaf = authority.issue_cert("switch")
    leaf.private_key_pem.write_to_path(directory / "key.pem")
    leaf.cert_chain_pems[0].write_to_path(directory / "cert.pem")
    return TlsFiles(str(directory / "key.pem"), str(directory / "cert.pem"), str(directory / "ca.pem"))


@pytest.mark.parametrize("server", [True, False])
def test_both_sides_must_show_a_certificate(files: TlsFiles, server: bool) -> None:
    context = files.context(server=server)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert not context.check_hostname


def test_none_as_the_authority_verifies_nobody(files: TlsFiles) -> None:
    assert TlsFiles(files.private_key, files.certificate, "none").context(server=False).verify_mode == ssl.CERT_NONE


def test_a_bad_file_is_named(files: TlsFiles, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("not a certificate")
    with pytest.raises(OSError, match=r"garbage\.pem"):
        TlsFiles(files.private_key, str(garbage), files.ca_cert).context(server=True)
    with pytest.raises(OSError, match=r"garbage\.pem"):
        TlsFiles(files.private_key, files.certificate, str(garbage)).context(server=True)
    with pytest.raises(OSError, match=r"missing\.pem"):
        TlsFiles(files.private_key, files.certificate, str(tmp_path / "missing.pem")).context(server=True)
