-- What users report of each other, as it becomes cases of the moderators; who is blocked by whom.

-- ---- reports ----

-- All that people said of the target of a case, the one that made it first. A case that a rule opened has nobody who
-- reports.
CREATE OR REPLACE FUNCTION case_reports(r report)
RETURNS TABLE (id uuid, reporter_id uuid, chat_id uuid, seq bigint, reason text, note text, snapshot text,
               snapshot_hash bytea, created_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT r.id, r.reporter_id, r.chat_id, r.seq, r.reason, r.note, r.snapshot, r.snapshot_hash, r.created_at
    UNION ALL
    SELECT m.id, m.reporter_id, m.chat_id, m.seq, m.reason, m.note, m.snapshot, m.snapshot_hash, m.created_at
    FROM report_more AS m
    WHERE m.report_id = r.id;
END $$;

-- The messages around the one that is reported, or the last ones; '[]' of what happened elsewhere.
CREATE OR REPLACE FUNCTION report_snapshot(p_user uuid, p_chat uuid, p_seq bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
DECLARE
    middle bigint;
BEGIN
    IF p_chat IS NULL THEN
        RETURN '[]';
    END IF;
    PERFORM chat_enter(p_chat);
    SELECT coalesce(p_seq, c.last_seq) INTO middle
    FROM chat AS c
    JOIN chat_member AS m ON m.chat_id = c.id AND m.account_id = p_user
    WHERE c.id = p_chat AND coalesce(p_seq, 0) <= c.last_seq;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN chat_excerpt(p_chat, middle);
END $$;

-- A case for the moderators. While one about this user is open, what others report goes into it; the same from the same
-- person changes nothing. Two who report at once come one after the other.
CREATE OR REPLACE FUNCTION user_report(p_id uuid, p_user uuid, p_chat uuid, p_seq bigint, p_reason text, p_note text,
                                       OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me         uuid := app_me();
    said       text;
    r          report;
    had_id     uuid;
    had_reason text;
    had_at     timestamptz;
BEGIN
    IF p_user = me OR NOT EXISTS (SELECT FROM account AS a WHERE a.id = p_user AND a.deleted_at IS NULL) THEN
        PERFORM raise_problem('not-found');
    END IF;
    said := report_snapshot(p_user, p_chat, p_seq);
    PERFORM pg_advisory_xact_lock(hashtextextended('report ' || p_user, 0));
    SELECT * INTO r
    FROM report AS x
    WHERE x.target_id = p_user AND x.status = 'open' AND x.reporter_id IS NOT NULL
    ORDER BY x.created_at, x.id
    LIMIT 1
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        INSERT INTO report (id, reporter_id, target_id, chat_id, seq, reason, note, snapshot, snapshot_hash)
        VALUES (p_id, me, p_user, p_chat, p_seq, p_reason, p_note, said, sha256(convert_to(said, 'UTF8')));
        events := emit('a/mod', envelope('report:new', '{"reportId":"' || p_id || '","targetId":"' || p_user || '"'
            || coalesce(',"chatId":"' || p_chat || '"', '') || ',"reason":"' || p_reason || '"}'));
    ELSE
        SELECT e.id, e.reason, e.created_at INTO had_id, had_reason, had_at
        FROM case_reports(r) AS e
        WHERE e.reporter_id = me AND e.chat_id IS NOT DISTINCT FROM p_chat AND e.seq IS NOT DISTINCT FROM p_seq;
        IF NOT FOUND THEN
            INSERT INTO report_more (id, report_id, reporter_id, chat_id, seq, reason, note, snapshot, snapshot_hash)
            VALUES (p_id, r.id, me, p_chat, p_seq, p_reason, p_note, said, sha256(convert_to(said, 'UTF8')));
            events := case_tell(r);
        END IF;
    END IF;
    body := '{"id":"' || coalesce(had_id, p_id) || '","targetId":"' || p_user || '","reason":"'
        || coalesce(had_reason, p_reason) || '","status":"open","createdAt":"' || iso(coalesce(had_at, now())) || '"}';
END $$;

-- ---- blocks ----

-- Accounts that others have blocked, the most blocked first, for moderators. Each look leaves a trace.
CREATE OR REPLACE FUNCTION blocked_page(p_n bigint, p_id uuid, p_limit int, p_request text)
RETURNS TABLE (body text, k1 bigint, k2 uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM moderator_me();
    RETURN QUERY
    SELECT row_to_json(j)::text, j."blockedBy", j.id
    FROM (SELECT a.id, a.name, a.role, a.status, b.n AS "blockedBy", iso(b.latest) AS "lastBlockedAt",
                 (SELECT r.id FROM report AS r
                  WHERE r.target_id = a.id AND r.status = 'open'
                  ORDER BY r.created_at, r.id LIMIT 1) AS "caseId"
          FROM (SELECT x.blocked_id, count(*) AS n, max(x.created_at) AS latest FROM block AS x GROUP BY x.blocked_id) AS b
          JOIN account AS a ON a.id = b.blocked_id
          WHERE p_n IS NULL OR (b.n, a.id) < (p_n, p_id)
          ORDER BY b.n DESC, a.id DESC
          LIMIT p_limit) AS j
    ORDER BY j."blockedBy" DESC, j.id DESC;
    PERFORM audit_append('block.list', 'account', '', json_build_object('below', p_n), p_request);
END $$;

-- Who has blocked an account (`by`) and whom it has blocked (`of`), the latest first.
CREATE OR REPLACE FUNCTION blocks_of(p_account uuid, p_at timestamptz, p_id uuid, p_limit int, p_request text)
RETURNS TABLE (body text, k1 text, k2 uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM moderator_me();
    IF NOT EXISTS (SELECT FROM account AS a WHERE a.id = p_account) THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN QUERY
    SELECT json_build_object('userId', a.id, 'name', a.name, 'direction', x.direction, 'blockedAt', iso(x.at))::text,
           x.at::text, x.id
    FROM (SELECT b.blocker_id AS id, 'by' AS direction, b.created_at AS at FROM block AS b WHERE b.blocked_id = p_account
          UNION ALL
          SELECT b.blocked_id, 'of', b.created_at FROM block AS b WHERE b.blocker_id = p_account) AS x
    JOIN account AS a ON a.id = x.id
    WHERE p_at IS NULL OR (x.at, x.id) < (p_at, p_id)
    ORDER BY x.at DESC, x.id DESC
    LIMIT p_limit;
    PERFORM audit_append('block.open', 'account', p_account::text, '{}', p_request);
END $$;

GRANT EXECUTE ON FUNCTION user_report(uuid, uuid, uuid, bigint, text, text), blocked_page(bigint, uuid, int, text),
    blocks_of(uuid, timestamptz, uuid, int, text) TO plaza_web;
