-- What an organization is entitled to is a feature set; a subscription binds one to an organization. Without a
-- subscription that runs, the default one holds: what a self-hosted installation has.
CREATE TABLE feature_sets (
  id text PRIMARY KEY,
  identifier text NOT NULL UNIQUE,
  name text NOT NULL,
  description text NOT NULL,
  position integer NOT NULL,
  is_default boolean NOT NULL DEFAULT false,
  is_public boolean NOT NULL DEFAULT true,
  is_free_tier boolean NOT NULL DEFAULT false,
  is_trial boolean NOT NULL DEFAULT false,
  -- The names of what is included, as API v2 calls them.
  entitlements text[] NOT NULL,
  default_runs_ceiling bigint,
  -- How many modules of an organization may have tests.
  module_test_limit bigint NOT NULL
);
CREATE UNIQUE INDEX feature_sets_default ON feature_sets (is_default) WHERE is_default;

INSERT INTO feature_sets (id, identifier, name, description, position, is_default, is_public, is_free_tier, is_trial,
                          default_runs_ceiling, module_test_limit, entitlements) VALUES
  ('fs-selfhosted000001', 'self_hosted', 'Self-hosted', 'What this installation has, without limits', 1, true, false, false, false, NULL, 1000,
   '{operations,state-storage,agents,teams,run-tasks}'),
  ('fs-free000000000001', 'free', 'Free', 'State and remote operations', 2, false, true, true, false, 1, 5,
   '{operations,state-storage,private-module-registry,vcs-integrations,run-tasks,sso,policy-enforcement}'),
  ('fs-trial00000000001', 'trial', 'Trial', 'Everything of Business for a limited time', 3, false, true, false, true, 1, 5,
   '{operations,state-storage,agents,audit-logging,cost-estimation,global-run-tasks,no-code-modules,policy-enforcement,private-module-registry,private-run-tasks,run-tasks,sentinel,sso,teams,vcs-integrations}'),
  ('fs-team000000000001', 'team', 'Team', 'Teams and their permissions', 4, false, true, false, false, 2, 5,
   '{operations,state-storage,private-module-registry,run-tasks,sso,teams,vcs-integrations}'),
  ('fs-governance000001', 'team_governance', 'Team & Governance', 'Teams, policies and cost estimates', 5, false, true, false, false, 2, 5,
   '{operations,state-storage,cost-estimation,policy-enforcement,private-module-registry,run-tasks,sentinel,sso,teams,vcs-integrations}'),
  ('fs-business00000001', 'business', 'Business', 'Everything, with agents and audit logs', 6, false, true, false, false, 10, 50,
   '{operations,state-storage,agents,audit-logging,cost-estimation,global-run-tasks,no-code-modules,policy-enforcement,private-module-registry,private-run-tasks,run-tasks,sentinel,sso,teams,vcs-integrations}'),
  ('fs-essentials000001', 'essentials', 'Essentials (entitlement)', 'Teams, policies and the private registry, by managed resources', 7, false, true, false, false, 3, 10,
   '{operations,state-storage,cost-estimation,policy-enforcement,private-module-registry,private-run-tasks,run-tasks,sentinel,sso,teams,vcs-integrations}'),
  ('fs-standard00000001', 'standard', 'Standard (entitlement)', 'Agents, audit logs and policies, by managed resources', 8, false, true, false, false, 10, 25,
   '{operations,state-storage,agents,audit-logging,cost-estimation,global-run-tasks,no-code-modules,policy-enforcement,private-module-registry,private-run-tasks,run-tasks,sentinel,sso,teams,vcs-integrations,waypoint-templates-and-addons}'),
  ('fs-premium000000001', 'premium', 'Premium (entitlement)', 'Everything, by managed resources', 9, false, true, false, false, 25, 100,
   '{operations,state-storage,agents,audit-logging,cost-estimation,global-run-tasks,no-code-modules,policy-enforcement,private-module-registry,private-run-tasks,run-tasks,sentinel,sso,teams,vcs-integrations,waypoint-actions,waypoint-templates-and-addons}');

CREATE TABLE subscriptions (
  id text PRIMARY KEY,
  organization_id text NOT NULL UNIQUE REFERENCES organizations ON DELETE CASCADE,
  feature_set_id text NOT NULL REFERENCES feature_sets,
  runs_ceiling bigint,
  agents_ceiling bigint,
  contract_start_at timestamptz,
  contract_user_limit bigint,
  contract_apply_limit bigint,
  contract_managed_resources_limit bigint,
  start_at timestamptz NOT NULL DEFAULT now(),
  end_at timestamptz
);

-- What holds for each organization now.
CREATE VIEW organization_plans AS
SELECT o.id AS organization_id, s.id AS subscription_id, s.contract_user_limit, s.end_at,
       f.id AS feature_set_id, f.identifier, f.entitlements, f.is_trial, f.module_test_limit
  FROM organizations o
  LEFT JOIN subscriptions s ON s.organization_id = o.id AND (s.end_at IS NULL OR s.end_at > now())
  JOIN feature_sets f ON CASE WHEN s.id IS NULL THEN f.is_default ELSE f.id = s.feature_set_id END;
