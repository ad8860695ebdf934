#include "config/settings.h"

#include <fstream>
#include <gtest/gtest.h>

#include "base/error.h"

namespace terrane::config {
namespace {

TEST(Settings, EveryDefaultIsAllowed) {
  std::map<std::string, std::string> given;
  for (const Setting& setting : all()) {
    if (!setting.standard.empty()) given[std::string(setting.name)] = std::string(setting.standard);
  }
  Settings settings = Settings::from(given);
  EXPECT_EQ(settings.number("TFE_CAPACITY_CONCURRENCY"), 10);
  EXPECT_EQ(settings.number("TFE_CAPACITY_MEMORY"), 2048);
  EXPECT_TRUE(settings.warnings().empty());
}

TEST(Settings, AllMistakesAreReportedAtOnce) {
  try {
    Settings::from({{"TFE_HTTPS_PORT", "70000"},
                    {"TFE_OPERATIONAL_MODE", "cluster"},
                    {"TFE_NO_SUCH", "1"},
                    {"TFE_TOKEN", "x"}});
    FAIL();
  } catch (const Error& error) {
    ASSERT_EQ(error.problems().size(), 3U);
    std::string text;
    for (const Problem& problem : error.problems()) text += problem.detail + "\n";
    EXPECT_NE(text.find("TFE_HTTPS_PORT is '70000'; allowed is a whole number from 1 to 65535"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("TFE_NO_SUCH"), std::string::npos);
    EXPECT_NE(text.find("demo"), std::string::npos);
  }
}

TEST(Settings, NamesWithoutMeaningAreWarnedAbout) {
  Settings settings = Settings::from({{"TFE_LICENSE", "x"}});
  ASSERT_EQ(settings.warnings().size(), 1U);
  EXPECT_NE(settings.warnings()[0].find("TFE_LICENSE"), std::string::npos);
}

TEST(Settings, AFileSaysWhichLineIsWrong) {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("terrane-settings-" + std::to_string(::getpid()));
  std::ofstream(path) << "# comment\nTFE_HOSTNAME=\"a.example\"\nnonsense\n";
  try {
    read_file(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.detail().find(":3:"), std::string::npos) << error.detail();
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace terrane::config
