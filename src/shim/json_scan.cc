#include "shim/json_scan.h"

#include <vector>

#include <boost/json/basic_parser_impl.hpp>

namespace terrane::shim {
namespace {

namespace json = boost::json;

constexpr std::size_t text_limit = 64 * 1024;
constexpr std::size_t nesting_limit = 256;

/// What basic_parser calls. `depth_` counts the containers that are open; `path_` holds the first `limit_`
/// steps to the present place.
class Handler {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  Handler(std::size_t limit, JsonScan::Callbacks callbacks)
      : limit_(limit), callbacks_(std::move(callbacks)), path_(limit) {}

  bool on_document_begin(boost::system::error_code&) { return true; }
  bool on_document_end(boost::system::error_code&) { return true; }
  bool on_object_begin(boost::system::error_code&) { return open(false); }
  bool on_object_end(std::size_t, boost::system::error_code&) { return close(); }
  bool on_array_begin(boost::system::error_code&) { return open(true); }
  bool on_array_end(std::size_t, boost::system::error_code&) { return close(); }

  bool on_key_part(json::string_view part, std::size_t, boost::system::error_code&) { return collect(part); }
  bool on_key(json::string_view part, std::size_t, boost::system::error_code&) {
    collect(part);
    if (depth_ <= limit_) path_[depth_ - 1] = text_;
    text_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, boost::system::error_code&) {
    return collect(part);
  }
  bool on_string(json::string_view part, std::size_t, boost::system::error_code&) {
    collect(part);
    report(std::string_view(text_));
    text_.clear();
    return true;
  }
  bool on_number_part(json::string_view, boost::system::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, boost::system::error_code&) { return report(value); }
  bool on_uint64(std::uint64_t value, json::string_view, boost::system::error_code&) {
    return report(static_cast<double>(value));
  }
  bool on_double(double value, json::string_view, boost::system::error_code&) { return report(value); }
  bool on_bool(bool value, boost::system::error_code&) { return report(value); }
  bool on_null(boost::system::error_code&) { return report(nullptr); }
  bool on_comment_part(json::string_view, boost::system::error_code&) { return true; }
  bool on_comment(json::string_view, boost::system::error_code&) { return true; }

 private:
  bool open(bool array) {
    if (depth_ <= limit_ && callbacks_.begin) callbacks_.begin(here());
    ++depth_;
    if (array && depth_ <= limit_) path_[depth_ - 1] = "#";
    return true;
  }
  bool close() {
    --depth_;
    if (depth_ <= limit_ && callbacks_.end) callbacks_.end(here());
    return true;
  }
  bool collect(std::string_view part) {
    if (depth_ <= limit_ && text_.size() < text_limit)
      text_.append(part.substr(0, text_limit - text_.size()));
    return true;
  }
  bool report(const JsonScan::Scalar& value) {
    if (depth_ <= limit_ && callbacks_.scalar) callbacks_.scalar(here(), value);
    return true;
  }
  JsonScan::Path here() const { return JsonScan::Path(path_).first(depth_); }

  std::size_t limit_;
  JsonScan::Callbacks callbacks_;
  std::vector<std::string> path_;
  std::size_t depth_ = 0;
  std::string text_;
};

json::parse_options options() {
  json::parse_options chosen;
  chosen.max_depth = nesting_limit;
  return chosen;
}

}  // namespace

struct JsonScan::Impl {
  json::basic_parser<Handler> parser;
  bool broken = false;
};

JsonScan::JsonScan(std::size_t depth, Callbacks callbacks)
    : impl_(new Impl{json::basic_parser<Handler>(options(), depth, std::move(callbacks))}) {}
JsonScan::~JsonScan() = default;

bool JsonScan::feed(std::string_view bytes) {
  if (impl_->broken) return false;
  boost::system::error_code failure;
  std::size_t used = impl_->parser.write_some(true, bytes.data(), bytes.size(), failure);
  bool blank = std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(used), bytes.end(),
                           [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; });
  impl_->broken = failure || !blank;
  return !impl_->broken;
}

bool JsonScan::finish() {
  if (impl_->broken) return false;
  boost::system::error_code failure;
  if (!impl_->parser.done()) impl_->parser.write_some(false, nullptr, 0, failure);
  return !failure && impl_->parser.done();
}

}  // namespace terrane::shim
