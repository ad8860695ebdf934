#include "variable/variable.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace terrane::variable {
namespace {

std::optional<std::string> pointer_of(std::function<void()> action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unprocessable);
    return error.problems().front().pointer;
  }
  return std::nullopt;
}

TEST(VariableRules, Keys) {
  for (std::string_view key : {"a", "region", "my-key_2", "3f2a-uuid"}) {
    EXPECT_FALSE(pointer_of([&] { check_key(key, "terraform"); })) << key;
  }
  for (std::string_view key : {"", "a b", "a.b", "a=b", "ä", "a\n", "$(x)"}) {
    EXPECT_EQ(pointer_of([&] { check_key(key, "terraform"); }), "/data/attributes/key") << key;
  }
  for (std::string_view key : {"A", "AWS_REGION", "_x9"})
    EXPECT_FALSE(pointer_of([&] { check_key(key, "env"); })) << key;
  for (std::string_view key : {"", "9x", "my-key", "A=B", "A B"}) {
    EXPECT_EQ(pointer_of([&] { check_key(key, "env"); }), "/data/attributes/key") << key;
  }
}

TEST(VariableRules, WhatIsSensitiveStaysSo) {
  Variable before;
  before.key = "key";
  before.category = "terraform";
  Variable after = before;
  after.sensitive = true;
  EXPECT_FALSE(pointer_of([&] { check_change(before, after); }));
  EXPECT_FALSE(pointer_of([&] { check_change(after, after); }));
  EXPECT_EQ(pointer_of([&] { check_change(after, before); }), "/data/attributes/sensitive");
  Variable as_env = before;
  as_env.category = "env";
  as_env.key = "9";
  EXPECT_EQ(pointer_of([&] { check_change(before, as_env); }), "/data/attributes/key");
}

TEST(VariableEncode, NeverShowsASensitiveValue) {
  Variable variable;
  variable.id = Id<Variable>("var-1");
  variable.owner_id = "ws-1";
  variable.key = "password";
  variable.category = "terraform";
  variable.value = "hunter2";
  variable.sealed_value = "vault:v1:x";
  EXPECT_EQ(encode(variable).at("attributes").at("value"), "hunter2");
  variable.sensitive = true;
  json::object out = encode(variable);
  EXPECT_TRUE(out.at("attributes").at("value").is_null());
  EXPECT_EQ(json::serialize(out).find("vault:"), std::string::npos);
  EXPECT_EQ(out.at("relationships").at("configurable").at("data").at("id"), "ws-1");
  EXPECT_TRUE(out.at("relationships").at("varset").at("data").is_null());
  variable.owner_id = "varset-1";
  out = encode(variable);
  EXPECT_EQ(out.at("relationships").at("varset").at("data").at("id"), "varset-1");
  EXPECT_TRUE(out.at("relationships").at("configurable").at("data").is_null());
}

}  // namespace
}  // namespace terrane::variable
