-- Rules that messages, names and texts of products are filtered by. The programs keep them and do the matching; SQL knows who has paid whom.

CREATE OR REPLACE FUNCTION rule_json(r moderation_rule) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"id":"' || r.id || '","kind":"' || r.kind || '","pattern":' || to_json(r.pattern)
        || ',"language":' || coalesce(to_json(r.language)::text, 'null') || ',"action":"' || r.action
        || '","enabled":' || r.enabled || ',"threshold":' || coalesce(r.threshold::text, 'null')
        || ',"note":' || to_json(r.note) || ',"version":' || r.version
        || ',"createdAt":"' || iso(r.created_at) || '","updatedAt":"' || iso(r.updated_at) || '"}'
$$;

-- All rules in force, unless the program has this version already: then no row.
CREATE OR REPLACE FUNCTION rules_since(p_version bigint)
RETURNS TABLE (version bigint, kind text, pattern text, action text, threshold int)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT s.version, r.kind, r.pattern, CASE WHEN r.enabled THEN r.action ELSE '' END, r.threshold
    FROM moderation_state AS s
    CROSS JOIN moderation_rule AS r
    WHERE s.version <> p_version AND (r.enabled OR r.kind = 'contact')
    ORDER BY r.kind, r.pattern;
END $$;

-- Only administrators change rules; every change tells the programs.
CREATE OR REPLACE FUNCTION rules_change() RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    UPDATE moderation_state SET version = version + 1;
END $$;

CREATE OR REPLACE FUNCTION rule_page(p_kind text, p_language text, p_after_kind text, p_after text, p_limit int)
RETURNS TABLE (body text, k1 text, k2 text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    RETURN QUERY
    SELECT rule_json(r), r.kind, r.pattern
    FROM moderation_rule AS r
    WHERE (p_kind IS NULL OR r.kind = p_kind)
      AND (p_language IS NULL OR r.language = p_language)
      AND (p_after IS NULL OR (r.kind, r.pattern) > (p_after_kind, p_after))
    ORDER BY r.kind, r.pattern
    LIMIT p_limit;
END $$;

-- Classes of contact data are there already, and stay.
CREATE OR REPLACE FUNCTION rule_create(p_id uuid, p_kind text, p_pattern text, p_language text, p_action text,
                                       p_enabled boolean, p_note text, p_request text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    r moderation_rule;
BEGIN
    PERFORM rules_change();
    IF (SELECT count(*) FROM moderation_rule AS m WHERE m.kind <> 'contact') >= 2000 THEN
        PERFORM raise_problem('conflict', 'There are 2000 rules already.'); -- as many as a program loads
    END IF;
    INSERT INTO moderation_rule (id, kind, pattern, language, action, enabled, note)
    VALUES (p_id, p_kind, p_pattern, p_language, p_action, p_enabled, p_note)
    RETURNING * INTO r;
    PERFORM audit_append('filter.create', 'filter', p_id::text, rule_json(r)::json, p_request);
    RETURN rule_json(r);
END $$;

-- NULL keeps a value; version 0 asks for none.
CREATE OR REPLACE FUNCTION rule_update(p_id uuid, p_version int, p_pattern text, p_action text, p_enabled boolean,
                                       p_threshold int, p_note text, p_request text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    was moderation_rule;
    r   moderation_rule;
BEGIN
    PERFORM rules_change();
    SELECT * INTO was FROM moderation_rule WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF p_version <> 0 AND p_version <> was.version THEN
        PERFORM raise_problem('precondition-failed');
    ELSIF was.kind = 'contact' AND p_pattern <> was.pattern THEN
        PERFORM raise_problem('conflict', 'The name of a class does not change.');
    END IF;
    UPDATE moderation_rule AS m
    SET pattern = coalesce(p_pattern, m.pattern),
        action = coalesce(p_action, m.action),
        enabled = coalesce(p_enabled, m.enabled),
        threshold = coalesce(p_threshold, m.threshold),
        note = coalesce(p_note, m.note),
        version = m.version + 1,
        updated_at = now()
    WHERE m.id = p_id
    RETURNING * INTO r;
    PERFORM audit_append('filter.update', 'filter', p_id::text,
                         json_build_object('before', rule_json(was)::json, 'after', rule_json(r)::json), p_request);
    RETURN rule_json(r);
END $$;

CREATE OR REPLACE FUNCTION rule_delete(p_id uuid, p_request text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    r moderation_rule;
BEGIN
    PERFORM rules_change();
    DELETE FROM moderation_rule WHERE id = p_id RETURNING * INTO r;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF r.kind = 'contact' THEN
        PERFORM raise_problem('conflict', 'A class of contact data can be switched off, not removed.');
    END IF;
    PERFORM audit_append('filter.delete', 'filter', p_id::text, rule_json(r)::json, p_request);
END $$;

-- ---- messages ----

-- Whether the members of a conversation may tell each other how they are reached: the two have a paid order. In a group
-- not all have one with all.
CREATE OR REPLACE FUNCTION contact_allowed(p_chat uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM chat_enter(p_chat);
    RETURN EXISTS (
        SELECT FROM chat AS c
        JOIN orders AS o ON o.buyer_id = c.buyer_id AND o.seller_id = c.seller_id
            OR o.buyer_id = c.seller_id AND o.seller_id = c.buyer_id
        WHERE c.id = p_chat AND c.kind = 'private' AND o.payment_status = 'paid');
END $$;

-- A case that a rule opens about a message of the caller, named by its cmid or its id. One at a time for each sender
-- and conversation: who goes on is seen in it.
CREATE OR REPLACE FUNCTION message_hint(p_chat uuid, p_cmid uuid, p_message uuid, p_hint text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me    uuid := app_me();
    v_seq bigint;
    said  text;
    made  uuid := uuid_v7();
BEGIN
    SELECT m.seq INTO v_seq
    FROM message AS m
    WHERE m.sender_id = me AND m.chat_id = p_chat
      AND (m.cmid = p_cmid OR m.seq = message_seq(p_chat, p_message));
    IF v_seq IS NULL OR EXISTS (SELECT FROM report AS r WHERE r.target_id = me AND r.chat_id = p_chat
                                AND r.status = 'open' AND r.reason = 'filter') THEN
        RETURN '';
    END IF;
    said := chat_excerpt(p_chat, v_seq);
    INSERT INTO report (id, target_id, chat_id, seq, reason, hint, snapshot, snapshot_hash)
    VALUES (made, me, p_chat, v_seq, 'filter', p_hint, said, sha256(convert_to(said, 'UTF8')));
    RETURN emit('a/mod', envelope('report:new', '{"reportId":"' || made || '","targetId":"' || me
        || '","chatId":"' || p_chat || '","reason":"filter"}'));
END $$;

-- ---- texts that everybody reads ----

-- A case that a rule opens about a name, a title or a description; the text stands in its note. One at a time for each
-- account.
CREATE OR REPLACE FUNCTION account_hint(p_account uuid, p_place text, p_text text, p_hint text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    made uuid := uuid_v7();
BEGIN
    IF EXISTS (SELECT FROM report AS r WHERE r.target_id = p_account AND r.chat_id IS NULL
               AND r.status = 'open' AND r.reason = 'filter') THEN
        RETURN '';
    END IF;
    INSERT INTO report (id, target_id, reason, hint, note, snapshot_hash)
    VALUES (made, p_account, 'filter', p_hint, left(p_place || ': ' || p_text, 1000), sha256('[]'));
    RETURN emit('a/mod', envelope('report:new', '{"reportId":"' || made || '","targetId":"' || p_account
        || '","reason":"filter"}'));
END $$;

CREATE OR REPLACE FUNCTION text_hint(p_place text, p_text text, p_hint text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN account_hint(app_me(), p_place, p_text, p_hint);
END $$;

GRANT EXECUTE ON FUNCTION rules_since(bigint), account_hint(uuid, text, text, text) TO plaza_auth;
GRANT EXECUTE ON FUNCTION text_hint(text, text, text), rules_since(bigint), rule_page(text, text, text, text, int),
    rule_create(uuid, text, text, text, text, boolean, text, text),
    rule_update(uuid, int, text, text, boolean, int, text, text), rule_delete(uuid, text), contact_allowed(uuid),
    message_hint(uuid, uuid, uuid, text) TO plaza_web;
