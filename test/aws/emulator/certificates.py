"""A certificate authority for the emulator's public names. Its ca.pem is what a client has to trust."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 7


def name_of(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem_of(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Authority:
    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = self.builder("Emulator CA", self.key.public_key()).add_extension(
            constraints, True).add_extension(usage, True).add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False).sign(
            self.key, hashes.SHA256())
        self.file = os.path.join(folder, "ca.pem")
        with open(self.file, "wb") as file:
            file.write(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.issued = {}

    def builder(self, subject, public_key):
        now = datetime.datetime.now(datetime.UTC)
        return x509.CertificateBuilder().subject_name(name_of(subject)).issuer_name(
            name_of("Emulator CA")).public_key(public_key).serial_number(
            x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
            now + datetime.timedelta(days=DAYS))

    def issue(self, hosts):
        """Path of a PEM file with certificate and key for loopback and `hosts`."""
        hosts = frozenset(h for h in hosts if len(h) < 200)
        if hosts not in self.issued:
            key = ec.generate_private_key(ec.SECP256R1())
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            names += [x509.DNSName(host) for host in sorted(hosts)]
            made = self.builder("localhost", key.public_key()).add_extension(
                x509.SubjectAlternativeName(names), False).add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False).add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False).sign(
                self.key, hashes.SHA256())
            path = os.path.join(self.folder, f"front-{len(self.issued)}.pem")
            with open(path, "wb") as file:
                file.write(made.public_bytes(serialization.Encoding.PEM) + pem_of(key))
            self.issued[hosts] = path
        return self.issued[hosts]
