-- Hours of each room, counted by folding its events (what the rules refuse is not counted), up to the event named in statistics_rooms.

CREATE TABLE history.statistics_rooms (
    room_id   text PRIMARY KEY,
    log_id    text NOT NULL,             -- with partition and "offset": the last event counted
    partition integer NOT NULL,
    "offset"  bigint NOT NULL,
    time_zone text NOT NULL,             -- the building's, by which days are told apart
    room      json NOT NULL              -- the room as it stood there, to fold on from
);

CREATE TABLE history.statistics_readings (
    room_id text NOT NULL,
    kind    text NOT NULL,               -- names the unit
    hour_at timestamptz NOT NULL,        -- start of the UTC hour of the readings' own time
    low     double precision NOT NULL,
    high    double precision NOT NULL,
    total   double precision NOT NULL,
    count   bigint NOT NULL,
    PRIMARY KEY (room_id, kind, hour_at)
);

CREATE TABLE history.statistics_people (
    room_id    text NOT NULL,
    hour_at    timestamptz NOT NULL,
    occupied_s double precision NOT NULL,
    known_s    double precision NOT NULL,  -- occupied or vacant; the rest of the hour is unknown, which is neither
    PRIMARY KEY (room_id, hour_at)
);

CREATE VIEW history.hourly AS
    SELECT room_id, kind, hour_at, low, total / count AS mean, high, count, occupied_s, known_s,
           occupied_s / nullif(known_s, 0) AS occupied_share
    FROM history.statistics_readings LEFT JOIN history.statistics_people USING (room_id, hour_at);
COMMENT ON VIEW history.hourly IS 'As far as statistics_rooms says; `atrium stats ROOM` counts what has come since.';

CREATE VIEW history.daily AS
    WITH readings AS (
        SELECT room_id, kind, date_trunc('day', hour_at, time_zone) AS day_at,
               min(low) AS low, sum(total) / sum(count) AS mean, max(high) AS high, sum(count)::bigint AS count
        FROM history.statistics_readings JOIN history.statistics_rooms USING (room_id) GROUP BY 1, 2, 3
    ), people AS (
        SELECT room_id, date_trunc('day', hour_at, time_zone) AS day_at, sum(occupied_s) AS occupied_s, sum(known_s) AS known_s
        FROM history.statistics_people JOIN history.statistics_rooms USING (room_id) GROUP BY 1, 2
    )
    SELECT room_id, kind, day_at, low, mean, high, count, occupied_s, known_s, occupied_s / nullif(known_s, 0) AS occupied_share
    FROM readings LEFT JOIN people USING (room_id, day_at);
COMMENT ON VIEW history.daily IS 'Days of the building''s own time, from whole UTC hours: a zone half an hour off borrows half an hour.';
