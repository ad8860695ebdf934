#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archivist/archivist_fixture.h"
#include "archivist/download.h"
#include "archivist/upload.h"
#include "sealed/stream.h"

namespace terrane::archivist {
namespace {

using fixture::md5;
using fixture::Process;
using fixture::sample;
using fixture::Stores;
using http::Method;
using object::Access;
using ::testing::HasSubstr;
using testing::run_task;

std::string status_of(Stores& stores, const Id<Object>& id) {
  std::string found;
  run_task([&](net::Executor executor) -> Task<> {
    postgres::Database database(executor, stores.database.options(1));
    postgres::Tx tx = co_await database.begin();
    std::optional<Object> row = co_await object::find(tx, id);
    found = row->status + " " + (row->size ? std::to_string(*row->size) : "-") + " " + row->md5.value_or("-");
  });
  return found;
}

/// Seals text as a shim does.
std::string sealed_form(Stores& stores, const Id<Object>& id, const std::string& kind,
                        const std::string& workspace, std::string text) {
  std::string out;
  run_task([&](net::Executor) -> Task<> {
    sealed::DataKey key = co_await stores.vault.data_key("archivist");
    sealed::Sealer sealer(std::move(key), {id.text(), kind, workspace, {}});
    out = sealer.begin();
    out += sealer.update(text);
    out += sealer.finish();
  });
  return out;
}

/// A body that breaks off after some bytes.
class Breaking : public http::ByteSource {
 public:
  explicit Breaking(std::size_t bytes) : left_(bytes) {}
  Task<std::size_t> read(std::span<char> into) override {
    if (left_ == 0) throw Error(Code::invalid, "the peer broke off");
    std::size_t count = std::min(left_, into.size());
    std::fill_n(into.data(), count, 'x');
    left_ -= count;
    co_return count;
  }

 private:
  std::size_t left_;
};

TEST(Range, ReadsWhatHttpAllows) {
  auto read = [](std::string_view field, std::uint64_t size) -> std::string {
    try {
      std::optional<ByteRange> range = parse_range(field, size);
      return range ? std::to_string(range->first) + "+" + std::to_string(range->length) : "ignored";
    } catch (const RangeNotSatisfiable&) {
      return "416";
    }
  };
  EXPECT_EQ(read("bytes=0-0", 10), "0+1");
  EXPECT_EQ(read("bytes=2-5", 10), "2+4");
  EXPECT_EQ(read("Bytes=2-99", 10), "2+8");
  EXPECT_EQ(read("bytes=4-", 10), "4+6");
  EXPECT_EQ(read("bytes=-3", 10), "7+3");
  EXPECT_EQ(read("bytes=-30", 10), "0+10");
  EXPECT_EQ(read("bytes=10-", 10), "416");
  EXPECT_EQ(read("bytes=-0", 10), "416");
  EXPECT_EQ(read("bytes=0-", 0), "416");
  EXPECT_EQ(read("bytes=0-9223372036854775807", 10), "0+10");
  for (std::string_view field : {"", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "bytes=a-b",
                                 "lines=0-1", "bytes=--1", "bytes=99999999999999999999-", "bytes=1--1"}) {
    EXPECT_EQ(read(field, 10), "ignored") << field;
  }
}

TEST(Objects, AreStoredSealedAndReadBack) {
  Stores stores;
  std::string text = sample(200'000);
  Id<Object> id = stores.add("configuration");
  Id<Object> empty = stores.add("state");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    Process::Answer put = co_await process.put(stores.url(Access::write, id), text);
    EXPECT_EQ(put.status, 200);
    EXPECT_EQ(put.body, R"({"size":200000,"md5":")" + md5(text) + "\"}");
    EXPECT_EQ(put.header("X-Terrane-Size"), "200000");
    EXPECT_EQ(put.header("X-Terrane-Md5"), md5(text));
    Process::Answer got = co_await process.get(stores.url(Access::read, id));
    EXPECT_EQ(got.status, 200);
    EXPECT_TRUE(got.body == text);
    EXPECT_EQ(got.header("Content-Type"), "application/x-gzip");
    EXPECT_EQ(got.header("Content-Length"), "200000");
    Process::Answer head = co_await process.call(Method::head, stores.url(Access::read, id));
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.header("Content-Length"), "200000");
    http::Headers known;
    known.set("If-None-Match", got.header("ETag"));
    EXPECT_EQ((co_await process.call(Method::get, stores.url(Access::read, id), {}, known)).status, 304);

    EXPECT_EQ((co_await process.put(stores.url(Access::write, empty), "")).body,
              R"({"size":0,"md5":")" + md5("") + "\"}");
    Process::Answer nothing = co_await process.get(stores.url(Access::read, empty));
    EXPECT_EQ(nothing.status, 200);
    EXPECT_EQ(nothing.body, "");
    co_await process.stop();
  });
  std::ifstream file(stores.blob_path(blob::object_name("configuration", id.text())));
  std::string stored{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(stored.size(), text.size() + 4 * 16 + sealed::parse_header(stored)->size());
  EXPECT_EQ(stored.find(text.substr(100'000, 16)), std::string::npos);
  EXPECT_EQ(status_of(stores, id), "live 200000 " + md5(text));
}

TEST(Objects, AreReadInRanges) {
  Stores stores;
  std::string text = sample(200'000);
  Id<Object> id = stores.add("plan-json");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    co_await process.put(stores.url(Access::write, id), text);
    std::string url = stores.url(Access::read, id);
    for (auto [first, last] : std::vector<std::pair<std::size_t, std::size_t>>{{0, 0},
                                                                               {0, 65535},
                                                                               {65535, 65536},
                                                                               {65536, 131071},
                                                                               {1, 199'998},
                                                                               {131'072, 199'999},
                                                                               {199'999, 199'999}}) {
      Process::Answer part =
          co_await process.get(url, "bytes=" + std::to_string(first) + "-" + std::to_string(last));
      EXPECT_EQ(part.status, 206);
      EXPECT_TRUE(part.body == text.substr(first, last - first + 1)) << first << "-" << last;
      EXPECT_EQ(part.header("Content-Range"),
                "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/200000");
      EXPECT_EQ(part.header("Content-Type"), "application/json");
    }
    EXPECT_TRUE((co_await process.get(url, "bytes=-5")).body == text.substr(199'995));
    EXPECT_TRUE((co_await process.get(url, "bytes=0-1,5-6")).body == text);
    Process::Answer behind = co_await process.get(url, "bytes=200000-");
    EXPECT_EQ(behind.status, 416);
    EXPECT_EQ(behind.header("Content-Range"), "bytes */200000");
    EXPECT_THAT(behind.body, HasSubstr("errors"));
    co_await process.stop();
  });
}

TEST(Objects, OpenByNothingButTheirUrl) {
  Stores stores;
  Id<Object> id = stores.add("state");
  Id<Object> waiting = stores.add("state");
  Id<Object> deleted = stores.add("state");
  Id<Object> log = stores.add("log");
  Id<Object> unknown = Id<Object>::make();
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    co_await process.put(stores.url(Access::write, id), "text");
    co_await process.put(stores.url(Access::write, deleted), "text");
    stores.set(deleted, "status = 'deleted', deleted_at = now()");
    std::string read = stores.url(Access::read, id);
    std::string write = stores.url(Access::write, waiting);
    std::string forged = read;
    forged.back() = forged.back() == 'A' ? 'B' : 'A';
    object::UrlSigner stranger(Secret(std::string(32, 'x')));
    std::string folder = "/_archivist/v1/object/";

    std::vector<std::pair<Method, std::string>> refused{
        {Method::get, forged},
        {Method::get, folder},
        {Method::get, folder + "r." + id.text() + ".9999999999.AAAA"},
        {Method::get, stranger.path(Access::read, id, std::chrono::hours(1))},
        {Method::get, stores.url(Access::read, waiting)},
        {Method::get, stores.url(Access::read, deleted)},
        {Method::get, stores.url(Access::read, unknown)},
        {Method::get, stores.url(Access::read, log)},
        {Method::get, write},
        {Method::put, read},
        {Method::put, stores.url(Access::write, deleted)},
        {Method::put, stores.url(Access::write, unknown)},
        {Method::put, stores.url(Access::write, log)},
        {Method::post, read},
        {Method::del, read},
        {Method::patch, write},
        {Method::get, stores.url(Access::log, id)},
        {Method::get, "/internal/v1/objects/" + waiting.text()},
        {Method::get, "/_archivist/../internal/v1/objects/" + id.text()},
        {Method::get, "/"},
    };
    for (const auto& [method, target] : refused) {
      Process::Answer answer = co_await process.call(method, target);
      EXPECT_EQ(answer.status, 404) << http::name(method) << " " << target;
      if (method != Method::head) EXPECT_THAT(answer.body, HasSubstr("not found"));
    }
    for (Access access : {Access::read, Access::write}) {
      Process::Answer late = co_await process.call(
          access == Access::read ? Method::get : Method::put,
          stores.url(access, access == Access::read ? id : waiting, std::chrono::minutes(-5)));
      EXPECT_EQ(late.status, 404);
      EXPECT_THAT(late.body, HasSubstr("expired"));
    }
    // Soft deleting closes the URL at once, but not to the platform itself; it opens again when restored.
    EXPECT_EQ((co_await process.get(read)).status, 200);
    stores.set(id, "hidden_at = now()");
    EXPECT_EQ((co_await process.get(read)).status, 404);
    EXPECT_EQ((co_await process.get("/internal/v1/objects/" + id.text())).status, 200);
    stores.set(id, "hidden_at = NULL");
    EXPECT_EQ((co_await process.get(read)).status, 200);
    // So does deleting.
    stores.set(id, "status = 'deleted', deleted_at = now()");
    EXPECT_EQ((co_await process.get(read)).status, 404);
    co_await process.stop();
  });
  EXPECT_EQ(status_of(stores, waiting), "uploading - -");
}

TEST(Uploads, MayBeRepeatedWithTheSameBytesOnly) {
  Stores stores;
  Id<Object> id = stores.add("state");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    std::string url = stores.url(Access::write, id);
    Process::Answer first = co_await process.put(url, "one state");
    Process::Answer again = co_await process.put(url, "one state");
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.header("X-Terrane-Md5"), md5("one state"));
    EXPECT_EQ((co_await process.put(url, "two state")).status, 409);
    EXPECT_EQ((co_await process.put(url, "")).status, 409);
    EXPECT_EQ((co_await process.get(stores.url(Access::read, id))).body, "one state");

    // An archivist died between bytes and row.
    stores.set(id, "status = 'uploading', size = NULL, md5 = NULL");
    EXPECT_EQ((co_await process.put(url, "one state")).body, first.body);
    co_await process.stop();
  });
  EXPECT_EQ(status_of(stores, id), "live 9 " + md5("one state"));
}

TEST(Uploads, AtTheSameTimeHaveOneWinner) {
  Stores stores;
  Id<Object> equal = stores.add("configuration");
  Id<Object> different = stores.add("configuration");
  run_task([&](net::Executor executor) -> Task<> {
    Process one(executor, stores, "one");
    Process two(executor, stores, "two");
    std::vector<int> statuses;
    auto upload = [&](Process& process, Id<Object> id, char letter) -> Task<> {
      statuses.push_back(
          (co_await process.put(stores.url(Access::write, id), std::string(300'000, letter))).status);
    };
    net::spawn(executor, "upload", upload(one, equal, 'a'));
    net::spawn(executor, "upload", upload(two, equal, 'a'));
    co_await testing::eventually("both have an answer", [&] { return statuses.size() == 2; });
    EXPECT_THAT(statuses, ::testing::Each(200));
    statuses.clear();
    net::spawn(executor, "upload", upload(one, different, 'a'));
    net::spawn(executor, "upload", upload(two, different, 'b'));
    co_await testing::eventually("both have an answer", [&] { return statuses.size() == 2; });
    EXPECT_THAT(statuses, ::testing::UnorderedElementsAre(200, 409));
    std::string stored = (co_await one.get(stores.url(Access::read, different))).body;
    EXPECT_TRUE(stored == std::string(300'000, 'a') || stored == std::string(300'000, 'b'));
    co_await one.stop();
    co_await two.stop();
  });
  EXPECT_EQ(stores.blob_count(), 2U);
}

TEST(Uploads, ThatFailLeaveNothing) {
  Stores stores;
  Id<Object> id = stores.add("configuration");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    std::string url = stores.url(Access::write, id);
    Breaking source(300'000);
    http::ClientRequest cut;
    cut.method = Method::put;
    cut.target = url;
    cut.stream = &source;
    cut.stream_length = 1'000'000;
    EXPECT_ANY_THROW(co_await process.raw.send(std::move(cut)));
    co_await testing::eventually("the cut upload is forgotten", [&] { return stores.blob_count() == 0; });

    std::string cut_off = co_await fixture::talk(
        process.socket, "PUT " + url + " HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nten bytes.");
    EXPECT_FALSE(cut_off.starts_with("HTTP/1.1 2")) << cut_off;
    std::string large = co_await fixture::talk(
        process.socket, "PUT " + url + " HTTP/1.1\r\nHost: a\r\nContent-Length: 536870913\r\n\r\nx");
    EXPECT_THAT(large, ::testing::StartsWith("HTTP/1.1 413"));
    EXPECT_THAT(large, HasSubstr("An object of kind configuration may have at most 536870912 bytes."));
    EXPECT_EQ(stores.blob_count(), 0U);

    stores.vault.set_away(true);
    Process::Answer away = co_await process.put(url, "text");
    EXPECT_EQ(away.status, 503);
    EXPECT_EQ(away.header("Retry-After"), "1");
    stores.vault.set_away(false);
    EXPECT_EQ(stores.blob_count(), 0U);
    EXPECT_EQ((co_await process.put(url, "text")).status, 200);
    co_await process.stop();
  });
}

TEST(Uploads, OfWhatIsDeletedMeanwhileLeaveNothing) {
  Stores stores;
  Id<Object> id = stores.add("state");
  // Deletes the row while the body is under way.
  class Deleting : public http::ByteSource {
   public:
    Deleting(Stores& stores, Id<Object> id) : stores_(stores), id_(std::move(id)) {}
    Task<std::size_t> read(std::span<char> into) override {
      if (std::exchange(done_, true)) co_return 0;
      stores_.set(id_, "status = 'deleted', deleted_at = now()");
      into[0] = 'x';
      co_return 1;
    }

   private:
    Stores& stores_;
    Id<Object> id_;
    bool done_ = false;
  };
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    // The first piece, and with it the header, leaves before the row goes.
    class Two : public http::ByteSource {
     public:
      explicit Two(Deleting& rest) : rest_(rest) {}
      Task<std::size_t> read(std::span<char> into) override {
        if (!std::exchange(begun_, true)) {
          into[0] = 'y';
          co_return 1;
        }
        co_await net::sleep_for(std::chrono::milliseconds(50));
        co_return co_await rest_.read(into);
      }

     private:
      Deleting& rest_;
      bool begun_ = false;
    };
    Deleting deleting(stores, id);
    Two source(deleting);
    http::ClientRequest request;
    request.method = Method::put;
    request.target = stores.url(Access::write, id);
    request.stream = &source;
    http::ClientResponse response = co_await process.raw.send(std::move(request));
    EXPECT_EQ(response.status, 404);
    co_await response.text();
    co_await process.stop();
  });
  EXPECT_EQ(stores.blob_count(), 0U);
}

TEST(SealedUploads, ArePassedOnAndOpen) {
  Stores stores;
  Id<Object> id = stores.add("plan");
  std::string text = sample(150'000);
  std::string sealed = sealed_form(stores, id, "plan", "ws-1", text);
  std::string other = sealed_form(stores, id, "plan", "ws-1", text);
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    std::string target = "/internal/v1/objects/" + id.text();
    std::vector<std::pair<std::string, std::string>> refused{
        {"nothing", ""},
        {"text", "not sealed at all"},
        {"a piece of a header", sealed.substr(0, 20)},
        {"another object", sealed_form(stores, Id<Object>::make(), "plan", "ws-1", text)},
        {"another kind", sealed_form(stores, id, "state", "ws-1", text)},
        {"another workspace", sealed_form(stores, id, "plan", "ws-2", text)},
        {"half a tag",
         sealed.substr(0, sealed::parse_header(sealed)->size() + 2 * sealed::sealed_chunk_size + 7)},
        {"only its header", sealed.substr(0, sealed::parse_header(sealed)->size())},
    };
    for (const auto& [what, body] : refused)
      EXPECT_EQ((co_await process.put(target, body)).status, 422) << what;
    EXPECT_EQ(stores.blob_count(), 0U);
    EXPECT_EQ((co_await process.put("/internal/v1/objects/obj-unknown", sealed)).status, 404);

    stores.vault.set_away(true);
    EXPECT_EQ((co_await process.put(target, sealed)).body, R"({"size":150000,"md5":null})");
    EXPECT_EQ((co_await process.put(target, sealed)).status, 200);
    EXPECT_EQ((co_await process.put(target, other)).status, 409);
    stores.vault.set_away(false);
    stores.set(id, "status = 'uploading', size = NULL");
    EXPECT_EQ((co_await process.put(target, other)).status, 409);
    EXPECT_EQ((co_await process.put(target, sealed)).status, 200);
    EXPECT_TRUE((co_await process.get(stores.url(Access::read, id))).body == text);

    // Plaintext equal to what a shim sealed is a repetition too.
    EXPECT_EQ((co_await process.put(target + "/plain", text)).status, 200);
    EXPECT_EQ((co_await process.put(target + "/plain", sample(150'001))).status, 409);
    EXPECT_EQ((co_await process.put(target + "/plain", std::string(150'000, 'x'))).status, 409);
    co_await process.stop();
  });
  EXPECT_EQ(status_of(stores, id), "live 150000 -");
}

TEST(Client, UploadsAndReads) {
  Stores stores;
  Id<Object> plain = stores.add("json-state");
  Id<Object> sealed = stores.add("state");
  std::string bytes = sealed_form(stores, sealed, "state", "ws-1", "from a shim");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    fixture::Pattern pattern(100'000);
    object::ArchivistClient::Stored stored = co_await process.client.put_plain(plain, pattern);
    EXPECT_EQ(stored.size, 100'000);
    EXPECT_EQ(stored.md5, pattern.md5());
    http::ClientResponse got = co_await process.client.get(plain);
    EXPECT_EQ(md5(co_await got.text()), stored.md5);

    class Text : public http::ByteSource {
     public:
      explicit Text(std::string text) : text_(std::move(text)) {}
      Task<std::size_t> read(std::span<char> into) override {
        std::size_t count = text_.copy(into.data(), into.size());
        text_.erase(0, count);
        co_return count;
      }

     private:
      std::string text_;
    };
    Text source(bytes);
    co_await process.client.put_sealed(sealed, source, bytes.size());
    http::ClientResponse opened = co_await process.client.get(sealed);
    EXPECT_EQ(co_await opened.text(), "from a shim");

    http::Request request;
    request.method = Method::get;
    request.target = stores.url(Access::read, sealed);
    request.headers.set("Range", "bytes=5-");
    http::Response forwarded = co_await process.client.forward(request);
    EXPECT_EQ(forwarded.status, 206);
    std::array<char, 64> piece;
    EXPECT_EQ(std::string_view(piece.data(), co_await forwarded.stream->read(piece)), "a shim");

    std::optional<Code> code;
    try {
      co_await process.client.get(Id<Object>("obj-unknown"));
    } catch (const Error& error) {
      code = error.code();
    }
    EXPECT_EQ(code, Code::not_found);
    forwarded.stream.reset();
    co_await process.stop();
  });
}

TEST(Damage, IsNeverAnsweredAsData) {
  Stores stores;
  std::string text = sample(300'000);
  Id<Object> id = stores.add("state");
  Id<Object> lost = stores.add("state");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    co_await process.put(stores.url(Access::write, id), text);
    co_await process.put(stores.url(Access::write, lost), text);
    std::filesystem::path path = stores.blob_path(blob::object_name("state", id.text()));
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    std::ifstream file(path);
    const std::string good{std::istreambuf_iterator<char>(file), {}};
    auto store = [&](const std::string& bytes) { std::ofstream(path, std::ios::trunc) << bytes; };
    auto flipped = [&](std::size_t at) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      return bytes;
    };
    std::size_t header = sealed::parse_header(good)->size();
    std::string url = stores.url(Access::read, id);

    store(flipped(header + 10));
    EXPECT_EQ((co_await process.get(url)).status, 500) << "the first chunk is damaged";
    store(flipped(header + 3 * sealed::sealed_chunk_size + 10));
    std::string seen;
    try {
      http::ClientRequest request;
      request.target = url;
      http::ClientResponse response = co_await process.raw.send(std::move(request));
      EXPECT_EQ(response.status, 200);
      auto piece = std::make_unique<char[]>(100'000);
      while (std::size_t count = co_await response.body->read({piece.get(), 100'000}))
        seen.append(piece.get(), count);
      ADD_FAILURE() << "the answer must break off";
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Code::unavailable || error.code() == Code::invalid) << error.what();
    }
    EXPECT_TRUE(seen == text.substr(0, seen.size()));
    EXPECT_LE(seen.size(), 3 * sealed::chunk_size);
    EXPECT_TRUE((co_await process.get(url, "bytes=0-1000")).body == text.substr(0, 1001))
        << "what is whole can be read";
    for (const std::string& bytes :
         {flipped(0), flipped(header / 2), good.substr(0, good.size() - 1), good + "x",
          good.substr(0, header + sealed::sealed_chunk_size), std::string(), good.substr(0, 5)}) {
      store(bytes);
      EXPECT_EQ((co_await process.get(url)).status, 500);
    }
    std::string swapped =
        good.substr(0, header) + good.substr(header + sealed::sealed_chunk_size, sealed::sealed_chunk_size) +
        good.substr(header, sealed::sealed_chunk_size) + good.substr(header + 2 * sealed::sealed_chunk_size);
    store(swapped);
    EXPECT_EQ((co_await process.get(url)).status, 500);
    // The bytes of another object, well formed, at this one's place.
    std::ifstream foreign(stores.blob_path(blob::object_name("state", lost.text())));
    store(std::string{std::istreambuf_iterator<char>(foreign), {}});
    EXPECT_EQ((co_await process.get(url)).status, 500);
    store(good);
    EXPECT_TRUE((co_await process.get(url)).body == text);

    std::filesystem::remove(stores.blob_path(blob::object_name("state", lost.text())));
    EXPECT_EQ((co_await process.get(stores.url(Access::read, lost))).status, 404);
    co_await process.stop();
  });
}

TEST(KeyCache, AsksVaultOncePerKey) {
  run_task([&](net::Executor) -> Task<> {
    vault_client::FakeVault vault;
    std::vector<std::string> wrapped;
    for (int i = 0; i < 300; ++i) wrapped.push_back((co_await vault.data_key(transit_key)).wrapped);
    KeyCache keys(vault);
    std::size_t before = vault.calls();
    Secret key = co_await keys.unwrap(wrapped[0]);
    EXPECT_EQ((co_await keys.unwrap(wrapped[0])).reveal(), key.reveal());
    EXPECT_EQ(vault.calls(), before + 1);
    vault.set_away(true);
    EXPECT_EQ((co_await keys.unwrap(wrapped[0])).reveal(), key.reveal());
    vault.set_away(false);
    for (const std::string& text : wrapped) co_await keys.unwrap(text);
    EXPECT_EQ(keys.size(), 256U);
    before = vault.calls();
    co_await keys.unwrap(wrapped.back());
    EXPECT_EQ(vault.calls(), before);
    co_await keys.unwrap(wrapped[0]);
    EXPECT_EQ(vault.calls(), before + 1) << "the oldest was forgotten";
  });
}

}  // namespace
}  // namespace terrane::archivist
