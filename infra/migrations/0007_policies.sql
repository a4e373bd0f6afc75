-- Policy documents of the whole building and of floors; a room's own stay in building.policies. The nearest wins, field by field.

CREATE TABLE building.shared_policies (
    scope    text PRIMARY KEY CHECK (scope = 'building' OR scope ~ '^floor/-?[0-9]+$'),
    document jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(document) = 'object'),
    revision bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN building.shared_policies.document IS 'Fields of atrium.Policy that differ from their defaults, as in building.policies.';

CREATE TRIGGER revision BEFORE INSERT OR UPDATE ON building.shared_policies
    FOR EACH ROW EXECUTE FUNCTION building.raise_revision();
CREATE TRIGGER tell_directory AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON building.shared_policies
    FOR EACH STATEMENT EXECUTE FUNCTION building.tell_directory();

-- Every document that ever was in force, so that the revision a command names can be looked up.
CREATE TABLE building.policy_revisions (
    revision   bigint PRIMARY KEY,
    scope      text NOT NULL,
    document   jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO building.policy_revisions (revision, scope, document) SELECT revision, 'room/' || room_id, document FROM building.policies;

CREATE FUNCTION building.keep_policy_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO building.policy_revisions (revision, scope, document)
    VALUES (NEW.revision, CASE TG_TABLE_NAME WHEN 'policies' THEN 'room/' || (to_jsonb(NEW) ->> 'room_id') ELSE to_jsonb(NEW) ->> 'scope' END,
            NEW.document)
    ON CONFLICT (revision) DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_revision AFTER INSERT OR UPDATE ON building.policies
    FOR EACH ROW EXECUTE FUNCTION building.keep_policy_revision();
CREATE TRIGGER keep_revision AFTER INSERT OR UPDATE ON building.shared_policies
    FOR EACH ROW EXECUTE FUNCTION building.keep_policy_revision();
