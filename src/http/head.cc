#include "http/head.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/status.hpp>

#include "base/error.h"
#include "base/text.h"
#include "http/percent.h"

namespace terrane::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;

/// Collects Beast's callbacks into a Head; the framing is judged afterwards, because Beast is lenient about
/// it.
template <bool is_request>
class HeadParser : public beast::http::basic_parser<is_request> {
 public:
  explicit HeadParser(Head& head) : head_(head) {
    this->header_limit(1024 * 1024);  // the caller limits the bytes that it collects
    this->body_limit(boost::none);
  }

  std::string_view method;
  std::string_view target;
  int status = 0;
  int version = 11;
  int hosts = 0;
  int lengths = 0;
  int encodings = 0;
  bool bad_length = false;

 protected:
  void on_request_impl(beast::http::verb, beast::string_view name, beast::string_view to, int number,
                       error_code&) override {
    method = name;
    target = to;
    version = number;
  }
  void on_response_impl(int code, beast::string_view, int number, error_code&) override {
    status = code;
    version = number;
  }
  void on_field_impl(beast::http::field field, beast::string_view name, beast::string_view value,
                     error_code& failure) override {
    using beast::http::field;
    switch (field) {
      case field::host: ++hosts; break;
      case field::content_length:
        ++lengths;
        read_length(value);
        break;
      case field::transfer_encoding: ++encodings; break;
      default: break;
    }
    // Beast unfolds folded lines into a buffer of its own, so only the copy is kept.
    try {
      head_.headers.add(name, value);
    } catch (const Error&) {
      failure = beast::http::error::bad_value;
    }
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(beast::string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, error_code&) override {
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

 private:
  void read_length(std::string_view value) {
    std::optional<std::int64_t> number = parse_int(value);
    bool digits = !value.empty() && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || !number) {
      bad_length = true;
    } else {
      head_.length = static_cast<std::uint64_t>(*number);
    }
  }

  Head& head_;
};

template <bool is_request>
bool parse(HeadParser<is_request>& parser, std::string_view bytes) {
  error_code failure;
  std::size_t used = parser.put(boost::asio::buffer(bytes.data(), bytes.size()), failure);
  return !failure && parser.is_header_done() && used == bytes.size();
}

/// The framing that the fields name; nothing when they contradict each other or are not understood.
template <bool is_request>
std::optional<Framing> framing_of(const HeadParser<is_request>& parser, const Head& head) {
  if (parser.bad_length || parser.lengths > 1 || parser.encodings > 1) return std::nullopt;
  if (parser.encodings == 1) {
    std::string_view encoding = *head.headers.find("Transfer-Encoding");
    if (parser.lengths > 0 || parser.version < 11 || !same_name(encoding, "chunked")) return std::nullopt;
    return Framing::chunked;
  }
  if (!head.length) return Framing::none;
  return *head.length == 0 ? Framing::none : Framing::length;
}

std::optional<Method> method_of(std::string_view text) {
  for (Method method :
       {Method::get, Method::head, Method::post, Method::put, Method::patch, Method::del, Method::options}) {
    if (name(method) == text) return method;
  }
  return std::nullopt;
}

/// The target as path and query; a whole URL (as proxies send it) loses scheme and host. Empty when it is
/// something else.
std::string origin_form(std::string_view target) {
  if (target == "*" || target.starts_with('/')) return std::string(target);
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!same_name(target.substr(0, scheme.size()), scheme)) continue;
    std::size_t slash = target.find('/', scheme.size());
    return slash == std::string_view::npos ? "/" : std::string(target.substr(slash));
  }
  return {};
}

}  // namespace

std::optional<Refusal> parse_request(std::string_view bytes, RequestHead& into) {
  HeadParser<true> parser(into);
  parser.eager(false);
  bool folded =
      bytes.find("\r\n ") != std::string_view::npos || bytes.find("\r\n\t") != std::string_view::npos;
  if (folded || !parse(parser, bytes)) return Refusal{400, "The request is not HTTP/1.1."};
  into.old = parser.version < 11;
  if (parser.hosts > 1 || (parser.hosts == 0 && !into.old))
    return Refusal{400, "A request names exactly one host."};
  std::optional<Framing> framing = framing_of(parser, into);
  if (!framing)
    return Refusal{400, "Content-Length and Transfer-Encoding must leave no doubt about the body."};
  into.framing = *framing;
  std::optional<Method> method = method_of(parser.method);
  if (!method) return Refusal{501, "The method is not supported."};
  into.method = *method;
  into.target = origin_form(parser.target);
  if (into.target.empty()) return Refusal{400, "The request's target is not a path."};
  into.keep_alive = parser.keep_alive();
  if (auto expectation = into.headers.find("Expect"); expectation && !into.old) {
    if (!same_name(*expectation, "100-continue")) return Refusal{417, "Only 100-continue can be expected."};
    into.expects_continue = into.framing != Framing::none;
  }
  return std::nullopt;
}

bool parse_response(std::string_view bytes, bool to_head, ResponseHead& into) {
  HeadParser<false> parser(into);
  parser.eager(false);
  parser.skip(to_head);
  if (!parse(parser, bytes)) return false;
  into.old = parser.version < 11;
  into.status = parser.status;
  std::optional<Framing> framing = framing_of(parser, into);
  if (!framing || into.status < 100) return false;
  into.framing = *framing;
  bool bodiless = to_head || into.status < 200 || into.status == 204 || into.status == 304;
  if (bodiless) {
    into.framing = Framing::none;
  } else if (into.framing == Framing::none && !into.length) {
    into.framing = Framing::to_end;
  }
  into.keep_alive = parser.keep_alive() && into.framing != Framing::to_end;
  return true;
}

std::size_t head_size(std::string_view bytes, std::size_t searched) {
  std::size_t at = bytes.find("\r\n\r\n", searched > 3 ? searched - 3 : 0);
  return at == std::string_view::npos ? 0 : at + 4;
}

std::string_view reason_phrase(int status) {
  beast::string_view text = beast::http::obsolete_reason(static_cast<beast::http::status>(status));
  return {text.data(), text.size()};
}

}  // namespace terrane::http
