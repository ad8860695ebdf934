-- Tags of one text, which an organization's workspaces share.
CREATE TABLE tags (
  id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (organization_id, name)
);

CREATE TABLE workspace_tags (
  workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  tag_id text NOT NULL REFERENCES tags ON DELETE CASCADE,
  PRIMARY KEY (workspace_id, tag_id)
);
CREATE INDEX workspace_tags_tag ON workspace_tags (tag_id);

-- Tags of a key and a value, of a project or of a workspace.
CREATE TABLE tag_bindings (
  id text PRIMARY KEY,
  project_id text REFERENCES projects ON DELETE CASCADE,
  workspace_id text REFERENCES workspaces ON DELETE CASCADE,
  key text NOT NULL,
  value text NOT NULL DEFAULT '',
  -- The order in which they were given.
  position bigserial,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, key),
  UNIQUE (workspace_id, key),
  CHECK (num_nonnulls(project_id, workspace_id) = 1)
);
CREATE INDEX tag_bindings_key ON tag_bindings (key, value);

-- What holds for a workspace: its own, and those of its project whose key it does not have itself.
CREATE VIEW workspace_effective_tags AS
SELECT b.workspace_id, b.id, b.key, b.value, b.position, NULL::text AS inherited_from
  FROM tag_bindings b WHERE b.workspace_id IS NOT NULL
UNION ALL
SELECT w.id, b.id, b.key, b.value, b.position, b.project_id
  FROM workspaces w JOIN tag_bindings b ON b.project_id = w.project_id
 WHERE NOT EXISTS (SELECT FROM tag_bindings o WHERE o.workspace_id = w.id AND o.key = b.key);
