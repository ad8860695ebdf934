#include "crypto/x509.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace terrane::crypto {
namespace {

using std::chrono::days;

class X509 : public testing::Test {
 public:
  ~X509() override { std::filesystem::remove_all(directory_); }

 protected:
  X509() {
    char path[] = "/tmp/terrane-x509-XXXXXX";
    directory_ = mkdtemp(path);
  }

  std::string save(const std::string& name, const std::string& text) {
    std::string path = directory_ / name;
    std::ofstream(path) << text;
    return path;
  }

  // Runs the openssl program; returns its output, with "exit N" in the end when it failed.
  static std::string openssl(const std::string& arguments) {
    std::FILE* pipe = popen(("openssl " + arguments + " 2>&1").c_str(), "r");
    std::string output;
    char buffer[4096];
    while (std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, count);
    if (int status = pclose(pipe)) output += "exit " + std::to_string(status);
    return output;
  }

  std::filesystem::path directory_;
};

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.detail();
  }
  return "";
}

TEST_F(X509, OpensslVerifiesTheChain) {
  Identity ca = make_ca("Terrane demo CA", days(3650));
  Identity server = make_certificate(ca, "terrane", {"localhost", "*.terrane.test", "127.0.0.1", "::1"},
                                     Usage::server, days(365));
  Identity client = make_certificate(ca, "node-1", {}, Usage::client, days(30));
  std::string roots = "-x509_strict -CAfile " + save("ca.pem", ca.certificate_pem) + " ";
  std::string server_path = save("server.pem", server.certificate_pem);
  std::string client_path = save("client.pem", client.certificate_pem);

  std::string good = server_path + ": OK\n";
  EXPECT_EQ(openssl("verify -purpose sslserver -verify_hostname localhost " + roots + server_path), good);
  EXPECT_EQ(openssl("verify -purpose sslserver -verify_hostname a.terrane.test " + roots + server_path),
            good);
  EXPECT_EQ(openssl("verify -purpose sslserver -verify_ip 127.0.0.1 " + roots + server_path), good);
  EXPECT_EQ(openssl("verify -purpose sslserver -verify_ip ::1 " + roots + server_path), good);
  EXPECT_EQ(openssl("verify -purpose sslclient " + roots + client_path), client_path + ": OK\n");

  EXPECT_NE(openssl("verify -verify_hostname other.test " + roots + server_path).find("hostname mismatch"),
            std::string::npos);
  EXPECT_NE(openssl("verify -purpose sslclient " + roots + server_path).find("exit"), std::string::npos);
  EXPECT_NE(openssl("verify -purpose sslserver " + roots + client_path).find("exit"), std::string::npos);
  std::string stranger =
      "-CAfile " + save("other.pem", make_ca("Terrane demo CA", days(3650)).certificate_pem) + " ";
  EXPECT_NE(openssl("verify " + stranger + server_path).find("exit"), std::string::npos);
}

TEST_F(X509, TheKeyBelongsToTheCertificate) {
  Identity ca = make_ca("Terrane demo CA", days(10));
  Identity leaf = make_certificate(ca, "terrane", {"localhost"}, Usage::server, days(5));
  EXPECT_EQ(openssl("x509 -noout -pubkey -in " + save("leaf.pem", leaf.certificate_pem)),
            openssl("pkey -pubout -in " + save("leaf.key", leaf.key_pem)));
}

TEST_F(X509, ALeafCannotSignAndEndsNotAfterItsCa) {
  Identity ca = make_ca("Terrane demo CA", days(10));
  Identity leaf = make_certificate(ca, "terrane", {"localhost"}, Usage::server, days(365));
  EXPECT_EQ(expires_at(leaf.certificate_pem), expires_at(ca.certificate_pem));
  Identity forged = make_certificate(leaf, "terrane", {"localhost"}, Usage::server, days(5));
  std::string chain = "-CAfile " + save("ca.pem", ca.certificate_pem) + " -untrusted " +
                      save("leaf.pem", leaf.certificate_pem);
  EXPECT_NE(openssl("verify " + chain + " " + save("forged.pem", forged.certificate_pem))
                .find("invalid CA certificate"),
            std::string::npos);
}

TEST_F(X509, TellsTheEnd) {
  std::int64_t expected = std::time(nullptr) + 3 * 86400;
  std::int64_t found = expires_at(make_ca("Terrane demo CA", days(3)).certificate_pem);
  EXPECT_NEAR(static_cast<double>(found), static_cast<double>(expected), 60);
}

TEST_F(X509, RefusesBadInput) {
  Identity ca = make_ca("Terrane demo CA", days(10));
  EXPECT_NE(refusal([] { expires_at("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"); }),
            "");
  EXPECT_NE(refusal([] { expires_at(""); }), "");
  EXPECT_NE(refusal([] { make_ca("", days(10)); }), "");
  EXPECT_NE(refusal([] { make_ca(std::string(65, 'x'), days(10)); }), "");
  EXPECT_NE(refusal([] { make_ca("Terrane", days(0)); }), "");
  EXPECT_NE(refusal([&] { make_certificate(ca, "terrane", {}, Usage::server, days(5)); }), "");
  EXPECT_NE(
      refusal([&] { make_certificate(ca, "terrane", {"a.test,DNS:evil.test"}, Usage::server, days(5)); }),
      "");
  EXPECT_NE(
      refusal([&] { make_certificate(ca, "terrane", {std::string("a\0b", 3)}, Usage::server, days(5)); }),
      "");
  Identity mixed{ca.certificate_pem, make_ca("Terrane demo CA", days(10)).key_pem};
  EXPECT_NE(refusal([&] { make_certificate(mixed, "terrane", {"localhost"}, Usage::server, days(5)); }), "");
  EXPECT_NE(refusal([&] {
              make_certificate({ca.certificate_pem, "no key"}, "t", {"localhost"}, Usage::server, days(5));
            }),
            "");
}

}  // namespace
}  // namespace terrane::crypto
