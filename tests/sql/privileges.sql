-- Who may do what in the database, one line each, in a stable order. The result is checked in as privileges.txt and
-- reviewed at every change: nothing may be wider than its program needs.
SELECT line
FROM (
    SELECT format('role %s: %s', r.rolname, concat_ws(', ',
               CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
               CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
               CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
               CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
               CASE WHEN r.rolreplication THEN 'REPLICATION' END,
               CASE WHEN r.rolcanlogin THEN 'login' END,
               (SELECT string_agg('member of ' || pg_get_userbyid(m.roleid), ', ' ORDER BY m.roleid)
                FROM pg_auth_members AS m WHERE m.member = r.oid))) AS line
    FROM pg_roles AS r
    WHERE r.rolname LIKE 'plaza%'
    UNION ALL
    SELECT format('database: %s %s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,
                  string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type))
    FROM pg_database AS d, aclexplode(d.datacl) AS a
    WHERE d.datname = current_database() AND a.grantee <> d.datdba
    GROUP BY a.grantee
    UNION ALL
    SELECT format('schema %s: %s %s', n.nspname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,
                  string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type))
    FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
    WHERE n.nspname IN ('plaza', 'public') AND a.grantee NOT IN (n.nspowner, 'pg_database_owner'::regrole)
    GROUP BY n.nspname, a.grantee
    UNION ALL
    -- Beside the name of a relation: how rows are kept apart.
    SELECT format('%s %s: %s %s', k.kind, c.relname, g.grantee, g.privileges)
    FROM pg_class AS c
    CROSS JOIN LATERAL (
        SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN
                   CASE WHEN 'security_invoker=true' = ANY (c.reloptions) THEN 'view'
                        ELSE 'view (as its owner)' END
               ELSE CASE WHEN c.relrowsecurity THEN 'table (rows)' ELSE 'table' END END) AS k (kind)
    CROSS JOIN LATERAL (
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,
               string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
        FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
        WHERE a.grantee <> c.relowner
        GROUP BY a.grantee
        UNION ALL
        SELECT '-', 'nothing'
        WHERE NOT EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner)) AS g (grantee, privileges)
    WHERE c.relnamespace = 'plaza'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
      AND c.relname !~ '_\d{4}_\d\d$' -- the months of a partitioned table, which change by the clock
    UNION ALL
    SELECT format('column %s.%s: %s %s', c.relname, t.attname, pg_get_userbyid(a.grantee), a.privilege_type)
    FROM pg_attribute AS t JOIN pg_class AS c ON c.oid = t.attrelid, aclexplode(t.attacl) AS a
    WHERE c.relnamespace = 'plaza'::regnamespace
    UNION ALL
    SELECT format('policy %s on %s: %s to %s', p.policyname, p.tablename, p.cmd, array_to_string(p.roles, ', '))
    FROM pg_policies AS p
    WHERE p.schemaname = 'plaza'
    UNION ALL
    SELECT format('%s %s: %s', CASE WHEN f.prosecdef THEN 'function (as its owner)' ELSE 'function' END, f.proname,
                  string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END, ', '))
    FROM pg_proc AS f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS a
    WHERE f.pronamespace = 'plaza'::regnamespace AND a.grantee <> f.proowner
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = f.oid AND d.deptype = 'e')
    GROUP BY f.prosecdef, f.proname
) AS lines (line)
ORDER BY line COLLATE "C";
