-- It serves no older program: one that changes documents under the lock of names would not be kept apart from one that
-- does so under their own.
COMMENT ON TABLE document IS 'changed under an advisory lock of their own';
