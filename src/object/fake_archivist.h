#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "http/router.h"
#include "http/server.h"
#include "net/io.h"
#include "object/archivist_client.h"
#include "object/object.h"
#include "postgres/database.h"

namespace terrane::object {

/// An archivist in memory for tests: it speaks what ArchivistClient asks over a unix socket, keeps the bytes
/// as they came, and marks the objects' rows live as the real one does. One executor; `stop` before
/// destruction.
class FakeArchivist {
 public:
  /// Serves on `socket`. `urls` opens signed URLs. What is referred to must outlive it.
  FakeArchivist(net::Executor executor, postgres::Database& database, const UrlSigner& urls,
                const std::filesystem::path& socket);
  Task<> stop();

  /// While away every request is answered 503.
  void set_away(bool away) noexcept { away_ = away; }
  /// Whether an object's bytes have come, and the bytes.
  bool has(const std::string& object) const { return objects_.contains(object); }
  const std::string& bytes(const std::string& object) const { return objects_.at(object); }
  /// All segments of a log in order; text of the platform's own stands beside sealed bytes.
  std::string log(const std::string& object) const;
  /// Lets the store hold an object that has perhaps no row.
  void keep_stored(const std::string& kind, const std::string& object, ArchivistClient::StoredObject found) {
    stored_[kind][object] = std::move(found);
  }
  /// How many times bytes of any kind were sent to it.
  std::size_t writes() const noexcept { return writes_; }

 private:
  Task<http::Response> serve(http::Request& request);
  Task<http::Response> append_text(http::Request& request);
  Task<http::Response> append_sealed(http::Request& request);
  Task<http::Response> put_plain(http::Request& request);
  Task<http::Response> put_sealed(http::Request& request);
  Task<http::Response> get(http::Request& request);
  Task<http::Response> list_stored(http::Request& request);
  Task<http::Response> look_at_stored(http::Request& request);
  Task<http::Response> put_signed(http::Request& request);
  Task<http::Response> get_signed(http::Request& request);
  Task<http::Response> store(Id<Object> id, std::string bytes, bool plain);
  Task<Object> require(const std::string& id, bool log);
  http::Response stored(const Id<Object>& id) const;
  Grant require_grant(const http::Request& request, Access access) const;

  postgres::Database& database_;
  const UrlSigner& urls_;
  http::Router router_;
  http::Server server_;
  std::map<std::string, std::string> objects_;
  std::map<std::string, std::map<int, std::string>> logs_;
  std::map<std::string, std::map<std::string, ArchivistClient::StoredObject>> stored_;
  bool away_ = false;
  std::size_t writes_ = 0;
};

}  // namespace terrane::object
