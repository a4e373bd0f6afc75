-- Recorded buildings: devices that stand in a file, not on a bus, and how far each file has been fed into which room.

ALTER TABLE building.devices DROP CONSTRAINT devices_bus_check;
ALTER TABLE building.devices ADD CONSTRAINT devices_bus_check CHECK (bus IN ('knx', 'zwave', 'recorded'));
ALTER TABLE building.devices DROP CONSTRAINT address_of_its_bus;
ALTER TABLE building.devices ADD CONSTRAINT address_of_its_bus CHECK (
    CASE bus
        WHEN 'knx' THEN knx_floor IS NOT NULL AND knx_bloc IS NOT NULL AND zwave_node IS NULL
        WHEN 'zwave' THEN zwave_node IS NOT NULL AND knx_floor IS NULL AND knx_bloc IS NULL
        ELSE knx_floor IS NULL AND knx_bloc IS NULL AND zwave_node IS NULL
    END
);

CREATE SCHEMA recordings;

CREATE TABLE recordings.feeds (
    room_id    text NOT NULL,
    recording  text NOT NULL,            -- SHA-256 of the file and of what was read out of it
    file       text NOT NULL,            -- its name, for people
    log_id     text NOT NULL,            -- with partition and "offset": everything of this recording up to here is counted in next_row
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL,
    next_row   bigint NOT NULL,          -- data rows (0 is the first) below this one are in the room's log
    running    boolean NOT NULL,         -- still so without a feeder at work: it was killed, and more of it may be in the log
    shift_ms   bigint NOT NULL,          -- added to the file's times
    room       bytea,                    -- the room as it stood at that offset, so that its next ticks are known
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room_id, recording)
);
COMMENT ON TABLE recordings.feeds IS 'Notes of `atrium feed`. A note may lag behind the log, never lead it: a feeder reads on in the log from the note.';
