#pragma once
// Shared by the tests of this folder: a vault over a storage in memory, called without a network.
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "http/message.h"
#include "transit/key_material.h"
#include "transit/storage.h"
#include "transit/vault_server.h"

namespace terrane::transit {

/// A private temporary directory that goes with the object.
class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "terrane-vault-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error(std::string("mkdtemp: ") + std::strerror(errno));
    path_ = pattern;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// A body that is there already.
class TextSource : public http::ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  Task<std::size_t> read(std::span<char> into) override {
    std::size_t count = std::min(into.size(), text_.size() - at_);
    std::memcpy(into.data(), text_.data() + at_, count);
    at_ += count;
    co_return count;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

struct Reply {
  int status = 0;
  json::value body;

  /// The value under a dotted path, null when it is not there.
  json::value at(std::string_view path) const {
    const json::value* value = &body;
    for (std::string_view part : split(path, '.')) {
      const json::object* object = value->if_object();
      const json::array* array = value->if_array();
      if (object)
        value = object->if_contains(part);
      else if (array)
        value = array->if_contains(static_cast<std::size_t>(parse_int(part).value_or(-1)));
      else
        value = nullptr;
      if (!value) return nullptr;
    }
    return *value;
  }
  std::string text(std::string_view path) const {
    json::value value = at(path);
    return value.is_string() ? std::string(value.get_string()) : "";
  }
  std::int64_t number(std::string_view path) const {
    json::value value = at(path);
    return value.is_int64() ? value.get_int64() : -1;
  }
  std::string error() const { return text("errors.0"); }
};

/// Calls a handler as the server would.
inline Task<Reply> call(const http::Handler& handler, http::Method method, std::string target,
                        std::string body = {}, std::string token = {},
                        std::vector<std::pair<std::string, std::string>> headers = {}) {
  TextSource source(std::move(body));
  http::Request request;
  request.method = method;
  request.target = target;
  std::size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos)
    request.query = http::Query(std::string_view(target).substr(question + 1));
  request.body = &source;
  request.peer = "unix";
  if (!token.empty()) request.headers.add("X-Vault-Token", token);
  for (const auto& [name, value] : headers) request.headers.add(name, value);
  http::Response response = co_await handler(request);
  Reply reply{response.status, nullptr};
  if (!response.body.empty()) reply.body = parse_json(response.body);
  co_return reply;
}

/// A vault and its owner's view of it. Storage and key material are given, so that several can stand over the
/// same.
class TestVault {
 public:
  TestVault(Storage& storage, const std::filesystem::path& directory)
      : material_({directory}), server_(storage, {directory}), handler_(server_.handler()) {}

  Task<> open() {
    co_await server_.open();
    std::optional<UnsealFile> file = co_await material_.read_unseal();
    root_ = file->root_token.reveal();
    unseal_key_ = base64(file->unseal_key.reveal());
  }
  Task<Reply> get(std::string path) { return call(handler_, http::Method::get, "/v1/" + path, "", root_); }
  Task<Reply> post(std::string path, std::string body = "{}") {
    return call(handler_, http::Method::post, "/v1/" + path, std::move(body), root_);
  }
  Task<Reply> as(std::string token, http::Method method, std::string path, std::string body = "{}") {
    return call(handler_, method, "/v1/" + path, std::move(body), std::move(token));
  }
  /// Encrypts a text under `key`; the test fails when that does not work.
  Task<std::string> encrypt(std::string key, std::string text) {
    Reply reply = co_await post("transit/encrypt/" + key, R"({"plaintext":")" + base64(text) + "\"}");
    EXPECT_EQ(reply.status, 200) << json::serialize(reply.body);
    co_return reply.text("data.ciphertext");
  }
  /// The text again, or `error: …`.
  Task<std::string> decrypt(std::string key, std::string ciphertext) {
    Reply reply = co_await post("transit/decrypt/" + key, R"({"ciphertext":")" + ciphertext + "\"}");
    if (reply.status != 200) co_return "error: " + reply.error();
    co_return from_base64(reply.text("data.plaintext")).value_or("error: no base64");
  }

  VaultServer& server() noexcept { return server_; }
  KeyMaterial& material() noexcept { return material_; }
  const http::Handler& handler() const noexcept { return handler_; }
  const std::string& root() const noexcept { return root_; }
  const std::string& unseal_key() const noexcept { return unseal_key_; }

 private:
  KeyMaterial material_;
  VaultServer server_;
  http::Handler handler_;
  std::string root_;
  std::string unseal_key_;
};

}  // namespace terrane::transit
