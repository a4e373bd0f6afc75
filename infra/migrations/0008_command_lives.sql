-- A command's life: the command itself, and how it ended by the first answer to it. One without an answer is sent, or its gateway silent.

ALTER TABLE history.room_events ADD COLUMN command_id text, ADD COLUMN status text;  -- of a CommandResult
CREATE INDEX room_events_by_command ON history.room_events (command_id) WHERE command_id IS NOT NULL;

CREATE VIEW history.command_lives AS
    SELECT command.command_id, command.room_id, command.device_id, command.kind, command.target_pct, command.slot, command.rule,
           command.policy_revision, command.cause_log_id, command.cause_partition, command.cause_offset,
           command.issued_at AS sent_at, coalesce(answer.status, 'sent') AS state, answer.logged_at AS ended_at,
           answer.value AS reported_pct
    FROM (
        SELECT DISTINCT ON (command_id) * FROM history.commands WHERE command_id IS NOT NULL ORDER BY command_id, logged_at
    ) AS command
    LEFT JOIN LATERAL (
        SELECT status, logged_at, value FROM history.room_events
        WHERE room_events.command_id = command.command_id ORDER BY logged_at LIMIT 1
    ) AS answer ON true;
COMMENT ON VIEW history.command_lives IS 'What was kept before this version has no answers: its results stand in record only.';
