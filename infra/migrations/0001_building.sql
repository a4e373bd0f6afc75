-- What the building is: rooms, beacons, devices, policies. The directory carries these rows into Kafka; nothing else writes there.

CREATE SCHEMA building;

-- One sequence for every table, so that a row's revision grows with every change of it, also when it is deleted and made anew.
-- It counts in twos: the odd number before a row's revision is free for «it left its old room», the one after for «it is gone».
CREATE SEQUENCE building.revision START WITH 2 INCREMENT BY 2;

CREATE FUNCTION building.raise_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW IS DISTINCT FROM OLD THEN
        NEW.revision := nextval('building.revision');
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION building.raise_revision IS 'Gives a changed row the next revision; what the writer put there never counts. Writing 0 renews a row.';

CREATE TABLE building.rooms (
    room_id  text PRIMARY KEY CHECK (room_id <> ''),
    number   integer NOT NULL,
    floor    integer NOT NULL,
    name     text NOT NULL CHECK (name <> ''),
    revision bigint NOT NULL DEFAULT 0,
    UNIQUE (floor, number)
);

CREATE TABLE building.beacons (
    uuid     uuid NOT NULL,
    major    integer NOT NULL CHECK (major BETWEEN 0 AND 65535),
    minor    integer NOT NULL CHECK (minor BETWEEN 0 AND 65535),
    room_id  text NOT NULL REFERENCES building.rooms ON DELETE CASCADE,
    revision bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (uuid, major, minor)
);

CREATE TABLE building.devices (
    device_id  integer PRIMARY KEY CHECK (device_id > 0),
    name       text NOT NULL CHECK (name <> ''),
    room_id    text NOT NULL REFERENCES building.rooms,
    role       text NOT NULL CHECK (role IN ('multisensor', 'radiator_valve', 'blind', 'dimmer')),
    bus        text NOT NULL CHECK (bus IN ('knx', 'zwave')),
    line_id    text NOT NULL CHECK (line_id <> ''),
    knx_floor  integer CHECK (knx_floor BETWEEN 0 AND 7),     -- middle group: 3 bits
    knx_bloc   integer CHECK (knx_bloc BETWEEN 0 AND 255),    -- sub group: 8 bits
    zwave_node integer CHECK (zwave_node BETWEEN 1 AND 232 OR zwave_node BETWEEN 256 AND 4000),  -- mesh, or Long Range
    simulated  boolean NOT NULL DEFAULT false,
    revision   bigint NOT NULL DEFAULT 0,
    CONSTRAINT address_of_its_bus CHECK (
        CASE bus
            WHEN 'knx' THEN knx_floor IS NOT NULL AND knx_bloc IS NOT NULL AND zwave_node IS NULL
            ELSE zwave_node IS NOT NULL AND knx_floor IS NULL AND knx_bloc IS NULL
        END
    ),
    UNIQUE (line_id, knx_floor, knx_bloc, role),              -- the role picks the main group
    UNIQUE (line_id, zwave_node)
);

CREATE TABLE building.policies (
    room_id  text PRIMARY KEY REFERENCES building.rooms ON DELETE CASCADE,
    document jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(document) = 'object'),
    revision bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN building.policies.document IS 'Fields of atrium.Policy that differ from their defaults; times of day as text, "07:00:00".';

CREATE TRIGGER revision BEFORE INSERT OR UPDATE ON building.rooms FOR EACH ROW EXECUTE FUNCTION building.raise_revision();
CREATE TRIGGER revision BEFORE INSERT OR UPDATE ON building.beacons FOR EACH ROW EXECUTE FUNCTION building.raise_revision();
CREATE TRIGGER revision BEFORE INSERT OR UPDATE ON building.devices FOR EACH ROW EXECUTE FUNCTION building.raise_revision();
CREATE TRIGGER revision BEFORE INSERT OR UPDATE ON building.policies FOR EACH ROW EXECUTE FUNCTION building.raise_revision();
