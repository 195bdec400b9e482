-- Announcements of the administrators, to everybody or to a role.

CREATE TABLE broadcast (
    id         uuid        NOT NULL,
    audience   text        NOT NULL, -- all, or a role
    level      text        NOT NULL,
    body       text        NOT NULL,
    body_es    text,                 -- the same in Spanish
    until      timestamptz NOT NULL,
    created_by uuid        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,          -- withdrawn before its time
    CONSTRAINT broadcast_pkey PRIMARY KEY (id),
    CONSTRAINT broadcast_author_fkey FOREIGN KEY (created_by) REFERENCES account (id),
    CONSTRAINT broadcast_audience_check CHECK (audience IN ('all', 'client', 'seller', 'admin', 'moderator')),
    CONSTRAINT broadcast_level_check CHECK (level IN ('info', 'warning', 'critical')),
    CONSTRAINT broadcast_body_check CHECK (length(body) BETWEEN 1 AND 1000 AND length(body_es) BETWEEN 1 AND 1000),
    CONSTRAINT broadcast_until_check CHECK (until > created_at AND until <= created_at + interval '1 year')
);
CREATE INDEX broadcast_until_idx ON broadcast (until) WHERE ended_at IS NULL;

-- Read through a function, which knows for whom they are.
ALTER TABLE broadcast ENABLE ROW LEVEL SECURITY;
