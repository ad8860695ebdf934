#include "state/retention.h"

#include <gtest/gtest.h>

#include "state/testing_stage.h"

namespace terrane::state {
namespace {

using test::Stage;

/// Three states of ws-1, the first for 60 days no longer current, the second for 20, the third current; the
/// same number of states of ws-9. Three configurations of ws-1: unused for 60 days, used 20 days ago,
/// current.
constexpr const char* versions = R"sql(
  INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status)
    SELECT 'obj-' || w || '-' || n || k, 'state', w, w, 'live' FROM unnest(ARRAY['ws-1', 'ws-9']) w, generate_series(1, 3) n, unnest(ARRAY['', 'j']) k;
  INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, status, object_id, json_object_id, created_at)
    SELECT 'sv-' || w || '-' || n, w, n, 'm', 'finalized', 'obj-' || w || '-' || n, 'obj-' || w || '-' || n || 'j', now() - d * interval '1 day'
      FROM unnest(ARRAY['ws-1', 'ws-9']) w, (VALUES (1, 90), (2, 60), (3, 20)) v (n, d) ORDER BY n;
  UPDATE terrane.workspaces SET current_state_version_id = 'sv-' || id || '-3' WHERE id IN ('ws-1', 'ws-9');
  INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status)
    SELECT 'obj-cv-' || n, 'configuration', 'ws-1', 'ws-1', 'live' FROM generate_series(1, 3) n;
  INSERT INTO terrane.configuration_versions (id, workspace_id, status, object_id, created_at)
    SELECT 'cv-old-' || n, 'ws-1', 'uploaded', 'obj-cv-' || n, now() - interval '60 days' FROM generate_series(1, 3) n;
  INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, status, message, terraform_version, epoch, created_at)
    VALUES ('run-used', 'ws-1', 'cv-old-2', 'applied', 'm', '1.0.0', 1, now() - interval '20 days');
  UPDATE terrane.workspaces SET current_configuration_version_id = 'cv-old-3' WHERE id = 'ws-1';
)sql";

Task<std::string> deleted(Stage& stage) {
  co_return co_await stage.value(
      "SELECT coalesce(string_agg(id, ' ' ORDER BY id), '') FROM terrane.objects WHERE status = 'deleted'");
}

Task<> keep_for(Stage& stage, const char* days) {
  co_await stage.sql(
      "DELETE FROM terrane.organization_retention_policies; INSERT INTO "
      "terrane.organization_retention_policies "
      "(id, organization_id, delete_older_than_n_days) VALUES ('drp-1', 'org-1', " +
      std::string(days) + ")");
}

TEST(Retention, DeletesWhatIsOldAndNotCurrent) {
  workspace::test::run_on<Stage>([](Stage& stage) -> Task<> {
    co_await stage.sql(versions);
    EXPECT_EQ(co_await delete_expired(stage.database, 100), 0U) << "without a policy all is kept";
    co_await keep_for(stage, "NULL");
    EXPECT_EQ(co_await delete_expired(stage.database, 100), 0U) << "a policy may say so";
    co_await keep_for(stage, "61");
    EXPECT_EQ(co_await delete_expired(stage.database, 100), 0U);
    co_await keep_for(stage, "30");
    EXPECT_EQ(co_await delete_expired(stage.database, 100), 3U);
    EXPECT_EQ(co_await deleted(stage), "obj-cv-1 obj-ws-1-1 obj-ws-1-1j");
    EXPECT_EQ(co_await delete_expired(stage.database, 100), 0U) << "once";
    co_await keep_for(stage, "1");
    co_await delete_expired(stage.database, 100);
    EXPECT_EQ(co_await deleted(stage), "obj-cv-1 obj-cv-2 obj-ws-1-1 obj-ws-1-1j obj-ws-1-2 obj-ws-1-2j")
        << "what is current stays, and the other organization's";
  });
}

TEST(Retention, AWorkspacesOwnPolicyStandsOverTheOrganizations) {
  workspace::test::run_on<Stage>([](Stage& stage) -> Task<> {
    co_await stage.sql(versions);
    co_await keep_for(stage, "1");
    co_await stage.sql(
        "INSERT INTO terrane.workspace_retention_policies (id, workspace_id, delete_older_than_n_days) "
        "VALUES "
        "('drp-2', 'ws-1', NULL)");
    EXPECT_EQ(co_await delete_expired(stage.database, 100), 0U);
    co_await stage.sql("UPDATE terrane.workspace_retention_policies SET delete_older_than_n_days = 30");
    co_await delete_expired(stage.database, 100);
    EXPECT_EQ(co_await deleted(stage), "obj-cv-1 obj-ws-1-1 obj-ws-1-1j");
  });
}

TEST(Retention, KeepsWhatAnOpenRunUses) {
  workspace::test::run_on<Stage>([](Stage& stage) -> Task<> {
    co_await stage.sql(versions);
    co_await stage.sql(
        "UPDATE terrane.runs SET status = 'planned', created_at = now() - interval '50 days' WHERE id = "
        "'run-used'; UPDATE terrane.state_versions SET run_id = 'run-used' WHERE id = 'sv-ws-1-1'");
    co_await keep_for(stage, "30");
    co_await delete_expired(stage.database, 100);
    EXPECT_EQ(co_await deleted(stage), "obj-cv-1");
    co_await stage.sql("UPDATE terrane.runs SET status = 'discarded' WHERE id = 'run-used'");
    EXPECT_EQ(co_await delete_expired(stage.database, 1), 2U) << "one of each kind at a time";
    EXPECT_EQ(co_await delete_expired(stage.database, 1), 1U);
    EXPECT_EQ(co_await deleted(stage), "obj-cv-1 obj-cv-2 obj-ws-1-1 obj-ws-1-1j");
  });
}

}  // namespace
}  // namespace terrane::state
