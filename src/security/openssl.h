#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

/// OpenSSL's objects as values with an owner. Included by .cpp files of this folder only.
namespace berth::security {

template <auto release>
struct Release {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};
using Certificate = std::unique_ptr<X509, Release<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Release<BIO_free>>;

/// What went wrong in OpenSSL last, and forgets it: "unknown error" when it does not say.
std::string take_openssl_error();

/// The first certificate in a PEM text, or null.
Certificate read_certificate(std::string_view pem);
/// The private key in a PEM text, or null; one with a passphrase counts as none.
Key read_private_key(std::string_view pem);
std::string to_pem(const X509* certificate);
std::string to_pem(const EVP_PKEY* key);

WallTime not_before(const X509* certificate);
WallTime not_after(const X509* certificate);

}  // namespace berth::security
