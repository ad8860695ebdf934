-- Each time the database turned out to be another or an older one than before: see src/installation/epoch.h.
CREATE TABLE epochs (
  number bigint PRIMARY KEY,
  reason text NOT NULL,
  -- The last moment that the database knows of; what happened after it is lost to it.
  went_back_to timestamptz,
  raised_at timestamptz NOT NULL DEFAULT now()
);
