#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace terrane::crypto {

/// A certificate and its private key, PEM. The key is ECDSA P-256.
struct Identity {
  std::string certificate_pem;
  std::string key_pem;
};

/// Makes a self-signed CA (path length 0, certificate signing only).
Identity make_ca(const std::string& common_name, std::chrono::days lifetime);

enum class Usage { server, client };

/// Makes a certificate signed by `ca`. `names` are DNS names or IP addresses of the subject alternative name
/// (a server needs one).
Identity make_certificate(const Identity& ca, const std::string& common_name,
                          const std::vector<std::string>& names, Usage usage, std::chrono::days lifetime);

/// When the certificate ends, in seconds of the epoch. Throws Error{invalid} on what is not a certificate.
std::int64_t expires_at(const std::string& certificate_pem);

}  // namespace terrane::crypto
