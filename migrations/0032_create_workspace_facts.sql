-- How many workspaces each project has, so that no list counts them. Several rows for one project let several
-- workspaces be made at once; their sum is exact.
CREATE TABLE workspace_counts (
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  project_id text NOT NULL,
  part smallint NOT NULL,
  workspaces bigint NOT NULL,
  PRIMARY KEY (organization_id, project_id, part)
);

CREATE FUNCTION count_workspace(in_organization text, in_project text, change bigint) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  own_part constant smallint := pg_backend_pid() % 16;
BEGIN
  UPDATE terrane.workspace_counts SET workspaces = workspaces + change
   WHERE organization_id = in_organization AND project_id = in_project AND part = own_part;
  IF NOT FOUND THEN
    -- While an organization is being deleted it has no counts any more.
    INSERT INTO terrane.workspace_counts AS c (organization_id, project_id, part, workspaces)
    SELECT o.id, in_project, own_part, change FROM terrane.organizations o WHERE o.id = in_organization
    ON CONFLICT (organization_id, project_id, part) DO UPDATE SET workspaces = c.workspaces + excluded.workspaces;
  END IF;
END $body$;

CREATE FUNCTION count_workspaces() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    PERFORM terrane.count_workspace(OLD.organization_id, OLD.project_id, -1);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    PERFORM terrane.count_workspace(NEW.organization_id, NEW.project_id, 1);
  END IF;
  RETURN NULL;
END $body$;
-- Nobody makes a workspace between the first count and the first trigger.
LOCK TABLE workspaces IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO workspace_counts (organization_id, project_id, part, workspaces)
SELECT organization_id, project_id, 0, count(*) FROM workspaces GROUP BY 1, 2;
CREATE TRIGGER workspaces_count AFTER INSERT OR DELETE ON workspaces FOR EACH ROW EXECUTE FUNCTION count_workspaces();
CREATE TRIGGER workspaces_count_moved AFTER UPDATE OF project_id ON workspaces FOR EACH ROW
  WHEN (NEW.project_id <> OLD.project_id) EXECUTE FUNCTION count_workspaces();

-- How many resource instances a state has, beside the list that is long.
CREATE FUNCTION count_instances(resources jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE AS $body$
  SELECT coalesce(sum(coalesce((r ->> 'count')::bigint, 1)), 0)::bigint FROM jsonb_array_elements(resources) r
$body$;
ALTER TABLE state_versions ADD COLUMN resource_count bigint GENERATED ALWAYS AS (terrane.count_instances(resources)) STORED;

-- What the last thirty runs of a workspace that ended were like; written when one ends.
CREATE TABLE workspace_history (
  workspace_id text PRIMARY KEY REFERENCES workspaces ON DELETE CASCADE,
  runs_count bigint NOT NULL,
  run_failures bigint NOT NULL,
  -- Milliseconds.
  plan_duration_average bigint,
  apply_duration_average bigint
);

CREATE FUNCTION sum_up_runs(of_workspace text) RETURNS void LANGUAGE sql AS $body$
  INSERT INTO terrane.workspace_history (workspace_id, runs_count, run_failures, plan_duration_average, apply_duration_average)
  SELECT w.id, count(r.id), count(r.id) FILTER (WHERE r.status = 'errored'),
         round(avg(extract(epoch FROM (p.status_timestamps ->> 'finished-at')::timestamptz - (p.status_timestamps ->> 'started-at')::timestamptz)) * 1000),
         round(avg(extract(epoch FROM (a.status_timestamps ->> 'finished-at')::timestamptz - (a.status_timestamps ->> 'started-at')::timestamptz)) * 1000)
    FROM terrane.workspaces w
    LEFT JOIN LATERAL (
         SELECT r.id, r.status FROM terrane.runs r
          WHERE r.workspace_id = w.id AND r.status IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed')
          ORDER BY r.position DESC LIMIT 30) r ON true
    LEFT JOIN terrane.plans p ON p.run_id = r.id
    LEFT JOIN terrane.applies a ON a.run_id = r.id
   WHERE w.id = of_workspace GROUP BY w.id
  ON CONFLICT (workspace_id) DO UPDATE
     SET (runs_count, run_failures, plan_duration_average, apply_duration_average) =
         (excluded.runs_count, excluded.run_failures, excluded.plan_duration_average, excluded.apply_duration_average)
$body$;

CREATE FUNCTION remember_run() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  PERFORM terrane.sum_up_runs(NEW.workspace_id);
  RETURN NULL;
END $body$;
-- At commit, when the times of the run's plan and apply are written, too.
CREATE CONSTRAINT TRIGGER runs_remember AFTER UPDATE OF status ON runs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.status IS DISTINCT FROM OLD.status
        AND NEW.status IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed'))
  EXECUTE FUNCTION remember_run();
SELECT sum_up_runs(w.id) FROM workspaces w WHERE EXISTS (SELECT FROM runs r WHERE r.workspace_id = w.id);

-- What is shown of a workspace besides its own columns. Where a column has the name of one of the workspace's, it is what is in
-- force instead of what was set: read it before the table's.
CREATE VIEW workspace_facts AS
SELECT w.id AS workspace_id, o.name AS organization, o.allow_force_delete_workspaces,
       CASE WHEN w.inherits_project_auto_destroy THEN p.auto_destroy_activity_duration ELSE w.auto_destroy_activity_duration END
         AS auto_destroy_activity_duration,
       coalesce(u.username, t.name, w.lock_owner) AS lock_owner_name,
       coalesce(s.resource_count, 0) AS resource_count,
       ARRAY(SELECT g.name FROM workspace_tags x JOIN tags g ON g.id = x.tag_id WHERE x.workspace_id = w.id ORDER BY g.name) AS tag_names,
       d.id AS retention_policy_id, d.delete_older_than_n_days AS retention_days,
       coalesce(h.runs_count, 0) AS runs_count, coalesce(h.run_failures, 0) AS run_failures,
       h.plan_duration_average, h.apply_duration_average
  FROM workspaces w
  JOIN organizations o ON o.id = w.organization_id
  JOIN projects p ON p.id = w.project_id
  LEFT JOIN users u ON u.id = w.lock_owner AND w.lock_kind = 'users'
  LEFT JOIN teams t ON t.id = w.lock_owner AND w.lock_kind = 'teams'
  LEFT JOIN state_versions s ON s.id = w.current_state_version_id
  LEFT JOIN workspace_retention_policies d ON d.workspace_id = w.id
  LEFT JOIN workspace_history h ON h.workspace_id = w.id;
