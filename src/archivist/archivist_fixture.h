#pragma once
#include <cstring>
#include <filesystem>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "archivist/archivist.h"
#include "base/text.h"
#include "blob/directory_store.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "http/client.h"
#include "http/server.h"
#include "object/archivist_client.h"
#include "testing/child.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "vault_client/fake_vault.h"

namespace terrane::archivist::fixture {

/// What outlives the processes of a test: database, blob directory, vault and signing key.
struct Stores {
  testing::TestDatabase database{testing::TestDatabase::Content::migrated};
  testing::TestDirectory directory{"archivist", ""};
  vault_client::FakeVault vault;
  object::UrlSigner urls{Secret(std::string(32, 'k'))};

  std::filesystem::path blobs() const { return directory.path() / "blobs"; }
  /// Inserts a row in status `uploading`.
  Id<Object> add(const std::string& kind, const std::string& workspace = "ws-1") {
    Id<Object> id = Id<Object>::make();
    database.run("INSERT INTO objects (id, kind, workspace) VALUES ('" + id.text() + "', '" + kind + "', '" +
                 workspace + "')");
    return id;
  }
  void set(const Id<Object>& id, const std::string& what) {
    database.run("UPDATE objects SET " + what + " WHERE id = '" + id.text() + "'");
  }
  /// The path of a signed URL.
  std::string url(object::Access access, const Id<Object>& id,
                  std::chrono::seconds life = std::chrono::minutes(5)) const {
    return urls.path(access, id, life);
  }
  /// How many blobs lie in the directory, finished or not.
  std::size_t blob_count() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(blobs()))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  }
  std::filesystem::path blob_path(const std::string& name) const { return blobs() / "objects" / name; }
};

/// One archivist with its server on a unix socket, and clients of it.
struct Process {
  Process(net::Executor executor, Stores& stores, const std::string& name = "archivist",
          redis::Client* redis = nullptr)
      : socket(stores.directory.path() / (name + ".sock")),
        database(executor, stores.database.options()),
        store(executor, stores.blobs()),
        archivist({executor, database, stores.vault, store, redis, stores.urls}),
        server(executor, make_handler(), no_failure),
        client(executor, socket),
        raw(executor, endpoint()) {
    server.listen_unix(socket);
  }

  struct Answer {
    int status = 0;
    std::string body;
    http::Headers headers;
    std::string header(std::string_view name) const { return std::string(headers.find(name).value_or("")); }
  };
  Task<Answer> call(http::Method method, std::string target, std::string body = {},
                    http::Headers headers = {}) {
    http::ClientRequest request;
    request.method = method;
    request.target = std::move(target);
    request.body = std::move(body);
    request.headers = std::move(headers);
    http::ClientResponse response = co_await raw.send(std::move(request));
    Answer answer;
    answer.status = response.status;
    answer.headers = response.headers;
    answer.body = co_await response.text();
    co_return answer;
  }
  Task<Answer> get(std::string target, std::string range = {}) {
    http::Headers headers;
    if (!range.empty()) headers.set("Range", range);
    return call(http::Method::get, std::move(target), {}, std::move(headers));
  }
  Task<Answer> put(std::string target, std::string body) {
    return call(http::Method::put, std::move(target), std::move(body));
  }
  Task<> stop() { return server.stop(std::chrono::seconds(1)); }

  http::Endpoint endpoint() const {
    http::Endpoint endpoint;
    endpoint.host = "archivist";
    endpoint.unix_path = socket;
    return endpoint;
  }

  std::filesystem::path socket;
  http::Router router;
  postgres::Database database;
  blob::DirectoryStore store;
  Archivist archivist;
  http::Server server;
  object::ArchivistClient client;
  http::Client raw;

 private:
  http::Handler make_handler() {
    archivist.add_routes(router);
    return handler(router);
  }
  static http::Response no_failure(const http::Request&, std::exception_ptr) {
    http::Response response;
    response.status = 599;  // every failure has become an answer before
    return response;
  }
};

/// Sends text to a unix socket, says that nothing follows, and returns what comes back.
inline Task<std::string> talk(std::filesystem::path socket_path, std::string text) {
  std::function<std::string()> work = [&] {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path.native().copy(address.sun_path, sizeof address.sun_path - 1);
    std::string answer;
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      shutdown(fd, SHUT_WR);
      std::array<char, 4096> piece;
      for (ssize_t count; (count = recv(fd, piece.data(), piece.size(), 0)) > 0;)
        answer.append(piece.data(), static_cast<std::size_t>(count));
    }
    close(fd);
    return answer;
  };
  co_return co_await net::blocking_result<std::string>(std::move(work));
}

/// A body of `size` bytes that are not stored anywhere: each 8 bytes are their position.
class Pattern : public http::ByteSource {
 public:
  explicit Pattern(std::uint64_t size) : left_(size) {}
  Task<std::size_t> read(std::span<char> into) override {
    std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, into.size() / 8 * 8));
    for (std::size_t i = 0; i < count; i += 8, ++number_)
      std::memcpy(into.data() + i, &number_, std::min<std::size_t>(8, count - i));
    left_ -= count;
    hasher_.update({into.data(), count});
    co_return count;
  }
  std::string md5() { return hex(hasher_.finish()); }

 private:
  std::uint64_t left_;
  std::uint64_t number_ = 0;
  crypto::Hasher hasher_{crypto::HashKind::md5};
};

inline std::string md5(std::string_view text) { return hex(crypto::hash(crypto::HashKind::md5, text)); }

/// Text of `size` bytes in which every place looks different.
inline std::string sample(std::size_t size) {
  std::string text;
  for (std::size_t number = 0; text.size() < size; ++number) text += std::to_string(number) + " ";
  text.resize(size);
  return text;
}

}  // namespace terrane::archivist::fixture
