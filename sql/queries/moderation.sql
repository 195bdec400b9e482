-- Moderation: rules, cases, sanctions, appeals, audit.

-- query: rules_since (have bigint) many read -> version bigint, kind text, pattern text, action text, threshold int
-- The rules for messages, unless this version of them is known.
SELECT r.version, r.kind, r.pattern, r.action, r.threshold
FROM rules_since(:have) AS r;

-- query: contact_allowed (chat uuid) one read -> allowed bool
-- Whether the members may tell each other how they are reached.
SELECT contact_allowed(:chat) AS allowed;

-- query: message_hint (chat uuid, cmid uuid?, message uuid?, hint text) one -> events text
-- A case about a message of the caller that a rule wants to be looked at.
SELECT message_hint(:chat, :cmid, :message, :hint) AS events;

-- query: text_hint (place text, text text, hint text) one -> events text
-- A case about a text of the caller that everybody reads and a rule wants to be looked at.
SELECT text_hint(:place, :text, :hint) AS events;

-- query: account_hint (account uuid, place text, text text, hint text) one -> events text
-- The same about the name in a new account.
SELECT account_hint(:account, :place, :text, :hint) AS events;

-- query: rule_page (kind text?, language text?, after_kind text?, after text?, limit int) many read
--     -> body text, k1 text, k2 text
-- The rules, for administrators.
SELECT r.body, r.k1, r.k2
FROM rule_page(:kind, :language, :after_kind, :after, :limit + 1) AS r;

-- query: rule_create (id uuid, kind text, pattern text, language text?, action text, enabled bool, note text,
--     request text) one -> body text
-- A new rule.
SELECT rule_create(:id, :kind, :pattern, :language, :action, :enabled, :note, :request) AS body;

-- query: rule_update (id uuid, version int, pattern text?, action text?, enabled bool?, threshold int?, note text?,
--     request text) one -> body text
-- Changes a rule; version 0 asks for none.
SELECT rule_update(:id, :version, :pattern, :action, :enabled, :threshold, :note, :request) AS body;

-- query: rule_delete (id uuid, request text) exec
-- Removes a rule.
SELECT rule_delete(:id, :request);

-- query: case_page (status text?, assignee uuid?, reason text?, at text?, id uuid?, limit int) many read
--     -> body text, k1 text, k2 uuid
-- Cases of the moderators, the newest first.
SELECT c.body, c.k1, c.k2
FROM case_page(:status, :assignee, :reason, :at::timestamptz, :id, :limit + 1) AS c;

-- query: case_open (id uuid, request text) one -> body text
-- A case with its snapshot; leaves a trace.
SELECT case_open(:id, :request) AS body;

-- query: case_claim (id uuid, request text) one -> body text, events text
-- Takes a case.
SELECT c.body, c.events
FROM case_claim(:id, :request) AS c;

-- query: case_release (id uuid, request text) one -> body text, events text
-- Gives a case back.
SELECT c.body, c.events
FROM case_release(:id, :request) AS c;

-- query: case_resolve (id uuid, sanction uuid, action text, note text, days int?, of uuid?, request text) one
--     -> body text, events text
-- Closes a case.
SELECT c.body, c.events
FROM case_resolve(:id, :sanction, :action, :note, :days, :of, :request) AS c;

-- query: case_messages (report uuid?, chat uuid?, reason text?, below bigint?, limit int, request text) many
--     -> body text, k1 bigint
-- Messages of a conversation for a moderator; leaves a trace.
SELECT m.body, m.k1
FROM case_messages(:report, :chat, :reason, :below, :limit + 1, :request) AS m;

-- query: my_sanctions () many read -> body text
-- What was done to the caller.
SELECT s.body
FROM my_sanctions() AS s;

-- query: my_appeal (id uuid, sanction uuid, text text) one -> body text, events text
-- Appeals against a sanction of the caller.
SELECT a.body, a.events
FROM my_appeal(:id, :sanction, :text) AS a;

-- query: appeal_finish (account uuid, seen text, known bool, id uuid, text text) one -> body text, events text
-- The password was right: appeals against the suspension of the account.
SELECT p.body, p.events
FROM login_accept(:account, :seen, NULL, :known) AS a (id)
CROSS JOIN LATERAL appeal_make(a.id, :id, NULL, :text) AS p;

-- query: login_clear (account uuid, seen text, known bool) one -> account uuid
-- The password was right, and no session is opened: takes the count of the attempt back.
SELECT login_accept(:account, :seen, NULL, :known) AS account;

-- query: appeal_page (status text?, at text?, id uuid?, limit int) many read -> body text, k1 text, k2 uuid
-- Appeals, the newest first.
SELECT p.body, p.k1, p.k2
FROM appeal_page(:status, :at::timestamptz, :id, :limit + 1) AS p;

-- query: appeal_decide (id uuid, lift bool, note text, request text) one -> body text, events text
-- Decides about an appeal.
SELECT p.body, p.events
FROM appeal_decide(:id, :lift, :note, :request) AS p;

-- query: audit_page (actor uuid?, object text?, action text?, below bigint?, limit int) many read
--     -> body text, k1 bigint
-- The audit trail, the newest first.
SELECT a.body, a.k1
FROM audit_page(:actor, :object, :action, :below, :limit + 1) AS a;

-- query: audit_get (n bigint) maybe read -> body text
-- One row of it.
SELECT a.body
FROM audit_page(NULL, NULL, NULL, :n + 1, 1) AS a
WHERE a.k1 = :n;

-- query: audit_verify () one read -> body text
-- Reads the chain of it again.
SELECT audit_verify() AS body;

-- query: job_settle_shops () one -> done bigint
-- Some products of a shop that was suspended or came back.
SELECT job_settle_shops() AS done;

-- query: job_end_sanctions () one -> done bigint
-- Lifts one suspension whose time has passed.
SELECT job_end_sanctions() AS done;

-- query: blocked_page (n bigint?, id uuid?, limit int, request text) many -> body text, k1 bigint, k2 uuid
-- The most blocked accounts; leaves a trace.
SELECT b.body, b.k1, b.k2
FROM blocked_page(:n, :id, :limit + 1, :request) AS b;

-- query: blocks_of (account uuid, at text?, id uuid?, limit int, request text) many -> body text, k1 text, k2 uuid
-- Blocks of an account in both directions; leaves a trace.
SELECT b.body, b.k1, b.k2
FROM blocks_of(:account, :at::timestamptz, :id, :limit + 1, :request) AS b;
