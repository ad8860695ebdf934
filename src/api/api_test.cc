#include "api/api.h"

#include <gtest/gtest.h>

#include "api/testing_client.h"
#include "testing/run.h"

namespace terrane::api {
namespace {

using http::Method;

class Body : public http::ByteSource {
 public:
  explicit Body(std::string bytes) : bytes_(std::move(bytes)) {}
  Task<std::size_t> read(std::span<char> into) override {
    const std::size_t size = bytes_.copy(into.data(), into.size(), at_);
    at_ += size;
    co_return size;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

Task<std::optional<Principal>> by_token(const std::string& token) {
  if (token == "broken") throw Error(Code::unavailable, "The database is not available; try again.");
  if (token != "good") co_return std::nullopt;
  Principal principal;
  principal.id = "user-ann";
  co_return principal;
}

Task<http::Response> who(http::Request& request) {
  json::object document{{"id", principal(request).id}};
  co_return answer(200, document);
}
Task<http::Response> open_page(http::Request&) { co_return no_content(); }
Task<http::Response> takes(http::Request& request) {
  json::object data = co_await read_data(request, "things", 100);
  co_return answer(201, data);
}
Task<http::Response> takes_plain(http::Request& request) {
  json::object body = co_await read_object(request, 100);
  co_return answer(200, body);
}
Task<http::Response> asks_who(http::Request& request) {
  json::object document{{"id", principal(request).id}};
  co_return answer(200, document);
}
Task<http::Response> listed(http::Request& request) {
  jsonapi::Page asked = page(request);
  json::object document{{"number", asked.number}, {"size", asked.size}};
  co_return answer(200, document);
}
Task<http::Response> fails(http::Request& request) {
  const std::string& kind = request.parameter("kind");
  if (kind == "plain") throw std::runtime_error("password=hunter2");
  if (kind == "internal") throw Error(Code::internal, "the secret design");
  if (kind == "unavailable") throw Error(Code::unavailable, "vault is away");
  if (kind == "conflict") throw Error(Code::conflict, "It is locked.");
  std::vector<Problem> problems{{"one", "/data/a"}, {"two", ""}};
  throw Error(Code::unprocessable, std::move(problems));
}

struct Stage {
  http::Router router;
  Options options;
  std::vector<std::string> counted;
  std::optional<double> wait;

  Stage() {
    router.add({Method::get, "/who", who});
    router.add({Method::get, "/open", open_page, 1024, false});
    router.add({Method::post, "/things", takes, 200});
    router.add({Method::post, "/plain", takes_plain});
    router.add({Method::get, "/open/who", asks_who, 1024, false});
    router.add({Method::get, "/list", listed});
    router.add({Method::get, "/fail/:kind", fails});
  }

  /// `length` says less than the truth when a test wants a body that is longer than announced, or none.
  Task<TestAnswer> call(Method method, std::string target, std::string body, std::string authorization,
                        bool announce = true) {
    RateLimit limit = [this](const std::string& key) -> Task<std::optional<double>> {
      counted.push_back(key);
      co_return wait;
    };
    http::Handler serve = handler(router, by_token, limit, options);
    http::Request request;
    request.method = method;
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size())
      request.query = http::Query(std::string_view(target).substr(request.path.size() + 1));
    if (!authorization.empty()) request.headers.set("authorization", authorization);
    if (announce) request.content_length = body.size();
    Body source(std::move(body));
    request.body = &source;
    request.peer = "192.0.2.7";
    request.id = "req-1";
    http::Response response = co_await serve(request);
    TestAnswer out{response.status, {}, response.body, response.headers};
    boost::system::error_code broken;
    out.json = json::parse(out.body, broken);
    if (broken) out.json = nullptr;
    co_return out;
  }
  Task<TestAnswer> get(std::string target, std::string authorization = "Bearer good") {
    co_return co_await call(Method::get, std::move(target), "", std::move(authorization));
  }
};

void run(std::function<Task<>(Stage&)> body) {
  testing::run_task([&](net::Executor) -> Task<> {
    Stage stage;
    co_await body(stage);
  });
}

TEST(Handler, AsksWhoBeforeItSaysWhatIsThere) {
  run([](Stage& stage) -> Task<> {
    TestAnswer known = co_await stage.get("/who");
    EXPECT_EQ(known.status, 200);
    EXPECT_EQ(known.text("/id"), "user-ann");
    EXPECT_EQ((co_await stage.get("/who", "bearer  good ")).status, 200) << "the scheme has no case";
    for (const char* bad : {"", "Bearer", "Bearer ", "Bearer bad", "Basic good", "good"}) {
      EXPECT_EQ((co_await stage.get("/who", bad)).status, 401) << bad;
      EXPECT_EQ((co_await stage.get("/nothing", bad)).status, 401)
          << "whether a path exists is told to nobody: " << bad;
    }
    EXPECT_EQ((co_await stage.get("/nothing")).status, 404);
    EXPECT_EQ((co_await stage.call(Method::del, "/who", "", "Bearer good")).status, 404) << "another method";
    EXPECT_EQ((co_await stage.get("/open", "")).status, 204);
    EXPECT_EQ((co_await stage.get("/who", "Bearer broken")).status, 503);
  });
}

TEST(Handler, PutsTheVendorsHeadersOnEveryAnswer) {
  run([](Stage& stage) -> Task<> {
    stage.options.version = "v202511-1";
    for (const char* target : {"/who", "/nothing", "/fail/plain", "/fail/conflict", "/open"}) {
      TestAnswer answer = co_await stage.get(target);
      EXPECT_EQ(answer.headers.find("TFP-API-Version"), "2.6") << target;
      EXPECT_EQ(answer.headers.find("TFP-AppName"), "Terraform Enterprise") << target;
      EXPECT_EQ(answer.headers.find("X-TFE-Version"), "v202511-1") << target;
      EXPECT_EQ(answer.headers.find("X-TFE-Current-Version"), "1.1.0") << target;
      EXPECT_EQ(answer.headers.find("X-Request-Id"), "req-1") << target;
      EXPECT_EQ(answer.headers.find("Cache-Control"), "no-store") << target;
      EXPECT_FALSE(answer.headers.find("X-RateLimit-Limit")) << "nothing is announced without a limit";
    }
    EXPECT_EQ((co_await stage.get("/who")).headers.find("Content-Type"), "application/vnd.api+json");
    EXPECT_TRUE(stage.counted.empty());
  });
}

TEST(Handler, LimitsTheRate) {
  run([](Stage& stage) -> Task<> {
    stage.options.requests_per_second = 30;
    TestAnswer fine = co_await stage.get("/who");
    EXPECT_EQ(fine.status, 200);
    EXPECT_EQ(fine.headers.find("X-RateLimit-Limit"), "30");
    co_await stage.get("/open", "");
    EXPECT_EQ(stage.counted, (std::vector<std::string>{"user-ann", "192.0.2.7"}))
        << "by principal, else by address";

    stage.wait = 0.75;
    TestAnswer refused = co_await stage.get("/who");
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.text("/errors/0/status"), "429");
    EXPECT_DOUBLE_EQ(std::stod(std::string(*refused.headers.find("X-RateLimit-Reset"))), 0.75);
    EXPECT_EQ(refused.headers.find("TFP-API-Version"), "2.6");
  });
}

TEST(Handler, LimitsBodies) {
  run([](Stage& stage) -> Task<> {
    std::string fine = R"({"data": {"type": "things"}})";
    EXPECT_EQ((co_await stage.call(Method::post, "/things", fine, "Bearer good")).status, 201);
    for (bool announced : {true, false}) {
      TestAnswer large =
          co_await stage.call(Method::post, "/things", std::string(500, ' '), "Bearer good", announced);
      EXPECT_EQ(large.status, 413) << announced;
      EXPECT_NE(large.text("/errors/0/detail").find(announced ? "200" : "100"), std::string::npos)
          << large.body;
    }
    EXPECT_EQ((co_await stage.call(Method::post, "/things", "{", "Bearer good")).status, 400);
    TestAnswer typed =
        co_await stage.call(Method::post, "/things", R"({"data": {"type": "cats"}})", "Bearer good");
    EXPECT_EQ(typed.status, 422);
    EXPECT_EQ(typed.text("/errors/0/source/pointer"), "/data/type");
  });
}

TEST(Handler, ReadsPlainObjects) {
  run([](Stage& stage) -> Task<> {
    for (const char* empty : {"", "  \n"}) {
      EXPECT_EQ((co_await stage.call(Method::post, "/plain", empty, "Bearer good")).body, "{}");
    }
    EXPECT_EQ((co_await stage.call(Method::post, "/plain", R"({"comment":"c"})", "Bearer good")).body,
              R"({"comment":"c"})");
    EXPECT_EQ((co_await stage.call(Method::post, "/plain", "[]", "Bearer good")).status, 422);
    EXPECT_EQ((co_await stage.call(Method::post, "/plain", "nonsense", "Bearer good")).status, 400);
    EXPECT_EQ((co_await stage.call(Method::post, "/plain", std::string(101, ' '), "Bearer good")).status,
              413);
    std::string deep = std::string(2000, '[');
    EXPECT_EQ((co_await stage.call(Method::post, "/plain", deep.substr(0, 90), "Bearer good")).status, 400);
  });
}

TEST(Handler, HidesDefectsAndShowsProblems) {
  run([](Stage& stage) -> Task<> {
    for (const char* kind : {"plain", "internal"}) {
      TestAnswer answer = co_await stage.get(std::string("/fail/") + kind);
      EXPECT_EQ(answer.status, 500);
      EXPECT_EQ(answer.json,
                parse_json(R"({"errors": [{"status": "500", "title": "internal server error"}]})"));
    }
    TestAnswer defect = co_await stage.get("/open/who", "");
    EXPECT_EQ(defect.status, 500) << "an open route that asks who is there is a defect";
    TestAnswer away = co_await stage.get("/fail/unavailable");
    EXPECT_EQ(away.status, 503);
    EXPECT_EQ(away.headers.find("Retry-After"), "1");
    EXPECT_EQ(away.text("/errors/0/detail"), "vault is away");
    EXPECT_EQ((co_await stage.get("/fail/conflict")).status, 409);
    TestAnswer several = co_await stage.get("/fail/several");
    EXPECT_EQ(several.status, 422);
    EXPECT_EQ(several.json, parse_json(R"({"errors": [
        {"status": "422", "title": "invalid attribute", "detail": "one", "source": {"pointer": "/data/a"}},
        {"status": "422", "title": "invalid attribute", "detail": "two"}]})"));
  });
}

TEST(Handler, EveryCodeHasItsStatus) {
  const std::map<Code, int> statuses{
      {Code::invalid, 400},     {Code::unauthorized, 401},  {Code::forbidden, 403},
      {Code::not_found, 404},   {Code::conflict, 409},      {Code::precondition_failed, 412},
      {Code::too_large, 413},   {Code::unprocessable, 422}, {Code::rate_limited, 429},
      {Code::unavailable, 503}, {Code::internal, 500}};
  http::Request request;
  for (const auto& [code, status] : statuses) {
    EXPECT_EQ(error_response(request, std::make_exception_ptr(Error(code, "d"))).status, status)
        << name(code);
  }
}

TEST(Handler, DoesNotLogTheSecretOfASignedUrl) {
  http::Request request;
  request.path = "/_archivist/v1/object/r.obj-1.99.SECRET";
  ::testing::internal::CaptureStderr();
  error_response(request,
                 std::make_exception_ptr(Error(Code::unavailable, "The blob service is not available now.")));
  error_response(request, std::make_exception_ptr(std::runtime_error("boom")));
  std::string logged = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(logged.find("/_archivist/"), std::string::npos) << logged;
  EXPECT_EQ(logged.find("SECRET"), std::string::npos) << logged;
}

TEST(Parameters, PagesAreNumbersFromOne) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ((co_await stage.get("/list")).body, R"({"number":1,"size":20})");
    EXPECT_EQ((co_await stage.get("/list?page%5Bnumber%5D=3&page%5Bsize%5D=7")).body,
              R"({"number":3,"size":7})");
    EXPECT_EQ((co_await stage.get("/list?page[number]=999&page[size]=1000")).body,
              R"({"number":999,"size":100})");
    EXPECT_EQ((co_await stage.get("/list?page[number]=&page[size]=")).body, R"({"number":1,"size":20})");
    for (const char* bad : {"page[number]=0", "page[number]=-1", "page[size]=0", "page[number]=x",
                            "page[size]=1.5", "page[number]=99999999999999999999999"}) {
      EXPECT_EQ((co_await stage.get(std::string("/list?") + bad)).status, 400) << bad;
    }
    EXPECT_EQ((co_await stage.get("/list?page[number]=9000000000000000000")).body,
              R"({"number":1000000000,"size":20})");
  });
}

}  // namespace
}  // namespace terrane::api
