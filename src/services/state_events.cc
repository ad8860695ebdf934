#include "services/state_events.h"

#include "base/text.h"

namespace terrane::services {
namespace {

constexpr std::size_t element_weight = 32;
constexpr std::size_t type_limit = 1024 * 1024;
constexpr std::size_t note_limit = 4096;

/// The most bytes the text takes when it is serialized.
std::size_t serialized_size(std::string_view text) {
  std::size_t size = text.size();
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20)
      size += 5;
    else if (c == '"' || c == '\\')
      ++size;
  }
  return size;
}

/// The kind of a value as API v2 names it.
std::string type_name(const json::value& detailed, const json::value& value) {
  const json::value* first = &detailed;
  if (detailed.is_array() && !detailed.get_array().empty()) first = &detailed.get_array().front();
  std::string_view name = first->is_string() ? std::string_view(first->get_string()) : std::string_view();
  if (name == "string" || name == "number" || name == "bool") return std::string(name);
  if (name == "list" || name == "set" || name == "tuple") return "array";
  if (name == "map" || name == "object") return "object";
  // The state does not say: the value does.
  if (value.is_string()) return "string";
  if (value.is_number()) return "number";
  if (value.is_bool()) return "bool";
  if (value.is_array()) return "array";
  if (value.is_object()) return "object";
  return "null";
}

}  // namespace

void Capture::begin(std::size_t limit) {
  stack_.reset();
  limit_ = limit;
  weight_ = 0;
  given_up_ = false;
}

/// Whether the value is still wanted with this much more.
bool Capture::add(std::size_t bytes) {
  if (given_up_) return false;
  weight_ += bytes;
  if (weight_ <= limit_) return true;
  given_up_ = true;
  weight_ = 0;
  stack_.reset();
  return false;
}

std::optional<json::value> Capture::take() {
  if (given_up_) return std::nullopt;
  return stack_.release();
}

void Capture::part(std::string_view text) {
  if (add(serialized_size(text))) stack_.push_chars(text);
}
void Capture::key(std::string_view last) {
  if (add(serialized_size(last) + element_weight)) stack_.push_key(last);
}
void Capture::string(std::string_view last) {
  if (add(serialized_size(last) + element_weight)) stack_.push_string(last);
}
void Capture::object(std::size_t members) {
  if (add(element_weight)) stack_.push_object(members);
}
void Capture::array(std::size_t elements) {
  if (add(element_weight)) stack_.push_array(elements);
}
void Capture::integer(std::int64_t number) {
  if (add(element_weight)) stack_.push_int64(number);
}
void Capture::natural(std::uint64_t number) {
  if (add(element_weight)) stack_.push_uint64(number);
}
void Capture::real(double number) {
  if (add(element_weight)) stack_.push_double(number);
}
void Capture::truth(bool value) {
  if (add(element_weight)) stack_.push_bool(value);
}
void Capture::null() {
  if (add(element_weight)) stack_.push_null();
}

/// Which place the container that begins here is; nothing when nobody needs it.
std::optional<StateEvents::Place> StateEvents::place_inside(bool object) const {
  if (places_.empty()) {
    if (!object) throw MalformedState("The state is not a JSON object.");
    return Place::root;
  }
  switch (places_.back()) {
    case Place::root:
      if (key_ == "outputs" && object) return Place::outputs;
      if (key_ == "resources" && !object) return Place::resources;
      return std::nullopt;
    case Place::outputs:
      if (!object) throw MalformedState("The output '" + key_ + "' is not an object.");
      return Place::output;
    case Place::resources:
      if (!object) throw MalformedState("A resource is not an object.");
      return Place::resource;
    case Place::resource:
      if (key_ == "instances" && !object) return Place::instances;
      return std::nullopt;
    case Place::instances:
      if (!object) throw MalformedState("An instance of a resource is not an object.");
      return Place::instance;
    case Place::output:
    case Place::instance: return std::nullopt;
  }
  return std::nullopt;
}

bool StateEvents::wants_capture() const {
  return !places_.empty() && places_.back() == Place::output && (key_ == "value" || key_ == "type");
}

void StateEvents::begin_capture() {
  std::size_t left = values_limit - std::min(values_, values_limit);
  capture_.begin(key_ == "type" ? type_limit : std::min(value_limit, left));
  capturing_ = true;
  captured_depth_ = 0;
}

/// A value or type of an output is complete.
void StateEvents::captured() {
  capturing_ = false;
  std::size_t weight = capture_.weight();
  std::optional<json::value> value = capture_.take();
  if (!value) add_note("The " + key_ + " of output '" + output_.name + "' is too large and is not kept.");
  if (key_ == "type") {
    output_.detailed_type = value ? std::move(*value) : json::value();
  } else {
    has_value_ = true;
    values_ += weight;
    output_.value = value ? std::move(*value) : json::value();
  }
}

bool StateEvents::begin(bool object) {
  key_begun_ = false;
  if (!capturing_ && passing_ == 0 && wants_capture()) begin_capture();
  if (capturing_) {
    ++captured_depth_;
  } else if (passing_ > 0) {
    ++passing_;
  } else if (std::optional<Place> place = place_inside(object)) {
    enter(*place);
    places_.push_back(*place);
  } else {
    ++passing_;
  }
  return true;
}

bool StateEvents::end(bool object, std::size_t count) {
  if (capturing_) {
    if (object)
      capture_.object(count);
    else
      capture_.array(count);
    if (--captured_depth_ == 0) captured();
  } else if (passing_ > 0) {
    --passing_;
  } else {
    Place place = places_.back();
    places_.pop_back();
    leave(place);
  }
  return true;
}

void StateEvents::enter(Place place) {
  if (place == Place::output) {
    output_ = {};
    output_.name = key_;
    has_value_ = false;
  }
  if (place == Place::resource) resource_ = {};
  if (place == Place::instance) {
    instance_ = {};
    ++resource_.instances;
  }
}

void StateEvents::leave(Place place) {
  if (place == Place::output) finish_output();
  if (place == Place::resource) finish_resource();
  if (place == Place::instance && instance_.key && !instance_.deposed && keys_ < key_limit) {
    ++keys_;
    resource_.keys.push_back(*std::move(instance_.key));
  }
}

void StateEvents::append(std::string& text, std::string_view part) const {
  if (text.size() + part.size() > text_limit)
    throw MalformedState("A name in the state has more than 65536 bytes.");
  text += part;
}

bool StateEvents::on_key_part(std::string_view part, std::size_t, json::error_code&) {
  if (capturing_) {
    capture_.part(part);
  } else if (passing_ == 0) {
    if (!std::exchange(key_begun_, true)) key_.clear();
    append(key_, part);
  }
  return true;
}

bool StateEvents::on_key(std::string_view last, std::size_t, json::error_code&) {
  if (capturing_) {
    capture_.key(last);
  } else if (passing_ == 0) {
    if (!std::exchange(key_begun_, false)) key_.clear();
    append(key_, last);
    if (places_.size() == 1 && key_ == "encrypted_data") encrypted_ = true;
    if (places_.back() == Place::instance && key_ == "deposed") {
      ++resource_.deposed;
      instance_.deposed = true;
    }
  }
  return true;
}

/// Where the text of the present member goes; null when nobody needs it.
std::string* StateEvents::text_wanted() {
  if (passing_ > 0 || places_.empty()) return nullptr;
  if (places_.back() == Place::root && key_ == "terraform_version") return &parsed_.terraform_version;
  if (places_.back() == Place::instance && key_ == "index_key") return &instance_.text_key;
  if (places_.back() != Place::resource) return nullptr;
  if (key_ == "module") return &resource_.module;
  if (key_ == "mode") return &resource_.mode;
  if (key_ == "type") return &resource_.type;
  if (key_ == "name") return &resource_.name;
  if (key_ == "provider") return &resource_.provider;
  return nullptr;
}

/// A value that is no container.
template <class Add>
bool StateEvents::scalar(Add add) {
  if (!capturing_ && passing_ == 0 && wants_capture()) begin_capture();
  if (capturing_) {
    add(capture_);
    if (captured_depth_ == 0) captured();
  } else if (places_.empty()) {
    throw MalformedState("The state is not a JSON object.");
  }
  return true;
}

bool StateEvents::on_string_part(std::string_view part, std::size_t, json::error_code&) {
  if (!capturing_ && passing_ == 0 && wants_capture()) begin_capture();
  if (capturing_)
    capture_.part(part);
  else if (std::string* text = text_wanted())
    append(*text, part);
  return true;
}

bool StateEvents::on_string(std::string_view last, std::size_t, json::error_code&) {
  if (!capturing_) {
    if (std::string* text = text_wanted()) {
      append(*text, last);
      if (text == &instance_.text_key) instance_.key = json::value(*text);
    }
  }
  return scalar([&](Capture& capture) { capture.string(last); });
}

bool StateEvents::on_int64(std::int64_t number, std::string_view, json::error_code&) {
  if (!capturing_ && passing_ == 0 && places_.size() == 1 && key_ == "version") version_ = number;
  if (!capturing_ && passing_ == 0 && !places_.empty() && places_.back() == Place::instance &&
      key_ == "index_key")
    instance_.key = number;
  return scalar([&](Capture& capture) { capture.integer(number); });
}

bool StateEvents::on_uint64(std::uint64_t number, std::string_view, json::error_code&) {
  return scalar([&](Capture& capture) { capture.natural(number); });
}

bool StateEvents::on_double(double number, std::string_view, json::error_code&) {
  return scalar([&](Capture& capture) { capture.real(number); });
}

bool StateEvents::on_bool(bool value, json::error_code&) {
  bool here = !capturing_ && passing_ == 0 && !places_.empty() && places_.back() == Place::output;
  if (here && key_ == "sensitive") output_.sensitive = value;
  return scalar([&](Capture& capture) { capture.truth(value); });
}

bool StateEvents::on_null(json::error_code&) {
  return scalar([&](Capture& capture) { capture.null(); });
}

void StateEvents::add_note(std::string note) {
  if (parsed_.note.size() + note.size() > note_limit) return;
  if (!parsed_.note.empty()) parsed_.note += ' ';
  parsed_.note += note;
}

void StateEvents::finish_output() {
  if (!has_value_) throw MalformedState("The output '" + output_.name + "' has no value.");
  if (parsed_.outputs.size() >= output_limit) {
    more_outputs_ = true;
    return;
  }
  output_.type = type_name(output_.detailed_type, output_.value);
  parsed_.outputs.push_back(std::move(output_));
}

void StateEvents::finish_resource() {
  // Data sources are read and not managed; without instances nothing is there.
  if (resource_.mode != "managed" || resource_.instances == 0) return;
  if (resource_.type.empty() || resource_.name.empty())
    throw MalformedState("A resource has no type or no name.");
  if (parsed_.resources.size() >= resource_limit) {
    more_resources_ = true;
    return;
  }
  std::string address = resource_.type + "." + resource_.name;
  if (!resource_.module.empty()) address = resource_.module + "." + address;
  // An instance and its deposed forerunner are one; where only forerunners are left, there still is
  // something.
  std::int64_t count = std::max<std::int64_t>(resource_.instances - resource_.deposed, 1);
  parsed_.resources.push_back(json::object{{"address", address},
                                           {"name", resource_.name},
                                           {"type", resource_.type},
                                           {"provider", resource_.provider},
                                           {"module", resource_.module.empty() ? "root" : resource_.module},
                                           {"count", count}});
  if (!resource_.keys.empty()) parsed_.resources.back().as_object()["keys"] = std::move(resource_.keys);
}

state::Parsed StateEvents::take() {
  if (encrypted_)
    throw MalformedState("The state is encrypted by the engine, so its outputs and resources are unknown.");
  if (!version_) throw MalformedState("The state has no format version.");
  if (*version_ != 4)
    throw MalformedState("The state has format version " + std::to_string(*version_) +
                         "; only version 4 is known.");
  if (more_outputs_) add_note("Only the first " + std::to_string(output_limit) + " outputs are kept.");
  if (more_resources_)
    add_note("Only the first " + std::to_string(resource_limit) + " resources are listed.");
  return std::move(parsed_);
}

}  // namespace terrane::services
