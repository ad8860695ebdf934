-- Private keys with which runs fetch modules; the value is sealed by transit, bound to the key's id.
CREATE TABLE ssh_keys (
  id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  name text NOT NULL,
  sealed_value text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ssh_keys_organization ON ssh_keys (organization_id);

ALTER TABLE workspaces ADD COLUMN ssh_key_id text REFERENCES ssh_keys ON DELETE SET NULL;
CREATE INDEX workspaces_ssh_key ON workspaces (ssh_key_id) WHERE ssh_key_id IS NOT NULL;
