-- What the building did: every room event and command with its exact bytes, by UTC day of the broker's stamp, and daily room rows.
-- Snapshot + the events after its position rebuild a room as of any time. Days are made by the role `history`, ahead of the data;
-- dropping a day's partition is how old history is removed.

CREATE SCHEMA history;

CREATE TABLE history.room_events (
    log_id    text NOT NULL,             -- Kafka's topic id: a recreated topic is another log
    partition integer NOT NULL,
    "offset"  bigint NOT NULL,
    logged_at timestamptz NOT NULL,      -- the broker's stamp
    room_id   text NOT NULL,
    type      text,                      -- null: bytes nobody could decode (also in the dead letters)
    at        timestamptz,               -- the device's, person's or gateway's own time; a tick's wake_at
    device_id integer,
    kind      text,
    value     double precision,          -- in the unit the kind names; may be NaN where a device sent it
    record    bytea,                     -- the Kafka value as it was, Confluent wire format
    PRIMARY KEY (log_id, partition, "offset", logged_at)
) PARTITION BY RANGE (logged_at);
CREATE INDEX room_events_by_room ON history.room_events (room_id, logged_at);

CREATE TABLE history.commands (
    log_id           text NOT NULL,
    partition        integer NOT NULL,
    "offset"         bigint NOT NULL,
    logged_at        timestamptz NOT NULL,
    line_id          text NOT NULL,
    command_id       text,               -- null, with all that follows but record: undecodable
    room_id          text,
    device_id        integer,
    kind             text,
    target_pct       double precision,
    issued_at        timestamptz,
    slot             text,
    rule             text,
    policy_revision  bigint,
    cause_log_id     text,
    cause_partition  integer,
    cause_offset     bigint,
    record           bytea,
    PRIMARY KEY (log_id, partition, "offset", logged_at)
) PARTITION BY RANGE (logged_at);
CREATE INDEX commands_by_room ON history.commands (room_id, logged_at);

CREATE TABLE history.room_snapshots (
    day       date NOT NULL,
    room_id   text NOT NULL,
    log_id    text NOT NULL,             -- with partition and "offset": the last event the row has applied
    partition integer NOT NULL,
    "offset"  bigint NOT NULL,
    taken_at  timestamptz NOT NULL DEFAULT now(),
    record    bytea NOT NULL,            -- the row as the changelog had it, Confluent wire format
    PRIMARY KEY (day, room_id)
);

CREATE TABLE history.schemas (
    schema_id integer PRIMARY KEY,
    schema    jsonb NOT NULL
);
COMMENT ON TABLE history.schemas IS 'The Avro schema behind each id met in a record, so that history can be read without the registry.';
