-- What newer clients say when they ask for a run, and the comment that an event is about.
ALTER TABLE runs ADD COLUMN invoke_action_addrs text[] NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN policy_paths text[] NOT NULL DEFAULT '{}';
ALTER TABLE run_events ADD COLUMN comment_id text;
