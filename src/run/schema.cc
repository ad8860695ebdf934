#include "run/schema.h"

#include "run/run.h"

namespace terrane::run {

using namespace jsonapi;

namespace {

constexpr std::string_view run_statuses =
    "pending fetching plan_queued planning planned confirmed apply_queued applying applied "
    "planned_and_finished planned_and_saved discarded errored canceled";
constexpr std::string_view phase_statuses = "pending queued running finished errored canceled unreachable";

json::value times() { return json::object{{"type", "object"}, {"additionalProperties", time()}}; }
json::value count() { return nullable(integer(0, 1'000'000'000)); }

/// What plans and applies have in common, and what each has of its own.
Schema phase(std::string_view type, std::vector<Member> own) {
  Schema schema{
      .name = type,
      .type = type,
      .members = {shown("status", one_of(phase_statuses)), shown("status-timestamps", times()),
                  shown("resource-additions", count()), shown("resource-changes", count()),
                  shown("resource-destructions", count()), shown("resource-imports", count()),
                  shown("execution-details", closed_object(json::object{{"mode", one_of("remote")}})),
                  shown("log-read-url", jsonapi::text()), related_many("state-versions", "state-versions")},
      .has_links = true};
  for (Member& member : own) schema.members.push_back(std::move(member));
  return schema;
}

/// One of the two workspaces of a run trigger, with where to read it.
Member end_of_trigger(std::string_view name) {
  json::object links = closed_object(json::object{{"related", jsonapi::text()}});
  return {Member::Place::shown_relation, name,
          closed_object(json::object{{"data", identifier("workspaces")}, {"links", std::move(links)}})};
}

Schema runs() {
  const json::value variable =
      closed_object(json::object{{"key", jsonapi::text()}, {"value", jsonapi::text()}});
  const json::value address = jsonapi::text("^null_resource\\.[a-z]{1,20}$");
  return {
      .name = "runs",
      .type = "runs",
      .table = &resource(),
      .members = {shown("status", one_of(run_statuses)),
                  shown("status-timestamps", times()),
                  shown("actions", flags("is-cancelable is-confirmable is-discardable is-force-cancelable")),
                  shown("permissions", flags("can-apply can-cancel can-comment can-discard can-force-execute "
                                             "can-force-cancel can-override-policy-check")),
                  shown("variables", nullable(list_of(variable))),
                  shown("waiting-for", nullable(jsonapi::text())),
                  sometimes("position-in-queue", integer(0, 1'000'000'000)),
                  related("workspace", "workspaces"),
                  related("configuration-version", "configuration-versions"),
                  related("created-by", "users"),
                  related("confirmed-by", "users"),
                  related("plan", "plans"),
                  related("apply", "applies"),
                  related("cost-estimate", "cost-estimates"),
                  related_many("policy-checks", "policy-checks"),
                  related_many("task-stages", "task-stages"),
                  related_many("run-events", "run-events"),
                  related_many("comments", "comments"),
                  takes("target-addrs", list_of(address)),
                  takes("replace-addrs", list_of(address)),
                  takes("message", json::object{{"type", "string"}, {"maxLength", 60}}),
                  takes("terraform-version", jsonapi::text("^1\\.[0-9]\\.[0-9]$")),
                  takes("variables", list_of(variable)),
                  needs_related("workspace", "workspaces"),
                  takes_related("configuration-version", "configuration-versions")},
      .has_links = true};
}

}  // namespace

std::vector<Schema> schemas() {
  return {
      runs(),
      phase("plans", {shown("has-changes", boolean()), shown("generated-configuration", boolean()),
                      shown("permissions", flags("can-export")), shown("actions", flags("is-exportable")),
                      related_many("exports", "plan-exports")}),
      phase("applies", {shown("has-import-list", boolean())}),
      {.name = "run-events",
       .type = "run-events",
       .members = {shown("action", jsonapi::text()), shown("description", nullable(jsonapi::text())),
                   shown("created-at", time()), related("actor", "users"), related("comment", "comments")},
       .has_links = true},
      {.name = "comments",
       .type = "comments",
       .members = {shown("body", jsonapi::text()), shown("created-at", time()), related("run", "runs"),
                   related("run-event", "run-events"), related("created-by", "users"),
                   needs("body", jsonapi::text("^[a-z]{1,60}$"))},
       .has_links = true},
      {.name = "run-triggers",
       .type = "run-triggers",
       .members = {shown("workspace-name", jsonapi::text()), shown("sourceable-name", jsonapi::text()),
                   shown("created-at", time()), end_of_trigger("workspace"), end_of_trigger("sourceable"),
                   needs_related("sourceable", "workspaces")},
       .has_links = true},
      {.name = "organization-capacity",
       .type = "organization-capacity",
       .members = {shown("pending", integer(0, 1'000'000'000)), shown("running", integer(0, 1'000'000'000))}},
  };
}

}  // namespace terrane::run
