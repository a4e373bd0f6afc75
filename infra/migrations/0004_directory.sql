-- The directory hears of every change of the building as soon as it is committed; it compares everything by itself, so the
-- notification says nothing but «look». PostgreSQL sends equal notifications of one transaction once.
CREATE FUNCTION building.tell_directory() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY building_changed;
    RETURN NULL;
END $$;

CREATE TRIGGER tell_directory AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON building.rooms
    FOR EACH STATEMENT EXECUTE FUNCTION building.tell_directory();
CREATE TRIGGER tell_directory AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON building.beacons
    FOR EACH STATEMENT EXECUTE FUNCTION building.tell_directory();
CREATE TRIGGER tell_directory AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON building.devices
    FOR EACH STATEMENT EXECUTE FUNCTION building.tell_directory();
CREATE TRIGGER tell_directory AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON building.policies
    FOR EACH STATEMENT EXECUTE FUNCTION building.tell_directory();

-- Two devices, or two rooms, may exchange their addresses in one transaction (SET CONSTRAINTS ALL DEFERRED).
ALTER TABLE building.rooms
    DROP CONSTRAINT rooms_floor_number_key,
    ADD CONSTRAINT rooms_floor_number_key UNIQUE (floor, number) DEFERRABLE;
ALTER TABLE building.devices
    DROP CONSTRAINT devices_line_id_knx_floor_knx_bloc_role_key,
    ADD CONSTRAINT devices_line_id_knx_floor_knx_bloc_role_key UNIQUE (line_id, knx_floor, knx_bloc, role) DEFERRABLE,
    DROP CONSTRAINT devices_line_id_zwave_node_key,
    ADD CONSTRAINT devices_line_id_zwave_node_key UNIQUE (line_id, zwave_node) DEFERRABLE;
