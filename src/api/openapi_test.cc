#include "api/openapi.h"

#include <gtest/gtest.h>

namespace terrane::api {
namespace {

using http::Method;
using Form = http::Shape::Form;

struct Boat {
  std::string name;
  std::optional<std::string> harbour;
  std::string secret;
};

const std::array attributes{
    jsonapi::attr<&Boat::name>("name", "name", jsonapi::create | jsonapi::update),
    jsonapi::attr<&Boat::harbour>("home-harbour", "harbour", jsonapi::create),
    jsonapi::attr<&Boat::secret>("secret", "secret", jsonapi::hidden),
};
const jsonapi::Resource boats{"boats", attributes, {}};

std::vector<jsonapi::Schema> schemas() {
  return {{.name = "boats",
           .type = "boats",
           .table = &boats,
           .members = {jsonapi::shown("permissions", jsonapi::flags("can-sail can-sink")),
                       jsonapi::sometimes("cargo", jsonapi::text()), jsonapi::related("crew", "users teams"),
                       jsonapi::sometimes(jsonapi::related_many("guests", "users")),
                       jsonapi::linked("logbook"), jsonapi::takes_related_many("guests", "users"),
                       jsonapi::needs("name", jsonapi::text("^[a-z]+$"))}}};
}

Task<http::Response> nothing(http::Request&) { co_return http::Response(); }

http::Router rows() {
  http::Router router;
  router.add({Method::get, "/api/v2/seas/:sea/boats", nothing}, {.query = "filter[name] include"});
  router.add({Method::post, "/api/v2/seas/:sea/boats", nothing});
  router.add({Method::get, "/api/v2/boats/:id", nothing});
  router.add({Method::patch, "/api/v2/boats/:id", nothing});
  router.add({Method::del, "/api/v2/boats/:id", nothing});
  router.add({Method::post, "/api/v2/boats/:id/actions/sink", nothing}, {Form::accepted, "", "comment"});
  router.add({Method::get, "/api/v2/boats", nothing}, {Form::uncounted, "boats"});
  router.add({Method::post, "/api/v2/fleets/:id/boats", nothing}, {Form::nothing, "", "boats.list"});
  router.add({Method::get, "/api/v2/ping", nothing, 0, false}, {Form::nothing});
  router.add({Method::get, "/api/v2/ghosts/:id", nothing});
  router.add({Method::get, "/elsewhere/:id", nothing});
  return router;
}

std::string text_at(const json::value& value, std::string_view pointer) {
  boost::system::error_code failure;
  const json::value* found = value.find_pointer(pointer, failure);
  return found ? json::serialize(*found) : "nothing";
}

class OpenApiTest : public ::testing::Test {
 protected:
  OpenApi made_ = openapi(rows(), schemas());
  json::value document_ = made_.document;
  std::string at(std::string_view pointer) { return text_at(document_, pointer); }
};

TEST_F(OpenApiTest, RowsBecomeOperationsByTheirMethodAndPattern) {
  EXPECT_EQ(at("/paths/~1api~1v2~1boats~1{id}/get/operationId"), R"("get_boats_id")");
  EXPECT_EQ(at("/paths/~1api~1v2~1boats~1{id}/get/parameters/0/name"), R"("id")");
  EXPECT_EQ(at("/paths/~1api~1v2~1boats~1{id}/get/responses/200/content/application~1vnd.api+json/schema/"
               "properties/data/$ref"),
            R"("#/components/schemas/boats")");
  EXPECT_EQ(
      at("/paths/~1api~1v2~1seas~1{sea}~1boats/post/requestBody/content/application~1vnd.api+json/schema/"
         "$ref"),
      R"("#/components/schemas/boats.create")");
  EXPECT_NE(at("/paths/~1api~1v2~1seas~1{sea}~1boats/post/responses/201"), "nothing");
  EXPECT_EQ(
      at("/paths/~1api~1v2~1boats~1{id}/patch/requestBody/content/application~1vnd.api+json/schema/$ref"),
      R"("#/components/schemas/boats.update")");
  EXPECT_EQ(at("/paths/~1api~1v2~1boats~1{id}/delete/responses/204"), R"({"description":"success"})");
  EXPECT_NE(at("/paths/~1api~1v2~1boats~1{id}~1actions~1sink/post/responses/202"), "nothing");
  EXPECT_EQ(at("/paths/~1api~1v2~1ping/get/security"), "[]");
}

TEST_F(OpenApiTest, AListHasPagesAndItsOwnParameters) {
  EXPECT_EQ(at("/paths/~1api~1v2~1seas~1{sea}~1boats/get/parameters/1/name"), R"("page[number]")");
  EXPECT_EQ(at("/paths/~1api~1v2~1seas~1{sea}~1boats/get/parameters/3/name"), R"("filter[name]")");
  EXPECT_EQ(at("/paths/~1api~1v2~1seas~1{sea}~1boats/get/parameters/4/name"), R"("include")");
  EXPECT_EQ(at("/paths/~1api~1v2~1seas~1{sea}~1boats/get/responses/200/content/application~1vnd.api+json/"
               "schema/required"),
            R"(["data","links","meta"])");
}

TEST_F(OpenApiTest, AListThatNobodyCountsDoesNotSayHowLongItIs) {
  const std::string answer =
      "/paths/~1api~1v2~1boats/get/responses/200/content/application~1vnd.api+json/schema/properties";
  EXPECT_EQ(at(answer + "/meta/$ref"), R"("#/components/schemas/uncounted-page-meta")");
  EXPECT_EQ(at("/paths/~1api~1v2~1boats/get/parameters/0/name"), R"("page[number]")");
  const std::string numbers = "/properties/pagination/properties/total-count";
  EXPECT_EQ(at("/components/schemas/uncounted-page-meta" + numbers), "nothing");
  EXPECT_NE(at("/components/schemas/page-meta" + numbers), "nothing");
  EXPECT_EQ(at("/components/schemas/uncounted-page-links/required"), R"(["self","first","prev","next"])");
}

TEST_F(OpenApiTest, ARequestMayBeAListOfWhatCanBeMade) {
  EXPECT_EQ(at("/paths/~1api~1v2~1fleets~1{id}~1boats/post/requestBody/content/"
               "application~1vnd.api+json/schema/$ref"),
            R"("#/components/schemas/boats.list")");
  const std::string data = "/properties/data";
  EXPECT_EQ(at("/components/schemas/boats.list" + data + "/items"),
            at("/components/schemas/boats.create" + data));
}

TEST_F(OpenApiTest, RelationsMayBeMissingOrOnlyLead) {
  const std::string related = "/components/schemas/boats/properties/relationships";
  EXPECT_EQ(at(related + "/required"), R"(["crew","logbook"])");
  EXPECT_EQ(at(related + "/properties/guests/properties/data/type"), R"("array")");
  EXPECT_EQ(at(related + "/properties/logbook/required"), R"(["links"])");
  EXPECT_EQ(at("/components/schemas/boats.create/properties/data/properties/relationships/properties/guests/"
               "properties/data/type"),
            R"("array")");
}

TEST_F(OpenApiTest, LinksThatVaryAreNotRequired) {
  std::vector<jsonapi::Schema> linked = schemas();
  linked.front().has_links = true;
  const std::string required = "/components/schemas/boats/required";
  EXPECT_NE(text_at(openapi(rows(), linked).document, required).find("links"), std::string::npos);
  linked.front().links_vary = true;
  const json::value document = openapi(rows(), linked).document;
  EXPECT_EQ(text_at(document, required), R"(["id","type","attributes","relationships"])");
  EXPECT_NE(text_at(document, "/components/schemas/boats/properties/links"), "nothing");
}

TEST_F(OpenApiTest, WhatHasNoSchemaIsNamedAndOtherPathsAreNot) {
  EXPECT_EQ(made_.undescribed, std::vector<std::string>{"GET /api/v2/ghosts/:id"});
  EXPECT_EQ(at("/paths/~1elsewhere~1{id}"), "nothing");
}

TEST_F(OpenApiTest, SchemasAreClosedAndNameWhatIsAlwaysThere) {
  const std::string shown = "/components/schemas/boats/properties/attributes";
  EXPECT_EQ(at(shown + "/required"), R"(["name","home-harbour","permissions"])");
  EXPECT_EQ(at(shown + "/additionalProperties"), "false");
  EXPECT_EQ(at(shown + "/properties/home-harbour/type"), R"(["string","null"])");
  EXPECT_EQ(at(shown + "/properties/cargo/type"), R"("string")");
  EXPECT_EQ(at(shown + "/properties/secret"), "nothing");
  EXPECT_EQ(at(shown + "/properties/permissions/required"), R"(["can-sail","can-sink"])");
  EXPECT_EQ(at("/components/schemas/boats/required"), R"(["id","type","attributes","relationships"])");
}

TEST_F(OpenApiTest, RequestsHoldWhatMayBeGivenThen) {
  const std::string create = "/components/schemas/boats.create/properties/data";
  EXPECT_EQ(at(create + "/required"), R"(["type","attributes"])");
  EXPECT_EQ(at(create + "/properties/attributes/required"), R"(["name"])");
  EXPECT_EQ(at(create + "/properties/attributes/properties/name/pattern"), R"("^[a-z]+$")");
  EXPECT_NE(at(create + "/properties/attributes/properties/home-harbour"), "nothing");
  const std::string update = "/components/schemas/boats.update/properties/data";
  EXPECT_EQ(at(update + "/properties/attributes/required"), "nothing");
  EXPECT_EQ(at(update + "/properties/attributes/properties/home-harbour"), "nothing");
}

TEST(OpenApiNames, TwoSchemasOfOneNameAreAnError) {
  std::vector<jsonapi::Schema> twice = schemas();
  twice.push_back(twice.front());
  EXPECT_THROW(openapi(rows(), twice), Error);
}

}  // namespace
}  // namespace terrane::api
