"""Development only: embedded PostgreSQL, a sandbox EHR with a synthetic clinic, a phone simulator."""
