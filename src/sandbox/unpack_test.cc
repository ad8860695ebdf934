#include "sandbox/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <clocale>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "testing/child.h"

namespace terrane::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Entry {
  std::string name;
  std::string content;
  int type = AE_IFREG;
  std::string link;  // symbolic, or hard when type is 0
  int mode = 0644;
};

class UnpackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::setlocale(LC_CTYPE, "C.UTF-8");  // for the names that are packed
    fs::create_directory(destination_);
  }

  void pack(const std::vector<Entry>& entries) {
    archive* out = archive_write_new();
    archive_write_add_filter_gzip(out);
    archive_write_set_format_pax_restricted(out);
    ASSERT_EQ(archive_write_open_filename(out, archive_.c_str()), ARCHIVE_OK);
    for (const Entry& entry : entries) {
      archive_entry* item = archive_entry_new();
      archive_entry_set_pathname(item, entry.name.c_str());
      archive_entry_set_perm(item, static_cast<mode_t>(entry.mode));
      archive_entry_set_filetype(item, static_cast<unsigned>(entry.type == 0 ? AE_IFREG : entry.type));
      archive_entry_set_size(item, static_cast<la_int64_t>(entry.content.size()));
      if (entry.type == 0) archive_entry_set_hardlink(item, entry.link.c_str());
      if (entry.type == AE_IFLNK) archive_entry_set_symlink(item, entry.link.c_str());
      ASSERT_EQ(archive_write_header(out, item), ARCHIVE_OK) << archive_error_string(out);
      archive_write_data(out, entry.content.data(), entry.content.size());
      archive_entry_free(item);
    }
    archive_write_close(out);
    archive_write_free(out);
  }

  // As in production: in a process of its own, whose directory and umask are its own. Returns the error's
  // line, empty on success.
  std::string unpack_here(std::uint64_t bytes = 1 << 20, const std::string& working_directory = "") {
    fs::path errors = directory_.path() / "errors";
    pid_t child = ::fork();
    if (child == 0) {
      if (!std::freopen(errors.c_str(), "w", stderr)) ::_exit(99);
      std::string size = std::to_string(bytes), from = archive_.string(), to = destination_.string(),
                  directory = working_directory;
      std::string role = "unpack";
      char* argv[] = {role.data(), from.data(), to.data(), size.data(), directory.data(), nullptr};
      int result = unpack_main(5, argv);
      std::fflush(stderr);
      ::_exit(result);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    std::stringstream text;
    text << std::ifstream(errors).rdbuf();
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status) != 0, !text.str().empty()) << text.str();
    return text.str();
  }
  std::string content(const std::string& name) {
    std::stringstream text;
    text << std::ifstream(destination_ / name).rdbuf();
    return text.str();
  }

  testing::TestDirectory directory_{"unpack", "root"};
  fs::path archive_ = directory_.path() / "a.tar.gz";
  fs::path destination_ = directory_.path() / "to";
};

TEST_F(UnpackTest, UnpacksFilesDirectoriesAndLinksInside) {
  pack({{"./", "", AE_IFDIR},
        {"./main.tf", "resource"},
        {"modules/x", "", AE_IFDIR, "", 0700},
        {"modules/x/run.sh", "#!", AE_IFREG, "", 0700},
        {"modules/x/up", "", AE_IFLNK, "../../main.tf"},
        {"hard.tf", "", 0, "main.tf"},
        {"ünï.tf", "u"}});
  ASSERT_EQ(unpack_here(), "");
  EXPECT_EQ(content("main.tf"), "resource");
  EXPECT_EQ(content("modules/x/up"), "resource");
  EXPECT_EQ(content("hard.tf"), "resource");
  EXPECT_EQ(content("ünï.tf"), "u");
  struct stat status{};
  ASSERT_EQ(::stat((destination_ / "modules/x").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0770u) << "shared by group";
  ASSERT_EQ(::stat((destination_ / "modules/x/run.sh").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0770u);
  ASSERT_EQ(::stat((destination_ / "main.tf").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(UnpackTest, RefusesWhatLeadsOut) {
  testing::TestDirectory outside("unpack-outside", "root");
  std::string target = outside.path().string();
  struct Case {
    std::vector<Entry> entries;
    std::string name;
  };
  std::vector<Case> cases = {{{{target + "/x", "bad"}}, target + "/x"},
                             {{{"../x", "bad"}}, "../x"},
                             {{{"a/../../x", "bad"}}, "a/../../x"},
                             {{{"l", "", AE_IFLNK, target}}, "l"},
                             {{{"l", "", AE_IFLNK, ".."}}, "l"},
                             {{{"d/l", "", AE_IFLNK, "../../x"}}, "d/l"},
                             {{{"d/l", "", AE_IFLNK, "e/../../../x"}}, "d/l"},
                             {{{"h", "", 0, "/etc/passwd"}}, "h"},
                             {{{"h", "", 0, "../x"}}, "h"},
                             {{{"d", "", AE_IFDIR}, {"s", "", AE_IFLNK, "d"}, {"s/x", "bad"}}, "s/x"},
                             {{{"d", "", AE_IFDIR}, {"s", "", AE_IFLNK, "d"}, {"h", "", 0, "s/y"}}, "h"}};
  for (const Case& one : cases) {
    fs::remove_all(destination_);
    fs::create_directory(destination_);
    pack(one.entries);
    EXPECT_THAT(unpack_here(), HasSubstr("\"" + one.name + "\"")) << one.name;
    EXPECT_TRUE(fs::is_empty(outside.path()));
    EXPECT_FALSE(fs::exists(directory_.path() / "x"));
  }
}

TEST_F(UnpackTest, RefusesDevicesAndFifos) {
  for (int type : {AE_IFIFO, AE_IFCHR, AE_IFBLK}) {
    pack({{"node", "", type}});
    EXPECT_THAT(unpack_here(),
                ::testing::AnyOf(HasSubstr("\"node\" is a FIFO"), HasSubstr("\"node\" is a device")));
    EXPECT_TRUE(fs::is_empty(destination_));
  }
}

TEST_F(UnpackTest, BoundsTheSizeOfAllFilesTogether) {
  pack({{"one", std::string(600, 'x')}, {"two", std::string(600, 'x')}});
  EXPECT_EQ(unpack_here(1200), "");
  EXPECT_THAT(unpack_here(1199), HasSubstr("\"two\" exceeds the limit of 1199 bytes"));
}

TEST_F(UnpackTest, ABombIsRefusedBeforeItIsWritten) {
  pack({{"bomb", std::string(64 << 20, '\0')}});
  ASSERT_LT(fs::file_size(archive_), 1u << 20);
  EXPECT_THAT(unpack_here(), HasSubstr("\"bomb\" exceeds"));
  EXPECT_TRUE(fs::is_empty(destination_));
}

TEST_F(UnpackTest, BoundsTheNumberOfEntries) {
  pack({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  fs::path before = fs::current_path();
  UnpackOptions options;
  options.archive = archive_;
  options.destination = destination_;
  options.entries = 2;
  try {
    unpack(options);
    ADD_FAILURE() << "three entries were taken";
  } catch (const Error& failure) {
    EXPECT_THAT(failure.detail(), HasSubstr("\"c\" exceeds the limit of 2 entries"));
  }
  fs::current_path(before);
}

TEST_F(UnpackTest, PassesOverWhatAnEngineLeftAboutItsState) {
  pack({{"app/main.tf", "m"},
        {"app/terraform.tfstate", "old"},
        {"app/terraform.tfstate.d/prod/terraform.tfstate", "old"},
        {"app/.terraform/terraform.tfstate", "backend"},
        {"app/.terraform/environment", "x"},
        {"app/.terraform/modules/m.json", "{}"},
        {"other/terraform.tfstate", "data"}});
  ASSERT_EQ(unpack_here(1 << 20, "app"), "");
  EXPECT_EQ(content("app/main.tf"), "m");
  EXPECT_EQ(content("app/.terraform/modules/m.json"), "{}");
  EXPECT_EQ(content("other/terraform.tfstate"), "data");
  for (const char* gone : {"app/terraform.tfstate", "app/terraform.tfstate.d",
                           "app/.terraform/terraform.tfstate", "app/.terraform/environment"}) {
    EXPECT_FALSE(fs::exists(destination_ / gone)) << gone;
  }
}

TEST_F(UnpackTest, ABrokenArchiveIsSaid) {
  std::ofstream(archive_) << "this is no archive at all";
  EXPECT_THAT(unpack_here(), HasSubstr("no valid tar.gz archive"));
  pack({{"a", std::string(100000, 'x')}});
  fs::resize_file(archive_, fs::file_size(archive_) / 2);
  EXPECT_THAT(unpack_here(), HasSubstr("no valid tar.gz archive"));
  fs::remove(archive_);
  EXPECT_THAT(unpack_here(), HasSubstr("no valid tar.gz archive"));
}

}  // namespace
}  // namespace terrane::sandbox
