-- Several brokers.

DROP FUNCTION IF EXISTS ingest_own(); -- it has a parameter now
