#include "services/state_document.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace terrane::services {
namespace {

using ::testing::HasSubstr;

state::Parsed parse(std::string_view text, std::size_t piece = 64 * 1024) {
  StateDocument document;
  for (; text.size() > piece; text.remove_prefix(piece)) document.feed(text.substr(0, piece));
  document.feed(text);
  return document.finish();
}

/// Everything that was found as one document, to compare.
std::string shown(const state::Parsed& parsed) {
  json::array outputs;
  for (const state::ParsedOutput& output : parsed.outputs) {
    outputs.push_back(json::object{{"name", output.name},
                                   {"type", output.type},
                                   {"detailed", output.detailed_type},
                                   {"sensitive", output.sensitive},
                                   {"value", output.value}});
  }
  return json::serialize(json::object{{"version", parsed.terraform_version},
                                      {"outputs", std::move(outputs)},
                                      {"resources", parsed.resources},
                                      {"note", parsed.note}});
}

std::string failure(std::string_view text, std::size_t piece = 64 * 1024) {
  try {
    return "parsed: " + shown(parse(text, piece));
  } catch (const MalformedState& error) {
    EXPECT_EQ(error.code(), Code::unprocessable);
    return error.detail();
  }
}

std::string file(const std::string& name) {
  std::ifstream in(std::string(TERRANE_GOLDEN_STATE) + "/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

const state::ParsedOutput& output(const state::Parsed& parsed, std::string_view name) {
  for (const state::ParsedOutput& candidate : parsed.outputs) {
    if (candidate.name == name) return candidate;
  }
  throw std::runtime_error("no such output");
}

TEST(StateDocument, ReadsWhatOpenTofuWrote) {
  state::Parsed parsed = parse(file("opentofu_1.12.6.tfstate"));
  EXPECT_EQ(parsed.terraform_version, "1.12.6");
  EXPECT_EQ(parsed.note, "");
  ASSERT_EQ(parsed.outputs.size(), 14U);
  auto expect = [&](std::string_view name, std::string_view type, std::string_view detailed,
                    std::string_view value, bool sensitive) {
    const state::ParsedOutput& found = output(parsed, name);
    EXPECT_EQ(found.type, type) << name;
    EXPECT_EQ(json::serialize(found.detailed_type), detailed) << name;
    EXPECT_EQ(json::serialize(found.value), value) << name;
    EXPECT_EQ(found.sensitive, sensitive) << name;
  };
  expect("text", "string", R"("string")", R"("plain ü \"quoted\"")", false);
  expect("secret", "string", R"("string")", R"("do not print")", true);
  expect("number", "number", R"("number")", "42", false);
  expect("truth", "bool", R"("bool")", "true", false);
  expect("tuple", "array", R"(["tuple",["string","number","bool"]])", R"(["a",1,true])", false);
  expect("list", "array", R"(["list","string"])", R"(["a","b"])", false);
  expect("set", "array", R"(["set","string"])", R"(["a","b"])", false);
  expect("map", "object", R"(["map","string"])", R"({"k":"v"})", false);
  expect("object", "object",
         R"(["object",{"name":"string","nested":["object",{"deep":["tuple",["number","number"]]}]}])",
         R"({"name":"n","nested":{"deep":[1,2]}})", false);
  expect("empty_object", "object", R"(["object",{}])", "{}", false);
  expect("dynamic", "object", R"(["object",{"a":["tuple",["number","string","dynamic"]]}])",
         R"({"a":[1,"b",null]})", false);
  EXPECT_EQ(output(parsed, "float").value.as_double(), 3.25);
  EXPECT_EQ(output(parsed, "large_number").value.as_double(), 123456789012345678901234567890.0);

  std::map<std::string, std::string> resources;
  for (const json::value& resource : parsed.resources) {
    resources[std::string(resource.at("address").as_string())] = json::serialize(
        json::array{resource.at("name"), resource.at("type"), resource.at("module"), resource.at("count")});
    EXPECT_EQ(resource.at("provider").as_string(), R"(provider["terraform.io/builtin/terraform"])");
  }
  std::map<std::string, std::string> expected{
      {"terraform_data.single", R"(["single","terraform_data","root",1])"},
      {"terraform_data.counted", R"(["counted","terraform_data","root",3])"},
      {"terraform_data.each", R"(["each","terraform_data","root",2])"},
      {"module.leaf.terraform_data.leaf", R"(["leaf","terraform_data","module.leaf",1])"},
      {R"(module.many["p"].terraform_data.leaf)", R"(["leaf","terraform_data","module.many[\"p\"]",1])"},
      {R"(module.many["q"].terraform_data.leaf)", R"(["leaf","terraform_data","module.many[\"q\"]",1])"},
  };
  EXPECT_EQ(resources, expected) << "data sources are not listed";
}

TEST(StateDocument, NamesInstancesByTheirKeys) {
  state::Parsed parsed = parse(
      R"({"version":4,"resources":[
        {"mode":"managed","type":"t","name":"counted","provider":"p","instances":[
          {"index_key":0,"attributes":{"index_key":7}},{"index_key":1},{"index_key":1,"deposed":"0a"}]},
        {"mode":"managed","type":"t","name":"each","provider":"p","instances":[{"index_key":"a"},{"attributes":{},"index_key":"b"}]},
        {"mode":"managed","type":"t","name":"single","provider":"p","instances":[{"attributes":{"index_key":"no"}}]}]})");
  ASSERT_EQ(parsed.resources.size(), 3U);
  EXPECT_EQ(parsed.resources.at(0).at("keys"), json::value(json::array{0, 1})) << "a deposed one is no other";
  EXPECT_EQ(parsed.resources.at(1).at("keys"), json::value(json::array{"a", "b"}));
  EXPECT_FALSE(parsed.resources.at(2).as_object().contains("keys"));
}

TEST(StateDocument, DoesNotCareHowTheBytesCome) {
  std::string text = file("opentofu_1.12.6.tfstate");
  std::string whole = shown(parse(text));
  for (std::size_t piece : {1, 2, 3, 7, 64, 1000}) EXPECT_EQ(shown(parse(text, piece)), whole) << piece;
}

TEST(StateDocument, ReadsStatesMadeByHand) {
  EXPECT_EQ(shown(parse(R"({"version":4})")), R"({"version":"","outputs":[],"resources":[],"note":""})");
  EXPECT_EQ(shown(parse(" \n{\"resources\":null,\"outputs\":null,\"version\":4} \n")),
            R"({"version":"","outputs":[],"resources":[],"note":""})");
  // Members in another order, unknown members, a value without a type, deposed instances, nothing left of a
  // resource.
  state::Parsed parsed = parse(
      R"({"future":{"outputs":{"not":{"value":1}}},"outputs":{"a":{"sensitive":true,"value":[1.5,null],"extra":{"value":2}},
      "n":{"value":null,"type":"dynamic"}},"check_results":[{"resources":[]}],
      "resources":[{"instances":[{"attributes":{"deposed":"x","type":"y"}},{"deposed":"0a","attributes":{}}],"name":"both","type":"t","mode":"managed","provider":"p"},
                   {"mode":"managed","type":"t","name":"left","provider":"p","instances":[{"deposed":"0b"}]},
                   {"mode":"managed","type":"t","name":"gone","provider":"p","instances":[]},
                   {"mode":"ephemeral","type":"t","name":"e","provider":"p","instances":[{}]}],
      "terraform_version":"1.5.7","version":4})");
  EXPECT_EQ(
      shown(parsed),
      R"({"version":"1.5.7","outputs":[{"name":"a","type":"array","detailed":null,"sensitive":true,"value":[1.5E0,null]},)"
      R"({"name":"n","type":"null","detailed":"dynamic","sensitive":false,"value":null}],"resources":[)"
      R"({"address":"t.both","name":"both","type":"t","provider":"p","module":"root","count":1},)"
      R"({"address":"t.left","name":"left","type":"t","provider":"p","module":"root","count":1}],"note":""})");
}

TEST(StateDocument, SaysWhyItCannotRead) {
  EXPECT_THAT(failure(""), HasSubstr("ends at byte 0"));
  EXPECT_THAT(failure("   "), HasSubstr("before its JSON does"));
  EXPECT_THAT(failure("not json"), HasSubstr("not JSON"));
  EXPECT_THAT(failure("\xff\xfe"), HasSubstr("not JSON"));
  EXPECT_THAT(failure(std::string("{\"version\":4\0}", 14)), HasSubstr("not JSON"));
  EXPECT_THAT(failure(R"({"version":4,"terraform_version":")"
                      "\xc3\x28"
                      R"("})"),
              HasSubstr("not JSON"));
  EXPECT_THAT(failure(R"({"version":4} {"version":4})"), HasSubstr("Something follows"));
  EXPECT_THAT(failure(R"({"version":4})"
                      "\n\nx"),
              HasSubstr("Something follows"));
  for (std::string_view text : {"[]", "4", "\"4\"", "null", "[{\"version\":4}]"})
    EXPECT_THAT(failure(text), HasSubstr("not a JSON object"));
  EXPECT_THAT(failure("{}"), HasSubstr("no format version"));
  EXPECT_THAT(failure(R"({"version":"4"})"), HasSubstr("no format version"));
  EXPECT_THAT(failure(R"({"version":3,"modules":[{"path":["root"],"outputs":{},"resources":{}}]})"),
              HasSubstr("format version 3"));
  EXPECT_THAT(
      failure(R"({"serial":1,"lineage":"x","meta":{},"encrypted_data":"AAAA","encryption_version":"v0"})"),
      HasSubstr("encrypted"));
  EXPECT_THAT(failure(R"({"version":4,"outputs":{"a":1}})"), "parsed: " + shown(parse(R"({"version":4})")));
  EXPECT_THAT(failure(R"({"version":4,"outputs":{"a":[]}})"), HasSubstr("The output 'a' is not an object"));
  EXPECT_THAT(failure(R"({"version":4,"outputs":{"a":{"type":"string"}}})"),
              HasSubstr("The output 'a' has no value"));
  EXPECT_THAT(failure(R"({"version":4,"resources":[[]]})"), HasSubstr("A resource is not an object"));
  EXPECT_THAT(failure(R"({"version":4,"resources":[{"mode":"managed","instances":[{}]}]})"),
              HasSubstr("no type or no name"));
  EXPECT_THAT(failure(R"({"version":4,"resources":[{"instances":[[]]}]})"),
              HasSubstr("instance of a resource is not an object"));
  std::string text = file("opentofu_1.12.6.tfstate");
  for (std::size_t end = 1; end < text.size() - 2; end += 97) {
    EXPECT_THAT(failure(text.substr(0, end)), HasSubstr("before its JSON does")) << end;
  }
}

TEST(StateDocument, SurvivesEachFlippedByte) {
  std::string text = file("opentofu_1.12.6.tfstate");
  std::size_t refused = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (char mask : {'\x01', '\x80'}) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(flipped[at] ^ mask);
      if (!failure(flipped, 500).starts_with("parsed")) ++refused;
    }
  }
  EXPECT_GT(refused, text.size() / 2);
}

TEST(StateDocument, BoundsWhatItKeeps) {
  // Nesting, in an output and where nobody looks.
  auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_EQ(parse(R"({"version":4,"outputs":{"a":{"value":)" + nested(200) + "}}}").outputs.size(), 1U);
  EXPECT_THAT(failure(R"({"version":4,"outputs":{"a":{"value":)" + nested(300) + "}}}"),
              HasSubstr("too deep"));
  EXPECT_THAT(failure(R"({"version":4,"x":)" + nested(300) + "}"), HasSubstr("too deep"));
  EXPECT_THAT(failure(nested(100'000)),
              ::testing::AnyOf(HasSubstr("too deep"), HasSubstr("not a JSON object")));

  // One value, all values, names.
  auto large = [](const std::string& value) {
    return R"({"version":4,"outputs":{"a":{"value":)" + value + R"(,"type":"string"},"b":{"value":1}}})";
  };
  state::Parsed parsed = parse(large("\"" + std::string(value_limit, 'x') + "\""));
  EXPECT_THAT(parsed.note, HasSubstr("The value of output 'a' is too large"));
  EXPECT_TRUE(output(parsed, "a").value.is_null());
  EXPECT_EQ(output(parsed, "a").type, "string");
  EXPECT_EQ(output(parsed, "b").value, json::value(1));
  parsed = parse(large("\"" + std::string(value_limit - 100, 'x') + "\""));
  EXPECT_EQ(parsed.note, "");
  EXPECT_EQ(output(parsed, "a").value.as_string().size(), value_limit - 100);
  std::string ones = "[1";
  for (std::size_t i = 0; i < value_limit / 16; ++i) ones += ",1";
  EXPECT_THAT(parse(large(ones + "]")).note, HasSubstr("too large"));
  std::string controls = "\"";
  for (std::size_t i = 0; i < value_limit / 5; ++i) controls += "\\u0001";
  EXPECT_THAT(parse(large(controls + "\"")).note, HasSubstr("too large"))
      << "as text it is six times its size";

  std::string many = R"({"version":4,"outputs":{)";
  for (int i = 0; i < 5; ++i)
    many += "\"o" + std::to_string(i) + R"(":{"value":")" + std::string(4'000'000, 'x') + "\"},";
  many += R"("last":{"value":"kept"}}})";
  parsed = parse(many);
  EXPECT_EQ(parsed.outputs.size(), 6U);
  EXPECT_THAT(parsed.note, HasSubstr("output 'o4' is too large"));
  EXPECT_EQ(output(parsed, "last").value, json::value("kept"));

  std::string name(text_limit + 1, 'n');
  EXPECT_THAT(failure(R"({"version":4,"outputs":{")" + name + R"(":{"value":1}}})"),
              HasSubstr("more than 65536 bytes"));
  EXPECT_EQ(parse(R"({"version":4,"x":{")" + name + R"(":")" + name + "\"}}").outputs.size(), 0U);

  std::string crowd = R"({"version":4,"outputs":{"o":{"value":1})";
  for (std::size_t i = 0; i < output_limit; ++i) crowd += ",\"o" + std::to_string(i) + R"(":{"value":1})";
  crowd += R"(},"resources":[{})";
  for (std::size_t i = 0; i <= resource_limit; ++i) {
    crowd += R"(,{"mode":"managed","type":"t","name":"r)" + std::to_string(i) + R"(","instances":[{}]})";
  }
  parsed = parse(crowd + "]}");
  EXPECT_EQ(parsed.outputs.size(), output_limit);
  EXPECT_EQ(parsed.resources.size(), resource_limit);
  EXPECT_THAT(parsed.note, HasSubstr("Only the first 10000 outputs"));
  EXPECT_THAT(parsed.note, HasSubstr("Only the first 20000 resources"));
}

/// The largest resident size of this process since `forget_peak`, in KiB.
std::size_t peak() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
  }
  throw std::runtime_error("no VmHWM");
}

void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

TEST(StateDocument, TakesConstantMemoryAtAnySize) {
  constexpr std::size_t size = 50 * 1024 * 1024;
  forget_peak();
  const std::size_t before = peak();
  StateDocument document;
  document.feed(
      R"({"version":4,"terraform_version":"1.12.6","outputs":{"first":{"value":"1","type":"string"}},"resources":[)");
  std::size_t fed = 0;
  std::int64_t instances = 0;
  const std::string attributes =
      R"({"schema_version":0,"attributes":{"id":"i-0123456789","tags":{"a":"b","c":"d"},"list":[1,2,3,true,null,1.5]},"private":")" +
      std::string(2'000, 'p') + "\"}";
  document.feed(
      R"({"mode":"managed","type":"aws_instance","name":"crowd","provider":"p","each":"list","instances":[)");
  for (; fed < size; fed += attributes.size() + 1, ++instances) {
    if (instances > 0) document.feed(",");
    document.feed(attributes);
  }
  document.feed("]}]}");
  state::Parsed parsed = document.finish();
  EXPECT_EQ(parsed.resources.at(0).at("count").as_int64(), instances);
  EXPECT_EQ(parsed.outputs.size(), 1U);
  EXPECT_LT(peak() - before, 8U * 1024);
}

}  // namespace
}  // namespace terrane::services
