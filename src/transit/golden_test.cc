// Replays tests/golden/vault/*.json: documented requests and answers of Vault's HTTP API, against the
// handler.
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "testing/run.h"
#include "transit/vault_fixture.h"

namespace terrane::transit {
namespace {

using Variables = std::map<std::string, std::string>;

std::vector<std::string> golden_files() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(TERRANE_GOLDEN_VAULT)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path().stem().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Puts variables in for `{{name}}`.
std::string filled(std::string text, const Variables& variables) {
  for (const auto& [name, value] : variables) {
    std::string mark = "{{" + name + "}}";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
      text.replace(at, mark.size(), value);
    }
  }
  return text;
}

void compare(const json::value& expected, const json::value& actual, const std::string& where,
             Variables& variables);

/// `<any>`, `<text>`, `<number>`, `<starts:X>`, `<save:name>` stand for values that differ each time.
void compare_text(const std::string& expected, const json::value& actual, const std::string& where,
                  Variables& variables) {
  if (expected == "<any>") return;
  if (expected == "<number>") {
    EXPECT_TRUE(actual.is_number()) << where;
    return;
  }
  ASSERT_TRUE(actual.is_string()) << where << " is " << json::serialize(actual);
  std::string text(actual.get_string());
  if (expected == "<text>") {
    EXPECT_FALSE(text.empty()) << where;
  } else if (expected.starts_with("<starts:")) {
    std::string prefix = expected.substr(8, expected.size() - 9);
    EXPECT_TRUE(text.starts_with(prefix)) << where << " is " << text;
  } else if (expected.starts_with("<save:")) {
    EXPECT_FALSE(text.empty()) << where;
    variables[expected.substr(6, expected.size() - 7)] = text;
  } else {
    EXPECT_EQ(text, filled(expected, variables)) << where;
  }
}

void compare_object(const json::object& expected, const json::value& actual, const std::string& where,
                    Variables& variables) {
  ASSERT_TRUE(actual.is_object()) << where << " is " << json::serialize(actual);
  for (const auto& member : expected) {
    const json::value* value = actual.get_object().if_contains(member.key());
    std::string place = where + "." + std::string(member.key());
    if (!value)
      ADD_FAILURE() << place << " is missing";
    else
      compare(member.value(), *value, place, variables);
  }
  for (const auto& member : actual.get_object()) {
    EXPECT_TRUE(expected.contains(member.key())) << where << "." << member.key() << " is not documented";
  }
}

void compare(const json::value& expected, const json::value& actual, const std::string& where,
             Variables& variables) {
  if (const json::object* object = expected.if_object()) {
    compare_object(*object, actual, where, variables);
  } else if (const json::array* array = expected.if_array()) {
    ASSERT_TRUE(actual.is_array() && actual.get_array().size() == array->size())
        << where << " is " << json::serialize(actual);
    for (std::size_t i = 0; i < array->size(); ++i) {
      compare((*array)[i], actual.get_array()[i], where + "[" + std::to_string(i) + "]", variables);
    }
  } else if (expected.is_string()) {
    compare_text(std::string(expected.get_string()), actual, where, variables);
  } else {
    EXPECT_EQ(json::serialize(expected), json::serialize(actual)) << where;
  }
}

http::Method method_of(std::string_view text) {
  for (http::Method method : {http::Method::get, http::Method::head, http::Method::post, http::Method::put,
                              http::Method::del, http::Method::patch}) {
    if (http::name(method) == text) return method;
  }
  throw std::runtime_error("unknown method in a golden file");
}

Task<> replay_step(TestVault& vault, const json::object& step, const std::string& where,
                   Variables& variables) {
  const json::object& request = step.at("request").as_object();
  const json::object& response = step.at("response").as_object();
  std::vector<std::pair<std::string, std::string>> headers;
  if (const json::object* given = find_object(request, "headers")) {
    for (const auto& header : *given) {
      headers.emplace_back(header.key(), filled(std::string(header.value().as_string()), variables));
    }
  }
  std::string body = request.contains("body") ? filled(json::serialize(request.at("body")), variables) : "";
  std::string token = filled(find_string(request, "token").value_or("{{root}}"), variables);
  Reply reply =
      co_await call(vault.handler(), method_of(require_string(request, "method")),
                    "/v1/" + filled(require_string(request, "path"), variables), body, token, headers);
  EXPECT_EQ(reply.status, require_int(response, "status")) << where << ": " << json::serialize(reply.body);
  if (const json::value* wanted = response.if_contains("body"))
    compare(*wanted, reply.body, where, variables);
  else
    EXPECT_TRUE(reply.body.is_null()) << where << ": " << json::serialize(reply.body);
}

Task<> replay(std::string file) {
  std::ifstream stream(std::string(TERRANE_GOLDEN_VAULT) + "/" + file + ".json");
  std::stringstream text;
  text << stream.rdbuf();
  json::value document = parse_json(text.str());
  Directory directory;
  MemoryStorage storage;
  TestVault vault(storage, directory.path() / "material");
  Variables variables;
  if (find_string(document.as_object(), "start") == "open") {
    co_await vault.open();
    variables["root"] = vault.root();
    variables["unseal_key"] = vault.unseal_key();
  }
  int number = 0;
  for (const json::value& step : document.as_object().at("steps").as_array()) {
    ++number;
    std::string title = find_string(step.as_object(), "title").value_or("");
    co_await replay_step(vault, step.as_object(), "step " + std::to_string(number) + " (" + title + ")",
                         variables);
  }
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, AnswersAsDocumented) {
  std::string file = GetParam();
  testing::run_task([file](net::Executor) { return replay(file); });
}

INSTANTIATE_TEST_SUITE_P(Vault, Golden, ::testing::ValuesIn(golden_files()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace terrane::transit
