"""TLS as Open vSwitch does it: both sides show a certificate, signed by a CA that the other side is given as a file.

The certificate's name is not compared with the host's: switches are known by who signed them (ovs-vswitchd(8),
"Public Key Infrastructure Options"). With "none" as the CA file the peer is not verified.
"""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The three PEM files of a TLS end.

    Attributes:
        private_key: our private key.
        certificate: our certificate (and chain).
        ca_cert: certificates of the authorities we trust, or "none".
    """

    private_key: str
    certificate: str
    ca_cert: str

    def context(self, *, server: bool) -> ssl.SSLContext:
        """Read the files into a context for accepting (`server`) or connecting.

        Raises:
            OSError: a file cannot be read or does not hold what it should; the text names which.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        try:
            context.load_cert_chain(self.certificate, self.private_key)
        except OSError as error:
            raise OSError(error.errno, f"{self.certificate}, {self.private_key}: {error.strerror or error}") from error
        if self.ca_cert == "none":
            context.verify_mode = ssl.CERT_NONE
            return context
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(self.ca_cert)
        except OSError as error:
            raise OSError(error.errno, f"{self.ca_cert}: {error.strerror or error}") from error
        return context
