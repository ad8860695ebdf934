#include "crypto/x509.h"

#include <ctime>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "crypto/openssl_error.h"
#include "crypto/random.h"

namespace terrane::crypto {
namespace {

// Nodes' clocks differ; a certificate must not look as if it came from the future.
constexpr std::chrono::hours clock_tolerance{1};

struct Deleter {
  void operator()(X509* value) const { X509_free(value); }
  void operator()(EVP_PKEY* value) const { EVP_PKEY_free(value); }
  void operator()(BIO* value) const { BIO_free_all(value); }
  void operator()(BIGNUM* value) const { BN_free(value); }
  void operator()(GENERAL_NAMES* value) const { GENERAL_NAMES_free(value); }
  void operator()(GENERAL_NAME* value) const { GENERAL_NAME_free(value); }
  void operator()(X509_EXTENSION* value) const { X509_EXTENSION_free(value); }
  void operator()(ASN1_IA5STRING* value) const { ASN1_STRING_free(value); }
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;

// Leaves no error behind that would be taken for one of a TLS connection on this thread.
[[noreturn]] void refuse(const char* detail) {
  ERR_clear_error();
  throw Error(Code::invalid, detail);
}

Owned<BIO> reader(const std::string& pem) {
  Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(std::min<std::size_t>(pem.size(), 1 << 20))));
  check(bio != nullptr, "BIO_new_mem_buf");
  return bio;
}

Owned<X509> read_certificate(const std::string& pem) {
  Owned<X509> certificate(PEM_read_bio_X509(reader(pem).get(), nullptr, nullptr, nullptr));
  if (!certificate) refuse("This is not a certificate in PEM format.");
  return certificate;
}

Owned<EVP_PKEY> read_key(const std::string& pem) {
  // An empty password: an encrypted key must not make the library ask on the terminal.
  char none[] = "";
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, nullptr, none));
  if (!key) refuse("This is not a private key in PEM format without a password.");
  return key;
}

std::string contents(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Identity to_pem(X509* certificate, EVP_PKEY* key) {
  Owned<BIO> first(BIO_new(BIO_s_mem()));
  Owned<BIO> second(BIO_new(BIO_s_secmem()));
  check(first && second, "BIO_new");
  check(PEM_write_bio_X509(first.get(), certificate) == 1, "write the certificate");
  check(PEM_write_bio_PKCS8PrivateKey(second.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
        "write the key");
  return {contents(first.get()), contents(second.get())};
}

void add_extension(X509* certificate, X509* issuer, int kind, const char* text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, kind, text));
  check(extension != nullptr, "make an extension");
  check(X509_add_ext(certificate, extension.get(), -1) == 1, "add an extension");
}

bool is_dns_name(std::string_view name) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*";
  return !name.empty() && name.size() <= 253 && name.find_first_not_of(allowed) == std::string_view::npos;
}

// The names never pass through OpenSSL's extension language, in which a comma would begin another name.
void add_names(X509* certificate, const std::vector<std::string>& names) {
  if (names.empty()) return;
  Owned<GENERAL_NAMES> all(GENERAL_NAMES_new());
  check(all != nullptr, "GENERAL_NAMES_new");
  for (const std::string& name : names) {
    Owned<GENERAL_NAME> one(GENERAL_NAME_new());
    check(one != nullptr, "GENERAL_NAME_new");
    if (ASN1_OCTET_STRING* address = a2i_IPADDRESS(name.c_str())) {
      GENERAL_NAME_set0_value(one.get(), GEN_IPADD, address);
    } else {
      if (!is_dns_name(name)) refuse("A certificate's name must be a DNS name or an IP address.");
      Owned<ASN1_IA5STRING> text(ASN1_IA5STRING_new());
      check(text && ASN1_STRING_set(text.get(), name.data(), static_cast<int>(name.size())) == 1,
            "set a DNS name");
      GENERAL_NAME_set0_value(one.get(), GEN_DNS, text.release());
    }
    check(sk_GENERAL_NAME_push(all.get(), one.get()) > 0, "add a name");
    one.release();
  }
  check(X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.get(), 0, X509V3_ADD_DEFAULT) == 1,
        "add the names");
}

void set_serial(X509* certificate) {
  std::string bytes = random_bytes(16);
  bytes[0] = static_cast<char>((bytes[0] & 0x7f) | 0x40);  // positive, and never short
  Owned<BIGNUM> number(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                                 static_cast<int>(bytes.size()), nullptr));
  check(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)),
        "set the serial number");
}

// A certificate with everything but issuer, extensions and signature.
Owned<X509> blank(EVP_PKEY* key, const std::string& common_name, std::chrono::days lifetime) {
  if (common_name.empty() || common_name.size() > 64)
    throw Error(Code::invalid, "A certificate's common name must have 1 to 64 bytes.");
  if (lifetime.count() < 1 || lifetime.count() > 36500)
    throw Error(Code::invalid, "A certificate must live 1 to 36500 days.");
  Owned<X509> certificate(X509_new());
  check(certificate != nullptr, "X509_new");
  check(X509_set_version(certificate.get(), X509_VERSION_3) == 1, "set the version");
  set_serial(certificate.get());
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.data());
  int length = static_cast<int>(common_name.size());
  if (X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, text, length, -1, 0) != 1) {
    refuse("A certificate's common name must be UTF-8 text.");
  }
  long before = -static_cast<long>(std::chrono::seconds(clock_tolerance).count());
  check(X509_gmtime_adj(X509_getm_notBefore(certificate.get()), before), "set the begin");
  check(
      X509_time_adj_ex(X509_getm_notAfter(certificate.get()), static_cast<int>(lifetime.count()), 0, nullptr),
      "set the end");
  check(X509_set_pubkey(certificate.get(), key) == 1, "set the public key");
  return certificate;
}

Owned<EVP_PKEY> new_key() {
  Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  check(key != nullptr, "make a key");
  return key;
}

}  // namespace

Identity make_ca(const std::string& common_name, std::chrono::days lifetime) {
  Owned<EVP_PKEY> key = new_key();
  Owned<X509> certificate = blank(key.get(), common_name, lifetime);
  X509* self = certificate.get();
  check(X509_set_issuer_name(self, X509_get_subject_name(self)) == 1, "set the issuer");
  add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(self, self, NID_subject_key_identifier, "hash");
  add_extension(self, self, NID_authority_key_identifier, "keyid:always");
  check(X509_sign(self, key.get(), EVP_sha256()) > 0, "sign the certificate");
  return to_pem(self, key.get());
}

Identity make_certificate(const Identity& ca, const std::string& common_name,
                          const std::vector<std::string>& names, Usage usage, std::chrono::days lifetime) {
  if (usage == Usage::server && names.empty())
    throw Error(Code::invalid, "A server's certificate needs at least one name.");
  Owned<X509> issuer = read_certificate(ca.certificate_pem);
  Owned<EVP_PKEY> issuer_key = read_key(ca.key_pem);
  if (X509_check_private_key(issuer.get(), issuer_key.get()) != 1) {
    refuse("The CA's private key does not belong to its certificate.");
  }
  Owned<EVP_PKEY> key = new_key();
  Owned<X509> certificate = blank(key.get(), common_name, lifetime);
  X509* leaf = certificate.get();
  // What outlives its CA fails at a time that the certificate does not show.
  if (ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(issuer.get())) > 0) {
    check(X509_set1_notAfter(leaf, X509_get0_notAfter(issuer.get())) == 1, "set the end");
  }
  check(X509_set_issuer_name(leaf, X509_get_subject_name(issuer.get())) == 1, "set the issuer");
  add_extension(leaf, issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(leaf, issuer.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(leaf, issuer.get(), NID_ext_key_usage, usage == Usage::server ? "serverAuth" : "clientAuth");
  add_extension(leaf, issuer.get(), NID_subject_key_identifier, "hash");
  add_extension(leaf, issuer.get(), NID_authority_key_identifier, "keyid:always");
  add_names(leaf, names);
  check(X509_sign(leaf, issuer_key.get(), EVP_sha256()) > 0, "sign the certificate");
  return to_pem(leaf, key.get());
}

std::int64_t expires_at(const std::string& certificate_pem) {
  Owned<X509> certificate = read_certificate(certificate_pem);
  std::tm parts{};
  check(ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) == 1, "read the end");
  return timegm(&parts);
}

}  // namespace terrane::crypto
