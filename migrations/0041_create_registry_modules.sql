-- Modules that an organization has registered: its own (private), or public ones that it has chosen.
CREATE TABLE registry_modules (
  id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  registry_name text NOT NULL CHECK (registry_name IN ('private', 'public')),
  namespace text NOT NULL,
  name text NOT NULL,
  provider text NOT NULL,
  no_code boolean NOT NULL DEFAULT false,
  status text NOT NULL DEFAULT 'pending',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (organization_id, registry_name, namespace, name, provider)
);

-- A configuration version belongs to a workspace, or to a module whose tests it is for.
ALTER TABLE configuration_versions ALTER COLUMN workspace_id DROP NOT NULL;
ALTER TABLE configuration_versions ADD COLUMN registry_module_id text REFERENCES registry_modules ON DELETE CASCADE;
ALTER TABLE configuration_versions ADD CONSTRAINT configuration_versions_owner CHECK (num_nonnulls(workspace_id, registry_module_id) = 1);
CREATE INDEX configuration_versions_module ON configuration_versions (registry_module_id) WHERE registry_module_id IS NOT NULL;
