-- Cases of the moderators, what follows from them, appeals. Locks: the case, then those of sql/README.md, then the audit
-- trail.

-- The caller, who must be a moderator or an administrator.
CREATE OR REPLACE FUNCTION moderator_me() RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    IF app_role() IN ('admin', 'moderator') THEN
        RETURN app_me();
    END IF;
    PERFORM raise_problem('forbidden');
END $$;

-- ---- documents ----

-- A claim that has run out is none.
CREATE OR REPLACE FUNCTION case_status(r report) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN r.status = 'open' AND r.claimed_until > now() THEN 'claimed' ELSE r.status END
$$;

CREATE OR REPLACE FUNCTION case_json(r report) RETURNS text
LANGUAGE sql STABLE SET search_path = plaza, pg_temp AS $$
    SELECT row_to_json(j)::text
    FROM (SELECT r.id, case_status(r) AS status, r.reason, r.hint, r.note, r.reporter_id AS "reporterId",
                 r.target_id AS "targetId", (SELECT a.name FROM account AS a WHERE a.id = r.target_id) AS "targetName",
                 r.chat_id AS "chatId", r.seq, o.reporters, o.reasons,
                 CASE WHEN r.claimed_until > now() THEN r.assignee_id END AS "assigneeId",
                 CASE WHEN r.claimed_until > now() THEN iso(r.claimed_until) END AS "claimedUntil",
                 r.action, r.resolution, r.resolved_by AS "resolvedBy", iso(r.resolved_at) AS "resolvedAt",
                 iso(r.created_at) AS "createdAt"
          FROM (SELECT count(DISTINCT x.reporter_id) AS reporters, array_agg(DISTINCT x.reason) AS reasons
                FROM (SELECT r.reporter_id, r.reason
                      UNION ALL
                      SELECT m.reporter_id, m.reason FROM report_more AS m WHERE m.report_id = r.id) AS x) AS o) AS j
$$;

CREATE OR REPLACE FUNCTION sanction_json(s sanction) RETURNS text
LANGUAGE sql STABLE SET search_path = plaza, pg_temp AS $$
    SELECT row_to_json(j)::text
    FROM (SELECT s.id, s.kind, s.note, iso(s.ends_at) AS "endsAt", iso(s.lifted_at) AS "liftedAt",
                 (SELECT p.status FROM appeal AS p WHERE p.sanction_id = s.id) AS appeal,
                 iso(s.created_at) AS "createdAt") AS j
$$;

CREATE OR REPLACE FUNCTION appeal_json(p appeal) RETURNS text
LANGUAGE sql STABLE SET search_path = plaza, pg_temp AS $$
    SELECT row_to_json(j)::text
    FROM (SELECT p.id, p.sanction_id AS "sanctionId", p.status, p.body, p.note, iso(p.decided_at) AS "decidedAt",
                 iso(p.created_at) AS "createdAt") AS j
$$;

-- ---- the queue ----

-- A page of cases, the newest first; NULL filters nothing.
CREATE OR REPLACE FUNCTION case_page(p_status text, p_assignee uuid, p_reason text, p_at timestamptz, p_id uuid,
                                     p_limit int)
RETURNS TABLE (body text, k1 text, k2 uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM moderator_me();
    RETURN QUERY
    SELECT case_json(r), r.created_at::text, r.id
    FROM report AS r
    WHERE (p_status IS NULL OR case_status(r) = p_status)
      AND (p_assignee IS NULL OR r.assignee_id = p_assignee AND case_status(r) = 'claimed')
      AND (p_reason IS NULL OR r.reason = p_reason
           OR EXISTS (SELECT FROM report_more AS m WHERE m.report_id = r.id AND m.reason = p_reason))
      AND (p_at IS NULL OR (r.created_at, r.id) < (p_at, p_id))
    ORDER BY r.created_at DESC, r.id DESC
    LIMIT p_limit;
END $$;

-- What people reported in a case, the latest fifty, each with what was said then.
CREATE OR REPLACE FUNCTION case_reports_json(r report) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN (SELECT '[' || coalesce(string_agg(concat(rtrim(row_to_json(j)::text, '}'), ',"snapshotValid":',
                       (e.snapshot_hash = sha256(convert_to(e.snapshot, 'UTF8')))::text, ',"snapshot":', e.snapshot, '}'),
                       ',' ORDER BY e.created_at, e.id), '') || ']'
            FROM (SELECT x.* FROM case_reports(r) AS x WHERE x.reporter_id IS NOT NULL
                  ORDER BY x.created_at DESC, x.id DESC LIMIT 50) AS e
            CROSS JOIN LATERAL (SELECT e.id, e.reporter_id AS "reporterId", e.reason, e.note, e.chat_id AS "chatId", e.seq,
                                       iso(e.created_at) AS "createdAt") AS j);
END $$;

-- A case with what was said when it was made. Looking into it leaves a trace.
CREATE OR REPLACE FUNCTION case_open(p_id uuid, p_request text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    r     report;
    valid boolean;
    v     text;
BEGIN
    PERFORM moderator_me();
    SELECT * INTO r FROM report WHERE id = p_id;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    valid := r.snapshot_hash = sha256(convert_to(r.snapshot, 'UTF8'));
    SELECT '[' || coalesce(string_agg(sanction_json(s), ',' ORDER BY s.created_at DESC, s.id DESC), '') || ']' INTO v
    FROM (SELECT x.* FROM sanction AS x WHERE x.account_id = r.target_id
          ORDER BY x.created_at DESC, x.id DESC LIMIT 20) AS s;
    PERFORM audit_append('case.open', 'report', p_id::text,
                         json_build_object('chatId', r.chat_id, 'snapshotValid', valid), p_request);
    RETURN rtrim(case_json(r), '}') || ',"snapshot":' || r.snapshot || ',"snapshotHash":"' || encode(r.snapshot_hash, 'hex')
        || '","snapshotValid":' || valid || ',"sanctions":' || v
        || ',"reports":' || case_reports_json(r) || ',"reportsOfTarget":' || (SELECT count(*) FROM report AS o WHERE o.target_id = r.target_id) || '}';
END $$;

CREATE OR REPLACE FUNCTION case_tell(r report) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN emit('a/mod', envelope('report:updated', '{"reportId":"' || r.id || '","status":"' || case_status(r) || '"'
        || coalesce(',"assigneeId":"' || r.assignee_id || '"', '') || coalesce(',"action":"' || r.action || '"', '')
        || ',"reporters":' || (SELECT count(DISTINCT e.reporter_id) FROM case_reports(r) AS e) || '}'));
END $$;

-- A case, locked, for a moderator.
CREATE OR REPLACE FUNCTION case_lock(p_id uuid) RETURNS report
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    r report;
BEGIN
    PERFORM moderator_me();
    SELECT * INTO r FROM report WHERE id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN r;
END $$;

-- Who is a party of a case does not judge in it.
CREATE OR REPLACE FUNCTION case_judge(r report, p_judge uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    IF r.target_id = p_judge OR EXISTS (SELECT FROM case_reports(r) AS e WHERE e.reporter_id = p_judge) THEN
        PERFORM raise_problem('forbidden', 'Nobody judges in a case of their own.');
    END IF;
END $$;

-- Takes a case for half an hour; of two who come at once one gets it. Claiming again goes on.
CREATE OR REPLACE FUNCTION case_claim(p_id uuid, p_request text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    r  report := case_lock(p_id);
BEGIN
    PERFORM case_judge(r, me);
    IF r.status <> 'open' THEN
        PERFORM raise_problem('conflict', 'The case is closed.');
    ELSIF r.assignee_id <> me AND r.claimed_until > now() THEN
        PERFORM raise_problem('conflict', 'Another moderator has the case.');
    END IF;
    UPDATE report SET assignee_id = me, claimed_until = now() + interval '30 minutes' WHERE id = p_id RETURNING * INTO r;
    body := case_json(r);
    events := case_tell(r);
    PERFORM audit_append('case.claim', 'report', p_id::text, '{}', p_request);
END $$;

-- The case, locked, if the caller has it.
CREATE OR REPLACE FUNCTION case_hold(p_id uuid) RETURNS report
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    r  report := case_lock(p_id);
BEGIN
    IF r.status <> 'open' THEN
        PERFORM raise_problem('conflict', 'The case is closed.');
    ELSIF r.assignee_id IS DISTINCT FROM me OR r.claimed_until <= now() THEN
        PERFORM raise_problem('conflict', 'Claim the case first.');
    END IF;
    RETURN r;
END $$;

CREATE OR REPLACE FUNCTION case_release(p_id uuid, p_request text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    r report := case_hold(p_id);
BEGIN
    UPDATE report SET assignee_id = NULL, claimed_until = NULL WHERE id = p_id RETURNING * INTO r;
    body := case_json(r);
    events := case_tell(r);
    PERFORM audit_append('case.release', 'report', p_id::text, '{}', p_request);
END $$;

-- ---- looking into conversations ----

-- Messages of a conversation below a place, the newest first, with their earlier texts: for who has the case it belongs
-- to; an administrator may give a reason instead. Each look leaves a trace.
CREATE OR REPLACE FUNCTION case_messages(p_report uuid, p_chat uuid, p_reason text, p_below bigint, p_limit int,
                                         p_request text)
RETURNS TABLE (body text, k1 bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me     uuid := moderator_me();
    v_chat uuid := p_chat;
BEGIN
    IF p_report IS NOT NULL THEN
        SELECT e.chat_id INTO v_chat
        FROM report AS r
        CROSS JOIN LATERAL case_reports(r) AS e
        WHERE r.id = p_report AND r.assignee_id = me AND r.claimed_until > now() AND r.status = 'open'
          AND e.chat_id = coalesce(p_chat, r.chat_id)
        LIMIT 1;
        IF NOT FOUND THEN
            PERFORM raise_problem('forbidden', 'Claim a case about this conversation first.');
        END IF;
    ELSIF app_role() <> 'admin' OR p_reason IS NULL THEN
        PERFORM raise_problem('forbidden', 'Conversations are read through a case.');
    END IF;
    IF NOT EXISTS (SELECT FROM chat AS c WHERE c.id = v_chat) THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN QUERY
    SELECT '{"message":' || m.doc || ',"earlier":'
        || coalesce((SELECT json_agg(e.body ORDER BY e.edit_no)::text FROM message_edit AS e
                     WHERE e.chat_id = m.chat_id AND e.seq = m.seq), '[]') || '}', m.seq
    FROM message AS m
    WHERE m.chat_id = v_chat AND (p_below IS NULL OR m.seq < p_below)
    ORDER BY m.seq DESC
    LIMIT p_limit;
    PERFORM audit_append('chat.read', 'chat', v_chat::text,
                         json_build_object('reportId', p_report, 'reason', p_reason, 'below', p_below), p_request);
END $$;

-- ---- what is done ----

-- Takes a message out of a conversation whoever has read it; its text stays in the history.
CREATE OR REPLACE FUNCTION message_moderate(p_chat uuid, p_seq bigint, p_sender uuid) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    m message;
BEGIN
    PERFORM FROM chat AS c WHERE c.id = p_chat FOR NO KEY UPDATE;
    PERFORM FROM chat_member AS r WHERE r.chat_id = p_chat ORDER BY r.account_id FOR NO KEY UPDATE;
    SELECT * INTO m FROM message WHERE chat_id = p_chat AND seq = p_seq AND sender_id = p_sender;
    IF NOT FOUND THEN
        PERFORM raise_problem('invalid', 'The case names no message of this user.');
    ELSIF m.deleted_at IS NOT NULL THEN
        RETURN '';
    END IF;
    PERFORM message_keep(m);
    RETURN message_blank(m);
END $$;

-- In the language of who is told.
CREATE OR REPLACE FUNCTION notify_in(p_user uuid, p_type text, p_en text, p_es text, p_body_en text, p_body_es text,
                                     p_priority text)
RETURNS text LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN (SELECT notify(p_user, p_type, CASE a.locale WHEN 'es' THEN p_es ELSE p_en END,
                          CASE a.locale WHEN 'es' THEN p_body_es ELSE p_body_en END, NULL, p_priority)
            FROM account AS a
            WHERE a.id = p_user);
END $$;

-- Those above are judged from above; nobody suspends an administrator.
CREATE OR REPLACE FUNCTION suspend(p_account uuid) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    a      account;
    events text;
BEGIN
    SELECT * INTO a FROM account WHERE id = p_account FOR NO KEY UPDATE;
    IF a.role IN ('admin', 'service') OR a.role = 'moderator' AND app_role() <> 'admin' THEN
        PERFORM raise_problem('forbidden', 'This account is not suspended by a moderator.');
    END IF;
    UPDATE account SET status = 'suspended', version = version + 1, updated_at = now()
    WHERE id = p_account AND status <> 'deleted';
    events := sessions_end(p_account, NULL, 'suspended');
    PERFORM shop_follow(p_account, 'active', 'suspended');
    RETURN events;
END $$;

-- What the reporters of a case are told when it is closed. Their feeds are locked already.
CREATE OR REPLACE FUNCTION case_answer(r report) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    v_reporter uuid;
    events     text := '';
BEGIN
    FOR v_reporter IN SELECT DISTINCT e.reporter_id FROM case_reports(r) AS e WHERE e.reporter_id IS NOT NULL ORDER BY 1 LOOP
        events := events || notify_in(v_reporter, 'report.resolved', 'Your report was looked into',
            'Su denuncia fue revisada',
            CASE r.action WHEN 'dismiss' THEN 'We found no breach of the rules.' ELSE 'We took measures. Thank you.' END,
            CASE r.action WHEN 'dismiss' THEN 'No encontramos una infracción de las normas.'
                          ELSE 'Tomamos medidas. Gracias.' END, 'normal');
    END LOOP;
    RETURN events;
END $$;

-- Closes a case that the caller has. The message that is removed is that of one of its reports, else of the first.
CREATE OR REPLACE FUNCTION case_resolve(p_id uuid, p_sanction uuid, p_action text, p_note text, p_days int, p_of uuid,
                                        p_request text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := moderator_me();
    r  report := case_hold(p_id);
    e  record;
BEGIN
    PERFORM case_judge(r, me);
    SELECT x.chat_id, x.seq INTO e FROM case_reports(r) AS x WHERE x.id = coalesce(p_of, r.id);
    IF NOT FOUND THEN
        PERFORM raise_problem('invalid', 'The case has no such report.');
    END IF;
    events := '';
    IF p_action = 'suspend' THEN
        events := suspend(r.target_id);
    ELSIF p_action = 'remove_message' THEN
        PERFORM FROM chat AS c WHERE c.id = e.chat_id FOR NO KEY UPDATE;
        PERFORM FROM chat_member AS m WHERE m.chat_id = e.chat_id ORDER BY m.account_id FOR NO KEY UPDATE;
    END IF;
    -- Several feeds are written to, not in the order of their accounts.
    PERFORM FROM feed_head AS h
    WHERE h.account_id = r.target_id
       OR h.account_id IN (SELECT x.reporter_id FROM case_reports(r) AS x)
       OR p_action = 'remove_message'
          AND h.account_id IN (SELECT m.account_id FROM chat_member AS m WHERE m.chat_id = e.chat_id)
    ORDER BY h.account_id FOR NO KEY UPDATE;
    IF p_action = 'remove_message' THEN
        events := events || message_moderate(e.chat_id, e.seq, r.target_id);
    END IF;
    IF p_action <> 'dismiss' THEN
        INSERT INTO sanction (id, account_id, kind, report_id, moderator_id, note, ends_at)
        VALUES (p_sanction, r.target_id, p_action, p_id, me, p_note, now() + p_days * interval '1 day');
        events := events || notify_in(r.target_id, 'moderation.' || p_action,
            CASE p_action WHEN 'warn' THEN 'A warning from the moderators'
                          WHEN 'suspend' THEN 'Your account was suspended'
                          ELSE 'The moderators removed a message of yours' END,
            CASE p_action WHEN 'warn' THEN 'Una advertencia de los moderadores'
                          WHEN 'suspend' THEN 'Su cuenta fue suspendida'
                          ELSE 'Los moderadores quitaron un mensaje suyo' END, p_note, p_note, 'high');
    END IF;
    UPDATE report
    SET status = CASE p_action WHEN 'dismiss' THEN 'dismissed' ELSE 'resolved' END, action = p_action,
        resolution = p_note, resolved_by = me, resolved_at = now(), assignee_id = NULL, claimed_until = NULL
    WHERE id = p_id
    RETURNING * INTO r;
    events := events || case_answer(r);
    body := case_json(r);
    events := events || case_tell(r);
    PERFORM audit_append('case.resolve', 'report', p_id::text,
                         json_build_object('action', p_action, 'targetId', r.target_id, 'note', p_note, 'days', p_days),
                         p_request);
END $$;

-- ---- sanctions and appeals ----

-- Ends a sanction; the account is free when no other suspension holds it.
CREATE OR REPLACE FUNCTION sanction_lift(p_sanction uuid) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    s sanction;
BEGIN
    UPDATE sanction SET lifted_at = now() WHERE id = p_sanction AND lifted_at IS NULL RETURNING * INTO s;
    IF s.kind = 'suspend' THEN
        UPDATE account AS a SET status = 'active', version = a.version + 1, updated_at = now()
        WHERE a.id = s.account_id AND a.status = 'suspended'
          AND NOT EXISTS (SELECT FROM sanction AS o
                          WHERE o.account_id = a.id AND o.kind = 'suspend' AND o.lifted_at IS NULL
                            AND (o.ends_at IS NULL OR o.ends_at > now()));
        IF FOUND THEN
            PERFORM shop_follow(s.account_id, 'suspended', 'active');
        END IF;
    END IF;
END $$;

-- Lifts one suspension whose time has passed.
CREATE OR REPLACE FUNCTION job_end_sanctions() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    due record;
BEGIN
    SELECT s.id, s.account_id INTO due
    FROM sanction AS s
    WHERE s.kind = 'suspend' AND s.lifted_at IS NULL AND s.ends_at <= now()
    ORDER BY s.ends_at, s.id
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    PERFORM FROM account AS a WHERE a.id = due.account_id FOR NO KEY UPDATE;
    PERFORM sanction_lift(due.id);
    RETURN 1;
END $$;

CREATE OR REPLACE FUNCTION my_sanctions() RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    RETURN QUERY
    SELECT sanction_json(s)
    FROM sanction AS s
    WHERE s.account_id = me
    ORDER BY s.created_at DESC, s.id DESC
    LIMIT 101;
END $$;

-- For a suspension that holds, without naming it; else the sanction that is named.
CREATE OR REPLACE FUNCTION appeal_make(p_account uuid, p_id uuid, p_sanction uuid, p_body text,
                                       OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    s sanction;
    p appeal;
BEGIN
    SELECT * INTO s
    FROM sanction AS x
    WHERE x.account_id = p_account AND x.lifted_at IS NULL
      AND (x.id = p_sanction OR p_sanction IS NULL AND x.kind = 'suspend')
    ORDER BY x.created_at DESC, x.id DESC
    LIMIT 1;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found', 'There is nothing to appeal against.');
    END IF;
    INSERT INTO appeal (id, sanction_id, account_id, body) VALUES (p_id, s.id, p_account, p_body) RETURNING * INTO p;
    body := appeal_json(p);
    events := emit('a/mod', envelope('appeal:new', '{"appealId":"' || p.id || '","sanctionId":"' || s.id
        || '","userId":"' || p_account || '"}'));
END $$;

CREATE OR REPLACE FUNCTION my_appeal(p_id uuid, p_sanction uuid, p_body text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    SELECT a.body, a.events INTO body, events FROM appeal_make(app_me(), p_id, p_sanction, p_body) AS a;
END $$;

-- An appeal as moderators see it.
CREATE OR REPLACE FUNCTION appeal_case_json(p appeal) RETURNS text
LANGUAGE sql STABLE SET search_path = plaza, pg_temp AS $$
    SELECT rtrim(appeal_json(p), '}') || ',"userId":"' || p.account_id || '","reportId":"' || s.report_id
        || '","moderatorId":"' || s.moderator_id || '","decidedBy":' || coalesce(to_json(p.decided_by)::text, 'null')
        || ',"sanction":' || sanction_json(s) || '}'
    FROM sanction AS s
    WHERE s.id = p.sanction_id
$$;

CREATE OR REPLACE FUNCTION appeal_page(p_status text, p_at timestamptz, p_id uuid, p_limit int)
RETURNS TABLE (body text, k1 text, k2 uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM moderator_me();
    RETURN QUERY
    SELECT appeal_case_json(p), p.created_at::text, p.id
    FROM appeal AS p
    WHERE (p_status IS NULL OR p.status = p_status)
      AND (p_at IS NULL OR (p.created_at, p.id) < (p_at, p_id))
    ORDER BY p.created_at DESC, p.id DESC
    LIMIT p_limit;
END $$;

-- Decided once, and by somebody else than who made the sanction.
CREATE OR REPLACE FUNCTION appeal_decide(p_id uuid, p_lift boolean, p_note text, p_request text,
                                         OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := moderator_me();
    p  appeal;
BEGIN
    SELECT * INTO p FROM appeal WHERE id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF p.account_id = me OR me = (SELECT s.moderator_id FROM sanction AS s WHERE s.id = p.sanction_id) THEN
        PERFORM raise_problem('forbidden', 'Another moderator decides about an appeal.');
    ELSIF p.status <> 'open' THEN
        PERFORM raise_problem('conflict', 'The appeal was decided.');
    END IF;
    IF p_lift THEN
        PERFORM FROM account AS a WHERE a.id = p.account_id FOR NO KEY UPDATE;
        PERFORM sanction_lift(p.sanction_id);
    END IF;
    UPDATE appeal
    SET status = CASE WHEN p_lift THEN 'lifted' ELSE 'upheld' END, decided_by = me, decided_at = now(), note = p_note
    WHERE id = p_id
    RETURNING * INTO p;
    body := appeal_case_json(p);
    events := notify_in(p.account_id, 'moderation.appeal',
        CASE WHEN p_lift THEN 'Your appeal was granted' ELSE 'Your appeal was refused' END,
        CASE WHEN p_lift THEN 'Su apelación fue aceptada' ELSE 'Su apelación fue rechazada' END, p_note, p_note, 'high');
    PERFORM audit_append('appeal.decide', 'appeal', p_id::text,
                         json_build_object('lift', p_lift, 'userId', p.account_id, 'note', p_note), p_request);
END $$;

GRANT EXECUTE ON FUNCTION case_page(text, uuid, text, timestamptz, uuid, int), case_open(uuid, text),
    case_claim(uuid, text), case_release(uuid, text), case_messages(uuid, uuid, text, bigint, int, text),
    case_resolve(uuid, uuid, text, text, int, uuid, text), my_sanctions(), my_appeal(uuid, uuid, text),
    appeal_page(text, timestamptz, uuid, int), appeal_decide(uuid, boolean, text, text) TO plaza_web;
GRANT EXECUTE ON FUNCTION appeal_make(uuid, uuid, uuid, text) TO plaza_auth;
GRANT EXECUTE ON FUNCTION job_end_sanctions() TO plaza_relay;
