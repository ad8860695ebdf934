#include "object/object.h"

#include <gtest/gtest.h>

namespace terrane::object {
namespace {

TEST(UrlSigner, OpensOnlyWhatItSigned) {
  UrlSigner signer(Secret(std::string(32, 'k')));
  Id<Object> id = Id<Object>::make();
  std::string path = signer.path(Access::write, id, upload_life);
  ASSERT_TRUE(path.starts_with("/_archivist/v1/object/w."));
  std::string token = path.substr(path.rfind('/') + 1);
  std::optional<Grant> grant = signer.verify(token);
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->object, id);
  EXPECT_EQ(grant->access, Access::write);

  EXPECT_FALSE(UrlSigner(Secret(std::string(32, 'x'))).verify(token));
  for (std::size_t at = 0; at < token.size(); ++at) {
    std::string forged = token;
    forged[at] = forged[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(signer.verify(forged)) << "at " << at;
  }
  for (std::string_view text : {"", "....", "w.obj-1.99", "w.obj-1.99.", "r.obj-1.notanumber.AAAA"})
    EXPECT_FALSE(signer.verify(text));
}

TEST(UrlSigner, KeepsAUrlEqualForAMinute) {
  UrlSigner signer(Secret(std::string(32, 'k')));
  Id<Object> id = Id<Object>::make();
  // The minute may turn between two calls, but not twice.
  std::set<std::string> seen{signer.path(Access::log, id, log_life), signer.path(Access::log, id, log_life)};
  EXPECT_LE(seen.size(), 2U);
  EXPECT_TRUE(seen.begin()->starts_with("/_archivist/v1/log/"));
}

}  // namespace
}  // namespace terrane::object
