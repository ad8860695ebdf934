ALTER TABLE organizations
  ADD COLUMN owners_team_saml_role_id text,
  ADD COLUMN send_passing_statuses_for_untriggered_speculative_plans boolean NOT NULL DEFAULT false,
  ADD COLUMN aggregated_commit_status_enabled boolean NOT NULL DEFAULT true,
  ADD COLUMN speculative_plan_management_enabled boolean NOT NULL DEFAULT true,
  -- Whether tokens of users open it; those of teams and the organization always do.
  ADD COLUMN user_tokens_enabled boolean NOT NULL DEFAULT true,
  ADD COLUMN default_agent_pool_id text REFERENCES agent_pools,
  -- What only site admins set.
  ADD COLUMN access_beta_tools boolean NOT NULL DEFAULT false,
  ADD COLUMN global_module_sharing boolean NOT NULL DEFAULT false,
  ADD COLUMN global_provider_sharing boolean NOT NULL DEFAULT false,
  ADD COLUMN is_disabled boolean NOT NULL DEFAULT false,
  ADD COLUMN terraform_worker_sudo_enabled boolean NOT NULL DEFAULT false,
  ADD COLUMN workspace_limit bigint,
  ADD COLUMN plan_timeout text,
  ADD COLUMN apply_timeout text;

-- How long old states and configurations are kept.
CREATE TABLE organization_retention_policies (
  id text PRIMARY KEY,
  organization_id text NOT NULL UNIQUE REFERENCES organizations ON DELETE CASCADE,
  -- NULL: nothing is ever deleted.
  delete_older_than_n_days bigint
);

-- Which organizations may use an organization's modules besides itself.
CREATE TABLE organization_module_consumers (
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  consumer_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  PRIMARY KEY (organization_id, consumer_id)
);
CREATE INDEX organization_module_consumers_consumer ON organization_module_consumers (consumer_id);
