-- Reads every function and view of the schema as the server would at run time.
-- Run as the superuser; prints what is wrong, one fault a line.
\set ON_ERROR_STOP on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = error;
SET search_path = plaza, public;

\if :have_check
CREATE EXTENSION plpgsql_check SCHEMA public;
-- Functions in PL/pgSQL: names, types and columns of every statement inside.
SELECT f.functionid || ':' || coalesce(f.lineno::text, '') || ': ' || f.level || ': ' || f.message
    || coalesce(' (' || f.hint || ')', '')
FROM pg_proc AS p
JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
CROSS JOIN LATERAL plpgsql_check_function_tb(
    p.oid, 0, fatal_errors => false, extra_warnings => false, performance_warnings => false,
    security_warnings => true) AS f
WHERE p.pronamespace = 'plaza'::regnamespace
  AND p.prorettype <> 'trigger'::regtype
UNION ALL
SELECT f.functionid || ' on ' || t.tgrelid::regclass || ':' || coalesce(f.lineno::text, '') || ': ' || f.level
    || ': ' || f.message
FROM pg_trigger AS t
JOIN pg_proc AS p ON p.oid = t.tgfoid AND p.pronamespace = 'plaza'::regnamespace
JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
CROSS JOIN LATERAL plpgsql_check_function_tb(
    p.oid, t.tgrelid, oldtable => t.tgoldtable, newtable => t.tgnewtable, fatal_errors => false, extra_warnings => false, performance_warnings => false) AS f
WHERE NOT t.tgisinternal;
\endif

-- A function that runs with the rights of its owner must fix its search path, or qualify every name.
SELECT p.oid::regprocedure || ': SECURITY DEFINER without SET search_path'
FROM pg_proc AS p
WHERE p.pronamespace = 'plaza'::regnamespace
  AND p.prosecdef
  AND p.proname NOT IN ('app_enter', 'message_send') -- the hottest two; all their names are qualified
  AND NOT coalesce(p.proconfig::text LIKE '%search\_path=%', false);

-- Nothing but trusted extensions may be executed by everybody.
SELECT p.oid::regprocedure || ': PUBLIC may execute it'
FROM pg_proc AS p
WHERE p.pronamespace = 'plaza'::regnamespace
  AND has_function_privilege('public', p.oid, 'EXECUTE')
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e');

-- Every table is behind row level security, or holds nothing of anybody (reference data are listed).
SELECT c.oid::regclass || ': a table without row level security that programs may write'
FROM pg_class AS c
WHERE c.relnamespace = 'plaza'::regnamespace
  AND c.relkind IN ('r', 'p')
  AND NOT c.relrowsecurity
  AND (has_table_privilege('plaza_web', c.oid, 'INSERT, UPDATE, DELETE')
    OR has_table_privilege('plaza_auth', c.oid, 'INSERT, UPDATE, DELETE'));

-- Views work.
SELECT format('SELECT * FROM %s LIMIT 0', c.oid::regclass)
FROM pg_class AS c
WHERE c.relnamespace = 'plaza'::regnamespace
  AND c.relkind IN ('v', 'm')
\gexec
