#pragma once
#include <memory>
#include <string>

#include "blob/store.h"
#include "http/message.h"
#include "http/router.h"
#include "net/io.h"
#include "object/object.h"
#include "postgres/database.h"
#include "redis/client.h"
#include "vault_client/vault.h"

namespace terrane::archivist {

/// The role archivist: keeps the bytes of objects sealed in the blob store, by signed URL for everybody and
/// by id for the platform's other roles. It listens on a unix socket only, and web forwards nothing but
/// `/_archivist/…` to it. It keeps no state: any number may run on the same stores. One executor; destroy it
/// after its server has stopped.
class Archivist {
 public:
  struct Needs {
    net::Executor executor;
    postgres::Database& database;
    vault_client::Vault& vault;
    blob::Store& store;
    redis::Client* redis = nullptr;  ///< tells other archivists of appended logs; may be null or away
    const object::UrlSigner& urls;
  };
  explicit Archivist(Needs needs);
  ~Archivist();

  void add_routes(http::Router& router);

  /// The channels on which archivists tell each other of appended logs, for a redis::Subscriber with
  /// `on_message`.
  static constexpr const char* channels = "log:*";
  /// Takes a message of such a channel; with an empty channel all readers of logs look by themselves.
  void on_message(const std::string& channel, const std::string& payload);

  /// Removes the bytes of objects deleted over an hour ago, and gives up uploads begun over two days ago.
  /// Suspends. Several may run at once. Throws Error{unavailable}.
  Task<> sweep();
  /// Sweeps every 10 minutes until `stop`.
  Task<> run_sweeper(net::Stop& stop);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Serves the routes of a router. Every failure becomes an answer here, and no log line holds a URL's secret.
/// The router must outlive it.
http::Handler handler(const http::Router& router);

}  // namespace terrane::archivist
