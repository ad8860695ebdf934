#include "services/state_document.h"

#include <boost/json/basic_parser_impl.hpp>

#include "services/state_events.h"

namespace terrane::services {
namespace {

json::parse_options options() {
  json::parse_options options;
  options.max_depth = depth_limit;
  return options;
}

}  // namespace

struct StateDocument::Impl {
  json::basic_parser<StateEvents> parser{options()};
  std::uint64_t position = 0;

  [[noreturn]] void fail(const json::error_code& error) const {
    throw MalformedState("The state is not JSON: " + error.message() + " near byte " +
                         std::to_string(position) + ".");
  }
};

StateDocument::StateDocument() : impl_(std::make_unique<Impl>()) {}
StateDocument::~StateDocument() = default;

void StateDocument::feed(std::string_view bytes) {
  json::error_code error;
  if (!impl_->parser.done()) {
    std::size_t used = impl_->parser.write_some(true, bytes.data(), bytes.size(), error);
    impl_->position += used;
    if (error) impl_->fail(error);
    bytes.remove_prefix(used);
  }
  if (bytes.find_first_not_of(" \t\r\n") != std::string_view::npos) {
    throw MalformedState("Something follows the state's JSON at byte " + std::to_string(impl_->position) +
                         ".");
  }
  impl_->position += bytes.size();
}

state::Parsed StateDocument::finish() {
  json::error_code error;
  if (!impl_->parser.done()) impl_->parser.write_some(false, "", 0, error);
  if (error || !impl_->parser.done()) {
    throw MalformedState("The state ends at byte " + std::to_string(impl_->position) +
                         ", before its JSON does.");
  }
  return impl_->parser.handler().take();
}

}  // namespace terrane::services
