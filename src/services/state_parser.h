#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "amqp/consumer.h"
#include "net/io.h"
#include "object/archivist_client.h"
#include "postgres/database.h"
#include "vault_client/vault.h"

namespace terrane::services {

/// Reads finalized states and stores their outputs and resources. It looks when a message of the queue
/// `terrane.services` comes and at an interval of its own; several may run at once, since storing twice
/// changes nothing. What cannot be parsed is marked so; what cannot be reached is tried again. One executor;
/// it must outlive `run`.
class StateParser {
 public:
  struct Needs {
    net::Executor executor;
    postgres::Database& database;
    vault_client::Vault& vault;
    object::ArchivistClient& archivist;
    std::optional<amqp::Options> messages;  ///< without it only the interval and `wake` start a look
    /// Between two looks when no message comes; nothing switches such looks off.
    std::optional<std::chrono::milliseconds> look_interval = std::chrono::milliseconds(2'000);
  };
  explicit StateParser(Needs needs);

  /// Works until `stop`; what is being parsed then is given up, for the next parser.
  Task<> run(net::Stop& stop);
  /// Looks now.
  void wake();

 private:
  struct Trouble {
    int count = 0;
    net::Clock::time_point next;  // not again before
  };
  enum class Look { failed, busy, done };
  Task<Look> look();
  Task<> watch(net::Stop& stop);
  Task<> parse(std::string id, std::string object);
  Task<> parse_content(std::string id, std::string object);
  Task<> note_trouble(std::string id, Code code, std::string reason);
  net::Clock::duration pause() const;

  Needs needs_;
  net::Event event_;
  bool woken_ = false;
  bool watching_ = false;
  std::vector<std::function<void()>> messages_;  // not acknowledged yet
  std::map<std::string, std::string> parsing_;   // state version and its object
  std::map<std::string, Trouble> troubles_;      // of state versions
};

}  // namespace terrane::services
