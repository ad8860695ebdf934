-- The core of the application's data. Every id is the API's own text id; every moment is PostgreSQL's.

CREATE TABLE installation (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  id text NOT NULL,
  mode text NOT NULL,
  hostname text NOT NULL,
  epoch bigint NOT NULL DEFAULT 1,
  system_identifier text NOT NULL,
  timeline bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Keys that data depend on (token HMAC, URL signing), wrapped by the transit key `terrane`.
CREATE TABLE wrapped_secrets (
  name text PRIMARY KEY,
  wrapped text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
  id text PRIMARY KEY,
  username text NOT NULL,
  email text NOT NULL,
  password_hash text,
  is_site_admin boolean NOT NULL DEFAULT false,
  is_service_account boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_username ON users (lower(username));
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE organizations (
  id text PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL,
  collaborator_auth_policy text NOT NULL DEFAULT 'password',
  cost_estimation_enabled boolean NOT NULL DEFAULT false,
  default_execution_mode text NOT NULL DEFAULT 'remote',
  allow_force_delete_workspaces boolean NOT NULL DEFAULT false,
  assessments_enforced boolean NOT NULL DEFAULT false,
  session_timeout bigint,
  session_remember bigint,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX organizations_name ON organizations (lower(name));

CREATE TABLE teams (
  id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (organization_id, name)
);

CREATE TABLE team_members (
  team_id text NOT NULL REFERENCES teams ON DELETE CASCADE,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_user ON team_members (user_id);

CREATE TABLE projects (
  id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  name text NOT NULL,
  description text,
  is_default boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (organization_id, name)
);
CREATE UNIQUE INDEX projects_default ON projects (organization_id) WHERE is_default;

CREATE TABLE workspaces (
  id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  project_id text NOT NULL REFERENCES projects,
  name text NOT NULL,
  description text,
  auto_apply boolean NOT NULL DEFAULT false,
  allow_destroy_plan boolean NOT NULL DEFAULT true,
  execution_mode text NOT NULL DEFAULT 'remote',
  file_triggers_enabled boolean NOT NULL DEFAULT true,
  global_remote_state boolean NOT NULL DEFAULT false,
  queue_all_runs boolean NOT NULL DEFAULT false,
  source text NOT NULL DEFAULT 'tfe-api',
  source_name text,
  source_url text,
  speculative_enabled boolean NOT NULL DEFAULT true,
  structured_run_output_enabled boolean NOT NULL DEFAULT false,
  terraform_version text NOT NULL DEFAULT 'latest',
  trigger_prefixes text[] NOT NULL DEFAULT '{}',
  working_directory text,
  -- Who holds the lock: a user, a team or a run; NULL when nobody.
  lock_kind text CHECK (lock_kind IN ('users', 'teams', 'runs')),
  lock_owner text,
  lock_reason text,
  locked_at timestamptz,
  CHECK ((lock_kind IS NULL) = (lock_owner IS NULL)),
  current_run_id text,
  current_state_version_id text,
  current_configuration_version_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  latest_change_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX workspaces_name ON workspaces (organization_id, name);

-- Which workspaces may read this one's state besides itself.
CREATE TABLE remote_state_consumers (
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  consumer_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  PRIMARY KEY (workspace_id, consumer_id)
);

CREATE TABLE variables (
  id text PRIMARY KEY,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  key text NOT NULL,
  sealed_value text NOT NULL,
  category text NOT NULL CHECK (category IN ('terraform', 'env')),
  hcl boolean NOT NULL DEFAULT false,
  sensitive boolean NOT NULL DEFAULT false,
  description text,
  -- Another one after each change, so that clients see that something changed.
  version_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (workspace_id, category, key)
);

-- A row precedes the bytes of a blob. Bytes are immutable, except logs, which only grow until `complete`.
CREATE TABLE objects (
  id text PRIMARY KEY,
  kind text NOT NULL,
  workspace_id text REFERENCES workspaces ON DELETE SET NULL,
  workspace text NOT NULL,
  status text NOT NULL DEFAULT 'uploading' CHECK (status IN ('uploading', 'live', 'deleted')),
  size bigint,
  md5 text,
  sha256 text,
  created_at timestamptz NOT NULL DEFAULT now(),
  live_at timestamptz,
  deleted_at timestamptz
);
CREATE INDEX objects_workspace ON objects (workspace_id);

CREATE TABLE configuration_versions (
  id text PRIMARY KEY,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  status text NOT NULL DEFAULT 'pending',
  source text NOT NULL DEFAULT 'tfe-api',
  speculative boolean NOT NULL DEFAULT false,
  provisional boolean NOT NULL DEFAULT false,
  auto_queue_runs boolean NOT NULL DEFAULT true,
  error text,
  error_message text,
  changed_files text[] NOT NULL DEFAULT '{}',
  object_id text NOT NULL REFERENCES objects,
  created_by text,
  status_timestamps jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX configuration_versions_workspace ON configuration_versions (workspace_id, created_at DESC);
CREATE UNIQUE INDEX configuration_versions_object ON configuration_versions (object_id);

-- The queue's order across everything; a restart or an upgrade changes nothing in it.
CREATE SEQUENCE run_position;

CREATE TABLE runs (
  id text PRIMARY KEY,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  configuration_version_id text NOT NULL REFERENCES configuration_versions,
  position bigint NOT NULL DEFAULT nextval('run_position'),
  status text NOT NULL DEFAULT 'pending',
  status_timestamps jsonb NOT NULL DEFAULT '{}',
  source text NOT NULL DEFAULT 'tfe-api',
  trigger_reason text NOT NULL DEFAULT 'manual',
  message text NOT NULL,
  is_destroy boolean NOT NULL DEFAULT false,
  refresh boolean NOT NULL DEFAULT true,
  refresh_only boolean NOT NULL DEFAULT false,
  plan_only boolean NOT NULL DEFAULT false,
  save_plan boolean NOT NULL DEFAULT false,
  auto_apply boolean NOT NULL DEFAULT false,
  allow_empty_apply boolean NOT NULL DEFAULT false,
  allow_config_generation boolean NOT NULL DEFAULT false,
  target_addrs text[] NOT NULL DEFAULT '{}',
  replace_addrs text[] NOT NULL DEFAULT '{}',
  terraform_version text NOT NULL,
  -- What serves the run, decided when it is queued, and what to tell the user about that.
  engine text,
  engine_version text,
  engine_note text,
  -- The workspace's variables as they were when the run was made: id, key, category, hcl and the sealed value.
  frozen_variables jsonb NOT NULL DEFAULT '[]',
  -- The run's own variables as one sealed document; NULL when there are none.
  sealed_variables text,
  has_changes boolean NOT NULL DEFAULT false,
  error_message text,
  created_by text,
  confirmed_by text,
  canceled_at timestamptz,
  force_cancel_available_at timestamptz,
  force_canceled_at timestamptz,
  epoch bigint NOT NULL,
  -- POST /runs is safe to repeat: equal key within two minutes of a run that was never answered returns that run.
  request_key text,
  answered_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX runs_workspace ON runs (workspace_id, position DESC);
CREATE INDEX runs_open ON runs (workspace_id, position)
  WHERE status NOT IN ('applied', 'planned_and_finished', 'discarded', 'errored', 'canceled', 'policy_soft_failed');
CREATE INDEX runs_request_key ON runs (request_key) WHERE request_key IS NOT NULL AND answered_at IS NULL;

CREATE TABLE plans (
  id text PRIMARY KEY,
  run_id text NOT NULL UNIQUE REFERENCES runs ON DELETE CASCADE,
  status text NOT NULL DEFAULT 'pending',
  status_timestamps jsonb NOT NULL DEFAULT '{}',
  has_changes boolean NOT NULL DEFAULT false,
  generated_configuration boolean NOT NULL DEFAULT false,
  resource_additions bigint,
  resource_changes bigint,
  resource_destructions bigint,
  resource_imports bigint,
  log_id text NOT NULL REFERENCES objects,
  log_segments integer NOT NULL DEFAULT 0,
  plan_object_id text REFERENCES objects,
  json_object_id text REFERENCES objects,
  schemas_object_id text REFERENCES objects
);

CREATE TABLE applies (
  id text PRIMARY KEY,
  run_id text NOT NULL UNIQUE REFERENCES runs ON DELETE CASCADE,
  status text NOT NULL DEFAULT 'pending',
  status_timestamps jsonb NOT NULL DEFAULT '{}',
  resource_additions bigint,
  resource_changes bigint,
  resource_destructions bigint,
  resource_imports bigint,
  log_id text NOT NULL REFERENCES objects,
  log_segments integer NOT NULL DEFAULT 0,
  -- Resources that the engine reported made and that the saved state lacks, as ready import blocks.
  import_list text
);

CREATE TABLE run_events (
  id text PRIMARY KEY,
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  action text NOT NULL,
  description text,
  target_id text,
  actor_id text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX run_events_run ON run_events (run_id, created_at);

CREATE TABLE comments (
  id text PRIMARY KEY,
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  body text NOT NULL,
  created_by text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX comments_run ON comments (run_id, created_at);

-- The way of a run in detail, for `terrane trace`.
CREATE TABLE run_trace (
  id bigserial PRIMARY KEY,
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  who text NOT NULL,
  what text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX run_trace_run ON run_trace (run_id, id);

CREATE TABLE nodes (
  id text PRIMARY KEY,
  name text NOT NULL,
  incarnation text NOT NULL,
  capacity integer NOT NULL,
  draining boolean NOT NULL DEFAULT false,
  seen_at timestamptz NOT NULL DEFAULT now(),
  registered_at timestamptz NOT NULL DEFAULT now()
);

-- One attempt at one phase of a run. The lease is compared for equality on every write for the job.
CREATE TABLE jobs (
  id text PRIMARY KEY,
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  phase text NOT NULL CHECK (phase IN ('plan', 'apply')),
  attempt integer NOT NULL,
  priority integer NOT NULL,
  position bigint NOT NULL,
  status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'claimed', 'finished', 'lost', 'canceled')),
  epoch bigint NOT NULL,
  lease text,
  node_id text REFERENCES nodes,
  beat bigint NOT NULL DEFAULT 0,
  wish text CHECK (wish IN ('cancel', 'force_cancel')),
  log_segment integer NOT NULL,
  outcome jsonb,
  queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  claimed_at timestamptz,
  finished_at timestamptz,
  UNIQUE (run_id, phase, attempt)
);
CREATE UNIQUE INDEX jobs_active ON jobs (run_id, phase) WHERE status IN ('queued', 'claimed');
CREATE INDEX jobs_queue ON jobs (priority, position) WHERE status = 'queued';
CREATE INDEX jobs_claimed ON jobs (node_id) WHERE status = 'claimed';

CREATE TABLE state_versions (
  id text PRIMARY KEY,
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  run_id text REFERENCES runs ON DELETE SET NULL,
  job_id text REFERENCES jobs ON DELETE SET NULL,
  -- The order in which versions were made: the newest finalized one is current.
  position bigserial,
  serial bigint NOT NULL,
  lineage text,
  md5 text NOT NULL,
  size bigint,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'finalized', 'discarded')),
  intermediate boolean NOT NULL DEFAULT false,
  recovered boolean NOT NULL DEFAULT false,
  object_id text NOT NULL REFERENCES objects,
  json_object_id text REFERENCES objects,
  created_by text,
  resources_processed boolean NOT NULL DEFAULT false,
  terraform_version text,
  resources jsonb NOT NULL DEFAULT '[]',
  parse_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  finalized_at timestamptz
);
CREATE INDEX state_versions_workspace ON state_versions (workspace_id, position DESC);
CREATE INDEX state_versions_object ON state_versions (object_id);
CREATE INDEX state_versions_json_object ON state_versions (json_object_id) WHERE json_object_id IS NOT NULL;
CREATE INDEX state_versions_unparsed ON state_versions (position) WHERE status = 'finalized' AND NOT resources_processed;

CREATE TABLE state_version_outputs (
  id text PRIMARY KEY,
  state_version_id text NOT NULL REFERENCES state_versions ON DELETE CASCADE,
  name text NOT NULL,
  sensitive boolean NOT NULL,
  type text NOT NULL,
  detailed_type jsonb,
  sealed_value text NOT NULL,
  UNIQUE (state_version_id, name)
);

CREATE TABLE tokens (
  id text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('user', 'organization', 'team', 'run')),
  owner_id text NOT NULL,
  hash bytea NOT NULL UNIQUE,
  description text,
  created_by text,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  expired_at timestamptz
);
CREATE INDEX tokens_owner ON tokens (kind, owner_id);

-- One-time right to make the first admin.
CREATE TABLE initial_admin_tokens (
  hash bytea PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);

CREATE TABLE terraform_versions (
  id text PRIMARY KEY,
  version text NOT NULL UNIQUE,
  url text,
  sha text,
  -- [{url, sha, os, arch}]; url and sha above are those of linux/amd64.
  archs jsonb NOT NULL DEFAULT '[]',
  official boolean NOT NULL DEFAULT false,
  enabled boolean NOT NULL DEFAULT true,
  beta boolean NOT NULL DEFAULT false,
  deprecated boolean NOT NULL DEFAULT false,
  deprecated_reason text,
  engine text NOT NULL DEFAULT 'opentofu',
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Messages that leave with the transaction that wrote them. The relay takes unsent rows, never "id > last".
CREATE TABLE outbox (
  id bigserial PRIMARY KEY,
  queue text NOT NULL,
  body jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  sent_at timestamptz
);
CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL;
