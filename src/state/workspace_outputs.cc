// What a workspace shows of its current state's outputs: the relation `outputs` of workspaces.
#include "state/state.h"
#include "state/state_sql.h"

namespace terrane::state {

Task<std::vector<json::object>> Api::link_workspace_outputs(postgres::Tx& tx, const api::Principal& principal,
                                                            std::span<json::object* const> workspaces) {
  std::vector<std::string> ids;
  for (const json::object* workspace : workspaces) ids.push_back(find_string(*workspace, "id").value_or(""));
  const auto visible = co_await organization::access_to_workspaces(tx, principal, ids);
  std::erase_if(ids, [&](const std::string& id) {
    auto access = visible.find(id);
    return access == visible.end() || !access->second.read_outputs;
  });
  postgres::Result rows = co_await tx.run(sql::state_current_outputs, postgres::Params::of(ids));
  json::array outputs = co_await output_documents(rows, false);
  std::map<std::string, json::array> links;
  std::vector<json::object> resources;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    json::object& output = outputs[i].as_object();
    json::object& attributes = output["attributes"].as_object();
    // The same thing under another type, whose attribute for the type has another name.
    output["type"] = "workspace-outputs";
    attributes["output-type"] = attributes["type"];
    attributes.erase("type");
    links[rows[i].string("workspace_id")].push_back(
        json::object{{"id", output["id"]}, {"type", output["type"]}});
    resources.push_back(std::move(output));
  }
  for (json::object* workspace : workspaces) {
    const std::string id = find_string(*workspace, "id").value_or("");
    (*workspace)["relationships"].as_object()["outputs"] = json::object{{"data", std::move(links[id])}};
  }
  co_return resources;
}

}  // namespace terrane::state
