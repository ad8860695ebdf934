#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "services/state_document.h"

namespace terrane::services {

/// Builds one JSON value from events; a value that becomes too large is given up and only passed over.
class Capture {
 public:
  /// Begins; `limit` is in bytes of serialized text, where each element counts as 32 more.
  void begin(std::size_t limit);
  /// The value; nothing when it was too large.
  std::optional<json::value> take();
  std::size_t weight() const noexcept { return weight_; }

  void part(std::string_view text);
  void key(std::string_view last);
  void string(std::string_view last);
  void object(std::size_t members);
  void array(std::size_t elements);
  void integer(std::int64_t number);
  void natural(std::uint64_t number);
  void real(double number);
  void truth(bool value);
  void null();

 private:
  bool add(std::size_t bytes);
  json::value_stack stack_;
  std::size_t limit_ = 0;
  std::size_t weight_ = 0;
  bool given_up_ = false;
};

/// Finds outputs and resources in the events of a state's JSON, as boost::json::basic_parser calls them.
/// Where it stands is a stack of places; in what nobody needs only depth is counted.
class StateEvents {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return begin(true); }
  bool on_array_begin(json::error_code&) { return begin(false); }
  bool on_object_end(std::size_t members, json::error_code&) { return end(true, members); }
  bool on_array_end(std::size_t elements, json::error_code&) { return end(false, elements); }
  bool on_key_part(std::string_view part, std::size_t, json::error_code&);
  bool on_key(std::string_view last, std::size_t, json::error_code&);
  bool on_string_part(std::string_view part, std::size_t, json::error_code&);
  bool on_string(std::string_view last, std::size_t, json::error_code&);
  bool on_number_part(std::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t number, std::string_view, json::error_code&);
  bool on_uint64(std::uint64_t number, std::string_view, json::error_code&);
  bool on_double(double number, std::string_view, json::error_code&);
  bool on_bool(bool value, json::error_code&);
  bool on_null(json::error_code&);
  bool on_comment_part(std::string_view, json::error_code&) { return true; }
  bool on_comment(std::string_view, json::error_code&) { return true; }

  /// What was found in a whole document. Throws MalformedState.
  state::Parsed take();

 private:
  enum class Place { root, outputs, output, resources, resource, instances, instance };
  struct Resource {
    std::string module, mode, type, name, provider;
    std::int64_t instances = 0, deposed = 0;
    json::array keys;  // of its instances, as far as they have one and the limit allows
  };
  struct Instance {
    std::string text_key;
    std::optional<json::value> key;
    bool deposed = false;
  };

  bool begin(bool object);
  bool end(bool object, std::size_t count);
  std::optional<Place> place_inside(bool object) const;
  void enter(Place place);
  void leave(Place place);
  bool wants_capture() const;
  void begin_capture();
  void captured();
  template <class Add>
  bool scalar(Add add);
  std::string* text_wanted();
  void append(std::string& text, std::string_view part) const;
  void finish_output();
  void finish_resource();
  void add_note(std::string note);

  std::vector<Place> places_;
  std::size_t passing_ = 0;  // levels of what nobody needs
  bool capturing_ = false;
  std::size_t captured_depth_ = 0;
  Capture capture_;
  std::string key_;  // of the member that is being read
  bool key_begun_ = false;

  state::Parsed parsed_;
  std::size_t values_ = 0;  // bytes of all captured values
  state::ParsedOutput output_;
  bool has_value_ = false;
  Resource resource_;
  Instance instance_;
  std::size_t keys_ = 0;  // of all resources
  std::optional<std::int64_t> version_;
  bool encrypted_ = false;
  bool more_outputs_ = false;
  bool more_resources_ = false;
};

}  // namespace terrane::services
