-- What only grows while history goes on: by it an older copy of the database is known, see src/installation/epoch.h.
ALTER TABLE installation ADD COLUMN pulse bigint NOT NULL DEFAULT 0;
