-- Statements of tests/sql/test_db.c; their functions are in fixture.sql.

-- query: t_identity () one read -> uid uuid, role text, raw text
-- Who acts, and the setting itself.
SELECT app_uid() AS uid, app_role() AS role, current_setting('plaza.uid', true) AS raw;

-- query: t_pid () one read -> pid int
-- The process that serves this connection.
SELECT pg_backend_pid() AS pid;

-- query: t_pid_write () one -> pid int
-- The same, but not marked as repeatable.
SELECT pg_backend_pid() AS pid;

-- query: t_types (t text, tn text?, u uuid, un uuid?, i int, n int?, b bigint, bn bigint?,
--     f bool, fn bool?) one read
--     -> t text, tn text, u uuid, un uuid, i int, n int, b bigint, bn bigint, f bool, fn bool
-- Every type of a parameter, there and back.
SELECT :t AS t, :tn AS tn, :u AS u, :un AS un, :i AS i, :n AS n, :b AS b, :bn AS bn, :f AS f, :fn AS fn;

-- query: t_arrays (u uuid[], t text[], b bigint[], n text[]?) one read -> u text, t text, b text, n text, last text
-- Arrays as PostgreSQL writes them.
SELECT (:u)::text AS u, (:t)::text AS t, (:b)::text AS b, (:n)::text AS n, (:t)[cardinality(:t)] AS last;

-- query: t_fail (state text, times int) one -> n bigint
-- Fails so many times.
SELECT t_fail(:state, :times) AS n;

-- query: t_fail_read (state text, times int) one read -> n bigint
-- The same, marked as repeatable.
SELECT t_fail(:state, :times) AS n;

-- query: t_problem (slug text, detail text, hint text, pointer text, code text) exec
-- Raises a problem.
SELECT t_problem(:slug, :detail, :hint, :pointer, :code);

-- query: t_write (value text, twin int?) one -> events text
-- Writes a row and an event.
SELECT t_write(:value, :twin) AS events;

-- query: t_rows (value text?) many read -> id int, value text
-- Rows, all or those with a value.
SELECT r.id, r.value
FROM t_row AS r
WHERE :value IS NULL OR r.value = :value
ORDER BY r.id;

-- query: t_one (n int) one -> i int
-- As many rows as told, though one is promised.
SELECT i FROM generate_series(1, :n) AS i;

-- query: t_maybe (n int) maybe -> i int
-- As many rows as told, though at most one is promised.
SELECT i FROM generate_series(1, :n) AS i;

-- query: t_sleep (ms int) exec
-- Takes its time.
SELECT pg_sleep(:ms / 1000.0);

-- query: t_reset () exec
-- Removes what other tests left.
SELECT t_reset();
